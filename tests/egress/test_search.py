"""The search behind the matrix finds a planted value in every view, so that the matrix can fail."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from urllib.parse import quote

import httpx
import pytest

from tests.egress.values import ENTITIES, value_of
from tests.support.recorder import RecorderThread

DISGUISES: dict[str, Callable[[str], str]] = {
    "as it is": lambda text: json.dumps({"x": f"before {text} after"}),
    "as a key": lambda text: json.dumps({"x": {text: 1}}),
    "with JSON escapes": lambda text: '{"x": "' + "".join(f"\\u{ord(char):04x}" for char in text) + '"}',
    "in JSON in a string": lambda text: json.dumps({"x": json.dumps({"y": json.dumps([f'"{text}"'])})}),
    "percent-encoded": lambda text: json.dumps({"x": "q=" + "".join(f"%{ord(char):02X}" for char in text)}),
    "percent-encoded by a library": lambda text: json.dumps({"x": quote(text, safe="")}),
    "in base64": lambda text: json.dumps({"x": base64.b64encode(f"so: {text}!".encode()).decode()}),
    "in base64 for URLs": lambda text: json.dumps(
        {"x": base64.urlsafe_b64encode(f"\xff\xfe {text}".encode()).decode().rstrip("=")}
    ),
    "in base64 twice": lambda text: json.dumps({"x": base64.b64encode(base64.b64encode(text.encode())).decode()}),
    "JSON in base64": lambda text: json.dumps({"x": base64.b64encode(json.dumps({"y": text}).encode()).decode()}),
    "in hexadecimal": lambda text: json.dumps({"x": text.encode().hex()}),
    "in other case": lambda text: json.dumps({"x": text.swapcase()}),
    "with other separators": lambda text: json.dumps({"x": "-".join(char for char in text if char.isalnum())}),
}


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with httpx.Client(trust_env=False, verify=False, timeout=60) as client:
        yield client


@pytest.mark.parametrize("disguise", DISGUISES)
def test_the_search_finds_every_kind_of_value_and_only_what_came(disguise: str, client: httpx.Client) -> None:
    planted = [value_of(entity, disguise).needle for entity in ENTITIES]
    absent = [value_of(entity, "absent").needle for entity in ENTITIES]
    with RecorderThread() as cloud:
        for text in planted:  # one connection carries them all
            client.post(f"{cloud.url}/chat/completions", content=DISGUISES[disguise](text))
        assert cloud.connections == 1
        assert cloud.saw_which([*absent, *planted]) == planted


def test_the_search_finds_a_value_in_a_header_and_in_a_path(client: httpx.Client) -> None:
    in_header, in_path = value_of("card", "header").needle, value_of("email", "path").needle
    with RecorderThread() as cloud:
        client.post(f"{cloud.url}/{quote(in_path, safe='')}", content=b"{}", headers={"x-note": in_header})
        assert cloud.saw(in_header)
        assert cloud.saw(in_path)
