"""Questions about a text that is given: what stands in it, what kind it is, and its facts as JSON."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable

from classifiers.training.everyday_row import ANIMALS, CITIES, COLOURS, DAYS, PEOPLE, Row, others

_GOODS = ("a lamp", "two chairs", "a desk", "a printer", "three mugs", "a bicycle", "a kettle", "a backpack")
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
        "Both boxers were tired after the tenth round.",
    ),
    "cooking": (
        "Bake the bread for forty minutes until golden.",
        "Chop the onions and fry them in butter.",
        "Add a pinch of salt to the soup.",
        "Whisk the eggs with sugar and flour.",
        "Let the sauce simmer until it thickens.",
    ),
    "weather": (
        "Heavy rain and strong winds are expected tonight.",
        "Tomorrow will be sunny with a high of 25 degrees.",
        "Snow fell on the hills this morning.",
        "Thick fog will clear by noon.",
        "A thunderstorm is moving in from the west.",
    ),
}
_INTENTS = {
    "refund": (
        "I want my money back for this order.",
        "Please return my payment, the product is faulty.",
        "Give me a refund, the shoes do not fit.",
        "I was charged twice and would like that back.",
    ),
    "delivery": (
        "Where is my parcel? It should have arrived.",
        "When will my package get here?",
        "My order is late.",
        "Can you track my shipment?",
    ),
    "password": (
        "I cannot log in, I forgot my password.",
        "How do I reset my password?",
        "My login does not work any more.",
        "I need a new password.",
    ),
    "cancel": (
        "Please end my subscription.",
        "I do not want to renew, stop my membership.",
        "Cancel my plan today.",
        "I would like to close my account.",
    ),
}


def extraction(draw: random.Random) -> Iterable[Row]:
    """A name, a place, a day, a number out of a sentence or two."""
    for _ in range(18):
        person, city, day = draw.choice(PEOPLE), draw.choice(CITIES), draw.choice(DAYS)
        text = f"{person} is flying to {city} on {day} to meet a customer."
        yield Row(f"Which city is named in this sentence? {text}", city, "mention", (day,))
        yield Row(f'Text: "{text}"\nOn which day does the flight leave?', day, "mention", others(DAYS, day))
        yield Row(f"Who travels? Answer with the name only. {text}", person, "mention", (day,))
    for _ in range(16):
        number, goods, price = draw.randint(1000, 99999), draw.choice(_GOODS), draw.randint(5, 400)
        text = f"Order {number}: {goods}, delivered on {draw.choice(DAYS)}, total {price} dollars."
        yield Row(f"{text}\n\nWhat is the order number?", str(number), "number")
        yield Row(f"Read this note and answer with the total price only. {text}", str(price), "number")
    for _ in range(12):
        (person, other), colour = draw.sample(PEOPLE, 2), draw.choice(COLOURS)
        yield Row(f"{person} bought a {colour} car last year. What colour is the car?", colour)
        animal, second = draw.sample(ANIMALS, 2)
        text = f"{person} has a {animal}, and {other} has a {second}."
        yield Row(f"{text} Which animal does {other} have?", second, "mention", (animal,))


def classification(_: random.Random) -> Iterable[Row]:
    """Feelings, topics and wishes, with the labels named."""
    for label, other, texts in (("positive", "negative", _POSITIVE), ("negative", "positive", _NEGATIVE)):
        for text in texts:
            yield Row(f"Is this review positive or negative? {text}", label, "mention", (other,))
            yield Row(
                f'Classify the sentiment as "positive" or "negative". Answer with one word.\nReview: {text}',
                label,
                "mention",
                (other,),
            )
    for topic, lines in _TOPICS.items():
        wrong = others(tuple(_TOPICS), topic)
        for text in lines:
            yield Row(f"Is this sentence about sports, cooking or weather? {text}", topic, "mention", wrong)
            yield Row(f"Topic (one of: sports, cooking, weather) of the text: {text}", topic, "mention", wrong)
    names = ", ".join(_INTENTS)
    for intent, messages in _INTENTS.items():
        wrong = others(tuple(_INTENTS), intent)
        for text in messages:
            yield Row(f'Which of these labels fits the message: {names}? Message: "{text}"', intent, "mention", wrong)
            yield Row(f"Label the request with one word ({names}).\nRequest: {text}\nLabel:", intent, "mention", wrong)


def records(draw: random.Random) -> Iterable[Row]:
    """Facts of a sentence as a JSON object or array."""
    for _ in range(20):
        person, age, city = draw.choice(PEOPLE), draw.randint(18, 80), draw.choice(CITIES)
        yield Row(
            f'Write a JSON object with the keys "name" and "age" for this person: {person} is {age} years old.',
            json.dumps({"name": person, "age": age}),
            "json",
        )
        yield Row(
            f'Give me JSON with "name" and "city". {person} lives in {city}.',
            json.dumps({"name": person, "city": city}),
            "json",
        )
        three = draw.sample(ANIMALS, draw.randint(2, 4))
        yield Row(f"Write this list as a JSON array of strings: {', '.join(three)}", json.dumps(three), "json")
        numbers = [draw.randint(1, 30) for _ in range(draw.randint(2, 4))]
        listing = ", ".join(map(str, numbers))
        yield Row(f"Turn these numbers into a JSON array: {listing}", json.dumps(numbers), "json")
        item, price = draw.choice(_GOODS).split(" ", 1)[1], draw.randint(2, 90)
        yield Row(
            f'Extract as JSON: "item" (a string) and "price" (a number). Text: The {item} costs {price} dollars.',
            json.dumps({"item": item, "price": price}),
            "json",
        )
        colour = draw.choice(COLOURS)
        yield Row(
            f'Answer with a JSON object that has one key, "colour", for this text: the {item} is {colour}.',
            json.dumps({"colour": colour}),
            "json",
        )
