"""The Python SDK of Gatehouse: the official openai client, and where each answer came from.

It imports nothing of the server and sends nothing to any address but the gateway's.
"""

from gatehouse.client import AsyncGatehouse, Gatehouse
from gatehouse.errors import GatewayUnreachable
from gatehouse.explanation import Candidate, Explanation, Finding, Reason, Refusal, SignalValue, Unknown
from gatehouse.feedback import Feedback, FeedbackReason, Verdict
from gatehouse.receipt import Receipt, receipt_of
from gatehouse.replies import AsyncChatStream, ChatReply, ChatStream
from gatehouse.route import Privacy, RouteInfo, route_of

__all__ = [
    "AsyncChatStream",
    "AsyncGatehouse",
    "Candidate",
    "ChatReply",
    "ChatStream",
    "Explanation",
    "Feedback",
    "FeedbackReason",
    "Finding",
    "Gatehouse",
    "GatewayUnreachable",
    "Privacy",
    "Reason",
    "Receipt",
    "Refusal",
    "RouteInfo",
    "SignalValue",
    "Unknown",
    "Verdict",
    "receipt_of",
    "route_of",
]
