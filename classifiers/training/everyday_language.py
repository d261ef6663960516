"""Questions about words and languages: spelling, names of things, phrases to finish, what language a text is in."""

from __future__ import annotations

import random
from collections.abc import Iterable

from classifiers.training.everyday_row import Row, others, pairs

_MISSPELT = pairs(
    "recieve:receive seperate:separate definately:definitely tommorow:tomorrow freind:friend becuase:because "
    "beleive:believe adress:address occured:occurred wich:which untill:until wierd:weird neccessary:necessary "
    "begining:beginning calender:calendar goverment:government libary:library suprise:surprise truely:truly "
    "writting:writing enviroment:environment restarant:restaurant Febuary:February Wensday:Wednesday accross:across "
    "arguement:argument buisness:business comming:coming diffrent:different grammer:grammar"
)
_DEFINED = (
    ("a doctor for animals", "vet|veterinarian|veterinary"),
    ("a person who bakes bread", "baker"),
    ("a building where books are lent", "library"),
    ("a vehicle with two wheels and pedals", "bicycle|bike"),
    ("the meal in the morning", "breakfast"),
    ("the day before today", "yesterday"),
    ("a place where films are shown", "cinema|theater|theatre"),
    ("a person who teaches at a school", "teacher"),
    ("the tool that shows the time and is worn on the wrist", "watch|wristwatch"),
    ("a device that takes photographs", "camera"),
    ("a young cat", "kitten"),
    ("the mother of your mother", "grandmother|grandma"),
    ("a shop that sells medicine", "pharmacy|drugstore"),
    ("the room where food is cooked", "kitchen"),
    ("a doctor who looks after teeth", "dentist"),
    ("a period of ten years", "decade"),
    ("a period of a hundred years", "century"),
    ("a person who writes books", "author|writer"),
    ("the coldest season of the year", "winter"),
    ("a large building where planes land and take off", "airport"),
    ("the star at the centre of the solar system", "sun"),
    ("a scientist who studies the stars", "astronomer"),
    ("the place where a king lives", "palace|castle"),
    ("a person who cuts hair", "barber|hairdresser"),
)
_PHRASES = (
    ("A picture is worth a thousand", "words"),
    ("Better late than", "never"),
    ("Practice makes", "perfect"),
    ("Actions speak louder than", "words"),
    ("The early bird catches the", "worm"),
    ("Two heads are better than", "one"),
    ("Time is", "money"),
    ("Do not judge a book by its", "cover"),
    ("An apple a day keeps the doctor", "away"),
    ("All that glitters is not", "gold"),
    ("Rome was not built in a", "day"),
    ("When in Rome, do as the Romans", "do"),
    ("Out of sight, out of", "mind"),
    ("Honesty is the best", "policy"),
    ("Twinkle, twinkle, little", "star"),
    ("Once upon a", "time"),
    ("Ladies and", "gentlemen"),
    ("Happy birthday to", "you"),
    ("To be or not to", "be"),
    ("Salt and", "pepper"),
    ("Bread and", "butter"),
    ("Merry Christmas and a happy New", "Year"),
    ("No pain, no", "gain"),
    ("Look before you", "leap"),
    ("The pen is mightier than the", "sword"),
)
_ABBREVIATED = (
    ("USA", "United States of America"),
    ("UK", "United Kingdom"),
    ("EU", "European Union"),
    ("UN", "United Nations"),
    ("CEO", "chief executive officer"),
    ("ASAP", "as soon as possible"),
    ("FAQ", "frequently asked questions"),
    ("GPS", "global positioning system"),
    ("DNA", "deoxyribonucleic acid"),
    ("CPU", "central processing unit"),
    ("USB", "universal serial bus"),
    ("PDF", "portable document format"),
    ("HTML", "hypertext markup language"),
    ("URL", "uniform resource locator"),
    ("AI", "artificial intelligence"),
    ("NASA", "national aeronautics and space administration"),
    ("WHO (the health body)", "world health organization|world health organisation"),
    ("RSVP", "répondez s'il vous plaît|repondez s'il vous plait"),
    ("ATM (at a bank)", "automated teller machine|automatic teller machine"),
    ("VIP", "very important person"),
    ("DIY", "do it yourself"),
    ("HR (in a company)", "human resources"),
    ("VAT", "value added tax"),
    ("GDP", "gross domestic product"),
    ("WWW", "world wide web"),
)
_SPOKEN = {
    "German": (
        "Guten Morgen, wie geht es dir?", "Ich möchte bitte ein Glas Wasser.", "Wo ist der Bahnhof?",
        "Wir gehen heute ins Kino.", "Das Wetter ist sehr schön.",
    ),
    "French": (
        "Bonjour, comment ça va ?", "Je voudrais un verre d'eau, s'il vous plaît.", "Où est la gare ?",
        "Nous allons au cinéma ce soir.", "Il fait très beau aujourd'hui.",
    ),
    "Spanish": (
        "Buenos días, ¿cómo estás?", "Quisiera un vaso de agua, por favor.", "¿Dónde está la estación?",
        "Hoy vamos al cine.", "Hace muy buen tiempo.",
    ),
    "Italian": (
        "Buongiorno, come stai?", "Vorrei un bicchiere d'acqua, per favore.", "Dov'è la stazione?",
        "Oggi andiamo al cinema.", "Il tempo è molto bello.",
    ),
    "English": (
        "Good morning, how are you?", "I would like a glass of water, please.", "Where is the station?",
        "We are going to the cinema today.", "The weather is very nice.",
    ),
}  # fmt: skip
_LARGER = pairs(
    "elephant:mouse whale:dog house:shoe mountain:hill lake:puddle city:village bus:bicycle tree:flower ocean:river "
    "horse:rabbit planet:car lion:ant year:week hour:minute kilometre:metre ton:gram melon:cherry book:stamp"
)


def spelling(_: random.Random) -> Iterable[Row]:
    """Single words with a common mistake."""
    for wrong, right in _MISSPELT:
        yield Row(f'Correct the spelling of this word: "{wrong}"', right)
        yield Row(f"How is {wrong} spelled correctly? Answer with the word only.", right)


def naming(_: random.Random) -> Iterable[Row]:
    """The word for what is described."""
    for description, name in _DEFINED:
        yield Row(f"What is the word for {description}?", name)
        yield Row(f"Give me one word that means: {description}.", name)


def phrases(_: random.Random) -> Iterable[Row]:
    """Proverbs and set phrases with the last word missing."""
    for beginning, end in _PHRASES:
        yield Row(f'Complete the phrase: "{beginning} ..."', end)
        yield Row(f"{beginning} ___. Which word is missing?", end)


def abbreviations(_: random.Random) -> Iterable[Row]:
    """What they stand for, and how the long form is shortened."""
    for short, long in _ABBREVIATED:
        yield Row(f"What does {short} stand for?", long)
        if " (" not in short:
            yield Row(f"What is the abbreviation of {long.partition('|')[0]}?", short)


def languages(_: random.Random) -> Iterable[Row]:
    """Which language a sentence is in."""
    names = tuple(_SPOKEN)
    for name, sentences in _SPOKEN.items():
        for sentence in sentences:
            yield Row(f'In which language is this written? "{sentence}"', name, "mention", others(names, name))
            yield Row(
                f"Name the language of this text with one word.\n{sentence}", name, "mention", others(names, name)
            )


def comparisons(_: random.Random) -> Iterable[Row]:
    """Which of two things is larger or smaller; the right one named first or second."""
    for place, (large, small) in enumerate(_LARGER):
        one, two = (large, small) if place % 2 else (small, large)
        yield Row(f"Which is bigger: {one} or {two}?", large, "mention", (small,))
        yield Row(f"Which is smaller, {two} or {one}? Answer with one word.", small, "mention", (large,))
