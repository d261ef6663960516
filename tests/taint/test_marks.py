"""The table of marks: seen by every process at once, bounded, and never silent about what it forgot."""

from __future__ import annotations

import multiprocessing
import os
import stat
from pathlib import Path

import pytest

from router.keys import StateFolderError
from router.taint.marks import LEAST_BYTES, MARKS_FILE, MarkTable


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def table(folder: Path, clock: Clock, size: int = 1 << 20) -> MarkTable:
    return MarkTable(folder / "state" / MARKS_FILE, size, clock)


def found(marks: MarkTable, wanted: list[bytes]) -> int:
    """The highest level among them."""
    return max(marks.find(wanted), default=0)


def digests(count: int, first: int = 0) -> list[bytes]:
    import hashlib

    return [hashlib.blake2b(b"%d" % number, digest_size=16).digest() for number in range(first, first + count)]


def test_a_mark_is_found_until_it_expires(tmp_path: Path, clock: Clock) -> None:
    marks = table(tmp_path, clock)
    (digest,) = digests(1)
    assert not marks.has_any(7)
    marks.put([digest], 7, 3, 60)
    assert marks.has_any(7)
    assert found(marks, [*digests(5, 50), digest]) == 3
    clock.now += 59
    assert found(marks, [digest]) == 3
    clock.now += 3
    assert found(marks, [digest]) == 0
    assert not marks.has_any(7)


def test_the_higher_level_stands(tmp_path: Path, clock: Clock) -> None:
    marks = table(tmp_path, clock)
    (digest,) = digests(1)
    for level, then in ((2, 2), (3, 3), (1, 3)):
        marks.put([digest], 7, level, 60)
        assert found(marks, [digest]) == then
    assert marks.written == 1


def test_another_process_sees_a_mark_at_once(tmp_path: Path, clock: Clock) -> None:
    marks, other = table(tmp_path, clock), table(tmp_path, clock)
    for number, digest in enumerate(digests(200)):
        marks.put([digest], number % 5, 2, 60)
        assert found(other, [digest]) == 2
    assert other.written == 200


def test_marks_outlive_the_process(tmp_path: Path, clock: Clock) -> None:
    marks = table(tmp_path, clock)
    marks.put(digests(3), 7, 2, 60)
    marks.close()
    marks.close()
    assert found(table(tmp_path, clock), digests(1)) == 2


def _write(path: Path, first: int) -> None:
    marks = MarkTable(path, 1 << 20)
    for digest in digests(400, first):
        marks.put([digest], 7, 2, 600)


def test_no_mark_is_lost_when_processes_write_at_the_same_time(tmp_path: Path) -> None:
    path = tmp_path / "state" / MARKS_FILE
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_write, args=(path, first)) for first in (0, 400, 800)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
        assert writer.exitcode == 0
    marks = MarkTable(path, 1 << 20)
    assert marks.written == 1200
    assert all(found(marks, [digest]) == 2 for digest in digests(1200))


def test_what_gives_way_is_written_down_until_it_would_have_expired(tmp_path: Path, clock: Clock) -> None:
    marks = table(tmp_path, clock, LEAST_BYTES)
    places = marks.places
    assert marks.put(digests(places // 2), 7, 3, 100) == 0
    assert marks.forgotten(7) == 0
    assert not marks.is_forgetting
    assert marks.put(digests(2 * places, 10_000), 7, 2, 50) > 0
    assert marks.forgotten(7) == 2, "the least of the levels goes first"
    assert found(marks, digests(places // 2)) == 3
    assert all(found(marks, [digest]) == 3 for digest in digests(places // 2))
    assert marks.is_forgetting
    clock.now += 52
    assert marks.forgotten(7) == 0
    assert not marks.is_forgetting


def test_a_tenant_that_fills_the_table_pushes_out_only_its_own_marks(tmp_path: Path, clock: Clock) -> None:
    marks = table(tmp_path, clock, LEAST_BYTES)
    mine = digests(40)
    marks.put(mine, 7, 1, 100)
    marks.put(digests(5 * marks.places, 10_000), 8, 3, 100)
    assert all(found(marks, [digest]) == 1 for digest in mine)
    assert marks.forgotten(7) == 0
    assert marks.forgotten(8) == 3


def test_expired_marks_make_room_without_loss(tmp_path: Path, clock: Clock) -> None:
    marks = table(tmp_path, clock, LEAST_BYTES)
    for _ in range(6):
        assert marks.put(digests(marks.places // 2, int(clock.now)), 7, 3, 10) == 0
        clock.now += 12
    assert marks.written <= marks.places
    assert not marks.is_forgetting


def test_a_writer_that_holds_the_lock_makes_the_others_forget_and_say_so(tmp_path: Path, clock: Clock) -> None:
    import fcntl

    marks = table(tmp_path, clock)
    holder = os.open(tmp_path / "state" / MARKS_FILE, os.O_RDWR)
    try:
        fcntl.flock(holder, fcntl.LOCK_EX)
        assert marks.put(digests(2), 7, 2, 60) == 2
    finally:
        os.close(holder)
    assert found(marks, digests(2)) == 0
    assert marks.has_any(7)
    assert marks.forgotten(7) == 2


def test_the_file_is_private_and_holds_its_size(tmp_path: Path, clock: Clock) -> None:
    marks = table(tmp_path, clock, 1 << 20)
    path = tmp_path / "state" / MARKS_FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    size = path.stat().st_size
    assert (1 << 20) - 1536 <= size <= 1 << 20
    marks.put(digests(3000), 7, 2, 60)
    assert path.stat().st_size == size
    assert found(table(tmp_path, clock, 1 << 22), digests(1)) == 2
    assert path.stat().st_size == size


@pytest.mark.parametrize("content", [b"something else", b""])
def test_a_file_that_is_none_of_ours_is_refused(tmp_path: Path, content: bytes, clock: Clock) -> None:
    (tmp_path / "state").mkdir(mode=0o700)
    path = tmp_path / "state" / MARKS_FILE
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(StateFolderError, match="move it away"):
        table(tmp_path, clock)
    assert path.read_bytes() == content


def test_a_table_of_an_earlier_version_gets_a_filter_and_keeps_every_mark(tmp_path: Path, clock: Clock) -> None:
    marks = table(tmp_path, clock)
    marks.put(digests(3000), 7, 2, 60)
    marks.put(digests(1, 9000), 8, 3, 60)
    name, buckets = marks.name, marks.places // 64
    marks.close()
    path = tmp_path / "state" / MARKS_FILE
    content = path.read_bytes()
    head, filtered = 36 * 1024, buckets * 64
    path.write_bytes(b"gatehouse-marks\x01" + content[16:head] + content[head + filtered :])
    opened = table(tmp_path, clock)
    assert opened.find(digests(3100)) == [2] * 3000
    assert all(found(opened, [digest]) == 2 for digest in digests(20))
    assert found(opened, digests(1, 9000)) == 3
    assert (opened.name, opened.written, opened.places) == (name, 3001, 64 * buckets)
    opened.put(digests(1, 20_000), 7, 1, 60)
    again = table(tmp_path, clock)
    assert (found(again, digests(1, 20_000)), again.written) == (1, 3002)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_looking_up_together_finds_what_looking_up_alone_does(tmp_path: Path, clock: Clock) -> None:
    """Sixteen digests and more go through the filter by numpy, fewer one by one; and marks that gave way are gone."""
    marks = table(tmp_path, clock, LEAST_BYTES)
    for level in (1, 2, 3):
        marks.put(digests(marks.places, 10_000 * level), 7, level, 60)
    wanted = [digest for level in range(4) for digest in digests(marks.places, 10_000 * level)]
    alone = [level for digest in wanted for level in marks.find([digest])]
    assert len(alone) == marks.places
    assert marks.find(wanted) == alone
    assert 1 not in alone


def test_looking_for_marks_takes_no_memory_in_proportion_to_the_table(tmp_path: Path, clock: Clock) -> None:
    """Only the head and the filter are mapped: a twentieth of the file."""
    marks = table(tmp_path, clock, 32 << 20)
    path = tmp_path / "state" / MARKS_FILE
    marks.put(digests(1000), 7, 2, 60)
    assert len(marks.find(digests(30_000))) == 1000
    maps = Path("/proc/self/smaps").read_text().split(str(path))[1:]
    mapped = sum(int(part.split("Size:")[1].split()[0]) for part in maps)
    assert 0 < mapped * 1024 < path.stat().st_size / 20


def test_each_group_of_digests_has_its_own_levels(tmp_path: Path, clock: Clock) -> None:
    marks = table(tmp_path, clock)
    marks.put(digests(3), 7, 2, 60)
    marks.put(digests(1, 50), 7, 3, 60)
    groups = [digests(40, 1000), digests(2), [], [*digests(30, 2000), *digests(1, 2), *digests(1, 50)]]
    assert marks.find_each(groups) == [[], [2, 2], [], [2, 3]]
    assert marks.find_each([]) == []
