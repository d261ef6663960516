"""`local_wait_ms`: how long each local model would take over a request, from what this worker has seen and been told.

It decides nothing, calls nothing and holds no content. What is not known is left out, never guessed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from policies.types import Model, Policy
from router.types import ChatRequest, JsonObject
from router.waiting.flow import Costs
from router.waiting.line import Ask, Call, Line
from router.waiting.prefixes import prefix_keys

_TOLD_SECONDS = 5.0  # what an engine said longer ago is none of now


def ask_of(request: ChatRequest, prompt: int, cap: int) -> Ask:
    """What a request asks of a local model; `prompt` and `cap` as in `Facts`."""
    choices = request.body.get("n")
    return Ask(
        prompt,
        cap,
        choices if type(choices) is int and choices > 0 else 1,
        prefix_keys(request.principal.tenant, request.body.get("messages")),
    )


class Waits:
    """The lines of all local models, by the name that their policy gives them."""

    def __init__(self, *, shares_engine: bool = True, clock: Callable[[], float] = time.monotonic) -> None:
        """`shares_engine`: others ask the same engine, other workers for instance."""
        self._shares_engine = shares_engine
        self._clock = clock
        self._lines: dict[tuple[str, str, str], Line] = {}
        self._told: Mapping[str, Any] = {}
        self._told_at = float("-inf")

    def tell(self, models: Mapping[str, Any]) -> None:
        """What the engine says of its models (`load_of`), by its own names."""
        self._told, self._told_at = models, self._clock()
        for (backend, _, name), line in self._lines.items():
            if backend == "engine":
                line.tell(*self._said(models.get(name)))

    @property
    def knows_nothing(self) -> bool:
        """Nothing was learned, and nothing told: there is no model of which `before` would say anything."""
        return not self._lines and not self._told

    def before(self, policy: Policy, ask: Ask) -> dict[str, float]:
        """Milliseconds until the whole answer would be there, by local model; one that is not known is left out."""
        known = {}
        for model in policy.models.values():
            if model.locality == "local" and (line := self._line(model)) is not None:
                seconds = line.seconds(ask)
                if seconds is not None:
                    known[model.name] = round(seconds * 1000, 1)
        return known

    def begin(self, model: Model, ask: Ask) -> LocalCall | None:
        """A call to a local model begins; None for one outside."""
        if model.locality != "local":
            return None
        line = self._line(model) or self._make(model)
        return LocalCall(line, line.begin(ask))

    def _line(self, model: Model) -> Line | None:
        """Its line; None while there was nothing to be learned, and for an engine that says nothing now."""
        if model.backend == "engine":
            if self._clock() - self._told_at > _TOLD_SECONDS or model.model not in self._told:
                return None
            return self._lines.get(_key(model)) or self._make(model)
        return self._lines.get(_key(model))

    def _make(self, model: Model) -> Line:
        line = self._lines.get(_key(model))
        if line is None:
            line = self._lines[_key(model)] = Line(self._clock)
            if model.backend == "engine":
                line.tell(*self._said(self._told.get(model.model)))
        return line

    def _said(self, load: Any) -> tuple[Costs | None, int, int]:
        if load is None:
            return None, 0, 0
        return Costs(*load["costs"]), load["slots"], load["present"] if self._shares_engine else 0


class LocalCall:
    """One call to a local model, from its beginning to its end."""

    def __init__(self, line: Line, call: Call) -> None:
        self._line = line
        self._call = call

    def end(self, usage: object, *, was_cut: bool, is_whole: bool) -> None:
        """It is over. A whole answer with its usage (OpenAI's) says what it took, any other what it took at least."""
        self._line.end(self._call)
        if not is_whole or not isinstance(usage, dict):
            self._line.learn_least(self._call)
            return
        prompt, answer = usage.get("prompt_tokens"), usage.get("completion_tokens")
        details = usage.get("prompt_tokens_details")
        cached = details.get("cached_tokens") if isinstance(details, dict) else 0
        if type(prompt) is int and type(answer) is int:
            self._line.learn(self._call, prompt, cached if type(cached) is int else 0, answer, was_cut=was_cut)


def load_of(stats: JsonObject) -> dict[str, JsonObject]:
    """What workers need of the engine's `/stats`: for each model that has decoded, costs, slots, requests with it."""
    listed = stats.get("models")
    found: dict[str, JsonObject] = {}
    for name, figures in listed.items() if isinstance(listed, dict) else ():
        words = ("pass_seconds", "answer_token_seconds", "prompt_token_seconds", "slots", "running", "waiting")
        numbers = [figures.get(word) for word in words] if isinstance(figures, dict) else []
        said = [float(number) for number in numbers if isinstance(number, int | float) and number >= 0]
        if len(said) == len(words) and all(said[:4]):
            found[name] = {"costs": said[:3], "slots": int(said[3]), "present": int(said[4] + said[5])}
    return found


def _key(model: Model) -> tuple[str, str, str]:
    return model.backend, model.base_url or "", model.model
