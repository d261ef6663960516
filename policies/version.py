"""One version of a policy in its history: who made it, when, why, and the whole text. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from difflib import unified_diff
from typing import Literal

from policies.schema import compile_policy
from policies.text.chain import Chain, Written
from policies.types import Policy

State = Literal["draft", "proposed", "approved", "active", "past"]


class NoSuchVersion(Exception):
    """No version has this number or digest, or several begin with it; the message says which."""


class WrongState(Exception):
    """A version cannot be brought to where it was asked to go; the message says why."""


@dataclass(frozen=True, slots=True)
class Version:
    """One version. Authors are `user:NAME` of this host, `key:ID`, or `file:NAME`, the owner of an edited file.

    `digest` and `label` are the policy's; `before` is the number of what was in force when it was made, or when it was
    put in force. `loosens` says in words what it would newly let out, `needed` how many must approve. Times are ISO
    8601, UTC.
    """

    number: int
    state: State
    digest: str
    label: str
    texts: tuple[Written, ...]  # the policy's own file, then what that extends
    before: int | None
    author: str
    reason: str
    time: str
    loosens: tuple[str, ...]
    needed: int
    approvals: tuple[str, ...]  # authors, in the order in which they approved
    activated: str | None
    activated_by: str | None

    @property
    def chain(self) -> Chain:
        """As `policies.store.PolicyStore` reads it."""
        return Chain(tuple((each.source, each.text.encode()) for each in self.texts))

    def compiled(self) -> Policy:
        """The policy, as it is today. Raises `PolicyError`."""
        own, *parents = self.texts
        return compile_policy(own.text, own.source, today=datetime.now(UTC).date(), parents=parents)


@dataclass(frozen=True, slots=True)
class Serving:
    """What the gateway of this state folder was last started with, and where its policy is kept."""

    policy: str  # a file or a recipe
    kept_in: Literal["file", "store"]


def difference(before: Version | None, after: Version) -> str:
    """The lines that differ, as a unified diff; of every file of the policy."""
    old = {each.source: each.text for each in before.texts} if before is not None else {}
    if before is not None and len(before.texts) and len(after.texts):  # the own file may have another name now
        old[after.texts[0].source] = before.texts[0].text
    lines: list[str] = []
    for each in after.texts:
        name = f"version {before.number if before else 0}", f"version {after.number} {each.source}"
        was, now = old.get(each.source, "").splitlines(True), each.text.splitlines(True)
        lines += [line if line.endswith("\n") else line + "\n" for line in unified_diff(was, now, *name)]
    return "".join(lines)
