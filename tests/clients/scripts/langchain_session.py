"""A session of `langchain-openai` with the gateway at argv[1]; prints what came of it as JSON."""

import asyncio
import json
import sys
from importlib.metadata import version

import openai
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel

URL, SECRET = sys.argv[1:3]


class City(BaseModel):
    """A city."""

    name: str
    people: int


@tool
def get_weather(city: str) -> str:
    """The weather of a city."""
    return f"Fine in {city}."


def model(name: str = "auto", **options: object) -> ChatOpenAI:
    return ChatOpenAI(model=name, base_url=URL, api_key="none", max_retries=0, stream_usage=True, **options)


def streamed(text: str) -> dict[str, object]:
    chunks = list(model().stream(text))
    whole = chunks[0]
    for chunk in chunks[1:]:
        whole += chunk
    return {"text": whole.text, "usage": whole.usage_metadata, "chunks": len(chunks)}


def tool_loop() -> dict[str, object]:
    able = model().bind_tools([get_weather])
    asked = HumanMessage("What is the weather in Berlin and Rome?")
    called = able.invoke([asked])
    results = [ToolMessage(get_weather.invoke(call["args"]), tool_call_id=call["id"]) for call in called.tool_calls]
    streamed = None
    for chunk in able.stream([asked]):
        streamed = chunk if streamed is None else streamed + chunk
    return {
        "calls": called.tool_calls,
        "streamed": streamed.tool_calls,
        "after": able.invoke([asked, called, *results]).text,
    }


def failing(name: str, text: str, *, stream: bool = False) -> list[object]:
    try:
        list(model(name).stream(text)) if stream else model(name).invoke(text)
    except openai.APIError as error:
        return [getattr(error, "status_code", None), error.code]  # classes of its own, each one of openai's too
    return [0, None]


def overflow() -> list[str]:
    try:
        model("local").invoke("word " * 20_000)
    except openai.BadRequestError as error:
        return [each.__name__ for each in type(error).__mro__]
    return []


async def asynchronous() -> dict[str, object]:
    pieces = [chunk.text async for chunk in model().astream("Hello.")]
    return {"whole": (await model().ainvoke("Hello.")).text, "stream": "".join(pieces)}


embeddings = OpenAIEmbeddings(model="embedder", base_url=URL, api_key="none", check_embedding_ctx_length=False)
whole = model().invoke("Hello.")
told = {
    "versions": {name: version(name) for name in ("langchain-openai", "langchain-core", "openai")},
    "text": whole.text,
    "usage": whole.usage_metadata,
    "stream": streamed("Hello."),
    "async": asyncio.run(asynchronous()),
    "tools": tool_loop(),
    "schema": model().with_structured_output(City, method="json_schema").invoke("A city.").model_dump(),
    "function": model().with_structured_output(City, method="function_calling").invoke("A city.").model_dump(),
    "slowly": [
        "".join(chunk.text for chunk in able.stream("Say it slowly."))
        for able in (model(), model(use_responses_api=True))
    ],
    "overflow": overflow(),
    "responses": model(use_responses_api=True).invoke("Hello.").text,
    "vectors": embeddings.embed_documents(["One.", "Two."]),
    "errors": {
        "denied": failing("cloud", SECRET),
        "unknown": failing("nobody", "Hello."),
        "down": failing("auto", "Fail at once."),
        "broken": failing("auto", "Break off.", stream=True),
    },
}
print(json.dumps(told))
