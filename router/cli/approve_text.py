"""`gatehouse policy approve-text FILE`: a whole text that somebody has looked at becomes an entry of the policy.

The text is read and digested with this installation's secret; it is neither kept nor shown.
"""

from __future__ import annotations

import asyncio
import os
import stat
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from classifiers.approving import Approver
from classifiers.pipeline import Pipeline
from classifiers.registry import detectors_with
from classifiers.types import ApprovalKind, Scan, ScanRules
from policies.schema import PolicyError
from policies.text.chain import read_chain
from policies.text.edits import add_approved_text
from policies.text.sources import recipes
from router.api.parse import parse_json_object
from router.approvals import approver_of
from router.cli.audited import audited
from router.errors import GatehouseError
from router.keys import StateFolderError, load_keys, replace_whole
from router.records.audit import text_diff
from router.settings import Settings, from_environment

_MAX_BYTES = 1 << 20
_LEAST_CHARACTERS = 8  # a shorter text is a word, and exceptions are for those


class UnfitTextError(Exception):
    """The file holds no text, and no tools, that could be approved; the message says why."""


@dataclass(frozen=True, slots=True)
class Approvable:
    """One text or tool of a file; `strings` is what will stand unscanned, for a last look at its findings."""

    name: str
    digest: str
    kind: ApprovalKind
    strings: tuple[str, ...]


def approve_text(
    file: Annotated[Path, typer.Argument(help="A text; or a `.json` file with a tool or a list of tools.")],
    reason: Annotated[str, typer.Option(help="Why; for those who read the policy later.")],
    kind: Annotated[
        Literal["system", "tool", "signature", "any"] | None,
        typer.Option(help="Where the text may stand.", show_default="system; tool for a .json file"),
    ] = None,
    policy: Annotated[
        str | None, typer.Option(help="The policy file that the entry goes into.", show_default="GATEHOUSE_POLICY")
    ] = None,
) -> None:
    """Approve a whole text: from now on nothing in it is a finding, but for a SECRET. One changed character voids it.

    What would be found in it is shown first, by type. The entry's digest is keyed with this installation's secret.
    """
    settings = from_environment(policy=policy)
    try:
        approver = approver_of(load_keys(settings.state_dir))
        texts = read_approvable(file, kind, approver, settings.max_json_depth)
        with audited(None, "policy.approve_text", settings.policy) as detail:
            detail["diff"] = _write(settings.policy, texts, reason)
    except (PolicyError, UnfitTextError, StateFolderError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    except OSError as error:
        typer.echo(f"{error.filename or file}: {error.strerror}", err=True)
        raise typer.Exit(1) from None
    for text in texts:
        typer.echo(f"{text.name}: approved ({text.kind}); {_seen(text, settings)}")
    typer.echo(
        f"{settings.policy}: {len(texts)} new in approved_texts; a gateway that serves this file takes it up by itself"
    )


def _write(source: str, texts: list[Approvable], reason: str) -> str:
    """Put the entries into the file, whole or not at all; what differs then."""
    if source in recipes():
        raise UnfitTextError(
            f"the policy is the recipe {source!r}, which belongs to the package and is not edited: "
            "make it a file of your own, and name it with --policy"
        )
    own, *parents = read_chain(source)
    edited = own.text
    for text in texts:
        edited = add_approved_text(edited, source, entry_of(text, reason), parents=parents)
    path = Path(os.path.realpath(source))
    replace_whole(path, edited.encode("utf-8"), stat.S_IMODE(path.stat().st_mode))
    return text_diff(own.text, edited)


def _seen(text: Approvable, settings: Settings) -> str:
    """What the detectors see in the text, by type: what will no longer count, and what still will."""
    scan = asyncio.run(_scan(text, settings))
    found = Counter(finding.entity_type for finding in scan.findings)
    still = found.pop("SECRET", 0)
    parts = [f"{count} {entity}" for entity, count in sorted(found.items())] or ["nothing found in it"]
    kept = f"; its {still} SECRET still count{'s' if still == 1 else ''}" if still else ""
    return ", ".join(parts) + kept


async def _scan(text: Approvable, settings: Settings) -> Scan:
    detectors = detectors_with(settings.extra_detectors)
    pipeline = Pipeline(
        budget_ms=60_000,
        per_kb_ms=settings.scan_budget_ms_per_kb,
        detectors=detectors,
        signals={},
        compiled=settings.compiled_kernels,
    )
    try:
        return await pipeline.scan_texts(text.strings, ScanRules(), "")
    finally:
        await pipeline.close()


def read_approvable(file: Path, kind: ApprovalKind | None, approver: Approver, max_depth: int) -> list[Approvable]:
    """What stands in a file: the tools of a `.json` one, else the whole text. Raises `UnfitTextError`, `OSError`."""
    data = file.read_bytes()
    if len(data) > _MAX_BYTES:
        raise UnfitTextError(f"{file} has {len(data):,} bytes: a text may have {_MAX_BYTES:,}")
    if file.suffix.lower() == ".json" and kind in (None, "tool"):
        tools = list(_tools(file, data, max_depth))
        return [
            Approvable(f"{file.name}: {_name(tool)}", approver.tool(tool), "tool", tuple(_strings(tool)))
            for tool in tools
        ]
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UnfitTextError(f"{file} is not UTF-8") from None
    if len(text.strip()) < _LEAST_CHARACTERS:
        raise UnfitTextError(
            f"{file} is too short to be approved as a text: sensitivity.exceptions is for single words"
        )
    return [Approvable(file.name, approver.text(text), kind or "system", (text,))]


def entry_of(text: Approvable, reason: str) -> dict[str, str]:
    """The entry of `approved_texts`."""
    return {
        "name": text.name[:200],
        "digest": text.digest,
        "kind": text.kind,
        "reason": reason,
        "approved": datetime.now(UTC).date().isoformat(),
    }


def _tools(file: Path, data: bytes, max_depth: int) -> Iterator[Mapping[str, Any]]:
    """The tools in a file: one, a list of them, or a body that has some."""
    text = data.lstrip()
    try:
        value: Any = parse_json_object(b'{"tools": %b}' % data if text[:1] == b"[" else data, max_depth + 2)
    except GatehouseError as error:
        raise UnfitTextError(f"{file}: {error}") from None
    listed = [value.get(key) for key in ("tools", "functions") if key in value]
    tools = listed[0] if listed else [value]
    if not isinstance(tools, list) or not tools or not all(isinstance(tool, dict) and _name(tool) for tool in tools):
        raise UnfitTextError(
            f"{file} holds no tools: an object with a name, a list of them, or --kind system for a text"
        )
    yield from tools


def _name(tool: Mapping[str, Any]) -> str:
    inner = tool.get("function")
    name = (inner if isinstance(inner, Mapping) else tool).get("name")
    return name if isinstance(name, str) else ""


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, child in value.items():
            yield key
            yield from _strings(child)
    elif isinstance(value, list):
        for child in value:
            yield from _strings(child)
