"""From the text of `probes` to checked probes: those of a policy's own file and those of the file beside it.

What a probe expects must be possible to say: a rule, a model or an entity that there is not is
a problem, with its place.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from policies.errors import PolicyError, suggest
from policies.probes import Expected, Probe
from policies.reading.complaints import complaints
from policies.reading.notes import Notes
from policies.reading.rules import RESERVED
from policies.shape.probes import ExpectPart, ProbePart, ProbesFile
from policies.text.document import Document, Path, Value, decode, parse
from policies.text.sources import read_beside, read_source
from policies.types import Model, Policy


def load_probes(name: str, policy: Policy) -> tuple[Probe, ...]:
    """All probes of a policy, which `name` (a recipe or a file) was loaded as: its own, then those of the file beside.

    Raises `PolicyError`.
    """
    data, source = read_source(name)
    probes = probes_of(decode(data, source), source, policy)
    beside = read_beside(name)
    if beside is not None:
        data, source = beside
        document = parse(decode(data, source), source)
        probes += _read(document.value, document, source, policy)
    return probes


def probes_of(text: str, source: str, policy: Policy) -> tuple[Probe, ...]:
    """The probes that stand in a policy's own text. Raises `PolicyError`."""
    document = parse(text, source)
    value = document.value if isinstance(document.value, dict) else {}
    return _read({"probes": value["probes"]}, document, source, policy) if value.get("probes") else ()


def _read(value: Value, document: Document, source: str, policy: Policy) -> tuple[Probe, ...]:
    """The probes that `value`, of this document, holds."""
    try:
        file = ProbesFile.model_validate(value)
    except ValidationError as error:
        raise PolicyError(source, complaints(error, document, ProbesFile)) from None
    notes = Notes(document, source)
    rules = [rule.name for rule in policy.rules]
    check_probes(file.probes, policy.models, rules, notes)
    notes.raise_problems()
    return tuple(_probe(part, document.key_at(("probes", n))[0]) for n, part in enumerate(file.probes))


def check_probes(
    probes: Sequence[ProbePart], models: Mapping[str, Model], rules: Collection[str], notes: Notes
) -> None:
    """Note what is wrong with probes that have the right shape."""
    names: set[str] = set()
    for number, probe in enumerate(probes):
        path: Path = ("probes", number)
        if probe.name in names:
            notes.problem((*path, "name"), f"'{probe.name}' is the name of another probe already")
        names.add(probe.name)
        if (probe.text is None) == (probe.body is None):
            notes.problem(path, f"'{probe.name}' must have exactly one of 'text' and 'body'", at_key=True)
        if probe.body is not None and probe.model is not None:
            notes.problem((*path, "model"), "a body names its model itself", at_key=True)
        if probe.expect is None and not probe.must_not_reach:
            notes.problem(path, f"'{probe.name}' expects nothing: write 'expect' or 'must_not_reach'", at_key=True)
        _check_names(path, probe, models, rules, notes)


def _check_names(
    path: Path, probe: ProbePart, models: Mapping[str, Model], rules: Collection[str], notes: Notes
) -> None:
    for index, name in enumerate(probe.unavailable):
        if name not in models:
            notes.problem((*path, "unavailable", index), _no_model(name, models))
    for index, name in enumerate(probe.must_not_reach):
        at = (*path, "must_not_reach", index)
        if name == "local" or (name in models and models[name].locality == "local"):
            notes.problem(at, "what is at home may always be reached: write lan, cloud, or models outside")
        elif name not in ("lan", "cloud") and name not in models:
            notes.problem(at, f"'{name}' is no locality and no model{suggest(name, ('lan', 'cloud', *models))}")
    if probe.expect is None:
        return
    if probe.expect.model is not None and probe.expect.model not in models:
        notes.problem((*path, "expect", "model"), _no_model(probe.expect.model, models))
    for key, known in (("rule", (*rules, *RESERVED)), ("held", (*rules, "affinity"))):
        name = getattr(probe.expect, key)
        if name is not None and name not in known:
            notes.problem((*path, "expect", key), f"there is no rule '{name}'{suggest(name, known)}")


def _no_model(name: str, models: Mapping[str, Model]) -> str:
    return f"there is no model '{name}'{suggest(name, models)}"


def _probe(part: ProbePart, line: int) -> Probe:
    body: Mapping[str, Any] | None = part.body
    if body is None:
        body = {"model": part.model or "auto", "messages": [{"role": "user", "content": part.text}]}
    return Probe(
        name=part.name,
        line=line,
        body=body,
        expected=Expected() if part.expect is None else _expected(part.expect),
        must_not_reach=tuple(part.must_not_reach),
        local_only=bool(part.headers),
        tenant=part.tenant,
        unavailable=tuple(part.unavailable),
        local_wait_ms=part.local_wait_ms,
    )


def _expected(part: ExpectPart) -> Expected:
    return Expected(
        route=part.route,
        model=part.model,
        rule=part.rule,
        sensitivity=part.sensitivity,
        payload=part.payload,
        held=part.held,
        may_escalate=part.may_escalate,
        finds=tuple(part.finds),
        finds_not=tuple(part.finds_not),
    )
