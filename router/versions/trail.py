"""What the audit trail says when another policy comes into force, whoever brought it: digests, and what differs."""

from __future__ import annotations

from policies.comparing.compare import compare
from policies.comparing.reports import differences_json
from policies.store import PolicyStore
from router.records.audit import Actor, audit_record, new_audit_id, text_diff
from router.types import JsonObject

_MOST_DIFFERENCES = 200


class PolicyTrail:
    """Remembers what was in force, and makes the entry of each change. Writes nothing itself."""

    def __init__(self, store: PolicyStore) -> None:
        self._store = store
        self._before, self._text = store.current, store.text

    def entry(self, *, is_good: bool) -> JsonObject | None:
        """The entry of what has just been read, or None where nothing has changed; takes a while for a long policy."""
        actor, policy, text = Actor("file"), self._store.current, self._store.text
        if not is_good:
            refused: JsonObject = {"in_force": self._before.label}
            error = "policy_not_good"
            return audit_record(new_audit_id(), actor, "policy.changed", "failed", detail=refused, error=error)
        if policy.digest == self._before.digest:
            return None
        found = compare(self._before, policy)
        detail: JsonObject = {
            "before": {"label": self._before.label, "digest": self._before.digest},
            "after": {"label": policy.label, "digest": policy.digest},
            "loosens": any(each.direction == "loosens" for each in found),
            "differences": differences_json(found[:_MOST_DIFFERENCES]),
            "diff": text_diff(self._text, text),
        }
        self._before, self._text = policy, text
        return audit_record(
            new_audit_id(), actor, "policy.changed", "done", target=self._store.status.source, detail=detail
        )
