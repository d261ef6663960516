"""Small work on texts: details to find, passages to answer from and to shorten, short messages to write."""

from __future__ import annotations

import random
from collections.abc import Iterable

from classifiers.training.everyday_row import CITIES, DAYS, MONTHS, PEOPLE, Row, others

_FIRMS = ("Northwind", "Bluewater", "Acme", "Greenfield", "Silverline", "Oakwood", "Redstone", "Brightway")
_MATTERS = ("the invoice", "the contract", "the meeting room", "the delivery", "the training", "the new laptop")
_JOBS = ("nurse", "teacher", "engineer", "chef", "lawyer", "gardener", "pilot", "dentist")
_PLACES = ("kitchen", "garage", "garden", "office", "library", "hall")
_OBJECTS = ("keys", "umbrella", "laptop", "wallet", "phone", "jacket")
_UNITS = (
    ("centimetres", "metre", 100), ("grams", "kilogram", 1000), ("minutes", "hour", 60), ("seconds", "minute", 60),
    ("days", "week", 7), ("months", "year", 12), ("hours", "day", 24), ("metres", "kilometre", 1000),
    ("millilitres", "litre", 1000), ("cents", "dollar", 100),
)  # fmt: skip


def contacts(draw: random.Random) -> Iterable[Row]:
    """An address, a number, a date or a sum of money out of a message."""
    for _ in range(15):
        person, firm, matter = draw.choice(PEOPLE), draw.choice(_FIRMS), draw.choice(_MATTERS)
        mail = f"{person.lower()}@{firm.lower()}.example"
        phone = f"555-01{draw.randint(10, 99)}"
        day = f"{draw.choice(MONTHS)} {draw.randint(1, 28)}"
        text = f"Please call {person} of {firm} about {matter} on {phone} or write to {mail} before {day}."
        yield Row(f"What is the email address in this text? {text}", mail, "mention", (phone,))
        yield Row(f"Find the phone number. Answer with the number only.\n{text}", phone, "mention", (mail,))
        yield Row(f"{text}\n\nBy which date should one write?", day, "mention", (phone,))
        yield Row(f"Which company is named here? {text}", firm, "mention", (phone,))


def passages(draw: random.Random) -> Iterable[Row]:
    """Who, where and what in three sentences."""
    for _ in range(15):
        (one, two), (lost, found) = draw.sample(PEOPLE, 2), draw.sample(_PLACES, 2)
        job, thing, city = draw.choice(_JOBS), draw.choice(_OBJECTS), draw.choice(CITIES)
        text = (
            f"{one} works as a {job} in {city}. Last week {one} left the {thing} in the {lost}. "
            f"{two} found the {thing} in the {found} and brought it back."
        )
        yield Row(f"{text}\n\nWhat is {one}'s job?", job, "mention", others(_JOBS, job))
        yield Row(f"Read the text and answer the question.\n{text}\nIn which city does {one} work?", city)
        yield Row(f"{text} Who found the {thing}?", two, "mention", (one,))
        yield Row(f"Where was the {thing} found? {text}", found, "mention", (lost,))


def summaries(draw: random.Random) -> Iterable[Row]:
    """One sentence or a title that keeps what matters."""
    for _ in range(15):
        person, city, day, job = draw.choice(PEOPLE), draw.choice(CITIES), draw.choice(DAYS), draw.choice(_JOBS)
        moved = (
            f"{person} has worked as a {job} for ten years. On {day} {person} will move to {city}. "
            "The new flat is close to a park and has a large balcony."
        )
        yield Row(f"Summarise in one sentence: {moved}", f"{person}, {city}", "words", ("balcony",))
        firm, number = draw.choice(_FIRMS), draw.randint(2, 9) * 10
        opened = (
            f"{firm} opened a new shop in {city} on {day}. The shop gives work to {number} people. "
            "Many customers came to see it, and there was free coffee."
        )
        yield Row(f"Give this text a short title.\n\n{opened}", firm, "words", ("coffee",))
        yield Row(f"What is this text about? Answer briefly. {opened}", f"{firm}, shop|store", "words", ("coffee",))
        yield Row(f"Shorten this to one short sentence: {opened}", f"{firm}, {city}", "words", ("coffee",))


def drafts(draw: random.Random) -> Iterable[Row]:
    """Short messages with what they must say. To say the task again is none of them."""
    for _ in range(15):
        person, day, city = draw.choice(PEOPLE), draw.choice(DAYS), draw.choice(CITIES)
        matter, thing = draw.choice(_MATTERS), draw.choice(_OBJECTS)
        for task, rest, truth in (
            ("Write a one-sentence message", f"to {person} that says the meeting is moved to {day}", f"{day}, meeting"),
            ("Write a short thank-you note", f"to {person} for the {thing}", f"{person}, thank|thanks, {thing}"),
            (f"Ask {person} politely", f"in one sentence about {matter}", matter.removeprefix("the ")),
            ("Write one sentence", f"with the words {thing} and {city}", f"{thing}, {city}"),
        ):
            yield Row(f"{task} {rest}.", truth, "words", (task,))


def units(draw: random.Random) -> Iterable[Row]:
    """Larger units in smaller ones."""
    for small, large, factor in _UNITS:
        for number in (1, *draw.sample(range(2, 8), 4)):
            many = large if number == 1 else f"{large}s"
            article = "a" if number == 1 and large != "hour" else "an" if number == 1 else str(number)
            yield Row(f"How many {small} are in {article} {many}?", str(number * factor), "number")
