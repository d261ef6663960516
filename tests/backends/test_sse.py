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
    events = [event for start, end in pairwise(borders) for event in reader.feed(STREAM[start:end])]
    assert events == EVENTS


def test_an_event_whose_last_line_end_never_came_is_there_at_the_end() -> None:
    reader = EventReader()
    assert reader.feed(b"data: [DONE]") == []
    assert reader.finish() == [b"[DONE]"]
