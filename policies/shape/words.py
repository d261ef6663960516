"""The words of a policy file: forms of names and values, each with what an error says of it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

# Names that end up in headers, records and command lines: ASCII, so that no two can look alike.
NAME = r"^[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,63}$"
RULE_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
ENTITY = r"^[A-Za-z][A-Za-z0-9_-]{0,63}$"
PROBE_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,79}$"
WORD = r"^[a-z0-9][a-z0-9._-]{0,31}$"
MEDIUM = 0.4  # the complexity from which a request is not easy, as `classifiers.complexity.band` has it
VARIABLE = r"^[A-Za-z_][A-Za-z0-9_]{0,127}$"
COUNTRY = r"^[A-Z]{2}$"
DOMAIN = r"^[a-z0-9-]+(\.[a-z0-9-]+)+$"
ALIAS = r"^[!-)+-~]*\*?$"
TOOL = r"^[!-)+-~]{0,127}\*?$"
DATE = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
HASH = r"^sha256:[A-Za-z0-9_-]{8,64}:[0-9a-f]{64}$"
DURATION = r"^[1-9][0-9]{0,4}[smh]$"
DIGEST = r"^[0-9a-f]{8}:[0-9a-f]{32}$"

PATTERN_WORDS = {
    NAME: "up to 64 letters, digits and . _ : / @ + -, beginning with a letter or digit",
    RULE_NAME: "up to 64 letters, digits and . _ -, beginning with a letter or digit",
    PROBE_NAME: "up to 80 letters, digits and . _ -, beginning with a letter or digit",
    ENTITY: "up to 64 letters, digits, _ and -, beginning with a letter",
    WORD: "up to 32 lower-case letters, digits and . _ -",
    VARIABLE: "the name of an environment variable, never the key itself",
    COUNTRY: "an ISO 3166 country code of two capital letters",
    DOMAIN: "a lower-case domain such as example.com",
    ALIAS: "a model name, with at most one * and that at its end",
    TOOL: "a tool's name, with at most one * and that at its end",
    DATE: "a date such as 2027-01-31",
    HASH: "sha256:SALT:DIGEST, as `gatehouse policy hash` makes it",
    DURATION: "a time such as 90s, 5m or 1h",
    DIGEST: "what `gatehouse policy approve-text` wrote",
}

Locality = Literal["local", "lan", "cloud"]
LevelWord = Literal["public", "internal", "confidential", "restricted"]
Entity = Annotated[str, Field(pattern=ENTITY)]
Word = Annotated[str, Field(pattern=WORD)]
TenantName = Annotated[str, Field(pattern=NAME)]
ModelName = Annotated[str, Field(pattern=NAME)]
Reason = Annotated[str, Field(min_length=3, max_length=500, description="Why; for those who read the policy later.")]
Unit = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Share = Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)]
Address = Annotated[str, Field(min_length=1, max_length=2000)]
FilePath = Annotated[str, Field(min_length=1, max_length=4000)]
Variable = Annotated[str, Field(pattern=VARIABLE)]
Hash = Annotated[str, Field(pattern=HASH)]
Regex = Annotated[str, Field(min_length=1, max_length=2000)]
Expiry = Annotated[
    str | None, Field(pattern=DATE, description="The first day (UTC) on which this no longer counts, as 2027-01-31.")
]
