"""What the gateway says about an answer: response headers, and for streams the last chunk's `gatehouse` object."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

Privacy = Literal["local-only"]

PRIVACY_HEADER = "x-gatehouse-privacy"
_PREFIX = "x-gatehouse-"
_TEXT = ("route", "model", "reason", "sensitivity", "policy", "held")
_NUMBERS = ("complexity", "confidence", "similarity")


@dataclass(frozen=True)
class RouteInfo:
    """Where one answer came from and why. A text is empty, and an optional field None, where the gateway did not say.

    `route` is `local`, `lan`, `cloud`, `cache` or `refused`, and `pending` in a stream whose route is not final yet;
    `held` is the rule that would have sent the request out if the policy let it; `complexity` and `confidence` are in
    [0, 1]; `similarity` says how near the question was whose answer came from the cache, where it was another one;
    `ignored` names request fields that the model's backend does not have.
    """

    request_id: str = ""
    route: str = ""
    model: str = ""
    reason: str = ""
    sensitivity: str = ""
    policy: str = ""
    held: str | None = None
    complexity: float | None = None
    confidence: float | None = None
    similarity: float | None = None
    ignored: tuple[str, ...] = ()

    @classmethod
    def from_headers(cls, headers: Mapping[str, str]) -> RouteInfo:
        """From the headers of a response; those that do not begin with `x-gatehouse-` do not matter."""
        ours = {
            name.lower()[len(_PREFIX) :]: value for name, value in headers.items() if name.lower().startswith(_PREFIX)
        }
        return cls().updated(ours)

    def updated(self, said: Mapping[str, Any]) -> RouteInfo:
        """With what a later word of the gateway says: names as in the headers, with `-` or `_`; others left out."""
        named = {name.replace("-", "_"): value for name, value in said.items() if value is not None}
        changes: dict[str, Any] = {name: str(named[name]) for name in (*_TEXT, "request_id") if name in named}
        changes |= {name: number for name in _NUMBERS if (number := _number(named.get(name))) is not None}
        if "ignored" in named:
            changes["ignored"] = _names(named["ignored"])
        return replace(self, **changes)


def _number(value: object) -> float | None:
    try:
        return float(str(value))
    except ValueError:
        return None


def _names(value: object) -> tuple[str, ...]:
    parts = value.split(",") if isinstance(value, str) else value if isinstance(value, list) else []
    return tuple(str(part).strip() for part in parts if str(part).strip())


def attach(reply: object, headers: Mapping[str, str]) -> None:
    """Remember a reply's headers on it, beside its fields: it serialises as before."""
    object.__setattr__(reply, "_gatehouse", RouteInfo.from_headers(headers))


def route_of(thing: object) -> RouteInfo:
    """The route information of what came from the gateway: a reply, a stream, a raw response, an `APIStatusError`.

    Raises `TypeError` for a thing that carries none (a reply of another client, say).
    """
    known = getattr(thing, "_gatehouse", None) or getattr(thing, "gatehouse", None)
    if isinstance(known, RouteInfo):
        return known
    for place in (thing, getattr(thing, "response", None), getattr(thing, "_response", None)):
        headers = getattr(place, "headers", None)
        if isinstance(headers, Mapping):
            return RouteInfo.from_headers(headers)
    raise TypeError(f"{type(thing).__name__} carries no route information of a gateway")


def privacy_headers(privacy: str | None) -> dict[str, str]:
    """The header that tightens. Raises `ValueError` for any other word: nothing may look tightened that is not."""
    if privacy is None:
        return {}
    if privacy != "local-only":
        raise ValueError("privacy is 'local-only' or left out: a request can only be tightened")
    return {PRIVACY_HEADER: privacy}
