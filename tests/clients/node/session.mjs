// A session of the `openai` npm package with the gateway at argv[2]; prints what came of it as JSON.
import { readFileSync } from "node:fs";
import OpenAI from "openai";
import { zodResponseFormat } from "openai/helpers/zod";
import { z } from "zod";

const [, , url, secret] = process.argv;
const client = new OpenAI({ baseURL: url, apiKey: "none", maxRetries: 0 });
const said = (content) => [{ role: "user", content }];
const City = z.object({ name: z.string(), people: z.number() });
const weather = {
  type: "function",
  function: {
    name: "get_weather",
    parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
  },
};

async function streamed() {
  const stream = await client.chat.completions.create({
    model: "auto", messages: said("Hello."), stream: true, stream_options: { include_usage: true },
  });
  let text = "", usage = null, empty = 0;
  for await (const chunk of stream) {
    text += chunk.choices[0]?.delta?.content ?? "";
    empty += chunk.choices.length === 0 && !chunk.usage ? 1 : 0;
    usage = chunk.usage ?? usage;
  }
  return { text, tokens: usage.total_tokens, empty };
}

async function toolLoop() {
  const asked = said("What is the weather in Berlin and Rome?");
  const stream = client.chat.completions.stream({ model: "auto", messages: asked, tools: [weather] });
  const { message } = (await stream.finalChatCompletion()).choices[0];
  const whole = await client.chat.completions.create({ model: "auto", messages: asked, tools: [weather] });
  const results = message.tool_calls.map((call) => ({ role: "tool", tool_call_id: call.id, content: "Fine." }));
  const after = await client.chat.completions.create({
    model: "auto", messages: [...asked, message, ...results], tools: [weather],
  });
  const shown = (calls) => calls.map((call) => [call.id, call.function.name, call.function.arguments]);
  return {
    streamed: shown(message.tool_calls),
    whole: shown(whole.choices[0].message.tool_calls),
    after: after.choices[0].message.content,
  };
}

async function responses() {
  const kinds = [];
  const stream = await client.responses.create({ model: "auto", input: "Hello.", stream: true });
  for await (const event of stream) kinds.push(event.type);
  const whole = await client.responses.create({ model: "auto", input: "Hello." });
  return { text: whole.output_text, first: kinds[0], last: kinds.at(-1) };
}

async function slowly() {
  let chat = "", response = "";
  const chunks = await client.chat.completions.create({ model: "auto", messages: said("Say it slowly."), stream: true });
  for await (const chunk of chunks) chat += chunk.choices[0].delta.content ?? "";
  const events = await client.responses.create({ model: "auto", input: "Say it slowly.", stream: true });
  for await (const event of events) response += event.type === "response.output_text.delta" ? event.delta : "";
  return [chat, response];
}

async function failing(ask) {
  try {
    await ask();
  } catch (error) {
    return [error.constructor.name, error.status ?? null, error.code ?? null];
  }
  return ["nothing", null, null];
}

const ask = (model, text) => client.chat.completions.create({ model, messages: said(text) });

async function broken() {
  const stream = await client.chat.completions.create({ model: "auto", messages: said("Break off."), stream: true });
  for await (const chunk of stream) void chunk;
}

async function aborted() {
  const stream = await client.chat.completions.create({ model: "auto", messages: said("Go on and on."), stream: true });
  let pieces = 0;
  for await (const chunk of stream) {
    pieces += chunk.choices[0].delta.content ? 1 : 0;
    if (pieces === 2) stream.controller.abort();
  }
  return pieces;
}

const raw = await client.chat.completions.create({ model: "auto", messages: said("Hello.") }).withResponse();
const parsed = await client.chat.completions.parse({
  model: "auto", messages: said("A city."), response_format: zodResponseFormat(City, "city"),
});
const vectors = await client.embeddings.create({ model: "embedder", input: ["One.", "Two."] });
const models = [];
for await (const model of client.models.list()) models.push(model.id);
const openai = JSON.parse(readFileSync(new URL("node_modules/openai/package.json", import.meta.url)));

console.log(JSON.stringify({
  versions: { node: process.version, openai: openai.version },
  text: raw.data.choices[0].message.content,
  route: raw.response.headers.get("x-gatehouse-route"),
  requestId: [raw.request_id, raw.response.headers.get("x-gatehouse-request-id")],
  stream: await streamed(),
  tools: await toolLoop(),
  schema: parsed.choices[0].message.parsed,
  responses: await responses(),
  slowly: await slowly(),
  vectors: vectors.data.map((row) => row.embedding),
  models,
  aborted: await aborted(),
  errors: {
    denied: await failing(() => ask("cloud", secret)),
    unknown: await failing(() => ask("nobody", "Hello.")),
    down: await failing(() => ask("auto", "Fail at once.")),
    broken: await failing(broken),
  },
}));
