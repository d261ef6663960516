"""English words for `likeness`: which only carry a question, are short for others, or mean the same. Data only.

A word that could turn an answer round (negations, directions, pronouns of persons, modal verbs of duty) stands in none.
"""

from __future__ import annotations

from typing import Final

# They may be there or not: articles, forms of `be` and `do` in the present, polite words, `of`.
_CARRYING: Final = "a an the is are am do does of please kindly thanks thank exactly actually really basically"
CARRYING: Final = frozenset(_CARRYING.split())

# A sentence that begins with one of them asks for a yes or a no.
_AUXILIARIES: Final = "is are am was were do does did has have had can could will would should may might must"
YES_OR_NO: Final = frozenset(_AUXILIARIES.split())

SHORT_FORMS: Final = {
    "what's": "what is",
    "who's": "who is",
    "where's": "where is",
    "how's": "how is",
    "when's": "when is",
    "it's": "it is",
    "that's": "that is",
    "there's": "there is",
    "i'm": "i am",
    "i've": "i have",
    "i'd": "i would",
    "i'll": "i will",
    "you're": "you are",
    "you've": "you have",
    "we're": "we are",
    "they're": "they are",
    "don't": "do not",
    "doesn't": "does not",
    "didn't": "did not",
    "isn't": "is not",
    "aren't": "are not",
    "wasn't": "was not",
    "weren't": "were not",
    "can't": "can not",
    "cannot": "can not",
    "couldn't": "could not",
    "won't": "will not",
    "wouldn't": "would not",
    "shouldn't": "should not",
    "haven't": "have not",
    "hasn't": "has not",
    "whats": "what is",
    "dont": "do not",
    "doesnt": "does not",
    "didnt": "did not",
    "isnt": "is not",
    "cant": "can not",
    "wont": "will not",
    "im": "i am",
}

# Words that stand for one another in any question that people ask; the first of a line stands for all.
_GROUPS: Final = """
    what which
    buy purchase purchasing buying
    begin start starting beginning
    quick fast rapid quickly rapidly
    big large
    film movie
    photo picture photograph
    repair fix fixing repairing
    error mistake
    help assist
    delete remove
    car automobile
    doctor physician
    way method
    often frequently
    cheap inexpensive
    difference differences
    explain describe
    maybe perhaps
    choose select pick
    finish complete
    happen occur
    cause reason
    allow permit
    need require
    show display
    mum mom
    colour color
    favourite favorite
    organise organize
    learn study
    work function
    use utilise utilize
    near nearby
    also too
"""
SAME_WORDS: Final = {word: line.split()[0] for line in _GROUPS.strip().splitlines() for word in line.split()}
