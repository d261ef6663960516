"""Records and shows the metrics of the table, over every process of one gateway. The home of `prometheus_client`.

A metric is recorded once, here; the OTLP export reads what this collects. Labels are checked: what does not look like
a name, or is one name too many, becomes `invalid` or `other`, so neither content nor a flood of series can come in.
"""

from __future__ import annotations

import fcntl
import math
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from router.settings import metrics_folder, share_metrics_folder
from router.telemetry.table import TABLE, Definition

if TYPE_CHECKING:
    # Others name these types by way of this module, the library's only importer.
    from prometheus_client import Counter as Counter
    from prometheus_client import Gauge as Gauge
    from prometheus_client import Histogram as Histogram
    from prometheus_client.metrics_core import Metric as Metric
    from prometheus_client.samples import Sample as Sample

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
MAX_NAMES = 256  # distinct values of one label that are kept apart
_NAME = re.compile(r"[A-Za-z0-9@][A-Za-z0-9_.:/@+-]{0,127}")  # no space: a sentence is not a name
_DEAD = "dead"  # takes a pid's place in the name of the files that hold what ended processes counted


def prepare_metrics_folder(runtime_dir: Path) -> Path:
    """Make this gateway's folder of metric files and share it with this process and its children.

    Called once, by the parent, before any `MetricStore` is made and before workers start. Folders of gateways that
    no longer run are removed.
    """
    parent = runtime_dir / "metrics"
    parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    for old in parent.iterdir():
        if not old.name.isdecimal() or int(old.name) == os.getpid() or not is_running(int(old.name)):
            shutil.rmtree(old, ignore_errors=True)
    folder = parent / str(os.getpid())
    folder.mkdir(mode=0o700)
    share_metrics_folder(folder)
    return folder


def remove_metrics_folder(folder: Path) -> None:
    """The parent's last act: the files are of no use once it has ended."""
    shutil.rmtree(folder, ignore_errors=True)


def forget_process(folder: Path, pid: int) -> None:
    """Take a process that has ended out of every gauge, and keep what it counted in the files of the dead.

    To be called by the parent once the process has been waited for and before another takes its place. Totals never
    fall, and the number of files stays bounded however often a worker restarts.
    """
    from prometheus_client.multiprocess import mark_process_dead

    with _locked(folder, fcntl.LOCK_EX):
        mark_process_dead(pid, str(folder))  # type: ignore[no-untyped-call]  # the library has no annotation here
        for kind in ("counter", "histogram"):
            _fold(folder / f"{kind}_{pid}.db", folder / f"{kind}_{_DEAD}.db")


def _fold(source: Path, target: Path) -> None:
    from prometheus_client.mmap_dict import MmapedDict

    if not source.exists():
        return
    totals: dict[str, float] = {}
    for path in _written(target, source):
        for key, value, _, _ in MmapedDict.read_all_values_from_file(path):  # type: ignore[no-untyped-call]
            totals[key] = totals.get(key, 0.0) + value
    draft = target.with_suffix(".draft")
    draft.unlink(missing_ok=True)
    written = MmapedDict(str(draft))  # type: ignore[no-untyped-call]
    for key, value in totals.items():
        written.write_value(key, value, 0.0)  # type: ignore[no-untyped-call]
    written.close()  # type: ignore[no-untyped-call]
    draft.replace(target)
    source.unlink()


def _written(*paths: Path) -> list[str]:
    """Those that have been given a size: a process that just started may have made a file and not yet filled it."""
    return [str(path) for path in paths if path.exists() and path.stat().st_size > 0]


def is_running(pid: int) -> bool:
    """Whether a process with this id lives, whoever owns it."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


@contextmanager
def _locked(folder: Path, kind: int) -> Iterator[None]:
    """Readers share, folding excludes: nobody counts a value in two files."""
    with (folder / "lock").open("a") as lock:
        fcntl.flock(lock, kind)
        yield


class MetricStore:
    """The metrics of the table in this process, and the sum over all processes when a folder is shared.

    Raises `RuntimeError` when `prometheus_client` was imported before the folder was shared: the library chooses at
    its import where values live.
    """

    def __init__(self, folder: Path | None = None) -> None:
        from prometheus_client import CollectorRegistry, values

        self._folder = folder if folder is not None else metrics_folder()
        if (self._folder is not None) != bool(values.ValueClass._multiprocess):
            raise RuntimeError("share the metrics folder before prometheus_client is imported")
        self._registry = CollectorRegistry()
        self._definitions = {definition.name: definition for definition in TABLE}
        self._by_prometheus_name = {definition.prometheus_name: definition for definition in TABLE}
        self._families = {definition.name: _make_family(definition, self._registry) for definition in TABLE}
        self._names: dict[str, set[str]] = {}

    def counter(self, name: str, *values: str) -> Counter:
        """The counter of one series: keep it, looking it up costs more than counting."""
        return cast("Counter", self._child(name, values))

    def gauge(self, name: str, *values: str) -> Gauge:
        """The gauge of one series."""
        return cast("Gauge", self._child(name, values))

    def histogram(self, name: str, *values: str) -> Histogram:
        """The histogram of one series."""
        return cast("Histogram", self._child(name, values))

    def _child(self, name: str, values: tuple[str, ...]) -> Any:
        family, definition = self._families[name], self._definitions[name]
        if not definition.attributes:
            return family
        checked = (
            self._check(attribute, value) for attribute, value in zip(definition.attributes, values, strict=True)
        )
        return family.labels(*checked)

    def _check(self, attribute: str, value: str) -> str:
        """The value if it may be a label; an empty one stays empty and is left out of the OTLP export."""
        if not value:
            return ""
        if _NAME.fullmatch(value) is None:
            return "invalid"
        names = self._names.setdefault(attribute, set())
        if value not in names and len(names) >= MAX_NAMES:
            return "other"
        names.add(value)
        return value

    def collect(self) -> list[tuple[Definition, Metric]]:
        """Every metric with its samples over all processes. Reads files: not for the event loop."""
        found = []
        for family in self._collect_families():
            definition = self._by_prometheus_name.get(family.name)
            if definition is None:
                continue
            family.samples = [
                sample
                for sample in family.samples
                if not sample.name.endswith("_created")
                and not math.isnan(sample.value)  # a gauge that is set to it is not known now
                and not (definition.should_hide_zero and sample.value == 0)
            ]
            found.append((definition, family))
        return found

    def _collect_families(self) -> Iterable[Metric]:
        if self._folder is None:
            return list(self._registry.collect())
        from prometheus_client.multiprocess import MultiProcessCollector

        with _locked(self._folder, fcntl.LOCK_SH):
            files = _written(*sorted(self._folder.glob("*.db")))
            return list(MultiProcessCollector.merge(files))  # type: ignore[no-untyped-call]

    def render(self) -> bytes:
        """The Prometheus text of `collect`."""
        from prometheus_client import generate_latest

        return generate_latest(_Collected([family for _, family in self.collect()]))


class _Collected:
    """What was collected, as `generate_latest` wants it."""

    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> list[Metric]:
        return self._families


def _make_family(definition: Definition, registry: Any) -> Any:
    from prometheus_client import Counter, Gauge, Histogram

    name, text, labels = definition.prometheus_name, definition.help, definition.labels
    if definition.kind == "counter":
        return Counter(name, text, labels, registry=registry)
    if definition.kind == "gauge":
        return Gauge(name, text, labels, registry=registry, multiprocess_mode=definition.merge)
    return Histogram(name, text, labels, registry=registry, buckets=definition.buckets)


def observe_many(histogram: Histogram, counts: list[int], total: float) -> None:
    """Add observations that were counted elsewhere: one count for each bucket, `+Inf` last, and their sum."""
    for bucket, count in zip(histogram._buckets, counts, strict=True):
        if count:
            bucket.inc(count)
    histogram._sum.inc(total)
