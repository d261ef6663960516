"""Nationality, religion and politics where they are said of somebody: a word for a group with a person beside it.

It knows six languages. A group in general ("Catholics in the Middle Ages", "Turkish coffee") says nothing of anybody.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from classifiers.detectors.base import Piece, pattern
from classifiers.detectors.group_words import BELIEFS, PEOPLES
from classifiers.types import Match

_SCORE: Final = 0.8
_BELIEFS: Final = pattern(f"(?i){BELIEFS}", longest=True)
_GROUPS: Final = pattern(f"(?i){BELIEFS}|{PEOPLES}", longest=True)
_BEFORE: Final = 64  # bytes in front of a group's word in which somebody stands
_NON_ASCII: Final = 0x80


def _expression(regex: str) -> re.Pattern[bytes]:
    return re.compile(regex.encode("utf-8"))


_IS: Final = (
    "(?:am|is|are|was|were|being|became|become|bin|ist|sind|war|waren|suis|est|sont|était|étais|soy|es|son|era|sono|è|"
    "ben|zijn|i.m|he.s|she.s|they.re|c.est|identif(?:y|ies) as|grew up|as an?)"
)
_FILL: Final = (
    "(?:\\s{1,2}(?:an?|also|not|both|all|devout|practi[sc]ing|strict|born|raised|half|part|originally|very|strictly|registered|streng|strikt|"
    "eine?|gläubiger?|auch|nicht|une?|pas|très|una?|muy|no|molto|non|een|ook|niet))*"
)
_OWN: Final = (
    "my|our|his|her|their|mein|meine|unsere?|sein|ihre?|mon|ma|notre|sa|mi|nuestr[oa]|su|mio|mia|nostr[oa]|mijn|onze|"
    "zijn|haar"
)
_ROLE: Final = (
    "patient\\w{0,3}|client\\w?|customer|m[ae]n|wom[ae]n|employee|tenant|applicant|defendant|suspect|victim|candidate|student|child|"
    "couple|boy|girl|nurse|doctor|teacher|driver|owner|kund\\w{1,2}|mann|frau|mieter\\w{0,2}|kind|kläger\\w{0,2}|homme|femme|élève|"
    "locataire|enfant|hombre|mujer|paciente|niñ[oa]|inquilin[oa]|uomo|donna|paziente|bambin[oa]|klant|vrouw|huurder|leerling"
)
_WHO: Final = (
    "(?:i|he|she|they|we|ich|er|sie|wir|je|il|elle|ils|elles|nous|yo|él|ella|ellos|io|lui|lei|loro|ik|hij|zij|ze|wij|"
    f"(?:{_OWN})\\s{{1,2}}[^\\s.,;:!?]{{3,24}}(?:\\s[^\\s.,;:!?]{{3,24}})?|"
    f"(?:the|this|der|die|das|le|la|el|il|de|een|an?)\\s{{1,2}}(?:{_ROLE}))"
)
# Somebody of whom something is said, up to the word for the group.
_PERSON_IS: Final = _expression(f"(?:^|[^a-z])(?:{_WHO}\\s{{1,2}})?{_IS}{_FILL}\\s{{1,2}}$")
_SOMEBODY_IS: Final = _expression(
    f"(?:^|[^a-z])(?:{_WHO}\\s{{1,2}}{_IS}|i.m|he.s|she.s|they.re|being|"
    f"(?:{_OWN})\\s[a-z-]{{3,24}}, an?){_FILL}\\s{{1,2}}$"
)
_NOUN: Final = _expression(
    "(?:^|[^a-z])(?:nationality|citizenship|ethnicity|religion|faith|denomination|nationalität|staatsangehörigkeit|konfession|"
    "partei|party|nationalité|citoyenneté|confession|nacionalidad|religión|nazionalità|cittadinanza|ciudadanía|"
    "staatsbürgerschaft|religione|confessione|nationaliteit|"
    "geloof|godsdienst|homme|femme|patiente?|client|cliente|famille|d.origine|hombre|mujer|paciente|familia|de origen|"
    "uomo|donna|paziente|famiglia|di origine|van|raised|converted to|convert to|erzogen|élevée?|educad[oa]|"
    "cresciut[oa])"
    '(?:\\n:\\n|\\s{0,2}[:="]{1,3}\\s{0,2}"?|\\s{1,2}(?:is|ist|est|es|è)?\\s{0,2})$'
)
_MEMBER: Final = _expression(
    "(?:^|[^a-z])(?:member of|joined|votes?|votes? for|voted|voted for|supports|supporter of|belongs to|"
    "mitglied (?:der|in der|bei den|bei der)|ist in der|ist bei|wählt|wähle|membre (?:du|de la|des)|vote|miembro del?|"
    "es del|votante del|vot[ao]|vota a|iscritt[oa] (?:al?|alla)|lid van(?: de)?|"
    "stemt(?: op)?)(?:\\s[a-zà-ÿ]{2,8}){0,2}\\s{1,2}(?:the\\s)?$"
)
_PEOPLE_BEHIND: Final = _expression(
    "[\\s-]{1,2}(?:m[ae]n|wom[ae]n|patients?|clients?|customers?|employees?|tenants?|nurses?|citizens?|nationals?|"
    "famil(?:y|ies|ie|ien)|neighbou?rs?|"
    "immigrants?|refugees?|descent|origins?|background|passport|couple|girls?|boys?|colleagues?|students?|applicants?|"
    "candidates?|workers?|parents|husband|wife|mother|father|mann|männer|frau|frauen|patient\\w{0,5}|kund\\w{1,5}|"
    "mitarbeiter\\w{0,5}|"
    "staatsbürger\\w{0,5}|staatsangehörig\\w{0,6}|herkunft|abstammung|kollegin|kollege|vrouw|man|patiënte?|klant|afkomst|gezin|"
    "medewerk\\w{1,6})(?:[^a-z]|$)"
)


class GroupDetector:
    """NRP: what Presidio calls nationalities, religious and political groups."""

    name = "groups"
    entities = frozenset({"NRP"})
    triggers = (f"(?i){BELIEFS}", f"(?i){PEOPLES}")

    def detect(self, piece: Piece, hits: Sequence[int]) -> list[Match]:
        """Each group of which somebody is said to be."""
        return [
            Match("NRP", hit.start(), hit.end(), _SCORE)
            for hit in piece.find(_GROUPS)
            if _stands_alone(piece, hit.start(), hit.end()) and _is_said(piece, hit.start(), hit.end())
        ]


def _stands_alone(piece: Piece, start: int, end: int) -> bool:
    around = piece.data[max(0, start - 1) : start] + piece.data[end : end + 1]
    return piece.is_free(start, end) and all(byte < _NON_ASCII for byte in around)


def _is_said(piece: Piece, start: int, end: int) -> bool:
    before = piece.before(start, _BEFORE)
    if _NOUN.search(before) or _MEMBER.search(before) or _PEOPLE_BEHIND.match(piece.after(end)):
        return True
    is_belief = _BELIEFS.fullmatch(piece.data[start:end]) is not None
    return (_PERSON_IS if is_belief else _SOMEBODY_IS).search(before) is not None
