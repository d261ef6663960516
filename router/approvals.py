"""Whose approved texts are: the key of their digests, from this installation's secret. Never shows it."""

from __future__ import annotations

from classifiers.approving import Approver
from policies.types import Policy
from router.keys import Keys, StateFolderError, existing_keys
from router.settings import Settings


def approver_of(keys: Keys) -> Approver:
    """What makes this installation's digests."""
    return Approver(keys.subkey("approvals"))


def strange(policy: Policy, settings: Settings) -> list[str]:
    """A warning when approved texts count for nothing here, as another installation's secret made their digests."""
    if not policy.scan_rules.approvals:
        return []
    try:
        keys = existing_keys(settings.state_dir)
    except StateFolderError as error:
        return [f"approved_texts: none counts: {error}"]
    ours = approver_of(keys).key_id if keys is not None else None
    all_of = policy.scan_rules.approvals
    count = sum(approval.digest.partition(":")[0] != ours for approval in all_of)
    why = "were approved with another installation's secret and do not count here"
    fix = "run gatehouse policy approve-text again"
    return [f"approved_texts: {count} of {len(all_of)} {why}: {fix}"] if count else []


def approval_key(policy: Policy, settings: Settings) -> bytes:
    """The key of approved texts where the policy has some and this installation has one; else none. Creates nothing."""
    keys = existing_keys(settings.state_dir) if policy.scan_rules.approvals else None
    return keys.subkey("approvals") if keys is not None else b""
