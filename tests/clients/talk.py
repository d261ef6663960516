"""Models that answer by what they are asked: for clients that run as programs and go through a whole session."""

from __future__ import annotations

from typing import Any

import orjson

from router.backends.scripted import Exchange, ScriptSource
from router.backends.scripted_replies import Script, last_user_text

VECTOR = [0.5, -0.25, 1.0]
CITY = '{"name": "Rome", "people": 2800000}'
SUMMED_UP = "Rain in Berlin, sun in Rome."


def call(own_id: str, name: str, arguments: str) -> dict[str, Any]:
    """A call of a tool."""
    return {"id": own_id, "type": "function", "function": {"name": name, "arguments": arguments}}


WEATHER_CALLS = (
    call("call_1", "get_weather", '{"city": "Berlin"}'),
    call("call_2", "get_weather", '{"city": "Rome"}'),
)


def talk(answer: str) -> ScriptSource:
    """Two calls where the weather is asked for, their sum for the results, a city for a schema, faults by name."""

    def choose(exchange: Exchange) -> Script:
        asked = exchange.json
        text = last_user_text(asked).lower()
        if asked["messages"][-1]["role"] == "tool":
            return Script(answer=SUMMED_UP)
        if "fail at once" in text:
            return Script(status=503)
        if "break off" in text:
            return Script(answer=answer, fault="close_after", after=3)
        if "slowly" in text:
            return Script(answer=answer, chunk_delay=0.4)
        if "go on and on" in text:
            return Script(answer=answer * 50, chunk_delay=0.05)
        names = [tool["function"]["name"] for tool in asked.get("tools") or ()]
        if "get_weather" in names and "weather" in text:
            return Script(answer="", tool_calls=WEATHER_CALLS, finish_reason="tool_calls", chunk_size=5)
        if names and "get_weather" not in names:  # a schema that came as a tool
            return Script(answer="", tool_calls=(call("call_3", names[0], CITY),), finish_reason="tool_calls")
        return Script(answer=CITY if asked.get("response_format") else answer)

    return choose


def embedding_or(script: Script) -> ScriptSource:
    """Vectors for whoever asks for embeddings, each with its place as its first number; else `script`."""

    def choose(exchange: Exchange) -> Script:
        if not exchange.target.endswith("/embeddings"):
            return script
        asked = exchange.json["input"]
        texts = asked if isinstance(asked, list) else [asked]
        rows = [{"object": "embedding", "index": at, "embedding": [at, *VECTOR]} for at, _ in enumerate(texts)]
        usage = {"prompt_tokens": 3, "total_tokens": 3}
        return Script(raw_body=orjson.dumps({"object": "list", "data": rows, "model": "e", "usage": usage}))

    return choose
