"""The answer of `POST /v1/feedback`: a verdict on an answer, as the gateway has kept it. It takes no free text."""

from __future__ import annotations

from typing import Any, Literal

from openai import BaseModel

Verdict = Literal["good", "bad"]
FeedbackReason = Literal["incorrect", "incomplete", "irrelevant", "format", "language", "refused", "slow", "other"]


class Feedback(BaseModel):
    """What is kept of a verdict; the last one of a request counts."""

    request_id: str
    verdict: Verdict
    reason: FeedbackReason | None = None


def feedback_body(request_id: str, verdict: str, reason: str | None) -> dict[str, Any]:
    """The request's body. Raises `ValueError` without a request id: a reply that came past the gateway has none."""
    if not request_id:
        raise ValueError("feedback needs the request id of an answer: reply.gatehouse.request_id")
    return {"request_id": request_id, "verdict": verdict, **({"reason": reason} if reason is not None else {})}
