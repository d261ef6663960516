"""What was decided about one request, to be kept beside its answer: ids, names and levels, never content."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from gatehouse.route import RouteInfo, route_of


@dataclass(frozen=True)
class Receipt:
    """One decision. `request_id` names its record at the gateway (`gatehouse records show ID`), which is chained there.

    `rule` is the policy's rule, or `default`, `pinned`, `sensitivity`, …; `policy_digest` begins the policy's digest.
    The receipt is what the gateway said of itself and is not signed: anybody can write one. It counts where the record
    says the same, which the gateway's operator checks (`gatehouse records receipt FILE`).
    """

    request_id: str
    route: str
    model: str
    rule: str
    sensitivity: str
    policy_version: str
    policy_digest: str
    held: str | None

    def to_dict(self) -> dict[str, Any]:
        """For a log or a database, as JSON can hold it."""
        return asdict(self)


def receipt_of(thing: object) -> Receipt:
    """The receipt of a reply, a stream that was read to its end, a raw response or an `APIStatusError`.

    Raises `TypeError` for what came from no gateway, and `ValueError` while a stream's route is not final or where the
    gateway gave the answer no id.
    """
    known: RouteInfo = route_of(thing)
    if known.route == "pending":
        raise ValueError("the route of this stream is not final yet: read it to its end first")
    if not known.request_id:
        raise ValueError("this answer has no request id: it came past the gateway")
    version, _, digest = known.policy.partition("-")
    return Receipt(
        known.request_id, known.route, known.model, known.reason, known.sensitivity, version, digest, known.held
    )
