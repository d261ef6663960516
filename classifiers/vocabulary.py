"""Entity types that are the meaning of a whole segment of text, not a span that could be replaced. Data only."""

from __future__ import annotations

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
