"""Public English texts for load tests, no two alike, in which nothing is found: that is checked, not hoped."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

from classifiers.pipeline import Pipeline
from policies.levels import scan_level
from policies.types import Level, Policy

_SENTENCES = """\
How do I keep bread fresh for more than two days?
What is the difference between a river and a stream?
Please explain how a bicycle stays upright when it moves.
Which vegetables can be planted early in the spring?
Why does the sky look red in the evening?
How long should rice be boiled before it is ready?
Give me three ideas for a quiet evening at home.
What makes the leaves of a tree change their colour?
How can I learn to play a simple song on the guitar?
Write one sentence that explains what an engine does.
What is a good way to remember new words?
How do birds find their way over long distances?
Which tools do I need to build a small wooden table?
What should be in a short introduction to a report?
How does soap remove grease from a plate?
Why is it colder on top of a mountain than below?
Explain in simple words what a neural network learns.
What is the best order in which to clean a kitchen?
How can a team agree on one plan without a long meeting?
Which exercises help against a stiff neck after a day at a desk?
What happens to water when it is heated slowly?
How do I write a loop that counts from one to ten?
Why do we have leap years in the calendar?
Suggest a title for a text about old lighthouses.
What is the shortest way to sort a list of numbers?
How are clouds formed above the sea?
Which games can be played with only a pencil and paper?
What does it mean when a metal is called an alloy?
How do I fold a letter so that it fits into an envelope?
Why do some materials carry electricity and others do not?
Make a list of things to pack for a weekend in the forest.
What is the difference between weather and climate?
How does a camera turn light into a picture?
Which kinds of wood are good for carving?
What can I cook with potatoes, onions and eggs?
How do I explain fractions to a child?
Why does ice float on water?
What should I check before I paint a wall?
How many hours of sleep does an adult usually need?
Which plants need only a little water and light?
What is the purpose of a table of contents?
How do magnets attract pieces of iron?
Write a short poem about rain on a window.
What are the steps of a simple experiment with plants?
How can noise in a large room be reduced?
Why do shadows grow longer in the afternoon?
What is a friendly way to end a letter?
How does a thermometer measure temperature?
""".splitlines()


def texts(characters: int, count: int, seed: int = 7) -> list[str]:
    """`count` texts of about so many characters, no two alike."""
    source = random.Random(seed)  # a reproducible draw, not a secret
    made: dict[str, None] = {}
    while len(made) < count:
        text = source.choice(_SENTENCES)
        while len(text) < characters:
            text += " " + source.choice(_SENTENCES)
        made[text[:characters].rsplit(" ", 1)[0]] = None
    return list(made)


def public_texts(characters: int, count: int, policy: Policy) -> list[str]:
    """`count` texts that are public under the policy, also with a number behind them.

    Exits when more than one made-up text in twenty is held: then it is no longer public traffic that is measured.
    """
    made = texts(characters, count + count // 20)
    kept = [text for text, level in zip(made, asyncio.run(_levels(made, policy)), strict=True) if level is Level.PUBLIC]
    if len(kept) < count:
        held = next(text for text in made if text not in kept)
        raise SystemExit(f"{len(made) - len(kept)} of {len(made)} made-up texts are not public, such as: {held}")
    return kept[:count]


async def _levels(made: Sequence[str], policy: Policy) -> list[Level]:
    pipeline = Pipeline(signals={}, budget_ms=60_000)
    bodies = ({"messages": [{"role": "user", "content": f"{text} q1234"}]} for text in made)
    return [scan_level(policy, (await pipeline.run(body, policy.scan_rules, "bench")).scan) for body in bodies]
