"""Frozen values that are made quickly are what dataclasses make of them, and as frozen."""

from __future__ import annotations

import copy
import pickle
from dataclasses import FrozenInstanceError, dataclass, field, fields, replace

import pytest

from classifiers.frozen import quickly_made
from classifiers.types import Signal


@dataclass(frozen=True, slots=True)
class Plain:
    """As `dataclass` makes it."""

    name: str
    size: int = 3
    tags: dict[str, int] = field(default_factory=dict, compare=False, repr=False)


@quickly_made
@dataclass(frozen=True, slots=True)
class Quick:
    """The same, made quickly."""

    name: str
    size: int = 3
    tags: dict[str, int] = field(default_factory=dict, compare=False, repr=False)


def test_it_holds_says_and_compares_what_a_dataclass_does() -> None:
    plain, quick = Plain("a", 4), Quick("a", size=4)
    assert repr(quick) == repr(plain).replace("Plain", "Quick")
    assert [getattr(quick, each.name) for each in fields(quick)] == ["a", 4, {}]
    assert quick == Quick("a", 4, {"x": 1}) != Quick("a")
    assert hash(quick) == hash(plain)
    assert type(quick) is Quick
    assert not hasattr(quick, "__dict__")


def test_no_two_values_share_a_default_that_is_made_for_each() -> None:
    assert Quick("a").tags is not Quick("a").tags


@pytest.mark.parametrize("value", [Quick("a"), Signal("complexity", 0.5)])
def test_nothing_of_it_can_be_set_deleted_or_added(value: object) -> None:
    for change in (lambda: setattr(value, "name", "b"), lambda: delattr(value, "name")):
        with pytest.raises(FrozenInstanceError):
            change()
    with pytest.raises((FrozenInstanceError, TypeError)):  # TypeError: Python's own, of a name that is no member
        value.other = 1  # type: ignore[attr-defined]


def test_it_can_be_replaced_copied_and_sent_to_another_process() -> None:
    quick = Quick("a", 4, {"x": 1})
    assert replace(quick, size=5) == Quick("a", 5)
    for again in (copy.copy(quick), copy.deepcopy(quick), pickle.loads(pickle.dumps(quick))):  # our own
        assert (again, again.tags, type(again)) == (quick, {"x": 1}, Quick)


@pytest.mark.parametrize("wrong", [{}, {"name": "a", "other": 1}, {"size": 3}])
def test_members_that_are_missing_or_unknown_are_an_error(wrong: dict[str, object]) -> None:
    with pytest.raises(TypeError):
        Quick(**wrong)  # type: ignore[arg-type]


def test_classes_of_which_it_would_make_something_else_are_refused() -> None:
    @dataclass(frozen=True, slots=True)
    class Child(Plain):
        more: int = 0

    @dataclass(frozen=True)
    class Open:
        name: str

    @dataclass(frozen=True, slots=True)
    class Computed:
        name: str = field(init=False)

    for each in (Child, Open, Computed):
        with pytest.raises(TypeError):
            quickly_made(each)
