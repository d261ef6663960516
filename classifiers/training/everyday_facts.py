"""Common knowledge: plain questions, to be answered with yes or no, with options, and words in other languages."""

from __future__ import annotations

import random
from collections.abc import Iterable

from classifiers.training.everyday_row import ANIMALS, Row, pairs

_CAPITALS = pairs(
    "France:Paris Germany:Berlin Italy:Rome Spain:Madrid Portugal:Lisbon Greece:Athens Austria:Vienna Poland:Warsaw "
    "Hungary:Budapest Sweden:Stockholm Norway:Oslo Finland:Helsinki Denmark:Copenhagen Ireland:Dublin Belgium:Brussels "
    "Japan:Tokyo China:Beijing Thailand:Bangkok Vietnam:Hanoi Egypt:Cairo Kenya:Nairobi Nigeria:Abuja Ghana:Accra "
    "Canada:Ottawa Cuba:Havana Peru:Lima Chile:Santiago Ecuador:Quito Uruguay:Montevideo Turkey:Ankara Iran:Tehran "
    "Iraq:Baghdad Nepal:Kathmandu Ukraine:Kyiv|Kiev Latvia:Riga Estonia:Tallinn Bulgaria:Sofia Croatia:Zagreb "
    "Serbia:Belgrade"
)
_OPPOSITES = pairs(
    "hot:cold up:down big:small|little fast:slow rich:poor early:late full:empty open:closed|shut strong:weak "
    "light:dark|heavy wet:dry young:old loud:quiet thick:thin hard:soft|easy"
)
_SYMBOLS = pairs("gold:Au silver:Ag iron:Fe oxygen:O hydrogen:H carbon:C sodium:Na helium:He copper:Cu lead:Pb")
_NUMBERS = (
    ("How many days are in a week?", "7"),
    ("How many months are in a year?", "12"),
    ("How many legs does a spider have?", "8"),
    ("How many continents are there?", "7"),
    ("How many minutes are in an hour?", "60"),
    ("How many sides does a hexagon have?", "6"),
    ("At how many degrees Celsius does water boil?", "100"),
    ("How many players does a soccer team have on the field?", "11"),
    ("How many letters does the English alphabet have?", "26"),
    ("How many strings does a violin have?", "4"),
    ("How many centimetres are in a metre?", "100"),
    ("How many wheels does a tricycle have?", "3"),
)
_NAMES = (
    ("What planet do we live on?", "Earth"),
    ("Which planet is the largest in the solar system?", "Jupiter"),
    ("Which ocean is the largest?", "Pacific"),
    ("Who wrote Romeo and Juliet?", "Shakespeare"),
    ("Who painted the Mona Lisa?", "Leonardo da Vinci"),
    ("What colour do you get when you mix blue and yellow?", "green"),
    ("What is the tallest mountain in the world?", "Everest"),
    ("Which language is spoken in Brazil?", "Portuguese"),
    ("Which gas do plants take in from the air?", "carbon dioxide|CO2"),
    ("What is frozen water called?", "ice"),
    ("What do bees make?", "honey"),
    ("Who developed the theory of relativity?", "Einstein"),
    ("Which animal is called the king of the jungle?", "lion"),
    ("What is the longest river in Africa?", "Nile"),
    ("Which country is shaped like a boot?", "Italy"),
    ("What is the young of a dog called?", "puppy|pup"),
    ("Which season comes after winter?", "spring"),
    ("What do you call a person who flies an aeroplane?", "pilot"),
    ("Which organ pumps blood through the body?", "heart"),
    ("Who was the first person to walk on the Moon?", "Armstrong"),
    ("What is the currency of Japan?", "yen"),
    ("Which metal is liquid at room temperature?", "mercury"),
    ("In which country are the pyramids of Giza?", "Egypt"),
    ("What is the name of the star that the Earth goes around?", "Sun"),
    ("Which instrument has 88 keys?", "piano"),
)

_TRUE = (
    "Paris is in France; A spider has eight legs; Water freezes at 0 degrees Celsius; The Sun is a star; "
    "A triangle has three sides; Ice is frozen water; Whales are mammals; Gold is a metal; Bees make honey; "
    "The Moon goes around the Earth; A week has seven days; Fish live in water; Berlin is the capital of Germany; "
    "Humans need oxygen to breathe; Fire is hot; An hour has 60 minutes; Birds have wings; Snow is white; "
    "The heart pumps blood; Tokyo is in Japan; Milk comes from cows; A car has an engine; Lemons are sour; "
    "Africa is a continent; Elephants are bigger than mice"
)
_FALSE = (
    "Paris is in Italy; A spider has six legs; Water boils at 50 degrees Celsius; The Sun is a planet; "
    "A triangle has four sides; Fire is cold; Whales are fish; Wood is a metal; Spiders make honey; "
    "The Sun goes around the Earth; A week has nine days; Cows live in the sea; Munich is the capital of Germany; "
    "Humans can breathe under water; Ice is hot; An hour has 100 minutes; Snakes have legs; Grass is blue; "
    "The lungs pump blood; Tokyo is in China; Milk comes from trees; A bicycle has an engine; Sugar is sour; "
    "Africa is a country in Europe; Mice are bigger than elephants"
)

_KINDS = {
    "animal": ANIMALS,
    "fruit": ("apple", "banana", "cherry", "mango", "pear", "plum"),
    "colour": ("red", "blue", "green", "yellow", "purple", "grey"),
    "tool": ("hammer", "saw", "drill", "wrench", "screwdriver"),
    "vehicle": ("car", "bus", "train", "truck", "bicycle", "aeroplane"),
    "piece of furniture": ("chair", "table", "sofa", "bed", "wardrobe"),
    "musical instrument": ("piano", "guitar", "violin", "drum", "flute"),
}

_ABROAD = {
    "Spanish": pairs(
        "water:agua house:casa dog:perro cat:gato red:rojo|roja book:libro milk:leche sun:sol thank_you:gracias "
        "good_morning:buenos_días|buenos_dias friend:amigo|amiga bread:pan night:noche school:escuela hello:hola "
        "white:blanco|blanca green:verde one:uno|una two:dos three:tres city:ciudad money:dinero time:tiempo"
    ),
    "French": pairs(
        "water:eau house:maison dog:chien cat:chat red:rouge book:livre milk:lait sun:soleil thank_you:merci "
        "good_morning:bonjour friend:ami|amie bread:pain night:nuit school:école|ecole hello:bonjour|salut "
        "white:blanc|blanche green:vert|verte one:un|une two:deux three:trois city:ville money:argent time:temps"
    ),
    "German": pairs(
        "water:Wasser house:Haus dog:Hund cat:Katze red:rot book:Buch milk:Milch sun:Sonne thank_you:danke "
        "good_morning:guten_Morgen friend:Freund|Freundin bread:Brot night:Nacht school:Schule hello:hallo white:weiß "
        "green:grün one:eins two:zwei three:drei city:Stadt money:Geld time:Zeit"
    ),
}


def facts(_: random.Random) -> Iterable[Row]:
    """Capitals, opposites, symbols, and what everybody knows."""
    for country, capital in _CAPITALS:
        yield Row(f"What is the capital of {country}?", capital)
    for word, opposite in _OPPOSITES:
        yield Row(f'What is the opposite of "{word}"? Answer with one word.', opposite)
    for element, symbol in _SYMBOLS:
        yield Row(f"What is the chemical symbol of {element}? Answer with the symbol only.", symbol)
    for prompt, number in _NUMBERS:
        yield Row(prompt, number, "number")
    for prompt, name in _NAMES:
        yield Row(prompt, name)


def yes_no(_: random.Random) -> Iterable[Row]:
    """Statements, half of them false, in two wordings."""
    for truth, wrong, statements in (
        ("yes|true|correct", "no|false|incorrect", _TRUE),
        ("no|false|incorrect", "yes|true|correct", _FALSE),
    ):
        for statement in statements.split("; "):
            yield Row(f"Is this true? {statement}. Answer yes or no.", truth, "mention", (wrong,))
            yield Row(f'True or false: "{statement}"', truth, "mention", (wrong,))


def choices(draw: random.Random) -> Iterable[Row]:
    """One right option among three or four, the right one at any place; lettered or in a sentence."""
    for number in range(66):
        kind = draw.choice(tuple(_KINDS))
        right = draw.choice(_KINDS[kind])
        outside = [word for other, words in _KINDS.items() if other != kind for word in words]
        options = [right, *draw.sample([word for word in outside if word not in _KINDS[kind]], 3)]
        draw.shuffle(options)
        wrong = tuple(each for each in options if each != right)
        if number % 2:
            listing = "\n".join(f"{letter}) {option}" for letter, option in zip("ABCD", options, strict=True))
            yield Row(f'Which of these is an example of "{kind}"? Write the word.\n{listing}', right, "mention", wrong)
        else:
            listing = f"{', '.join(options[:-1])} or {options[-1]}"
            yield Row(
                f'Which word is an example of "{kind}": {listing}? Answer with one word.', right, "mention", wrong
            )
    for country, capital in _CAPITALS:
        options = [capital, *draw.sample([city for _, city in _CAPITALS if city != capital], 2)]
        draw.shuffle(options)
        names = [option.partition("|")[0] for option in options]
        wrong = tuple(option for option in options if option != capital)
        listing = f"{names[0]}, {names[1]} or {names[2]}"
        yield Row(f"What is the capital of {country}: {listing}?", capital, "mention", wrong)


def translations(_: random.Random) -> Iterable[Row]:
    """Single words to Spanish, French and German, and some of them back."""
    for language, words in _ABROAD.items():
        for english, foreign in words:
            yield Row(f'Translate "{english}" to {language}.', foreign, "label")
            there = foreign.partition("|")[0]
            yield Row(f'What does the {language} word "{there}" mean in English? One word.', english, "mention")
