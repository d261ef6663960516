"""Two deadlines in words, and which one comes sooner. Pure."""

from __future__ import annotations

from policies.serving import Serving


def served(serving: Serving) -> str:
    """As in `within 30 s, first token within 5 s, with low urgency`."""
    total, first = serving.total_seconds, serving.first_token_seconds
    parts = [] if total is None else [f"within {total:g} s"]
    parts += [] if first is None else [f"first token within {first:g} s"]
    parts += ["with low urgency"] if serving.urgency == "low" else []
    return ", ".join(parts) or "in any time"


def is_sooner(one: Serving, other: Serving) -> bool:
    """Whether some request has less time under the first than under the second."""
    pairs = (
        (one.total_seconds, other.total_seconds),
        (one.first_token_seconds, other.first_token_seconds),
    )
    return any(mine is not None and (theirs is None or mine < theirs) for mine, theirs in pairs)
