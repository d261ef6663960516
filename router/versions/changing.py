"""Changing the policy in force: what a change would let out, and who may bring it about. For commands and admin API.

Nothing here prints. A change that lets more out is refused unless the caller says so in so many words.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from policies.comparing.compare import Difference, compare
from policies.schema import compile_policy, load_policy
from policies.simulate import Radius, simulate, usual_latencies
from policies.text.chain import Written, read_chain
from policies.text.sources import recipes
from policies.types import Policy
from policies.version import Version
from router.keys import replace_whole
from router.records.store import RECORDS_FILE, RecordReader
from router.versions.versions import VersionStore

DAYS = 30


class Refused(Exception):
    """A change that is not made; the message says why, and what would help."""


class NewlyLeaves(Refused):
    """Something would newly leave, and nobody has said that it may. `assessment` holds what."""

    def __init__(self, assessment: Assessment) -> None:
        super().__init__("; ".join(assessment.loosens))
        self.assessment = assessment


@dataclass(frozen=True, slots=True)
class Assessment:
    """What a candidate would do otherwise than what is in force. `radius`: None where there are no records."""

    candidate: Policy
    differences: tuple[Difference, ...]
    radius: Radius | None
    loosens: tuple[str, ...]  # in words, why more may leave; empty: nothing does


@dataclass(frozen=True, slots=True)
class Changed:
    """A change that was made. `file` was written, None with a store; then `version` is where `version.state` says."""

    version: Version
    assessment: Assessment
    file: Path | None


def assess(versions: VersionStore, texts: Sequence[Written], state_dir: Path, days: int = DAYS) -> Assessment:
    """Judge a candidate against what is in force, from the files and from the records of the last `days`.

    Where there are no records, sending more of what may leave counts as letting more out: nothing shows how much.
    Raises `PolicyError`, `StoreError`, `Refused` where no gateway was ever started here.
    """
    candidate = _compiled(texts)
    current = in_force(versions)
    differences = compare(current, candidate)
    radius = _replayed(candidate, state_dir, days)
    counting = ("loosens",) if radius is not None and radius.requests else ("loosens", "sends out")
    loosens = [f"{each.path}: {each.what}" for each in differences if each.direction in counting]
    if radius is not None and radius.leaving and differences:
        loosens.append(f"of {radius.requests:,} recorded requests, {radius.leaving:,} would newly leave")
    return Assessment(candidate, differences, radius, tuple(loosens))


def in_force(versions: VersionStore) -> Policy:
    """What a gateway has put in force here; before it has written that down, what it was started with."""
    active, serving = versions.active(), versions.serving()
    if active is not None:
        return active.compiled()
    if serving is None:
        raise Refused("no gateway was ever started with this state folder: `gatehouse serve --policy FILE`")
    return load_policy(serving.policy)


def apply(
    versions: VersionStore,
    texts: Sequence[Written],
    state_dir: Path,
    *,
    author: str,
    reason: str = "",
    may_newly_leave: bool = False,
    days: int = DAYS,
) -> Changed:
    """Put a policy in the place of the one in force: into its file, or through the store as far as approvals let it.

    `texts` are its own file's, then what that extends. Raises `NewlyLeaves`, `Refused`, `PolicyError`, `StoreError`.
    """
    assessment = assess(versions, texts, state_dir, days)
    if assessment.loosens and not may_newly_leave:
        raise NewlyLeaves(assessment)
    if _is_kept_in_store(versions):
        version = _proposed(versions, assessment, texts, author, reason)
        if version.state == "approved":
            version = versions.activate(version.number, author)
        return Changed(version, assessment, None)
    file = _file_of(versions)
    placed = _placed(texts, file)
    version = versions.add(
        assessment.candidate, placed, author=author, reason=reason, state="approved", loosens=assessment.loosens
    )
    target = Path(os.path.realpath(file))
    try:
        mode = stat.S_IMODE(target.stat().st_mode) if target.exists() else 0o600
        replace_whole(target, placed[0].text.encode(), mode)
    except OSError as error:
        raise Refused(f"{target} cannot be written: {error.strerror}") from None
    return Changed(version, assessment, target)


def rollback(
    versions: VersionStore,
    state_dir: Path,
    which: str | None = None,
    *,
    author: str,
    reason: str = "",
    may_newly_leave: bool = False,
) -> Changed:
    """`apply` of a version that was in force: of the one before this one, where none is named. Raises as `apply`, and
    `NoSuchVersion`."""
    active = versions.active()
    if active is None or (which is None and active.before is None):
        raise Refused("there is no version before the one in force")
    version = versions.get(which if which is not None else str(active.before))
    if version.activated is None:
        raise Refused(f"version {version.number} was never in force: it is {version.state}")
    why = f"back to version {version.number}{': ' + reason if reason else ''}"
    return apply(versions, version.texts, state_dir, author=author, reason=why, may_newly_leave=may_newly_leave)


def propose(
    versions: VersionStore,
    texts: Sequence[Written],
    state_dir: Path,
    *,
    author: str,
    reason: str = "",
    is_draft: bool = False,
) -> Changed:
    """A new version of the store; approved at once where nobody needs to approve. A draft waits for `propose_draft`.
    Raises as `apply`."""
    _expect_store(versions)
    assessment = assess(versions, texts, state_dir)
    if is_draft:
        _check_kept(assessment.candidate)
        return Changed(versions.add(assessment.candidate, texts, author=author, reason=reason), assessment, None)
    return Changed(_proposed(versions, assessment, texts, author, reason), assessment, None)


def propose_draft(versions: VersionStore, which: str, state_dir: Path, *, author: str) -> Changed:
    """Propose a draft, judged against what is in force now. Only who made it may. Raises as `apply`, `WrongState`."""
    _expect_store(versions)
    draft = versions.get(which)
    if draft.author != author:
        raise Refused(f"version {draft.number} is a draft of {draft.author}")
    assessment = assess(versions, draft.texts, state_dir)
    needed = _needed(in_force(versions), assessment, author)
    return Changed(versions.propose(draft.number, assessment.loosens, needed), assessment, None)


def approve(versions: VersionStore, which: str, *, author: str) -> Version:
    """Raises `WrongState`, `NoSuchVersion`, and `Refused` for who is not known by a key."""
    _expect_store(versions)
    _expect_key(author)
    return versions.approve(versions.get(which).number, author)


def activate(versions: VersionStore, which: str, *, author: str) -> Version:
    """Put an approved version in force; a running gateway follows within a second. Raises `WrongState`,
    `NoSuchVersion`, `PolicyError` for one that is no policy any more."""
    _expect_store(versions)
    version = versions.get(which)
    _check_kept(version.compiled())
    return versions.activate(version.number, author)


def _proposed(
    versions: VersionStore, assessment: Assessment, texts: Sequence[Written], author: str, reason: str
) -> Version:
    _check_kept(assessment.candidate)
    needed = _needed(in_force(versions), assessment, author)
    return versions.add(
        assessment.candidate,
        texts,
        author=author,
        reason=reason,
        state="proposed" if needed else "approved",
        loosens=assessment.loosens,
        needed=needed,
    )


def _needed(current: Policy, assessment: Assessment, author: str) -> int:
    """How many must approve, by the policy in force: a candidate cannot let itself off."""
    needed = current.approvals_loosening if assessment.loosens else 0
    if needed:
        _expect_key(author)
    return needed


def _expect_key(author: str) -> None:
    """Whoever owns the state folder is one person to the system; who approves must be told apart."""
    if not author.startswith("key:"):
        raise Refused("where approvals count, an API key with scope admin says who you are: --key-file")


def _expect_store(versions: VersionStore) -> None:
    if not _is_kept_in_store(versions):
        raise Refused("the policy is kept in a file: `gatehouse policy apply` changes it (`policy: {source: store}`)")


def _is_kept_in_store(versions: VersionStore) -> bool:
    serving = versions.serving()
    return serving is not None and serving.kept_in == "store"


def _check_kept(candidate: Policy) -> None:
    if candidate.kept_in != "store":
        raise Refused("the gateway takes its policy from the store: the file must say `policy: {source: store}`")


def _compiled(texts: Sequence[Written]) -> Policy:
    own, *parents = texts
    return compile_policy(own.text, own.source, today=datetime.now(UTC).date(), parents=parents)


def _replayed(candidate: Policy, state_dir: Path, days: int) -> Radius | None:
    path = state_dir / RECORDS_FILE
    if not path.exists():
        return None
    since = (datetime.now(UTC) - timedelta(days=days)).isoformat(timespec="milliseconds")
    with RecordReader(path) as reader:
        latencies = usual_latencies(reader.latencies_since(since))
        return simulate(candidate, reader.decisions_since(since), latencies)


def _file_of(versions: VersionStore) -> Path:
    """The file that the gateway was started with."""
    serving = versions.serving()
    if serving is None:
        raise Refused("no gateway was ever started with this state folder")
    if serving.policy in recipes():
        raise Refused(f"the gateway runs the recipe '{serving.policy}', which is no file: start it with --policy FILE")
    path = Path(serving.policy)
    real = Path(os.path.realpath(path))
    if any(part.startswith("..") for part in real.relative_to(real.anchor).parts):
        raise Refused(f"{path} is put there by an orchestrator ({real}), which would undo the change: change it there")
    return path


def _placed(texts: Sequence[Written], file: Path) -> list[Written]:
    """The texts as they will be read where the gateway's file stands: what it extends must be the same there."""
    own, *parents = texts
    placed = [Written(str(file), own.text)]
    for parent in parents:
        if parent.source in recipes():
            placed.append(parent)
            continue
        relative = os.path.relpath(parent.source, os.path.dirname(own.source) or ".")
        there = os.path.join(os.path.dirname(file), relative)
        try:
            same = Path(there).read_text("utf-8") == parent.text
        except (OSError, UnicodeDecodeError):
            same = False
        if not same:
            raise Refused(f"what the policy extends must stand beside the gateway's file first, and the same: {there}")
        placed.append(Written(there, parent.text))
    return placed


def read_texts(file: str) -> tuple[Written, ...]:
    """A policy file or recipe with what it extends. Raises `PolicyError`."""
    return read_chain(file)
