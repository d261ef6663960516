"""Disguises of a sensitive value, as functions from text to text, and the ways of splitting it over neighbours.

`MUTATIONS` holds the first kind, `SPLITS` the second, `fits` says which disguise makes sense for which value: a
password has no spelled-out digits, a card number no `at`. Everything is deterministic. A disguise is for the value
alone: put the result into a sentence, a message, a member.
"""

from __future__ import annotations

import base64
import gzip
import html.entities
import json
import re
from collections.abc import Callable, Mapping

Mutation = Callable[[str], str]
Split = Callable[[str], list[str]]

_SPELLED = {
    "en": "zero one two three four five six seven eight nine",
    "de": "null eins zwei drei vier fünf sechs sieben acht neun",
    "fr": "zéro un deux trois quatre cinq six sept huit neuf",
    "es": "cero uno dos tres cuatro cinco seis siete ocho nueve",
}
_PLUS = {"en": "plus", "de": "plus", "fr": "plus", "es": "más"}
_AT_DOT = {"en": ("at", "dot"), "de": ("at", "punkt"), "fr": ("arobase", "point"), "es": ("arroba", "punto")}
# Letters and digits with the Cyrillic, Greek or Armenian character that looks like them.
_LOOK_ALIKES = str.maketrans(
    "aceopxyijsABCEHIKMOPTX0136",
    "асеорхуіјѕАВСЕНІКМОРТХОІЗб",
)


def zero_width(text: str) -> str:
    """A zero-width space behind every character."""
    return "\u200b".join(text)


def soft_hyphens(text: str) -> str:
    """A soft hyphen or a word joiner behind every character."""
    return "".join(character + "\u00ad\u2060"[index % 2] for index, character in enumerate(text))


def fullwidth(text: str) -> str:
    """The full-width form of every ASCII character."""
    return "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text)


def other_digits(text: str) -> str:
    """Arabic-Indic digits."""
    return "".join(chr(0x0660 + int(c)) if c in "0123456789" else c for c in text)


def homoglyph(text: str) -> str:
    """Cyrillic look-alikes for every letter and digit that has one."""
    return text.translate(_LOOK_ALIKES)


def spaced(text: str) -> str:
    """A blank between all characters."""
    return " ".join(text.replace(" ", ""))


def dashed(text: str) -> str:
    """A dash between all characters; dashes and blanks of the value's own are left out."""
    return "-".join(re.sub("[ -]", "", text))


def _spelled(language: str) -> Mutation:
    words = _SPELLED[language].split()

    def spell(text: str) -> str:
        parts = [
            words[int(c)] if c in "0123456789" else _PLUS[language] if c == "+" else c
            for c in re.sub("[ ()-]", "", text)
        ]
        return " ".join(parts)

    spell.__doc__ = f"Every digit as a word ({language})."
    return spell


def _at_dot(language: str) -> Mutation:
    at, dot = _AT_DOT[language]

    def spell(text: str) -> str:
        return text.replace("@", f" {at} ").replace(".", f" {dot} ")

    spell.__doc__ = f"An address as it is read out ({language})."
    return spell


def bracketed_at_dot(text: str) -> str:
    """An address as it is hidden from harvesters."""
    return text.replace("@", " [at] ").replace(".", " (dot) ")


def in_base64(text: str) -> str:
    """Base64, standard alphabet, with padding."""
    return base64.b64encode(text.encode()).decode()


def in_base64_url(text: str) -> str:
    """Base64, url-safe alphabet, without padding."""
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def in_base32(text: str) -> str:
    """Base32."""
    return base64.b32encode(text.encode()).decode()


def in_hex(text: str) -> str:
    """Hexadecimal without separators."""
    return text.encode().hex()


def in_hex_spaced(text: str) -> str:
    """Hexadecimal, bytes apart."""
    return text.encode().hex(" ")


def in_url(text: str) -> str:
    """Every byte as %XX."""
    return "".join(f"%{byte:02X}" for byte in text.encode())


def html_entities(text: str) -> str:
    """Named, decimal and hexadecimal references by turns."""
    forms = []
    for index, character in enumerate(text):
        named = html.entities.codepoint2name.get(ord(character))
        decimal, hexadecimal = f"&#{ord(character)};", f"&#x{ord(character):x};"
        forms.append(f"&{named};" if named else (decimal, hexadecimal)[index % 2])
    return "".join(forms)


def quoted_printable(text: str) -> str:
    """Every byte as =XX."""
    return "".join(f"={byte:02X}" for byte in text.encode())


def unicode_escape(text: str) -> str:
    r"""Every character as \uXXXX."""
    units = text.encode("utf-16-be")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))


def hex_escape(text: str) -> str:
    r"""Every byte as \xXX."""
    return "".join(f"\\x{byte:02x}" for byte in text.encode())


def gzip_base64(text: str) -> str:
    """Compressed, then Base64."""
    return base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()


def base64_twice(text: str) -> str:
    """Base64 of Base64."""
    return in_base64(in_base64(text))


def url_of_base64(text: str) -> str:
    """Base64, its marks as %XX."""
    return in_base64(text).replace("+", "%2B").replace("/", "%2F").replace("=", "%3D")


def tag_characters(text: str) -> str:
    """ASCII as invisible tag characters."""
    return "".join(chr(0xE0000 + ord(c)) if " " <= c <= "~" else c for c in text)


def variation_selectors(text: str) -> str:
    """Bytes as invisible variation selectors behind a visible character."""
    return "☺" + "".join(chr(0xFE00 + byte if byte < 16 else 0xE0100 + byte - 16) for byte in text.encode())


def json_in_string(text: str) -> str:
    """A JSON text inside a JSON text, the value escaped."""
    inner = '{"value": "' + unicode_escape(text) + '"}'
    return json.dumps({"note": inner})


def in_code(text: str) -> str:
    """String literals that a program puts together."""
    cut = len(text) // 2
    return f'"{text[:cut]}" + "{text[cut:]}"'


def in_xml(text: str) -> str:
    """Text cut by tags."""
    cut = len(text) // 2
    return f"<b>{text[:cut]}</b><i>{text[cut:]}</i>"


def split_2(text: str) -> list[str]:
    """Two parts, cut in the middle."""
    cut = len(text) // 2
    return [text[:cut], text[cut:]]


def split_3(text: str) -> list[str]:
    """Three parts of about equal length."""
    first, second = len(text) // 3, 2 * len(text) // 3
    return [text[:first], text[first:second], text[second:]]


MUTATIONS: Mapping[str, Mutation] = {
    "zero_width": zero_width,
    "soft_hyphens": soft_hyphens,
    "fullwidth": fullwidth,
    "other_digits": other_digits,
    "homoglyph": homoglyph,
    "spaced": spaced,
    "dashed": dashed,
    **{f"spelled_digits_{language}": _spelled(language) for language in _SPELLED},
    **{f"at_dot_{language}": _at_dot(language) for language in _AT_DOT},
    "bracketed_at_dot": bracketed_at_dot,
    "base64": in_base64,
    "base64_url": in_base64_url,
    "base32": in_base32,
    "hex": in_hex,
    "hex_spaced": in_hex_spaced,
    "url": in_url,
    "html_entities": html_entities,
    "quoted_printable": quoted_printable,
    "unicode_escape": unicode_escape,
    "hex_escape": hex_escape,
    "gzip_base64": gzip_base64,
    "base64_twice": base64_twice,
    "url_of_base64": url_of_base64,
    "tag_characters": tag_characters,
    "variation_selectors": variation_selectors,
    "json_in_string": json_in_string,
    "in_code": in_code,
    "in_xml": in_xml,
}
SPLITS: Mapping[str, Split] = {"split_2": split_2, "split_3": split_3}


def fits(name: str, text: str) -> bool:
    """Whether this disguise changes this value, and leaves one that somebody could still read."""
    digits = sum(c in "0123456789" for c in text)
    letters = sum(c.isalpha() for c in text)
    if name.startswith("spelled_digits"):
        return digits >= 7 and not letters
    if "at_dot" in name:
        return "@" in text and letters >= 5
    if name == "other_digits":
        return digits >= 7 and letters <= 4
    if name in ("spaced", "dashed"):
        return "://" not in text
    return name in SPLITS or MUTATIONS[name](text) != text
