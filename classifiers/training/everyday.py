"""Everyday questions with programmatic truth: made from a seed, graded by rule, never by a model or a person.

`python -m classifiers.training.everyday` writes `everyday.jsonl` beside this file; the same seed gives the same bytes.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from typing import Literal

Grader = Literal["mention", "label", "number", "exact", "json"]
SEED = 20261120
_WORD = re.compile(r"\w+", re.UNICODE)
_SENTENCE_END = re.compile(r"[.!?]\s|\n")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


@dataclass(frozen=True, slots=True)
class Question:
    """One question: `truth` is what a right answer holds (spellings parted by `|`), `wrong` what it must not mention.

    `wrong` are the other labels, or what else stands in the text that was given: to repeat all of it is no answer.
    """

    id: str
    task: str
    prompt: str
    truth: str
    grader: Grader
    wrong: tuple[str, ...] = ()


def is_right(question: Question, answer: str) -> bool:
    """Whether the answer meets the question's rule.

    `mention`: the truth stands as whole words in its first sentence, and none of `wrong` does. `label`: the same of
    the whole answer. `number`: the last number in it is the truth. `exact`: equal but for surrounding space, quotes and
    full stops. `json`: the first JSON value in it equals the truth.
    """
    return _GRADERS[question.grader](question, answer)


def load() -> list[Question]:
    """The committed set, in file order."""
    text = (files("classifiers.training") / "everyday.jsonl").read_text("utf-8")
    rows = (json.loads(line) for line in text.splitlines())
    return [Question(**{**row, "wrong": tuple(row["wrong"])}) for row in rows]


def generate(seed: int = SEED) -> list[Question]:
    """About 400 questions of five tasks, no two with the same prompt."""
    questions: list[Question] = []
    seen: set[str] = set()
    for task, make in _TASKS.items():
        random_source = random.Random(f"{seed}/{task}")  # noqa: S311  # a reproducible draw, not a secret
        for prompt, truth, grader, wrong in make(random_source):
            if prompt not in seen:
                seen.add(prompt)
                questions.append(Question(f"{task}/{len(questions)}", task, prompt, truth, grader, wrong))
    return questions


def _words(text: str) -> str:
    return " " + " ".join(_WORD.findall(text.lower())) + " "


def _mentions(answer: str, term: str) -> bool:
    words = _words(answer)
    return any(_words(spelling) in words for spelling in term.split("|"))


def _grade_mention(question: Question, answer: str) -> bool:
    return _grade_label(question, _SENTENCE_END.split(answer.strip(), maxsplit=1)[0])


def _grade_label(question: Question, answer: str) -> bool:
    return _mentions(answer, question.truth) and not any(_mentions(answer, other) for other in question.wrong)


def _grade_number(question: Question, answer: str) -> bool:
    numbers = _NUMBER.findall(answer.replace(",", ""))
    return bool(numbers) and float(numbers[-1]) == float(question.truth)


def _grade_exact(question: Question, answer: str) -> bool:
    return answer.strip(" \t\r\n\"'`.") == question.truth


def _grade_json(question: Question, answer: str) -> bool:
    start = re.search(r"[{\[]", answer)
    if start is None:
        return False
    try:
        value, _ = json.JSONDecoder().raw_decode(answer, start.start())
    except ValueError:
        return False
    return bool(value == json.loads(question.truth))


_GRADERS: dict[Grader, Callable[[Question, str], bool]] = {
    "mention": _grade_mention,
    "label": _grade_label,
    "number": _grade_number,
    "exact": _grade_exact,
    "json": _grade_json,
}

_Row = tuple[str, str, Grader, tuple[str, ...]]

_CAPITALS = (
    "France:Paris Germany:Berlin Italy:Rome Spain:Madrid Portugal:Lisbon Greece:Athens Austria:Vienna Poland:Warsaw "
    "Hungary:Budapest Sweden:Stockholm Norway:Oslo Finland:Helsinki Denmark:Copenhagen Ireland:Dublin Belgium:Brussels "
    "Japan:Tokyo China:Beijing Thailand:Bangkok Vietnam:Hanoi Egypt:Cairo Kenya:Nairobi Nigeria:Abuja Ghana:Accra "
    "Canada:Ottawa Cuba:Havana Peru:Lima Chile:Santiago Ecuador:Quito Uruguay:Montevideo Turkey:Ankara Iran:Tehran "
    "Iraq:Baghdad Nepal:Kathmandu Ukraine:Kyiv|Kiev Latvia:Riga Estonia:Tallinn Bulgaria:Sofia Croatia:Zagreb "
    "Serbia:Belgrade"
)
_OPPOSITES = (
    "hot:cold up:down big:small fast:slow rich:poor early:late full:empty open:closed strong:weak light:dark wet:dry "
    "young:old loud:quiet thick:thin hard:soft"
)
_SYMBOLS = "gold:Au silver:Ag iron:Fe oxygen:O hydrogen:H carbon:C sodium:Na helium:He copper:Cu lead:Pb"
_FACTS = (
    ("How many days are in a week?", "7", "number"),
    ("How many months are in a year?", "12", "number"),
    ("How many legs does a spider have?", "8", "number"),
    ("How many continents are there?", "7", "number"),
    ("How many minutes are in an hour?", "60", "number"),
    ("How many sides does a hexagon have?", "6", "number"),
    ("At how many degrees Celsius does water boil?", "100", "number"),
    ("What planet do we live on?", "Earth", "mention"),
    ("Which planet is the largest in the solar system?", "Jupiter", "mention"),
    ("Which ocean is the largest?", "Pacific", "mention"),
    ("Who wrote Romeo and Juliet?", "Shakespeare", "mention"),
    ("Who painted the Mona Lisa?", "Leonardo da Vinci", "mention"),
    ("What colour do you get when you mix blue and yellow?", "green", "mention"),
    ("What is the tallest mountain in the world?", "Everest", "mention"),
    ("Which language is spoken in Brazil?", "Portuguese", "mention"),
    ("Which gas do plants take in from the air?", "carbon dioxide", "mention"),
    ("What is frozen water called?", "ice", "mention"),
    ("What do bees make?", "honey", "mention"),
)


def _pairs(table: str) -> list[tuple[str, str]]:
    return [(left, right) for left, _, right in (entry.partition(":") for entry in table.split())]


def _facts(_: random.Random) -> Iterable[_Row]:
    for country, capital in _pairs(_CAPITALS):
        yield f"What is the capital of {country}?", capital, "mention", ()
    for word, opposite in _pairs(_OPPOSITES):
        yield f'What is the opposite of "{word}"? Answer with one word.', opposite, "mention", ()
    for element, symbol in _pairs(_SYMBOLS):
        yield f"What is the chemical symbol of {element}? Answer with the symbol only.", symbol, "mention", ()
    for prompt, truth, grader in _FACTS:
        yield prompt, truth, "number" if grader == "number" else "mention", ()


def _sums(draw: random.Random) -> Iterable[_Row]:
    for top in (10, 10, 20, 50, 100):
        for _ in range(6):
            a, b = draw.randint(1, top), draw.randint(1, top)
            yield f"What is {a} + {b}?", str(a + b), "number", ()
            yield f"What is {a + b} - {b}? Answer with the number only.", str(a), "number", ()
    for _ in range(12):
        a, b = draw.randint(2, 12), draw.randint(2, 12)
        yield f"What is {a} times {b}?", str(a * b), "number", ()
    for name, thing in zip(("Anna", "Ben", "Carla", "David", "Ella", "Farid", "Grace", "Hugo"), _THINGS, strict=True):
        a, b = draw.randint(3, 15), draw.randint(1, 9)
        prompt = f"{name} has {a} {thing} and gets {b} more. How many {thing} does {name} have now?"
        yield prompt, str(a + b), "number", ()


_THINGS = ("apples", "books", "coins", "pencils", "stamps", "cards", "marbles", "shells")
_PEOPLE = ("Maria", "John", "Aisha", "Peter", "Lena", "Carlos", "Yuki", "Omar", "Sofia", "Tom")
_CITIES = ("Boston", "Madrid", "Osaka", "Vienna", "Toronto", "Lagos", "Dublin", "Lyon", "Prague", "Denver")
_WEEK = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday")
_GOODS = ("a lamp", "two chairs", "a desk", "a printer", "three mugs", "a bicycle", "a kettle", "a backpack")
_COLOURS = ("red", "blue", "green", "yellow", "black", "white")


def _extraction(draw: random.Random) -> Iterable[_Row]:
    for _ in range(16):
        person, city, day = draw.choice(_PEOPLE), draw.choice(_CITIES), draw.choice(_WEEK)
        text = f"{person} is flying to {city} on {day} to meet a customer."
        yield f"Which city is named in this sentence? {text}", city, "label", (day,)
        yield (
            f'Text: "{text}"\nOn which day does the flight leave?',
            day,
            "label",
            tuple(other for other in _WEEK if other != day),
        )
        yield f"Who travels? Answer with the name only. {text}", person, "label", (day,)
    for _ in range(16):
        number, goods, price = draw.randint(1000, 99999), draw.choice(_GOODS), draw.randint(5, 400)
        text = f"Order {number}: {goods}, delivered on {draw.choice(_WEEK)}, total {price} dollars."
        yield f"{text}\n\nWhat is the order number?", str(number), "number", ()
        yield f"Read this note and answer with the total price only. {text}", str(price), "number", ()
    for _ in range(10):
        person, colour = draw.choice(_PEOPLE), draw.choice(_COLOURS)
        yield f"{person} bought a {colour} car last year. What colour is the car?", colour, "mention", ()


_POSITIVE = (
    "I love this phone, it works perfectly.",
    "The food was delicious and the staff were friendly.",
    "What a wonderful film, I would watch it again.",
    "Great service, fast delivery, very happy.",
    "The hotel was clean and the view was beautiful.",
    "This is the best coffee that I have ever had.",
    "Excellent quality, I recommend it to everyone.",
    "The course was clear, useful and fun.",
    "My daughter adores her new bike.",
    "Everything arrived on time and in perfect condition.",
)
_NEGATIVE = (
    "This phone broke after two days, I want my money back.",
    "The food was cold and the waiter was rude.",
    "A boring film, I fell asleep.",
    "Terrible service, nobody answered my calls.",
    "The room was dirty and smelled awful.",
    "The coffee tasted burnt and bitter.",
    "Poor quality, do not buy it.",
    "The course was a waste of time.",
    "The bike fell apart in the first week.",
    "The parcel came late and everything in it was damaged.",
)
_TOPICS = {
    "sports": (
        "The team scored two goals in the last five minutes.",
        "She won the tennis final in three sets.",
        "The runner broke the marathon record.",
        "The coach changed the goalkeeper before the match.",
    ),
    "cooking": (
        "Bake the bread for forty minutes until golden.",
        "Chop the onions and fry them in butter.",
        "Add a pinch of salt to the soup.",
        "Whisk the eggs with sugar and flour.",
    ),
    "weather": (
        "Heavy rain and strong winds are expected tonight.",
        "Tomorrow will be sunny with a high of 25 degrees.",
        "Snow fell on the hills this morning.",
        "Thick fog will clear by noon.",
    ),
}


def _classification(_: random.Random) -> Iterable[_Row]:
    for label, other, texts in (("positive", "negative", _POSITIVE), ("negative", "positive", _NEGATIVE)):
        for text in texts:
            yield f"Is this review positive or negative? {text}", label, "label", (other,)
            prompt = f'Classify the sentiment as "positive" or "negative". Answer with one word.\nReview: {text}'
            yield prompt, label, "label", (other,)
    for topic, lines in _TOPICS.items():
        others = tuple(other for other in _TOPICS if other != topic)
        for text in lines:
            yield f"Is this sentence about sports, cooking or weather? {text}", topic, "label", others
            yield f"Topic (one of: sports, cooking, weather) of the text: {text}", topic, "label", others


_PLAIN_WORDS = (
    "table", "garden", "window", "music", "river", "summer", "bottle", "letter", "planet", "silver", "candle", "forest",
    "bridge",
)  # fmt: skip
_ANIMALS = ("dog", "cat", "horse", "zebra", "lion", "bear", "eagle", "frog", "goat", "ant", "mouse", "wolf")


def _formatting(draw: random.Random) -> Iterable[_Row]:
    for word in _PLAIN_WORDS:
        yield f"Write the word {word} in capital letters. Answer with the word only.", word.upper(), "exact", ()
        yield f'What is the first letter of the word "{word}"? Answer with one letter.', word[0].upper(), "label", ()
    for _ in range(12):
        three = draw.sample(_ANIMALS, 3)
        listing = ", ".join(three)
        yield f"Write this list as a JSON array of strings: {listing}", json.dumps(three), "json", ()
        yield (
            f"Sort these words alphabetically, separated by commas: {listing}",
            ", ".join(sorted(three)),
            "mention",
            (),
        )
        truth = " ".join(three)
        yield f"Write these words on one line without commas, nothing else: {listing}", truth, "exact", ()
    for _ in range(12):
        person, age = draw.choice(_PEOPLE), draw.randint(18, 80)
        prompt = f'Write a JSON object with the keys "name" and "age" for this person: {person} is {age} years old.'
        yield prompt, json.dumps({"name": person, "age": age}), "json", ()
    for _ in range(10):
        word, times = draw.choice(_PLAIN_WORDS), draw.randint(2, 4)
        truth = " ".join([word] * times)
        yield f"Repeat the word {word} {times} times, separated by spaces. Nothing else.", truth, "exact", ()


_TASKS: dict[str, Callable[[random.Random], Iterable[_Row]]] = {
    "facts": _facts,
    "sums": _sums,
    "extraction": _extraction,
    "classification": _classification,
    "formatting": _formatting,
}


def render(questions: Iterable[Question]) -> str:
    """The file's text: one JSON object a line."""
    return "".join(json.dumps(asdict(question), ensure_ascii=False) + "\n" for question in questions)


def main() -> None:
    """Write the set beside this module."""
    Path(__file__).with_name("everyday.jsonl").write_text(render(generate()), "utf-8")


if __name__ == "__main__":
    main()
