"""A session of `llama-index`'s OpenAILike with the gateway at argv[1]; prints what came of it as JSON."""

import asyncio
import json
import sys
from importlib.metadata import version

import openai
from llama_index.core.llms import ChatMessage
from llama_index.core.tools import FunctionTool
from llama_index.embeddings.openai_like import OpenAILikeEmbedding
from llama_index.llms.openai_like import OpenAILike
from pydantic import BaseModel

URL, SECRET = sys.argv[1:3]


class City(BaseModel):
    """A city."""

    name: str
    people: int


def get_weather(city: str) -> str:
    """The weather of a city."""
    return f"Fine in {city}."


def model(name: str = "auto", **options: object) -> OpenAILike:
    return OpenAILike(
        model=name, api_base=URL, api_key="none", max_retries=0, context_window=8192, is_chat_model=True,
        is_function_calling_model=True, **options,
    )  # fmt: skip


def streamed() -> dict[str, object]:
    able = model(additional_kwargs={"stream_options": {"include_usage": True}})
    last = None
    pieces = []
    for last in able.stream_chat([ChatMessage("Hello.")]):
        pieces.append(last.delta or "")
    return {"text": "".join(pieces), "usage": last.raw.usage.total_tokens}


def tool_loop() -> dict[str, object]:
    tool = FunctionTool.from_defaults(get_weather)
    asked = ChatMessage("What is the weather in Berlin and Rome?")
    reply = model().chat_with_tools([tool], chat_history=[asked], allow_parallel_tool_calls=True)
    calls = model().get_tool_calls_from_response(reply)
    results = [
        ChatMessage(tool(**call.tool_kwargs).content, role="tool", additional_kwargs={"tool_call_id": call.tool_id})
        for call in calls
    ]
    after = model().chat_with_tools([tool], chat_history=[asked, reply.message, *results])
    return {
        "calls": [[call.tool_id, call.tool_name, call.tool_kwargs] for call in calls],
        "after": after.message.content,
    }


def failing(name: str, text: str, *, stream: bool = False) -> list[object]:
    try:
        list(model(name).stream_chat([ChatMessage(text)])) if stream else model(name).chat([ChatMessage(text)])
    except openai.APIError as error:
        return [type(error).__name__, error.code]
    return ["nothing", None]


async def asynchronous() -> dict[str, object]:
    stream = await model().astream_chat([ChatMessage("Hello.")])
    pieces = [piece.delta or "" async for piece in stream]
    return {"whole": (await model().acomplete("Hello.")).text, "stream": "".join(pieces)}


embedder = OpenAILikeEmbedding(model_name="embedder", api_base=URL, api_key="none", max_retries=0)
whole = model().complete("Hello.")
told = {
    "versions": {
        name: version(name)
        for name in ("llama-index-core", "llama-index-llms-openai-like", "llama-index-embeddings-openai-like")
    },
    "text": whole.text,
    "usage": whole.raw.usage.total_tokens,
    "stream": streamed(),
    "slowly": ["".join(piece.delta or "" for piece in model().stream_chat([ChatMessage("Say it slowly.")]))],
    "async": asyncio.run(asynchronous()),
    "tools": tool_loop(),
    "schema": model().as_structured_llm(City).complete("A city.").raw.model_dump(),
    "vectors": embedder.get_text_embedding_batch(["One.", "Two."]),
    "errors": {
        "denied": failing("cloud", SECRET),
        "unknown": failing("nobody", "Hello."),
        "down": failing("auto", "Fail at once."),
        "broken": failing("auto", "Break off.", stream=True),
    },
}
print(json.dumps(told))
