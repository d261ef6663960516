"""Ids of eight to ten characters are read in base64 and base32, and words that merely change case are no blobs."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import pytest

IDS = [("US_PASSPORT", "US passport number", "J49986804"), ("MEDICAL_LICENSE", "DEA number", "MB6623119")]
ENCODINGS: dict[str, Callable[[bytes], bytes]] = {
    "base64": base64.b64encode,
    "base64 without padding": lambda raw: base64.b64encode(raw).rstrip(b"="),
    "base32": base64.b32encode,
    "base64 twice": lambda raw: base64.b64encode(base64.b64encode(raw)),
}


@pytest.mark.parametrize("encode", ENCODINGS.values(), ids=ENCODINGS.keys())
@pytest.mark.parametrize(("entity", "label", "value"), IDS)
async def test_an_id_is_found_behind_its_label(
    scan: Callable[..., Any], entity: str, label: str, value: str, encode: Callable[[bytes], bytes]
) -> None:
    blob = encode(value.encode()).decode()
    found = await scan({"messages": [{"role": "user", "content": f"My {label} {blob} is new."}]})
    assert entity in {finding.entity_type for finding in found.findings if finding.via}


@pytest.mark.parametrize(
    "text",
    [
        "Call getElementById and addEventListener on myButton before onLoadStart fires.",
        "Set PASSWORD=, DATABASE= and LOGLEVEL= in the environment.",
        "The iPhone and the eBook reader use WiFi and YouTube by JavaScript.",
        "Compare commit dEadBeEf with fooBar1234 and the ticket ABCD2345.",
    ],
)
async def test_words_that_change_case_are_no_blobs(scan: Callable[..., Any], text: str) -> None:
    found = await scan({"messages": [{"role": "user", "content": text}]})
    assert not [finding for finding in found.findings if finding.via]
    assert not found.unknowns
