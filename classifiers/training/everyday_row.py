"""One generated question before it has a name, and words that several tasks draw from."""

from __future__ import annotations

from typing import NamedTuple

from router.calibration.questions import Grader


class Row(NamedTuple):
    """As `router.calibration.questions.Question`, without id and task."""

    prompt: str
    truth: str
    grader: Grader = "mention"
    wrong: tuple[str, ...] = ()


PEOPLE = ("Maria", "John", "Aisha", "Peter", "Lena", "Carlos", "Yuki", "Omar", "Sofia", "Tom", "Nina", "Viktor")
CITIES = ("Boston", "Madrid", "Osaka", "Vienna", "Toronto", "Lagos", "Dublin", "Lyon", "Prague", "Denver")
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
COLOURS = ("red", "blue", "green", "yellow", "black", "white", "brown", "purple")
ANIMALS = ("dog", "cat", "horse", "zebra", "lion", "bear", "eagle", "frog", "goat", "ant", "mouse", "wolf")
FRUITS = ("apple", "banana", "cherry", "lemon", "mango", "orange", "peach", "pear", "plum", "melon", "grape", "fig")
PLAIN = (
    "table", "garden", "window", "music", "river", "summer", "bottle", "letter", "planet", "silver", "candle", "forest",
    "bridge", "kitchen", "market", "winter", "pencil", "button", "island", "castle",
)  # fmt: skip


def pairs(table: str) -> list[tuple[str, str]]:
    """`left:right` entries parted by blanks; `_` stands for a blank."""
    entries = (entry.partition(":") for entry in table.split())
    return [(left.replace("_", " "), right.replace("_", " ")) for left, _, right in entries]


def others(all_of_them: tuple[str, ...], one: str) -> tuple[str, ...]:
    """All but one: the labels that a right answer must not mention."""
    return tuple(each for each in all_of_them if each != one)
