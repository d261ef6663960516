"""The cells of the matrix that are asked, and what a house must answer to each of them.

`GATEHOUSE_TEST_EGRESS=all` asks every cell of the covering array (`make egress`); otherwise a tenth of them is asked.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import groupby

import re2

from router.backends.scripted import Exchange
from tests.egress.asking import Answer
from tests.egress.covering import Cell, Tables, covering, stratified
from tests.egress.dialects import CHAT, PLACES, asked, path_of, strings
from tests.egress.disguises import DISGUISES, ENTITIES, can_stand, marks, planted
from tests.egress.houses import FAULTS, MORE_FAULTS, Fault, House
from tests.egress.positions import NOT_AT_HOME, Body
from tests.egress.values import TERM

ALL_FAULTS = {**FAULTS, **MORE_FAULTS}
LEAST = 10_000
EACH = 50  # times that every single position, disguise, trouble and kind of value comes at least
SOME = 1_000
TABLES = Tables(tuple(PLACES), DISGUISES, tuple(ALL_FAULTS), ENTITIES, can_stand)


@lru_cache
def array() -> tuple[Cell, ...]:
    """The whole covering array."""
    return tuple(covering(TABLES, least=LEAST, each=EACH))


def is_whole() -> bool:
    """Whether this run asks every cell."""
    return os.environ.get("GATEHOUSE_TEST_EGRESS") == "all"


@lru_cache
def all_cells() -> tuple[Cell, ...]:
    """The cells of this run."""
    if is_whole():
        return array()
    return tuple(stratified(array(), SOME))


def cells_of(fault: str) -> list[Cell]:
    """The cells of one trouble."""
    return [cell for cell in all_cells() if cell.fault == fault]


def terms_of(cells: Iterable[Cell]) -> list[str]:
    """What the policy's dictionary must hold for these cells."""
    return [planted(cell).needle for cell in cells if cell.entity == TERM]


def body_of(cell: Cell) -> Body:
    """The request."""
    return asked(cell.position, planted(cell).text, stream=cell.stream, model=ALL_FAULTS[cell.fault].model)


def paths_of(cells: Iterable[Cell]) -> list[str]:
    """Where their requests are asked."""
    return [path_of(cell.position) for cell in cells]


def is_as_it_should_be(answer: Answer, fault: Fault, position: str) -> bool:
    """Whether a sensitive request was answered as this trouble demands."""
    status, code = fault.sensitive
    if position in NOT_AT_HOME and status != 403:
        status, code = 400, answer.code  # a local model does not take unknown fields
    held = fault.held if status == 200 else answer.headers.get("x-gatehouse-held")
    route = "local" if status == 200 else "refused"
    seen = (answer.status, answer.code, answer.route, answer.headers.get("x-gatehouse-held"))
    return seen == (status, code, route, held)


def canonical(body: Body) -> str:
    """A body without the two fields that the gateway may change, written out: 1 is not 1.0, and order counts."""
    return repr([(name, value) for name, value in body.items() if name not in ("model", "stream_options")])


def leaks(cells: Sequence[Cell], arrived: Sequence[Exchange]) -> list[str]:
    """The cells whose requests are among what arrived outside; and what arrived besides.

    A chat is known by its whole body; what other dialects were mapped from, by the text that was planted.
    """
    by_body = {canonical(body_of(cell)): cell for cell in cells if path_of(cell.position) == CHAT}
    mapped = {_begin(planted(cell).text): cell for cell in cells if path_of(cell.position) != CHAT}
    found = []
    for exchange in arrived:
        cell = by_body.get(canonical(exchange.json))
        if cell is None:
            said = "\n".join(strings(exchange.json))
            cell = next((cell for text, cell in mapped.items() if text in said), None)
        found.append(str(cell) if cell is not None else f"not a cell's whole body: {exchange.raw[:300]!r}")
    return found


def _begin(text: str) -> str:
    """What stays in one piece where a value is cut."""
    return text[:-5]


def shown(cells: Sequence[Cell], house: House) -> Iterator[str]:
    """The places in which a value of these cells is to be seen after all, with its cell."""
    named = {mark: cell for cell in cells for mark in marks(cell, planted(cell))}
    for mark in house.cloud.saw_which(named):
        yield f"outside: {named[mark]}"
    places = list(house.kept())
    for place, start in _found([mark.encode() for mark in named], [data for _, data in places]):
        cell = named[start.decode()]
        if cell.entity != TERM or not places[place][0].startswith("the disk"):  # there the policy itself may stand
            yield f"{places[place][0]}: {cell}"


def _found(needles: Sequence[bytes], haystacks: Sequence[bytes]) -> Iterator[tuple[int, bytes]]:
    """(number of the haystack, needle) of every needle that is in a haystack, as it is or with JSON's escapes."""
    literals = re2.Set.SearchSet(_options())
    forms = {form: needle for needle in needles for form in {needle, json.dumps(needle.decode())[1:-1].encode()}}
    for form in forms:
        literals.Add(re2.escape(form))
    literals.Compile()
    ordered = list(forms.values())
    for number, haystack in enumerate(haystacks):
        for needle, _ in groupby(sorted(ordered[index] for index in literals.Match(haystack) or ())):
            yield number, needle


def _options() -> re2.Options:
    options = re2.Options()
    options.max_mem = 2 << 30
    options.encoding = re2.Options.Encoding.LATIN1
    return options
