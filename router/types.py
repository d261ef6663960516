"""The nouns of the gateway: who asks, what is asked, what goes to a backend, what comes back."""

from __future__ import annotations

from collections.abc import AsyncIterable
from dataclasses import dataclass, field
from typing import Any, Literal

from classifiers.frozen import quickly_made
from classifiers.pseudonyms import Pseudonyms
from policies.allowances import Rate
from policies.types import EgressPermit, Release

JsonObject = dict[str, Any]
Task = Literal["chat", "embeddings"]

KeyScope = Literal["infer", "read", "admin"]
SCOPES: tuple[KeyScope, ...] = ("infer", "read", "admin")


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks, from authentication only: never from a body, nor from a header that the key does not name.

    `subject` is a keyed pseudonym of whoever the caller asks for. `scopes`: ask models, read of traffic, change things.
    `rate`: what this key may ask for, whatever more the policy would give it.
    """

    tenant: str = "default"
    key_id: str | None = None
    subject: str | None = None
    groups: tuple[str, ...] = ()
    scopes: frozenset[KeyScope] = frozenset(SCOPES)
    rate: Rate | None = None


@quickly_made
@dataclass(frozen=True, slots=True)
class ChatRequest:
    """One request in the gateway's canonical form: a chat-completions body, parsed once, never changed afterwards."""

    id: str
    body: JsonObject = field(repr=False)
    model: str  # the name as the caller wrote it; `auto` when there is none
    principal: Principal
    stream: bool
    include_usage: bool  # stream_options.include_usage
    local_only: bool
    no_store: bool
    received: float  # time.perf_counter() when the request line was in
    traceparent: str | None = None
    task: Task = "chat"  # embeddings: `body` is an embeddings body
    size: int = 0  # bytes of the body as it came
    release: str | None = field(default=None, repr=False)  # the token that it brings, not yet looked at


@quickly_made
@dataclass(frozen=True, slots=True)
class Outgoing:
    """What a backend writes: these bytes and nothing else. `permit` is None only for a `local` model."""

    body: bytes = field(repr=False)
    stream: bool
    permit: EgressPermit | None = None
    request_id: str = ""
    task: Task = "chat"
    ignored: tuple[str, ...] = ()  # fields of the request that this target does not get
    pseudonyms: Pseudonyms | None = field(default=None, repr=False)  # what the placeholders in `body` stand for
    tenant: str = ""  # whose request it is: a lock may hold back one tenant's alone


@quickly_made
@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens that a model says it used."""

    input_tokens: int = 0
    output_tokens: int = 0


Verdict = Literal["keep", "escalate", "unmeasured"]  # unmeasured: nothing was told, and the answer stands
Moment = Literal["whole", "commit", "verify", "agreement"]  # the last two: whole, and looked at a second time


@dataclass(frozen=True, slots=True)
class Judgement:
    """What was found of a local answer, or of its first tokens; `why` is one of our own sentences."""

    verdict: Verdict
    at: Moment
    tokens: int  # that were looked at
    confidence: float | None
    threshold: float
    why: str


@dataclass(slots=True)
class Outcome:
    """What became of a request; filled as it goes, read once for headers, record and metrics."""

    route: str = "refused"
    model: str = ""
    reason: str = "default"
    sensitivity: str = "restricted"
    policy: str = ""
    held: str | None = None
    offer: Release | None = None  # what may be released of a request that was held …
    release_token: str | None = field(default=None, repr=False)  # … with this: for its caller alone, never recorded
    release: tuple[str, str] | None = None  # what became of one (offered, pending, used), and its id
    dropped: int = 0  # messages of earlier turns that were taken out before it left
    complexity: float | None = None
    confidence: float | None = None
    similarity: float | None = None  # of an answer from the cache that another question got: how near that was
    answer_features: tuple[
        float, ...
    ] = ()  # of the local answer, `router.confidence.answer_features.NAMES`; no content
    judgement: Judgement | None = None  # of the local answer, where there was something to judge it for
    passed_over: tuple[tuple[str, Judgement], ...] = ()  # local answers that another local model's took the place of
    raced: bool = False  # the cloud was asked at once, beside the local model
    escalation_error: str | None = None  # the code of what kept an escalation from being had
    hops: tuple[tuple[str, str | None], ...] = ()  # models that a doubtful answer was handed to; the code of a failure
    retries: int = 0  # calls outside that were made once more
    failed_over: tuple[tuple[str, str], ...] = ()  # models that failed and were followed by another, with the code
    ignored: tuple[str, ...] = ()
    usage: dict[str, Usage] = field(default_factory=dict)  # by the policy's model name: an escalation counts both
    cost_usd: float | None = 0.0  # of all calls; None: a price is not known
    finish_reason: str | None = None
    error_code: str | None = None
    bytes_left: int = 0
    hidden: int = 0  # values that left as placeholders
    restored: int = 0  # placeholders of the answer that got their value back
    strange: int = 0  # … and those that were mangled, made up or not of this request


@dataclass(slots=True)
class Reply:
    """An answer on its way up: a whole body, or the chunks of a stream whose first is already there."""

    outcome: Outcome
    body: JsonObject | None = None
    chunks: AsyncIterable[JsonObject] | None = None
