"""Numbers and texts out of a query or a body, and the records of the house; a fault is a 400 that names its field."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from router.admin.types import Call, House
from router.errors import InvalidRequest, NotFound, Unavailable
from router.records.store import RECORDS_FILE, RecordReader, StoreError


def whole_number(call: Call, name: str, default: int, most: int) -> int:
    """A number from 1 to `most` in the query or the body."""
    value: object = call.query.get(name, call.body.get(name, default))
    text = str(value)
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= most:
        raise InvalidRequest(f"`{name}` is a number from 1 to {most}.", param=name)
    return int(text)


def text_of(call: Call, name: str, most: int, default: str | None = None) -> str:
    """A text in the body, at most `most` characters; `default` when it is absent. Raises `InvalidRequest`."""
    value = call.body.get(name, default)
    if not isinstance(value, str) or len(value) > most:
        raise InvalidRequest(f"`{name}` is needed: a text of at most {most:,} characters.", param=name)
    return value


def days_ago(days: int) -> str:
    """The moment so many days ago, as records write it."""
    return (datetime.now(UTC) - timedelta(days=days)).isoformat(timespec="milliseconds")


@contextmanager
def reader_of(house: House) -> Iterator[RecordReader]:
    """The records; for one thread. Raises `NotFound` when there are none, `Unavailable` when they cannot be read."""
    path = house.settings.state_dir / RECORDS_FILE
    if not path.exists():
        raise NotFound("There are no records yet.", code="no_records")
    try:
        with RecordReader(path) as reader:
            yield reader
    except StoreError:
        raise Unavailable("The records cannot be read at the moment.", code="records_unavailable") from None
