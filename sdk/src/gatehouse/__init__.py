"""The Python SDK of Gatehouse: the official openai client, and where each answer came from.

It imports nothing of the server and sends nothing to any address but the gateway's.
"""

from gatehouse.client import AsyncGatehouse, Gatehouse
from gatehouse.errors import GatewayUnreachable
from gatehouse.explanation import Explanation, Finding, Reason, SignalValue
from gatehouse.replies import AsyncChatStream, ChatReply, ChatStream
from gatehouse.route import Privacy, RouteInfo, route_of

__all__ = [
    "AsyncChatStream",
    "AsyncGatehouse",
    "ChatReply",
    "ChatStream",
    "Explanation",
    "Finding",
    "Gatehouse",
    "GatewayUnreachable",
    "Privacy",
    "Reason",
    "RouteInfo",
    "SignalValue",
    "route_of",
]
