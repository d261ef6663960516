"""What a wire dialect is: a file that maps a body to the canonical request, and answers and errors back.

Between the two everything works on the canonical form (a chat-completions body), so that what is scanned, decided,
escalated, replaced, cached and counted is the same in each dialect.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

from classifiers.frozen import quickly_made
from router.errors import GatehouseError, InvalidRequest
from router.fields import FIELDS
from router.types import JsonObject, Principal, Task


@quickly_made
@dataclass(frozen=True, slots=True)
class Asked:
    """A body, read: what goes on, and what only the way back needs."""

    body: JsonObject = field(repr=False)  # chat-completions
    model: str
    stream: bool
    include_usage: bool  # whether a stream ends with its usage
    task: Task = "chat"
    ignored: tuple[str, ...] = ()  # fields of the dialect that have no meaning here
    raw: JsonObject = field(default_factory=dict, repr=False)  # as it came, for a dialect that shows it again
    history: tuple[JsonObject, ...] = field(default=(), repr=False)  # what the dialect's own state put before it


@quickly_made
@dataclass(frozen=True, slots=True)
class Told:
    """What an answer says of itself beside its text."""

    request_id: str
    input_tokens: int = 0  # an estimate that errs high, until a model has counted
    pending: bool = False  # its headers could not wait for the route


class Events(Protocol):
    """One stream in a dialect: canonical chunks in, bytes of server-sent events out. One a request."""

    @property
    def heartbeat(self) -> bytes:
        """What may stand before, between and after events, and that every client of the dialect survives."""
        ...

    def chunk(self, chunk: JsonObject) -> bytes:
        """The events of one `chat.completion.chunk`; may be none."""
        ...

    def end(self, gatehouse: JsonObject | None) -> bytes:
        """What ends a whole stream; `gatehouse` tells the final route where the headers could not."""
        ...

    def error(self, error: GatehouseError) -> bytes:
        """What ends a stream that failed."""
        ...

    def answer(self) -> JsonObject | None:
        """The whole answer in the dialect's form, once `end` was called, where the dialect keeps it."""
        ...


class Dialect(Protocol):
    """One wire format. Stateless beyond what its constructor was given; shared by all requests of a worker."""

    async def read(self, body: JsonObject, principal: Principal) -> Asked:
        """Raises `InvalidRequest` for what the dialect does not allow, naming no content."""
        ...

    def whole(self, asked: Asked, told: Told, completion: JsonObject) -> JsonObject:
        """A `chat.completion` as the dialect's answer."""
        ...

    def events(self, asked: Asked, told: Told) -> Events:
        """A stream about to begin."""
        ...

    async def keep(self, asked: Asked, principal: Principal, answer: JsonObject) -> None:
        """Remember a whole answer, where the dialect has state. Never raises for a store that is down."""
        ...

    def envelope(self, error: GatehouseError, request_id: str) -> bytes:
        """The body of an error."""
        ...


def read_model(body: JsonObject) -> str:
    """The model's name; `auto` when there is none."""
    model = body.get("model", "auto")
    if not isinstance(model, str) or not model:
        raise InvalidRequest("`model` must be a non-empty string, such as `auto`.", param="model")
    return model


def read_stream(body: JsonObject) -> bool:
    """Whether a stream is asked for."""
    stream = body.get("stream") or False
    if not isinstance(stream, bool):
        raise InvalidRequest("`stream` must be true or false.", param="stream")
    return stream


def refuse(where: str, what: str) -> InvalidRequest:
    """The error for a value of the wrong form; `where` is a path of our own making."""
    return InvalidRequest(f"`{where}` must be {what}.", param=where, code="invalid_value")


def unsupported(where: str, why: str) -> InvalidRequest:
    """The error for what the dialect has and this gateway does not."""
    return InvalidRequest(f"`{where}` is not supported here: {why}", param=where, code="unsupported_field")


def sort_fields(body: JsonObject, used: frozenset[str], idle: frozenset[str]) -> tuple[str, ...]:
    """The fields of `body` that have no meaning here, by name. `used` are those that a dialect maps, `idle` its hints.

    Raises `InvalidRequest` for a field that would steer what is the gateway's own, and for one that nobody knows: it
    would be dropped, and its caller would not know.
    """
    ignored: list[str] = []
    for name, value in body.items():
        if name in used:
            continue
        known = FIELDS.get(name)
        if known is not None and known.kind == "forbidden":
            raise InvalidRequest(
                f"`{name}` may not stand in a request: addresses, keys, headers and partitions are the gateway's own.",
                param=name,
                code="forbidden_field",
            )
        if name in idle:
            if value is not None:
                ignored.append(name)
        elif value is not None:
            raise InvalidRequest(
                "A field of this request is not known in this dialect. Leave it out.", code="unsupported_field"
            )
    return tuple(sorted(ignored))


def text_of(content: Any) -> str:
    """The text of a message of a `chat.completion`, or of a delta; empty for none."""
    return content if isinstance(content, str) else ""
