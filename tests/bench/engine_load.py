"""What the engine benchmark asks of a server, over HTTP: prompts that no cache knows, alone, side by side, in a crowd.

Every server is asked the same, with the same sampling, on a fresh connection for each request.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import orjson

Body = dict[str, Any]

SYSTEM = "You are a helpful assistant."
CROWD = 8  # callers who talk at the same time
_SAMPLING = {"temperature": 0.8, "top_p": 0.95, "top_k": 40, "min_p": 0.05}
_TIMEOUT_S = 600.0
_CROWD_TOKENS = 384  # what each of the crowd asks for while a newcomer is waited on
_LONG_FIRST_S = 0.15  # the long prompt is being read when the newcomer comes

_TEXT = """
river market copper garden signal winter ladder orange planet window bridge candle forest harbor island jacket
kettle lemon mirror needle ocean pencil quartz ribbon silver timber valley wagon yellow anchor basket castle
desert engine feather glacier hammer insect jungle kitchen lantern meadow number orchard palace rabbit saddle
temple uncle village whistle author button canyon dragon eagle fabric goblin helmet iron jewel
"""
_WORDS = _TEXT.split()


class BenchError(Exception):
    """A server did not answer as it must; the figures would mean nothing."""


@dataclass(frozen=True, slots=True)
class Target:
    """One server: where it is, the model's name there, and fields that only it needs."""

    name: str
    model: str
    socket: str = ""  # a unix socket, or
    port: int = 0  # a port of loopback
    extra: Body = field(default_factory=dict)
    busy_path: str = ""  # where it says what it is doing
    gives_usage: bool = True  # in a stream; if not, its chunks are counted, one for each token

    @property
    def base(self) -> str:
        """The URL before `/v1`."""
        return f"http://127.0.0.1:{self.port}" if self.port else "http://engine"


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer. Seconds from the request's first byte; tokens as the server counts them."""

    tokens: int
    prompt_tokens: int
    first_s: float
    whole_s: float
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Load:
    """One round of several callers, each with a new request as soon as the last one is answered."""

    seconds: float
    answers: tuple[Answer, ...]

    @property
    def tokens(self) -> int:
        """Of all answers."""
        return sum(answer.tokens for answer in self.answers)

    @property
    def rate(self) -> float:
        """Tokens a second, of all callers together."""
        return self.tokens / self.seconds

    @property
    def p50_s(self) -> float:
        """The median of the requests' durations."""
        ordered = sorted(answer.whole_s for answer in self.answers)
        return (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2


def _busy(state: Any) -> bool:
    """Whether the engine's `/stats` or llama-server's `/slots` shows work."""
    if isinstance(state, list):
        return any(slot["is_processing"] for slot in state)
    return any(figures["running"] or figures["waiting"] for figures in state["models"].values())


async def _drop(tasks: list[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _chat(text: str, **fields: Any) -> Body:
    messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": text}]
    return {"messages": messages, **_SAMPLING, **fields}


def question(name: str) -> str:
    """A prompt of 20 to 40 tokens that leads to a long answer; another one for every `name`, from its first word on."""
    dice = random.Random(name)
    one, two, three, four, five = dice.sample(_WORDS, 5)
    return (
        f"{one.title()} {two}, {dice.randrange(100_000)}: write a long and detailed story about a {three} that was "
        f"found beside the {four} and about the {five}."
    )


def long_question(name: str, words: int) -> str:
    """A prompt of so many words without an order; another one for every `name`, from its first word on."""
    dice = random.Random(name)
    text = " ".join(dice.choice(_WORDS) for _ in range(words))
    return f"{text}. Which of these words is the longest?"


_REPORTS = (
    "On {day} the team at the {place} office met to discuss the {thing} project and the plan for the next quarter.",
    "{name} said that the first {count} units had been delivered to the customer and that no complaint had come back.",
    "The cost of the {other} came to {sum} dollars, which is {less} dollars less than the amount that was agreed on.",
    "{second} asked whether the {thing} could be tested again before it is shipped to the warehouse in {city}.",
    "It was decided that {name} will write a short note about the {other} and send it to everybody by {end}.",
    "The next meeting takes place in the {place} office at {hour} in the morning, and all members are asked to come.",
    "{second} will bring the list of the {count} open questions and the drawings of the {other} to that meeting.",
)


def report(name: str) -> str:
    """A report of about 200 tokens; another one for every `name`."""
    dice = random.Random(name)
    thing, other, place = dice.sample(_WORDS, 3)
    first, second = dice.sample(("Anna", "Peter", "Maria", "David", "Laura", "Simon", "Helen", "Martin"), 2)
    day, end = dice.sample(("Monday", "Tuesday", "Wednesday", "Thursday", "Friday"), 2)
    values = {"day": day, "end": end, "place": place, "thing": thing, "other": other, "name": first, "second": second}
    values |= {"count": str(dice.randrange(20, 90)), "sum": str(dice.randrange(2000, 9000))}
    values |= {"less": str(dice.randrange(100, 900)), "city": dice.choice(("Boston", "Chicago", "Denver", "Dallas"))}
    values["hour"] = dice.choice(("eight", "nine", "ten", "eleven"))
    return " ".join(line.format(**values) for line in _REPORTS)


class Caller:
    """Asks one server."""

    def __init__(self, session: aiohttp.ClientSession, target: Target) -> None:
        self._session = session
        self.target = target

    async def get(self, path: str) -> Any:
        """The JSON of a GET. Raises BenchError."""
        async with self._session.get(self.target.base + path) as response:
            if response.status != 200:
                raise BenchError(f"{self.target.name}: {path} says {response.status}")
            return orjson.loads(await response.read())

    async def settle(self) -> None:
        """Wait until the server has nothing to do. Raises BenchError when that takes a minute."""
        for _ in range(1200):
            if not self.target.busy_path or not _busy(await self.get(self.target.busy_path)):
                return
            await asyncio.sleep(0.05)
        raise BenchError(f"{self.target.name} does not come to rest")

    async def ask(self, body: Body, *, stream: bool = True, heard: asyncio.Event | None = None) -> Answer:
        """One request to its end; `heard` is set by its first word. Raises BenchError for anything but an answer."""
        asked = {**body, "model": self.target.model, **self.target.extra, "stream": stream}
        if stream and self.target.gives_usage:
            asked["stream_options"] = {"include_usage": True}
        began = time.perf_counter()
        url = self.target.base + "/v1/chat/completions"
        async with self._session.post(url, data=orjson.dumps(asked), headers=_JSON) as response:
            if response.status != 200:
                raw = await response.read()
                raise BenchError(f"{self.target.name} says {response.status}: {raw[:300].decode('utf-8', 'replace')}")
            if not stream:
                value = orjson.loads(await response.read())
                seconds = time.perf_counter() - began
                text = value["choices"][0]["message"]["content"]
                usage = value["usage"]
                return Answer(usage["completion_tokens"], usage["prompt_tokens"], seconds, seconds, text)
            return await self._read(response, began, heard or asyncio.Event())

    async def _read(self, response: aiohttp.ClientResponse, began: float, heard: asyncio.Event) -> Answer:
        parts: list[str] = []
        first, usage, is_whole = 0.0, {"completion_tokens": 0, "prompt_tokens": 0}, False
        async for line in response.content:
            if not line.startswith(b"data: "):
                continue
            if line.startswith(b"data: [DONE]"):
                is_whole = True
                continue
            event = orjson.loads(line[6:])
            if "error" in event:
                raise BenchError(f"{self.target.name} ended a stream with an error")
            usage = event.get("usage") or usage
            for choice in event["choices"]:
                if choice["delta"].get("content"):
                    first = first or time.perf_counter() - began
                    heard.set()
                    parts.append(choice["delta"]["content"])
        seconds = time.perf_counter() - began
        if not is_whole:
            raise BenchError(f"{self.target.name} broke a stream off")
        tokens = usage["completion_tokens"] if self.target.gives_usage else len(parts)
        return Answer(tokens, usage["prompt_tokens"], first or seconds, seconds, "".join(parts))

    async def load(self, name: str, *, callers: int, requests: int, tokens: int, stream: bool = True) -> Load:
        """So many requests by so many callers, each of at most `tokens`. The prompts follow from `name`."""
        bodies = self._bodies(name, requests, tokens)

        async def call() -> list[Answer]:
            return [await self.ask(body, stream=stream) for body in bodies]

        began = time.perf_counter()
        tasks = [asyncio.ensure_future(call()) for _ in range(callers)]
        try:
            answers = await asyncio.gather(*tasks)
            seconds = time.perf_counter() - began
        finally:
            await _drop(tasks)
        return Load(seconds, tuple(answer for each in answers for answer in each))

    def _bodies(self, name: str, requests: int, tokens: int) -> Iterator[Body]:
        for number in range(requests):
            yield _chat(question(f"{name} {number}"), max_tokens=tokens, seed=number)

    async def newcomer(self, name: str, words: int) -> Answer:
        """A short request while a crowd talks and a prompt of so many words is being read."""
        async with self._crowd(name):
            patient = asyncio.ensure_future(self.ask(_chat(long_question(name, words), max_tokens=8, seed=1)))
            try:
                await asyncio.sleep(_LONG_FIRST_S)
                answer = await self.ask(_chat(question(f"{name} newcomer"), max_tokens=2, seed=1))
                if patient.done():
                    raise BenchError(f"{self.target.name} read the long prompt before the newcomer came")
                return answer
            finally:
                await _drop([patient])

    @asynccontextmanager
    async def _crowd(self, name: str) -> AsyncIterator[None]:
        """Callers who talk without a pause, each of whom has been heard."""
        heard = [asyncio.Event() for _ in range(CROWD)]

        async def talk(number: int) -> None:
            for body in self._bodies(f"{name} crowd {number}", 1000, _CROWD_TOKENS):
                await self.ask(body, heard=heard[number])

        tasks = [asyncio.ensure_future(talk(number)) for number in range(CROWD)]
        try:
            # Eight events or a failure, whichever comes first.
            while not all(event.is_set() for event in heard) and not any(task.done() for task in tasks):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            yield
            if any(task.done() for task in tasks):
                raise BenchError(f"{self.target.name} refused one of the crowd")
        finally:
            await _drop(tasks)

    async def edit(self, name: str) -> Answer:
        """A report with its spelling corrected, greedily: the copy-heavy request."""
        text = f"Correct the spelling of this text and write it again in full:\n\n{report(name)}"
        return await self.ask({**_chat(text, max_tokens=256, seed=1), **_GREEDY})

    async def read(self, name: str, words: int) -> Answer:
        """A long prompt with an answer of one token."""
        return await self.ask(_chat(long_question(name, words), max_tokens=1, seed=1))


_JSON = {"content-type": "application/json"}
_GREEDY: Body = {"temperature": 0, "top_p": 1, "top_k": 0, "min_p": 0}


@asynccontextmanager
async def calling(target: Target) -> AsyncIterator[Caller]:
    """A caller of `target`; a connection serves one request, because some servers close idle ones unannounced."""
    connector = (
        aiohttp.TCPConnector(force_close=True, limit=0)
        if target.port
        else aiohttp.UnixConnector(target.socket, force_close=True, limit=0)
    )
    timeout = aiohttp.ClientTimeout(total=_TIMEOUT_S)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout, trust_env=False) as session:
        yield Caller(session, target)
