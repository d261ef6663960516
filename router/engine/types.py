"""The nouns of the engine: what is to be generated, what comes out of the decode loop, how a request is refused.

Nothing here is ever printed: prompts and answers are content.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next token is chosen. `temperature` 0 is greedy; `grammar` is GBNF that every answer must follow.

    The defaults of what follows `grammar` change nothing: no cut, no penalty.
    """

    temperature: float
    top_p: float
    seed: int
    grammar: str | None = None
    top_k: int = 0  # 0: all
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    shown: frozenset[int] = frozenset()  # control tokens whose text belongs to the answer: those that mark tool calls


@dataclass(frozen=True, slots=True)
class ChatCall:
    """One validated chat-completions body. `messages` hold what a chat template reads, all texts as strings."""

    messages: tuple[dict[str, Any], ...] = field(repr=False)
    sampling: Sampling = field(repr=False)
    model: str = ""
    stream: bool = False
    include_usage: bool = False
    max_tokens: int | None = None
    stop: tuple[str, ...] = field(default=(), repr=False)
    top_logprobs: int | None = None  # None: no logprobs; 0: of the chosen token only
    n: int = 1
    tools: tuple[dict[str, Any], ...] = field(default=(), repr=False)
    must_call: str | bool = False  # a tool's name, or whether some tool must be called
    parallel_calls: bool = True  # whether one answer may hold several calls
    salt: str | None = field(default=None, repr=False)
    tenant: str = field(default="", repr=False)
    expires: float | None = None  # of the monotonic clock: then nobody waits for it any more
    is_low: bool = False  # its turn comes after the others'


@dataclass(frozen=True, slots=True)
class Generation:
    """What the decode loop needs of one request.

    `salt` names the partition within which prefixes are reused; None is a partition of its own. `tenant` is whom the
    queue is fair to. Both are keyed digests. The first `public` tokens of the prompt are the template's own: they
    hold nothing of any caller's and may be shared by all.
    """

    prompt: tuple[int, ...] = field(repr=False)
    max_tokens: int
    sampling: Sampling = field(repr=False)
    stop: tuple[str, ...] = field(default=(), repr=False)
    top_logprobs: int | None = None
    salt: str | None = field(default=None, repr=False)
    tenant: str = field(default="", repr=False)
    adapter: str | None = None
    public: int = 0
    expires: float | None = None
    is_low: bool = False
    is_streamed: bool = True  # False: its text is not wanted before it is whole


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """One token with its natural log-probability under the model itself (before temperature, top-p and grammar)."""

    token: bytes = field(repr=False)
    logprob: float
    top: tuple[tuple[bytes, float], ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Piece:
    """Text that is final, and the log-probabilities of its tokens when they were asked for."""

    text: str = field(repr=False)
    logprobs: tuple[TokenLogprob, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Finished:
    """The end of an answer. `reason` is `stop` or `length`; the end-of-turn token is not counted.

    `stopped_by` is the stop string that ended it, None for the model's own end of turn.
    """

    reason: str
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0  # of the prompt, reused from the same partition
    stopped_by: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Failed:
    """The end of a request that could not be answered."""

    code: str
    message: str


Event = Piece | Finished | Failed
Emit = Callable[[Event], None]


class EngineError(Exception):
    """Ends a request with a status and the OpenAI error envelope; the message never holds content."""

    def __init__(
        self, status: int, code: str, message: str, *, param: str | None = None, retry_after: int | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.param = param
        self.retry_after = retry_after


def invalid(message: str, param: str | None = None, code: str = "invalid_request") -> EngineError:
    """A 400."""
    return EngineError(400, code, message, param=param)
