"""Puts placeholders in place of what may not leave as it is, and has the whole body scanned again as it will leave.

It permits nothing: what is still found afterwards is in the scan that it gives back, for `policies.decide.permit`.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeVar

from classifiers.pseudonyms import TAG_LETTERS, Pseudonyms, choose_tag, foreign, holds_value, replaceable
from classifiers.pseudonyms import replace as replaced
from classifiers.types import Scan, ScanRules
from policies.lawful import must_hide
from policies.levels import scan_level
from policies.types import Level, Model, Policy
from router.errors import Denied
from router.types import JsonObject

# Said to the model only when there are placeholders.
LINE = "Some values are written as placeholders in angle brackets. Repeat each placeholder exactly as it is written."
_OWN_WORD = "/model"  # the policy's, no word of the caller's
_ROUNDS = 3  # other text around a value lets the detectors see other things: those are replaced as well
_INLINE = 16 * 1024  # characters of strings; more is searched in a thread, so that the loop is not held
_T = TypeVar("_T")


class BodyScanner(Protocol):
    """What hiding needs of `classifiers.pipeline.Pipeline`."""

    async def scan_body(self, body: Mapping[str, Any], rules: ScanRules, tenant: str) -> Scan:
        """Findings and unknowns of a whole body, joins included; errors come back as unknowns."""
        ...


@dataclass(frozen=True, slots=True)
class Hidden:
    """A body that holds placeholders, and what was found in it beside them. `own` are texts that end in `LINE`."""

    body: JsonObject = field(repr=False)
    scan: Scan
    pseudonyms: Pseudonyms
    own: frozenset[str] = field(default=frozenset(), repr=False)


async def places_of(body: Mapping[str, Any], scan: Scan, policy: Policy) -> frozenset[int]:
    """The findings, by index, that a placeholder can stand for; none where nothing may leave with placeholders."""
    if not scan.findings or not policy.has_pseudonyms:
        return frozenset()
    return await _run(_is_large(scan), replaceable, body, scan.findings)


async def hide(
    scanner: BodyScanner, body: JsonObject, scan: Scan, policy: Policy, level: Level, model: Model, tenant: str
) -> Hidden:
    """The body for `model`, with placeholders for all that could be replaced of what must not reach it whole.

    Raises `Denied` when a value that was replaced also stands where nothing can be.
    """
    is_large = _is_large(scan)
    pseudonyms = Pseudonyms(choose_tag(body, _random_letters))
    for _ in range(_ROUNDS):
        if scan_level(policy, scan) > level:
            break  # graver than what was decided about: another level's rule stands for it
        places = await _run(is_large, replaceable, body, scan.findings)
        found = [scan.findings[index] for index in sorted(places)]
        hidden = [finding for finding in found if must_hide(policy, level, model, finding)]
        if not hidden:
            break
        body = await _run(is_large, replaced, body, hidden, pseudonyms)
        scan = await scanner.scan_body(body, policy.scan_rules, tenant)
        seen = tuple(finding for finding in scan.findings if finding.pointer != _OWN_WORD)
        scan = replace(scan, findings=await _run(is_large, foreign, body, seen, pseudonyms))
    if not pseudonyms.values:
        return Hidden(body, scan, pseudonyms)
    if await _run(is_large, holds_value, body, pseudonyms):
        raise Denied("A value of this request also stands where no placeholder can, so it may not leave.")
    messages, own = _with_line(body["messages"])
    return Hidden({**body, "messages": messages}, scan, pseudonyms, own)


def _with_line(messages: list[JsonObject]) -> tuple[list[JsonObject], frozenset[str]]:
    """The messages with our line: at the end of the first, where that is a system message, else in one before it."""
    first = messages[0]
    if first["role"] not in ("system", "developer"):
        return [{"role": "system", "content": LINE}, *messages], frozenset({LINE})
    if isinstance(first.get("content"), list):
        part = {"type": "text", "text": LINE}
        return [{**first, "content": [*first["content"], part]}, *messages[1:]], frozenset({LINE})
    text = "\n\n".join(filter(None, (first.get("content"), LINE)))
    return [{**first, "content": text}, *messages[1:]], frozenset({text})


def _is_large(scan: Scan) -> bool:
    return sum(map(len, scan.texts)) > _INLINE


def _random_letters(count: int) -> str:
    return "".join(secrets.choice(TAG_LETTERS) for _ in range(count))


async def _run(is_large: bool, work: Callable[..., _T], *arguments: Any) -> _T:
    return await asyncio.to_thread(work, *arguments) if is_large else work(*arguments)
