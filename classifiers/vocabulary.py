"""Words of classification: meanings of whole segments, and what the signals of labels can say. Data only."""

from __future__ import annotations

from typing import Final

# Entity types that are the meaning of a whole segment of text, not a span that could be replaced.
# Presidio has no names for these; they stand beside its entity types in policies, findings and records.
MEANINGS = frozenset(
    {
        "MEDICAL",  # somebody's health, as told by or about them; not public medical questions
        "PROPRIETARY_CODE",
        "INTERNAL_DOCUMENT",
        "TRADE_SECRET",
        "CUSTOMER_DATA",
        "BUSINESS_STRATEGY",
        "CREDENTIALS",  # a text about access, beside the exact finding SECRET
        "LEGAL_MATTER",
        "HUMAN_RESOURCES",
    }
)

OTHER: Final = "other"  # what a signal of labels says where it is not sure

# What a request wants done. `extract` includes questions about a text that is given; `chat` includes orders.
TASKS: Final = (
    *("chat", "question", "maths", "code", "summarise", "extract", "classify", "rewrite", "translate", "write"),
    *("brainstorm", OTHER),
)

# What a request is about.
DOMAINS: Final = (
    *("maths", "science", "medicine", "law", "business", "computing", "history", "humanities", "everyday", OTHER),
)

# ISO 639-1: the languages that the detectors were measured for, and those that their script tells.
LANGUAGES: Final = ("de", "en", "es", "fr", "it", "nl", "el", "he", "hy", "ja", "ka", "ko", "th", OTHER)

MODALITIES: Final = ("text", "image", "audio", "file")
