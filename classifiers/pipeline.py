"""A body in, its signals out: the scan for sensitive content and the measured facts, within a time budget.

An error, an overrun or an unreadable part is a value in the result; never an empty result, never an exception.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from classifiers.approving import Approver, still_unread, unapproved
from classifiers.boundary import Failure, attempt
from classifiers.exempting import IsExempt, exempting
from classifiers.facts import FACTS
from classifiers.haystack import Haystack, Unviewed, lay_out, lay_out_joins
from classifiers.kernels import KERNELS
from classifiers.measuring import Measures
from classifiers.memory import ScanMemory
from classifiers.normalize import Normalizer
from classifiers.parts import LEAST_TURNS, Parts
from classifiers.parts import look_up as look_up_parts
from classifiers.placing import Placed, findings_of, place, place_joins, without_approved
from classifiers.process import ScanProcess, ScanProcessDied
from classifiers.registry import DETECTORS, SIGNALS, SignalSpec
from classifiers.scanner import Report, Scanner
from classifiers.timer import PATIENCE, Timer
from classifiers.types import Scan, ScanRules, Signals, Unknown
from classifiers.views.room import Room
from classifiers.walk import Walk, Walker, pointer_of, strings_of

__all__ = ["Pipeline", "strings_of"]

INLINE_BYTES = 32 * 1024  # more is scanned in the scan process
_REMEMBER_FLOOR = 256  # characters; a shorter string is scanned as fast as it is looked up
_LOOKED_UP_INLINE = 256 * 1024  # characters; the keys of more are made in a thread
_MEASURED_INLINE = 64 * 1024  # characters; the signals of more are measured in a thread
_SLICE_NODES = 500
_VIEWS_PER_CHARACTER = 6  # how much longer than the body all its other views together may be,
_VIEWS_FLOOR = 64 * 1024  # and how much more: beyond it the rest is an Unknown
_MANY = 500  # cells or hits whose handling is given to a thread


@dataclass(slots=True)
class _Job:
    """One scan on its way."""

    tenant: str
    rules: ScanRules
    timer: Timer
    walk: Walk = field(default_factory=Walk, repr=False)
    size: int = 0
    fresh: int = 0  # characters that are not remembered
    wanted: list[int] = field(default_factory=list)  # the cells that hold them
    digest: str = ""  # of detectors and rules
    keys: dict[int, bytes] = field(default_factory=dict)  # cells to remember afterwards
    parts: Parts = field(default_factory=Parts)
    placed: Placed = field(default_factory=Placed)
    unknowns: list[Unknown] = field(default_factory=list)
    approved: frozenset[int] = frozenset()  # cells that stand in texts which the policy approves
    result: Scan = field(default_factory=Scan)

    @property
    def takes_long_to_measure(self) -> bool:
        return self.size > _MEASURED_INLINE or len(self.walk.cells) > _MANY

    @property
    def has_much_to_scan(self) -> bool:
        return self.fresh > INLINE_BYTES or len(self.walk.cells) > _MANY


class Pipeline:
    """The registered detectors and signals behind one call.

    Budgets are in milliseconds, `per_kb_ms` for each KB of the body's strings. `clock` and `work` count seconds.
    `detectors` and `signals` are tables as in `registry`; constructors run here, once. `memory_bytes=0` remembers
    nothing. `approval_key` is what the policy's approved texts were digested with: without it none is approved.
    `compiled=False` keeps this process from using compiled kernels: say so before the first model is loaded.
    """

    def __init__(
        self,
        *,
        budget_ms: float = 20.0,
        per_kb_ms: float = 2.0,
        clock: Callable[[], float] = time.perf_counter,
        work: Callable[[], float] = time.thread_time,
        detectors: Mapping[str, str] = DETECTORS,
        signals: Mapping[str, SignalSpec] = SIGNALS,
        memory_bytes: int = 4 << 20,
        approval_key: bytes = b"",
        compiled: bool = True,
    ) -> None:
        if not compiled:
            KERNELS.switch_off()
        self._approver = Approver(approval_key) if approval_key else None
        self._budget, self._per_byte = budget_ms / 1000, per_kb_ms / 1000 / 1024
        self._clock, self._work = clock, work
        self._scanner = Scanner(detectors)
        normalizer = attempt(Normalizer)
        self._normalizer = None if isinstance(normalizer, Failure) else normalizer
        self._process = ScanProcess(detectors)
        self._memory = ScanMemory(memory_bytes)
        self._measures = Measures(signals, FACTS)
        self._broken: dict[str, str] = {"normalize": normalizer.error} if isinstance(normalizer, Failure) else {}

    @property
    def digest(self) -> str:
        """Names the detectors, their artifacts and the libraries that judge for them."""
        return self._scanner.digest

    @property
    def broken(self) -> frozenset[str]:
        """`name: exception class` of each detector and signal that could not be built; each makes requests stricter."""
        broken = self._broken | self._measures.broken
        return frozenset(self._scanner.broken | {f"{name}: {error}" for name, error in broken.items()})

    @property
    def scan_process_pid(self) -> int | None:
        """The scan process's id while there is one."""
        return self._process.pid

    async def start(self) -> None:
        """Start the scan process now. One that cannot be started is not an error here: each large body says so."""
        try:
            await self._process.start()
        except (ScanProcessDied, OSError, EOFError):
            await self._process.close()

    async def warm(self, demanded: Collection[str] | None = None) -> None:
        """Run every detector and signal once, so that the first requests are as quick as the later ones.

        Of those on demand, the `demanded` ones (None: all).
        """
        text = "Warm up: a@b.example, +49 30 901820, 4111 1111 1111 1111, password is x1y2z3, AKIA0000, GB82 WEST 1234."
        for _ in range(3):
            await self.run({"messages": [{"role": "user", "content": text}]}, ScanRules(), "", demanded)

    async def close(self) -> None:
        """End the scan process. Idempotent."""
        await self._process.close()

    async def run(
        self,
        body: Mapping[str, Any],
        rules: ScanRules,
        tenant: str,
        demanded: Collection[str] | None = None,
        *,
        is_new: bool = False,
    ) -> Signals:
        """All registered signals of a parsed body, with the scan of all its strings.

        Of those that are measured on demand only the `demanded` ones (None: all); the others say `not_asked`.
        `is_new`: this very body has not come before, so that a small one is neither looked up nor remembered.
        """
        await self._measures.build(demanded)
        began = self._clock()
        job = await self._scan(body, rules, tenant, is_new=is_new)
        job.timer.resume()
        values = await self._measures.values(body, job.walk, job.timer, job.takes_long_to_measure, demanded)
        return Signals(values, job.result, (self._clock() - began) * 1000)

    async def scan_texts(self, texts: Iterable[str], rules: ScanRules, tenant: str) -> Scan:
        """The scan of strings that no body held yet; pointers are `/0`, `/1`, … in the order given."""
        return (await self._scan(list(texts), rules, tenant)).result

    async def scan_body(self, body: Mapping[str, Any], rules: ScanRules, tenant: str) -> Scan:
        """The scan of a whole body without its signals: of one that was changed after it was classified."""
        return (await self._scan(body, rules, tenant)).result

    async def _scan(self, body: Any, rules: ScanRules, tenant: str, *, is_new: bool = False) -> _Job:
        job = _Job(tenant, rules, Timer(self._clock, self._work))
        job.timer.resume()
        walker = Walker(body)
        while not walker.step(_SLICE_NODES):
            await job.timer.give_way()
        job.walk = walker.walk
        if self._approver is not None and rules.approvals:
            job.approved = self._approver.approved(body, job.walk.cells, rules.approvals)
        job.size = sum([len(cell.text) for cell in job.walk.cells])
        job.timer.limit = self._budget + self._per_byte * job.size
        if not self._memory.is_on or (is_new and job.size < _REMEMBER_FLOOR and len(job.walk.turns) < LEAST_TURNS):
            job.wanted, job.fresh = list(range(len(job.walk.cells))), job.size
        elif job.size > _LOOKED_UP_INLINE:
            await asyncio.to_thread(self._look_up, job, body)
        else:
            self._look_up(job, body)
        much = job.has_much_to_scan
        singles, joins = await asyncio.to_thread(self._lay_out, job) if much else self._lay_out(job)
        if self._normalizer is None:
            job.unknowns.append(Unknown("detector_error", "", f"normalize: {self._broken['normalize']}"))
        is_large = much or len(joins.data) > INLINE_BYTES
        reports = await (self._in_process if is_large else self._inline)(job, [singles, joins])
        for report in reports:
            if report.errors or not report.complete:
                self._note(job, report)
        if much or sum([len(report.hits) for report in reports]) > _MANY:
            await asyncio.to_thread(self._place, job, singles, joins, reports)
        else:
            self._place(job, singles, joins, reports)
        job.timer.pause()
        return job

    def _look_up(self, job: _Job, body: Any) -> None:
        """Take what is remembered; the rest is to be scanned."""
        job.digest = self._scanner.digest + "/" + (job.rules.digest or repr(job.rules))
        if isinstance(body, dict):
            kind = job.digest + "/parts"
            job.parts = look_up_parts(
                self._memory,
                lambda name, raw, *ends: self._memory.keys_of_bytes(job.tenant, kind, name, raw, *ends),
                body,
                job.walk,
            )
            job.placed.inside.update(job.parts.found)
        for index, cell in enumerate(job.walk.cells):
            if index in job.parts.of:
                continue
            if len(cell.text) >= _REMEMBER_FLOOR:
                key = self._memory.key(job.tenant, job.digest, cell.key, cell.text)
                known = self._memory.get(key)
                if known is not None:
                    job.placed.inside[index] = list(known)
                    continue
                job.keys[index] = key
            job.wanted.append(index)
            job.fresh += len(cell.text)

    def _lay_out(self, job: _Job) -> tuple[Haystack, Haystack]:
        """The strings to scan, without those that are remembered; and the joins in which something was ever found."""
        cells = job.walk.cells
        # In another thread only the wall's time counts: its work is not this one's.
        is_over = job.timer.deadline() if job.has_much_to_scan else job.timer.is_over
        room = Room(_VIEWS_PER_CHARACTER * job.size + _VIEWS_FLOOR, is_over)
        if job.parts.is_whole:
            return Haystack(), Haystack()
        singles = lay_out(cells, job.wanted, self._normalizer, room)
        return singles, lay_out_joins(
            cells, self._normalizer, room, lambda texts: self._empty_join(job, texts), job.parts.holds
        )

    def _empty_join(self, job: _Job, texts: Sequence[str]) -> bytes | None:
        """The key to remember that nothing was found over these neighbours; None where that is known already."""
        if not job.digest or sum(map(len, texts)) < _REMEMBER_FLOOR:
            return b""
        sizes = ",".join(str(len(text)) for text in texts)
        key = self._memory.key(job.tenant, job.digest + "/joins", sizes, "".join(texts))
        return None if self._memory.get(key) is not None else key

    async def _inline(self, job: _Job, haystacks: list[Haystack]) -> list[Report]:
        reports = []
        for haystack in haystacks:
            report = Report()
            reports.append(report)
            if not haystack.data and reports[:-1]:
                continue
            for _ in self._scanner.scan(haystack.data, job.rules, report, job.timer.is_over):
                await job.timer.give_way()
        return reports

    async def _in_process(self, job: _Job, haystacks: list[Haystack]) -> list[Report]:
        left = max(0.001, job.timer.limit - job.timer.worked) * PATIENCE
        try:
            return await self._process.scan([haystack.data for haystack in haystacks], job.rules, left)
        except TimeoutError:
            return [Report(complete=False)]
        except ScanProcessDied:
            return [Report(errors={"scan process: ScanProcessDied"})]

    def _note(self, job: _Job, report: Report) -> None:
        job.unknowns += [Unknown("detector_error", "", error) for error in sorted(report.errors)]
        if not report.complete:
            job.unknowns.append(Unknown("timeout", "", "scan"))

    def _place(self, job: _Job, singles: Haystack, joins: Haystack, reports: list[Report]) -> None:
        errors = singles.errors | joins.errors
        job.unknowns += [Unknown("detector_error", "", error) for error in sorted(errors)]
        failed, unread = bool(job.unknowns), self._note_unviewed(job, (*singles.unread, *joins.unread))
        if len(reports) == 2 and any(report.hits or report.unread for report in reports):
            is_exempt = _is_exempt(job)
            place(singles, reports[0].hits, is_exempt, job.placed)
            place_joins(joins, reports[1].hits, is_exempt, job.placed)
            unread |= self._note_unread(job, singles, reports[0]) | self._note_unread(
                job, joins, reports[1], joined=True
            )
        if not failed:
            anew = unread | {span.cell for _, spans in job.placed.across for span in spans}
            for index, key in job.keys.items():
                if index not in anew:
                    self._memory.put(key, tuple(job.placed.inside.get(index, ())))
            self._remember_joins(job, joins, reports, anew)
        unknowns = tuple(dict.fromkeys((*job.walk.unknowns, *job.unknowns)))
        if job.approved:  # only now: what is remembered does not depend on where a text stands
            job.placed = without_approved(job.placed, job.approved)
            unknowns = unapproved(unknowns, job.walk.cells, job.approved)
        job.result = Scan(findings_of(job.placed, job.walk.cells), unknowns, frozenset(job.walk.texts))

    def _remember_joins(self, job: _Job, joins: Haystack, reports: Sequence[Report], anew: set[int]) -> None:
        """Neighbours over whose borders nothing was said, and the parts of the body that hold only such."""
        if len(reports) < 2 or joins.errors:
            return
        said: list[tuple[int, int]] = [(gap.start, gap.end) for gap in reports[1].unread]
        crossed = set(anew)
        for hit in reports[1].hits:
            cells = joins.crossed(hit.start, hit.end)
            if cells:
                said.append((hit.start, hit.end))
                crossed |= cells
        if not joins.unread:
            for key, places in joins.runs.items():
                if not any(start < to and since < end for start, end in places for since, to in said):
                    self._memory.put(key, ())
        if job.parts.fresh:
            job.parts.put(self._memory, job.placed.inside, crossed)

    def _note_unviewed(self, job: _Job, unread: Iterable[Unviewed]) -> set[int]:
        """Keep what had no view in which it could be read, as unknowns of the cells that hold it; those cells."""
        for each in unread:
            together = {each.cell, *each.beside}
            if each.cell in still_unread(each.kind, together, job.approved, joined=len(together) > 1):
                job.unknowns.append(Unknown(each.kind, pointer_of(job.walk.cells[each.cell].path), each.detail))
        return {each.cell for each in unread}

    def _note_unread(self, job: _Job, haystack: Haystack, report: Report, *, joined: bool = False) -> set[int]:
        """Keep what detectors said that they could not read, as unknowns of the cells that hold it; those cells."""
        cells: set[int] = set()
        for kind, start, end, detector in sorted(report.unread):
            within = {span.cell for span in haystack.place(start, end, "decoded")}
            if not within and haystack.is_in_view(start, end):
                continue  # the string itself has been judged
            cells |= within
            counted = still_unread(kind, within, job.approved, joined=joined)
            pointers = [pointer_of(job.walk.cells[index].path) for index in sorted(counted)]
            if pointers or not within:
                job.unknowns += [Unknown(kind, pointer, detector) for pointer in pointers or [""]]
        return cells


def _is_exempt(job: _Job) -> IsExempt:
    """What the policy says is no finding for this tenant; nothing, should that fail."""
    made = attempt(exempting, job.rules.exemptions) if job.rules.exemptions else None
    if made is None or isinstance(made, Failure):
        return lambda entity, text: False
    covers, tenant = made.covers, job.tenant
    return lambda entity, text: covers(entity, text, tenant)
