"""Server-sent events, cut anywhere, come out whole."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from router.backends.sse import EventReader

STREAM = (
    b': hello\r\n\r\ndata: {"a": 1}\n\ndata:two\n\nevent: x\ndata: line one\ndata: line two\n\n'
    b"id: 7\n\ndata: [DONE]\r\n\r\n"
)
EVENTS = [b'{"a": 1}', b"two", b"line one\nline two", b"[DONE]"]


@given(st.lists(st.integers(1, len(STREAM) - 1), max_size=20))
def test_events_are_the_same_wherever_the_bytes_are_cut(cuts: list[int]) -> None:
    reader = EventReader()
    borders = [0, *sorted(set(cuts)), len(STREAM)]
    events = [event for start, end in pairwise(borders) for event in fed(reader, STREAM[start:end])]
    assert events == EVENTS


def fed(reader: EventReader, data: bytes) -> list[bytes]:
    """The events that are whole with `data`."""
    reader.feed(data)
    return list(iter(reader.next, None))


def test_an_event_whose_last_line_end_never_came_is_there_at_the_end() -> None:
    reader = EventReader()
    assert fed(reader, b"data: [DONE]") == []
    reader.finish()
    assert reader.next() == b"[DONE]"
    assert reader.next() is None


def test_what_came_together_is_read_as_it_is_asked_for() -> None:
    """A stream may come at once: its first event must not wait for the others to be read."""
    reader = EventReader()
    reader.feed(STREAM * 1000)
    assert reader.next() == EVENTS[0]
    assert len(reader._lines) > 10_000
