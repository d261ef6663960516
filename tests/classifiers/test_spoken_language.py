"""The signal `language`: a label of its list for any text, `other` where it is not sure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from classifiers.linear import ArtifactError
from classifiers.spoken_language import LanguageSignal
from classifiers.training.asking import requests
from classifiers.vocabulary import LANGUAGES, OTHER


@pytest.fixture(scope="module")
def signal() -> LanguageSignal:
    return LanguageSignal()


def ask(content: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": content}]}


TEXTS = {
    "Please remind me to water the plants on the balcony.": "en",
    "Wie spät ist es gerade in Tokio, und wann geht dort die Sonne auf?": "de",
    "¿Puedes ayudarme a escribir una carta a mi casero?": "es",
    "Peux-tu me donner une recette simple pour ce soir ?": "fr",
    "Mi puoi consigliare un buon libro per le vacanze?": "it",
    "Kun je mij uitleggen hoe een warmtepomp werkt?": "nl",
    "このコンピューターを直してください": "ja",
    "안녕하세요, 회의 시간을 알려 주세요": "ko",
    "Πού είναι ο σταθμός του τρένου;": "el",
    "היכן נמצאת תחנת הרכבת?": "he",
    "Pode explicar como funciona uma bomba de calor?": OTHER,  # near to Spanish, and not measured
    "Jak działa pompa ciepła i ile kosztuje jej montaż?": OTHER,
    "Привет, как твои дела сегодня?": OTHER,  # a script of many languages
    "ok": OTHER,
    "42 / 7": OTHER,
}


@pytest.mark.parametrize(("text", "language"), TEXTS.items())
def test_the_language_is_told_or_other(signal: LanguageSignal, text: str, language: str) -> None:
    assert signal.measure(ask(text)).value == language


def test_everyday_requests_are_told_in_all_six_languages(signal: LanguageSignal) -> None:
    """The identifier has seen these: this is a floor under the signal's margin, not a measurement."""
    by_language: dict[str, list[bool]] = {}
    for language, text in list(requests())[::4]:
        by_language.setdefault(language, []).append(signal.measure(ask(text)).value == language)
    assert min(sum(told) / len(told) for told in by_language.values()) > 0.95
    assert len(by_language) == 6


def test_only_the_last_user_message_counts(signal: LanguageSignal) -> None:
    body = {
        "messages": [
            {"role": "system", "content": "You are a helpful assistant that always answers in English."},
            {"role": "user", "content": "Bitte fasse den Text in drei Sätzen zusammen."},
        ]
    }
    assert signal.measure(body).value == "de"


@pytest.mark.parametrize("body", [{}, {"messages": []}, ask(""), ask("  "), ask(None), ask([{"type": "image_url"}])])
def test_a_body_without_text_has_no_language(signal: LanguageSignal, body: dict[str, Any]) -> None:
    assert signal.measure(body).error == "not_available"


@pytest.mark.parametrize("content", ["\ud800", "\x00", "a" * 100_000, [{"type": "text", "text": "Guten Tag"}], "—"])
def test_any_text_has_a_label(signal: LanguageSignal, content: Any) -> None:
    assert signal.measure(ask(content)).value in LANGUAGES


def test_an_artifact_that_is_not_there_never_scores(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError):
        LanguageSignal(tmp_path)
