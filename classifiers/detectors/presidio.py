"""What a Presidio that the operator has installed finds, beside the shipped detectors: it can only add findings.

Nothing here loads unless `presidio` is switched on, and nothing that Presidio would fetch from outside is fetched.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from importlib import metadata
from typing import Any, Final

from classifiers.detectors.base import WALL, Piece
from classifiers.types import Match

_LANGUAGE: Final = "en"  # the one that Presidio's default engine is made for
_SHORTEST: Final = 3  # characters: shorter strings hold nothing that Presidio knows
_MANGLED: Final = "surrogatepass"
_MODELS: Final = ("en_core_web_trf", "en_core_web_lg", "en_core_web_md", "en_core_web_sm")  # the best that is there


class NoModel(Exception):
    """No English model of spaCy is installed; Presidio by itself would download one."""


class PresidioDetector:
    """Presidio's analyzer (`presidio_analyzer.AnalyzerEngine`) over an installed model of spaCy, string by string.

    Constructing it loads the model: seconds, and hundreds of megabytes. Raises `NoModel` and what Presidio raises.
    """

    name = "presidio"
    triggers: tuple[str, ...] = ()
    entities = frozenset(
        {
            *("CREDIT_CARD", "CRYPTO", "DATE_TIME", "EMAIL_ADDRESS", "IBAN_CODE", "IP_ADDRESS", "LOCATION"),
            *("MEDICAL_LICENSE", "NRP", "PERSON", "PHONE_NUMBER", "URL", "US_SSN"),
        }
    )

    def __init__(self) -> None:
        _stay_offline()
        from presidio_analyzer import AnalyzerEngine  # the operator's package, not one of ours
        from presidio_analyzer.nlp_engine import NlpEngineProvider

        models = [{"lang_code": _LANGUAGE, "model_name": _installed_model()}]
        provider = NlpEngineProvider(nlp_configuration={"nlp_engine_name": "spacy", "models": models})
        self._engine: Any = AnalyzerEngine(nlp_engine=provider.create_engine())
        self.version = metadata.version("presidio-analyzer")

    def detect(self, piece: Piece, hits: Sequence[int]) -> list[Match]:
        """Everything that Presidio scores above its own threshold, under Presidio's names."""
        found: list[Match] = []
        at = piece.start
        for part in piece.data[piece.start : piece.stop].split(WALL):
            text = part.decode("utf-8", _MANGLED)
            if len(text.strip()) >= _SHORTEST:
                found += self._of_string(text, at)
            at += len(part) + len(WALL)
        return found

    def _of_string(self, text: str, at: int) -> list[Match]:
        found = []
        for result in self._engine.analyze(text=text, language=_LANGUAGE):
            start = at + len(text[: result.start].encode("utf-8", _MANGLED))
            end = start + len(text[result.start : result.end].encode("utf-8", _MANGLED))
            found.append(Match(str(result.entity_type), start, end, float(result.score)))
        return found


def _stay_offline() -> None:
    """Presidio checks the domain of an address with tldextract, which fetches a list of suffixes: its own copy does."""
    import tldextract.tldextract as suffixes

    suffixes.TLD_EXTRACTOR = suffixes.TLDExtract(suffix_list_urls=(), cache_dir=None)


def _installed_model() -> str:
    for name in _MODELS:
        if importlib.util.find_spec(name) is not None:
            return name
    raise NoModel(f"install one of {', '.join(_MODELS)}")
