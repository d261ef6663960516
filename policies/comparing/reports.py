"""What a policy reaches, how two differ and what one would do, as plain JSON, for commands and the admin API. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from policies.comparing.compare import Difference, compare
from policies.comparing.proof import reachable
from policies.errors import PolicyError
from policies.simulate import Group, Key, Radius
from policies.types import Policy
from policies.version import Version


def policy_json(policy: Policy) -> dict[str, Any]:
    """A policy that is good: what may reach which model, what loosens it, and what is doubtful. No terms, no values."""
    return {
        "label": policy.label,
        "version": policy.version,
        "digest": policy.digest,
        "mode": policy.mode,
        "reach": [
            {
                "sensitivity": cell.level.word,
                "model": cell.model,
                "locality": cell.locality,
                "region": cell.region,
                "payload": cell.payload,
                "released_by": cell.released_by or None,
            }
            for cell in reachable(policy)
        ],
        "loosenings": [
            {
                "path": each.path,
                "what": each.what,
                "until": each.expires.isoformat() if each.expires is not None else None,
                "reason": each.reason,
            }
            for each in policy.loosenings
        ],
        "warnings": list(policy.warnings),
    }


def problems_json(error: PolicyError) -> list[dict[str, Any]]:
    """Why a policy is not good, each with its place."""
    return [{"line": each.line, "column": each.column, "message": each.message} for each in error.problems]


def differences_json(found: Iterable[Difference]) -> list[dict[str, Any]]:
    """Rows of `compare`."""
    return [{"path": each.path, "direction": each.direction, "what": each.what} for each in found]


_KEY = ("change", "rule", "tenant", "sensitivity", "was", "becomes")
_PARTS: tuple[Literal["rule", "tenant", "sensitivity"], ...] = ("rule", "tenant", "sensitivity")


def radius_json(radius: Radius) -> dict[str, Any]:
    """A blast radius, with up to 1,000 ids of each change, and the first few of each group."""
    return {
        "requests": radius.requests,
        "not_replayable": radius.not_replayable,
        "changes": dict(radius.changes),
        "leaving": radius.leaving,
        "groups": [{**dict(zip(_KEY, key, strict=True)), **_group(group)} for key, group in most(radius)],
        **{
            f"by_{part}": [
                {"change": change, part: name, **_group(group)} for (change, name), group in radius.by(part).items()
            ]
            for part in _PARTS
        },
        "ids": dict(radius.ids),
        "cost_delta_usd": round(radius.cost_delta_usd, 6),
        "cost_unknown": radius.cost_unknown,
        "latency_delta_ms_median": radius.latency_delta_ms,
    }


def most(radius: Radius) -> list[tuple[Key, Group]]:
    """The groups of a radius, the largest first."""
    return sorted(radius.groups.items(), key=lambda item: -item[1].requests)


def _group(group: Group) -> dict[str, Any]:
    return {
        "requests": group.requests,
        "cost_delta_usd": round(group.cost_delta_usd, 6),
        "cost_unknown": group.cost_unknown,
        "latency_delta_ms_median": group.latency_delta_ms,
        "ids": group.ids,
    }


def changes_in_words(before: Version | None, version: Version) -> list[dict[str, Any]]:
    """What a version allows or holds otherwise than the one before; empty also where one is no policy any more."""
    if before is None:
        return []
    try:
        found = compare(before.compiled(), version.compiled())
    except PolicyError:
        return []
    return differences_json(found)


def version_json(version: Version) -> dict[str, Any]:
    """Everything but the texts."""
    return {
        "number": version.number,
        "state": version.state,
        "digest": version.digest,
        "label": version.label,
        "before": version.before,
        "author": version.author,
        "reason": version.reason,
        "time": version.time,
        "loosens": list(version.loosens),
        "needed": version.needed,
        "approvals": list(version.approvals),
        "activated": version.activated,
        "activated_by": version.activated_by,
    }
