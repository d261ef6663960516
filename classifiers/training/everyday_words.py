"""Questions about the form of words and lists: case, order, plurals, tenses, separators."""

from __future__ import annotations

import random
from collections.abc import Iterable

from classifiers.training.everyday_row import ANIMALS, FRUITS, PEOPLE, PLAIN, Row, pairs

_PLURALS = pairs(
    "cat:cats book:books house:houses box:boxes city:cities child:children mouse:mice foot:feet leaf:leaves "
    "knife:knives man:men tooth:teeth bus:buses baby:babies apple:apples dish:dishes wolf:wolves goose:geese"
)
_PASTS = pairs(
    "walk:walked play:played go:went eat:ate see:saw take:took write:wrote run:ran buy:bought think:thought come:came "
    "give:gave sing:sang open:opened talk:talked jump:jumped make:made sleep:slept know:knew fly:flew "
    "swim:swam speak:spoke"
)
_NEGATIONS = (
    ("The door is open.", "The door is not open|The door isn't open"),
    ("She is happy.", "She is not happy|She isn't happy"),
    ("We are late.", "We are not late|We aren't late"),
    ("It is raining.", "It is not raining|It isn't raining"),
    ("They are at home.", "They are not at home|They aren't at home"),
    ("He is my brother.", "He is not my brother|He isn't my brother"),
)
_SENTENCES = (
    "the weather is nice today",
    "my brother lives in a big city",
    "we eat dinner at seven",
    "she reads a book every week",
    "the train was late again",
    "please close the door",
    "our cat sleeps all day",
    "they play chess on sundays",
)


def formatting(draw: random.Random) -> Iterable[Row]:
    """Capitals, separators, repetitions: a form that is asked for to the letter."""
    for word in PLAIN:
        yield Row(f"Write the word {word} in capital letters. Answer with the word only.", word.upper(), "exact")
        yield Row(f'What is the first letter of the word "{word}"? Answer with one letter.', word[0].upper(), "label")
    for _ in range(16):
        three = draw.sample(ANIMALS, 3)
        listing = ", ".join(three)
        yield Row(f"Write these words on one line without commas, nothing else: {listing}", " ".join(three), "exact")
        yield Row(f"Write these words as a numbered list: {listing}", listing, "items")
        yield Row(f"Join these words with hyphens, like a-b-c: {listing}", _hyphenated(three), "verbatim")
        word, times = draw.choice(PLAIN), draw.randint(2, 4)
        truth = " ".join([word] * times)
        yield Row(f"Repeat the word {word} {times} times, separated by spaces. Nothing else.", truth, "exact")
        yield Row(f'Put the word "{word}" in brackets, like this: [tree]', f"[{word}]", "exact")


def _hyphenated(words: list[str]) -> str:
    return "|".join("-".join(map(form, words)) for form in (str.lower, str.capitalize, str.upper))


def rewriting(draw: random.Random) -> Iterable[Row]:
    """Plurals, tenses, negations, capitals, one word in place of another."""
    for word, plural in _PLURALS:
        yield Row(f'What is the plural of "{word}"?', plural)
        yield Row(f'Plural of the noun "{word}"? One word only.', plural)
    for verb, past in _PASTS:
        yield Row(f'What is the past tense of the verb "{verb}"? Answer with one word.', past)
    for sentence, negated in _NEGATIONS:
        yield Row(f'Make this sentence negative: "{sentence}"', negated, "label")
    for sentence in _SENTENCES:
        capital = sentence[0].upper() + sentence[1:]
        yield Row(
            f'Write this sentence with a capital letter at the start and nothing else changed: "{sentence}"',
            capital,
            "exact",
        )
        yield Row(f'Rewrite in upper case: "{sentence}"', sentence.upper(), "exact")
        yield Row(f'Repeat this sentence exactly: "{capital}."', capital, "exact")
    for _ in range(14):
        (one, other), animal = draw.sample(PEOPLE, 2), draw.choice(ANIMALS)
        text = f"{one} has a {animal}"
        yield Row(
            f'Replace the name {one} with {other} in this sentence: "{text}."',
            f"{other} has a {animal}",
            "mention",
            (one,),
        )


def sorting(draw: random.Random) -> Iterable[Row]:
    """Words and numbers put in order, turned round, or the first and last of an order found."""
    for _ in range(14):
        words = draw.sample(draw.choice((ANIMALS, FRUITS)), draw.randint(2, 4))
        listing = ", ".join(words)
        yield Row(f"Sort these words alphabetically, separated by commas: {listing}", ", ".join(sorted(words)), "items")
        yield Row(
            f"Which of these words comes first in the alphabet: {listing}?",
            min(words),
            "mention",
            tuple(sorted(words)[1:]),
        )
        yield Row(f"Write this list in reverse order: {listing}", ", ".join(reversed(words)), "items")
        numbers = draw.sample(range(1, draw.choice((9, 30, 200))), draw.randint(2, 4))
        listing = ", ".join(map(str, numbers))
        ordered = ", ".join(map(str, sorted(numbers)))
        yield Row(f"Sort these numbers from smallest to largest: {listing}", ordered, "items")
        yield Row(f"Which number is the largest: {listing}? Answer with the number only.", str(max(numbers)), "number")
        yield Row(
            f"Which is smaller, {numbers[0]} or {numbers[1]}?",
            str(min(numbers[:2])),
            "mention",
            (str(max(numbers[:2])),),
        )
        words = draw.sample(PLAIN, 3)
        listing = ", ".join(words)
        yield Row(f"What is the last word of this list? {listing}", words[-1], "mention", tuple(words[:-1]))
        yield Row(f"What is the second word of this list? {listing}", words[1], "mention", (words[0], words[2]))
