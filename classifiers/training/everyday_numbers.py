"""Questions whose truth is computed: sums, word problems, dates, counting, and what a few lines of code print."""

from __future__ import annotations

import random
from calendar import monthrange
from collections.abc import Iterable
from datetime import date, timedelta

from classifiers.training.everyday_row import DAYS, MONTHS, PEOPLE, PLAIN, Row, others

_THINGS = ("apples", "books", "coins", "pencils", "stamps", "cards", "marbles", "shells", "stickers", "eggs")


def _number(prompt: str, value: int) -> Row:
    return Row(prompt, str(value), "number")


def sums(draw: random.Random) -> Iterable[Row]:
    """One operation, from single digits to three."""
    for top in (9, 9, 9, 20, 50, 100, 100, 900):
        for _ in range(5):
            a, b = draw.randint(1, top), draw.randint(1, top)
            yield _number(f"What is {a} + {b}?", a + b)
            yield _number(f"What is {a + b} - {b}? Answer with the number only.", a)
            yield _number(f"Calculate {a} plus {b}.", a + b)
    for top in (5, 9, 12, 12):
        for _ in range(8):
            a, b = draw.randint(2, top), draw.randint(2, top)
            yield _number(f"What is {a} times {b}?", a * b)
            yield _number(f"What is {a * b} divided by {a}?", b)


def problems(draw: random.Random) -> Iterable[Row]:
    """A sum told as a story, with one step or two."""
    for _ in range(20):
        name, thing = draw.choice(PEOPLE), draw.choice(_THINGS)
        a, b, c = draw.randint(3, 20), draw.randint(1, 9), draw.randint(2, 6)
        yield _number(f"{name} has {a} {thing} and gets {b} more. How many {thing} does {name} have now?", a + b)
        yield _number(f"{name} had {a + b} {thing} and gave away {b}. How many {thing} are left?", a)
        yield _number(f"A box holds {b} {thing}. How many {thing} are in {c} boxes?", b * c)
        yield _number(f"{name} shares {b * c} {thing} equally among {c} friends. How many does each friend get?", b)
        price = draw.randint(2, 9)
        yield _number(
            f"One ticket costs {price} dollars. {name} buys {c} tickets and pays with a 100 dollar note. "
            "How many dollars does the cashier give back?",
            100 - price * c,
        )
        yield _number(f"{name} is {a + 10} years old. How old will {name} be in {b} years?", a + 10 + b)


def dates(draw: random.Random) -> Iterable[Row]:
    """Days, months, hours: what comes next, how long between."""
    for place, day in enumerate(DAYS):
        after, before = DAYS[(place + 1) % 7], DAYS[(place - 1) % 7]
        yield Row(f"Which day comes after {day}?", after, "mention", _but(DAYS, day, after))
        yield Row(
            f"Which day comes before {day}? Answer with the day only.", before, "mention", _but(DAYS, day, before)
        )
        step = draw.randint(2, 5)
        later = DAYS[(place + step) % 7]
        yield Row(
            f"If today is {day}, which day will it be in {step} days? Name the day only.",
            later,
            "mention",
            others(DAYS, later),
        )
    for place, month in enumerate(MONTHS):
        later, sooner = MONTHS[(place + 1) % 12], MONTHS[place - 1]
        yield Row(f"Which month comes after {month}?", later, "mention", _but(MONTHS, month, later))
        yield Row(f"Which month comes before {month}?", sooner, "mention", _but(MONTHS, month, sooner))
        days = monthrange(2027, place + 1)[1]
        yield _number(f"How many days does {month} have in a year that is not a leap year?", days)
    for _ in range(30):
        start, hours = draw.randint(7, 14), draw.randint(1, 8)
        yield Row(
            f"A meeting starts at {start}:00 and lasts {hours} hours. When does it end? Use the 24-hour clock.",
            f"{start + hours}:00|{start + hours} 00",
            "label",
            (f"{start + hours}:00 PM|{start + hours} PM",),
        )
        first = date(2026, draw.randint(1, 12), draw.randint(1, 20))
        days = draw.randint(2, 8)
        last = first + timedelta(days=days)
        yield _number(
            f"How many days are there from {MONTHS[first.month - 1]} {first.day} to "
            f"{MONTHS[last.month - 1]} {last.day}? Answer with the number only.",
            days,
        )


def _but(names: tuple[str, ...], asked: str, truth: str) -> tuple[str, ...]:
    """The names that a right answer to a question about `asked` must not give."""
    return tuple(each for each in names if each not in (asked, truth))


def counting(draw: random.Random) -> Iterable[Row]:
    """Letters, words and items."""
    for word in PLAIN:
        yield _number(f'How many letters are in the word "{word}"?', len(word))
        letter = draw.choice(word)
        yield _number(f'How many times does the letter "{letter}" stand in "{word}"?', word.count(letter))
    for _ in range(40):
        items = draw.sample(PLAIN, draw.randint(2, 6))
        yield _number(f"How many words are in this list? {', '.join(items)}", len(items))
        word, other = draw.sample(PLAIN, 2)
        times, more = draw.randint(1, 4), draw.randint(1, 3)
        mixed = [word] * times + [other] * more
        draw.shuffle(mixed)
        yield _number(f'How many times is "{word}" written here? {" ".join(mixed)}', times)


def code(draw: random.Random) -> Iterable[Row]:
    """What a short Python program prints."""
    for _ in range(25):
        a, b, c = draw.randint(2, 9), draw.randint(2, 9), draw.randint(2, 5)
        word, other = draw.sample(PLAIN, 2)
        yield _number(f"What does this Python code print?\n\nx = {a}\ny = {b}\nprint(x + y)", a + b)
        yield _number(f"What does this Python code print?\n\nx = {a}\nx = x * {c}\nprint(x)", a * c)
        yield _number(f'What is the output of `print(len("{word}"))` in Python?', len(word))
        yield Row(f'What does this Python code print?\n\nprint("{word}".upper())', word.upper(), "verbatim")
        bigger = "yes" if a > b else "no"
        other_word = "no" if a > b else "yes"
        yield Row(
            f'What does this Python code print?\n\nif {a} > {b}:\n    print("yes")\nelse:\n    print("no")',
            bigger,
            "mention",
            (other_word,),
        )
        names = [word, other]
        yield Row(
            f"In Python, names = {names!r}. What is names[{c % 2}]?", names[c % 2], "mention", (names[1 - c % 2],)
        )
