"""Everything in a policy that lets pass what would be held back otherwise, with its reason: part of the static proof.

Never shows a term, a hash or a digest: the path says where to look.
"""

from __future__ import annotations

from policies.calendar import Calendar, day_of
from policies.shape.file import PolicyFile
from policies.shape.sensitivity import ExceptionPart
from policies.types import Level, Loosening

_LISTS = (("terms", "term"), ("domains", "domain"), ("patterns", "pattern"), ("hashes", "hash"))


def loosenings(file: PolicyFile, calendar: Calendar) -> tuple[Loosening, ...]:
    """What counts today, in the order of the file's parts."""
    part = file.sensitivity
    found = [
        Loosening(f"sensitivity.min_score.{entity}", f"{entity} below a score of {score:g} does not count", "")
        for entity, score in part.min_score.items()
        if score > 0
    ]
    found += [
        Loosening(f"sensitivity.exceptions[{index}]", _excepted(each), each.reason, day_of(each.expires))
        for index, each in enumerate(part.exceptions)
        if calendar.counts(each.expires)
    ]
    found += [
        Loosening(f"sensitivity.on_unknown.{kind}", f"unreadable: {kind} counts as {entry.counts_as}", entry.reason)
        for kind, entry in part.on_unknown.items()
        if entry.counts_as != Level.RESTRICTED.word
    ]
    found += [
        Loosening(
            f"approved_texts[{index}]", f"{each.name} ({each.kind}) has no findings", each.reason, day_of(each.expires)
        )
        for index, each in enumerate(file.approved_texts)
        if calendar.counts(each.expires)
    ]
    for level in Level:
        rule = getattr(file.egress, level.word)
        for index, each in enumerate(rule.meaning_may_leave if rule is not None else ()):
            path = f"egress.{level.word}.meaning_may_leave[{index}]"
            found.append(Loosening(path, f"{each.entity} may leave pseudonymized", each.reason))
    if file.release is not None and file.release.levels:
        levels = ", ".join(file.release.levels)
        whose = "the user" if file.release.by == "user" else "an approver"
        what = f"held requests ({levels}) may leave whole, once, with the consent of {whose}"
        found.append(Loosening("release", what, ""))
    return tuple(found)


def _excepted(part: ExceptionPart) -> str:
    counts = ((len(getattr(part, key) or ()), word) for key, word in _LISTS)
    listed = ", ".join(f"{count} {word}{_plural(count, word)}" for count, word in counts if count)
    tenant = f" for tenant {part.tenant}" if part.tenant is not None else ""
    return f"{part.entity} is no finding{tenant}: {listed}"


def _plural(count: int, word: str) -> str:
    return "" if count == 1 else "es" if word == "hash" else "s"
