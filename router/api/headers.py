"""The response headers that every answer carries: names, enums and numbers of ours, never content."""

from __future__ import annotations

from router.types import Outcome

Headers = list[tuple[bytes, bytes]]

# What a page may read where cross-origin requests are switched on: what clients in browsers act on, and what is ours.
EXPOSED = (
    "request-id",
    "retry-after",
    "x-request-id",
    "x-should-retry",
    *(
        f"x-gatehouse-{name}"
        for name in (
            "request-id",
            "route",
            "model",
            "reason",
            "sensitivity",
            "policy",
            "held",
            "history",
            "release",
            "released",
            "complexity",
            "confidence",
            "similarity",
            "ignored",
        )
    ),
)


def outcome_headers(request_id: str, outcome: Outcome) -> Headers:
    """`x-gatehouse-*` of DESIGN.md, section 8."""
    headers = [
        *identified(request_id),
        (b"x-gatehouse-route", outcome.route.encode()),
        (b"x-gatehouse-reason", _token(outcome.reason)),
        (b"x-gatehouse-sensitivity", outcome.sensitivity.encode()),
    ]
    if outcome.model:
        headers.append((b"x-gatehouse-model", _token(outcome.model)))
    if outcome.policy:
        headers.append((b"x-gatehouse-policy", _token(outcome.policy)))
    if outcome.held:
        headers.append((b"x-gatehouse-held", _token(outcome.held)))
    if outcome.release_token:
        headers.append((b"x-gatehouse-release", outcome.release_token.encode()))
    if outcome.release is not None and outcome.release[0] == "used":
        headers.append((b"x-gatehouse-released", outcome.release[1].encode()))
    if outcome.dropped:
        headers.append((b"x-gatehouse-history", b"dropped=%d" % outcome.dropped))
    if outcome.complexity is not None:
        headers.append((b"x-gatehouse-complexity", b"%.3f" % outcome.complexity))
    if outcome.confidence is not None:
        headers.append((b"x-gatehouse-confidence", b"%.3f" % outcome.confidence))
    if outcome.similarity is not None:
        headers.append((b"x-gatehouse-similarity", b"%.3f" % outcome.similarity))
    if outcome.ignored:
        headers.append((b"x-gatehouse-ignored", _token(",".join(outcome.ignored))))
    return headers


def identified(request_id: str) -> Headers:
    """The request's id under our name, and under those that OpenAI's and Anthropic's clients show it by."""
    own_id = request_id.encode()
    return [(b"x-gatehouse-request-id", own_id), (b"x-request-id", own_id), (b"request-id", own_id)]


def pending_headers(request_id: str) -> Headers:
    """For a stream whose headers could not wait for its route: that stands in its last chunk."""
    return [*identified(request_id), (b"x-gatehouse-route", b"pending")]


def outcome_object(request_id: str, outcome: Outcome) -> dict[str, object]:
    """The same facts as a `gatehouse` object, for the last chunk of a stream with pending headers."""
    facts = {
        name.decode().removeprefix("x-gatehouse-").replace("-", "_"): value.decode()
        for name, value in outcome_headers(request_id, outcome)
        if name.startswith(b"x-gatehouse-")
    }
    numbers = ("complexity", "confidence", "similarity")
    return {**facts, **{name: float(facts[name]) for name in numbers if name in facts}}


def _token(value: str) -> bytes:
    """Printable ASCII without line breaks, whatever a policy's name holds."""
    if value.isascii() and value.isprintable():
        return value.encode()
    return "".join(char if " " <= char <= "~" else "?" for char in value).encode()
