"""What is wrong with a request is said with the right status, in OpenAI's envelope, without a word of the request."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from router.fields import FIELDS
from tests.hostile.places import CANARY, Place, Response

USER = {"role": "user", "content": f"hello {CANARY}"}
POST_PATHS = ("/v1/chat/completions", "/v1/route")


def checked(response: Response, status: int, code: str | None = None, param: str | None = None) -> dict[str, Any]:
    """The error, once everything that every error must be has been checked."""
    assert response.status == status, response
    assert response.headers["content-type"] == "application/json"
    assert response.headers["x-gatehouse-request-id"].startswith("gh-")
    assert response.headers["x-gatehouse-route"] == "refused"
    assert CANARY.encode() not in response.body, "content in an error"
    assert not any(CANARY.lower() in f"{name}: {value}".lower() for name, value in response.headers.items())
    assert set(orjson.loads(response.body)) == {"error"}
    error = response.error
    assert set(error) == {"message", "type", "param", "code"}
    assert error["message"]
    assert isinstance(error["type"], str)
    if code is not None:
        assert error["code"] == code
    if param is not None:
        assert error["param"] == param
    return error


BROKEN = {
    "nothing": b"",
    "blank": b"  \n",
    "cut off": b'{"messages": [{"role": "user", "content": "' + CANARY.encode(),
    "no quotes": f"{{messages: {CANARY}}}".encode(),
    "single quotes": f"{{'messages': '{CANARY}'}}".encode(),
    "trailing comma": f'{{"a": "{CANARY}",}}'.encode(),
    "comment": f'{{"a": 1}} // {CANARY}'.encode(),
    "two objects": f'{{"a": 1}}{{"{CANARY}": 2}}'.encode(),
    "control character": f'{{"a": "{CANARY}\x01"}}'.encode(),
    "NUL": f'{{"a": "{CANARY}"}}\x00'.encode(),
    "byte order mark": f'\ufeff{{"a": "{CANARY}"}}'.encode(),
    "UTF-16": f'{{"a": "{CANARY}"}}'.encode("utf-16"),
    "invalid UTF-8": f'{{"a": "{CANARY}'.encode() + b'\xff"}',
    "overlong UTF-8": b'{"a": "\xc0\xaf"}',
    "encoded surrogate": b'{"a": "\xed\xa0\x80"}',
    "lone surrogate": f'{{"a": "{CANARY}\\ud800"}}'.encode(),
    "lone surrogate in a key": f'{{"{CANARY}\\udc00": 1}}'.encode(),
    "NaN": f'{{"{CANARY}": NaN}}'.encode(),
    "Infinity": b'{"a": -Infinity}',
    "leading zero": b'{"a": 0123}',
    "hexadecimal": b'{"a": 0x10}',
    "a string": f'"{CANARY}"'.encode(),
    "a number": b"12",
    "null": b"null",
    "a list": f'["{CANARY}"]'.encode(),
    "form": f"messages={CANARY}&model=auto".encode(),
    "depth 65 in arrays": b'{"x": ' + b"[" * 65 + b"]" * 65 + b"}",
    "depth 65 in objects": b'{"x": ' + b'{"a":' * 65 + b"1" + b"}" * 66,
    "depth bomb of arrays": b"[" * 1_000_000,
    "depth bomb, closed": b'{"x": ' + b"[" * 300_000 + b"]" * 300_000 + b"}",
    "depth bomb of objects": b'{"a":' * 500_000 + b"1" + b"}" * 500_000,
}


@pytest.mark.parametrize("path", POST_PATHS)
@pytest.mark.parametrize("name", BROKEN)
def test_a_body_that_is_no_json_object_is_a_400(hostile: Place, name: str, path: str) -> None:
    error = checked(hostile.send(BROKEN[name], path), 400, "invalid_json")
    assert error["type"] == "invalid_request_error"


C = CANARY
CALLING = {"role": "assistant", "content": None}
CALL = "messages[0].tool_calls[0].function"
# A member that a valid request gets, and which parameter the answer names.
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"model": 3}, "model"),
    ({"model": None}, "model"),
    ({"model": ""}, "model"),
    ({"model": [C]}, "model"),
    ({"stream": C}, "stream"),
    ({"stream": 1}, "stream"),
    ({"stream_options": {"include_usage": True}}, "stream_options"),
    ({"stream": True, "stream_options": C}, "stream_options"),
    ({"stream": True, "stream_options": {"include_usage": C}}, "stream_options"),
    ({"messages": None}, "messages"),
    ({"messages": []}, "messages"),
    ({"messages": {}}, "messages"),
    ({"messages": C}, "messages"),
    ({"messages": [C]}, "messages[0]"),
    ({"messages": [USER, [USER]]}, "messages[1]"),
    ({"messages": [{}]}, "messages[0].role"),
    ({"messages": [{"role": C, "content": C}]}, "messages[0].role"),
    ({"messages": [{"role": 3, "content": C}]}, "messages[0].role"),
    ({"messages": [{"role": ["user"], "content": C}]}, "messages[0].role"),
    ({"messages": [{"role": "user"}]}, "messages[0].content"),
    ({"messages": [{"role": "user", "content": None}]}, "messages[0].content"),
    ({"messages": [{"role": "user", "content": 3}]}, "messages[0].content"),
    ({"messages": [{"role": "user", "content": {C: C}}]}, "messages[0].content"),
    ({"messages": [{"role": "user", "content": []}]}, "messages[0].content"),
    ({"messages": [{"role": "user", "content": [C]}]}, "messages[0].content[0]"),
    ({"messages": [{"role": "user", "content": [{"text": C}]}]}, "messages[0].content[0]"),
    ({"messages": [{"role": "user", "content": [{"type": 3, "text": C}]}]}, "messages[0].content[0]"),
    ({"messages": [{"role": "user", "content": [{"type": "text", "text": [C]}]}]}, "messages[0].content[0].text"),
    ({"messages": [{**USER, "name": [C]}]}, "messages[0].name"),
    ({"messages": [{"role": "tool", "content": C}]}, "messages[0].tool_call_id"),
    ({"messages": [{**CALLING, "tool_calls": C}]}, "messages[0].tool_calls"),
    ({"messages": [{**CALLING, "tool_calls": [C]}]}, CALL),
    ({"messages": [{**CALLING, "tool_calls": [{"function": {"name": C, "arguments": {C: C}}}]}]}, f"{CALL}.arguments"),
    ({"temperature": C}, "temperature"),
    ({"temperature": 2.1}, "temperature"),
    ({"temperature": True}, "temperature"),
    ({"top_p": -0.1}, "top_p"),
    ({"max_tokens": 0}, "max_tokens"),
    ({"max_tokens": 1.5}, "max_tokens"),
    ({"max_tokens": 1e300}, "max_tokens"),
    ({"max_completion_tokens": C}, "max_completion_tokens"),
    ({"n": 0}, "n"),
    ({"n": 129}, "n"),
    ({"n": [1]}, "n"),
    ({"stop": 3}, "stop"),
    ({"stop": [C, 3]}, "stop"),
    ({"stop": [C] * 5}, "stop"),
    ({"seed": C}, "seed"),
    ({"seed": 1.5}, "seed"),
    ({"tools": {C: C}}, "tools"),
    ({"tools": [C]}, "tools"),
    ({"tools": [{C: C}]}, "tools"),
    ({"tool_choice": 3}, "tool_choice"),
    ({"functions": [C]}, "functions"),
    ({"response_format": C}, "response_format"),
    ({"response_format": {"type": C}}, "response_format"),
    ({"response_format": {"type": "json_schema", "json_schema": C}}, "response_format"),
    ({"response_format": {"type": "json_schema", "json_schema": {"schema": C}}}, "response_format"),
    ({"logprobs": C}, "logprobs"),
    ({"top_logprobs": 3}, "top_logprobs"),
    ({"logprobs": True, "top_logprobs": 21}, "top_logprobs"),
    ({"logit_bias": [C]}, "logit_bias"),
    ({"modalities": C}, "modalities"),
    ({"prediction": C}, "prediction"),
    ({"presence_penalty": 3}, "presence_penalty"),
    ({"frequency_penalty": C}, "frequency_penalty"),
    ({"user": {C: C}}, "user"),
    ({"metadata": C}, "metadata"),
    ({"store": C}, "store"),
    ({"parallel_tool_calls": C}, "parallel_tool_calls"),
    ({"api_base": f"http://{C}"}, "api_base"),
    ({"extra_headers": {C: C}}, "extra_headers"),
]


@pytest.mark.parametrize("path", POST_PATHS)
@pytest.mark.parametrize(("member", "param"), WRONG, ids=[str(index) for index in range(len(WRONG))])
def test_a_field_of_the_wrong_kind_is_a_400_that_names_it(
    hostile: Place, member: dict[str, Any], param: str, path: str
) -> None:
    before = len(hostile.home.exchanges) + len(hostile.cloud.exchanges)
    checked(hostile.send({"model": "auto", "messages": [USER], **member}, path), 400, param=param)
    assert len(hostile.home.exchanges) + len(hostile.cloud.exchanges) == before, "a wrong request was passed on"


SCALARS = (None, True, -1, 0, 3.5, 1e300, 10**18, "", C)
ANYTHING: tuple[Any, ...] = (*SCALARS, [], [C], [[]], [None], {}, {C: C}, {"type": C}, [{"type": C}])


@pytest.mark.parametrize("field", [*sorted(FIELDS), "top_k", "input", "prompt", C])
def test_no_value_of_any_field_is_a_fault_of_the_gateway(hostile: Place, field: str) -> None:
    for value in ANYTHING:
        response = hostile.send({"model": "auto", "messages": [USER], field: value})
        if response.status != 200:
            checked(response, response.status)
        assert response.status < 500, (value, response)


MODELS = (C, f"claude-{C}", "auto ", f"auto\r\nx-{C}: 1", C * 50_000, "home\u0000", "../home", "ａｕｔｏ")


@pytest.mark.parametrize("model", MODELS, ids=range(len(MODELS)))
@pytest.mark.parametrize("path", POST_PATHS)
def test_an_unknown_model_is_a_404(hostile: Place, model: str, path: str) -> None:
    response = hostile.send({"model": model, "messages": [USER]}, path)
    if path == "/v1/route" and response.status == 200:  # the explanation of a refusal
        assert CANARY.encode() not in response.body
        assert orjson.loads(response.body)["refusal"]["code"] == "model_not_found"
        return
    checked(response, 404, "model_not_found")


def zeros(total: int) -> Iterator[bytes]:
    """Pieces of a body, `total` bytes in all."""
    piece = b'{"x": "' + CANARY.encode() + b"0" * (65536 - 7 - len(CANARY))
    for _ in range(total // len(piece)):
        yield piece


@pytest.mark.parametrize("path", POST_PATHS)
def test_a_body_of_9_mb_is_a_413(hostile: Place, path: str) -> None:
    total = 9 * 1024 * 1024
    declared = hostile.send(b"".join(zeros(total)), path)
    error = checked(declared, 413, "body_too_large")
    assert "8,388,608" in error["message"]
    chunked = hostile.send(zeros(total), path)  # no length: http.client sends it in chunks
    checked(chunked, 413, "body_too_large")


def test_a_length_that_is_too_large_is_refused_before_a_byte_of_the_body(hostile: Place) -> None:
    checked(hostile.send(b"", headers={"Content-Length": str(9 * 1024 * 1024)}), 413, "body_too_large")


def test_a_large_body_that_is_allowed_but_fits_no_model_says_so(hostile: Place) -> None:
    body = {"messages": [{"role": "user", "content": f"{C} word " * 40_000}]}
    error = checked(hostile.send(body), 400, "no_able_lawful_model")
    assert error["type"] == "invalid_request_error"


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate", "zstd", C])
def test_an_encoded_body_is_a_415(hostile: Place, encoding: str) -> None:
    checked(hostile.send({"messages": [USER]}, headers={"Content-Encoding": encoding}), 415, "unsupported_encoding")


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", C, ""])
def test_json_is_json_whatever_its_content_type_says(hostile: Place, kind: str) -> None:
    assert hostile.send({"messages": [USER]}, headers={"Content-Type": kind}).status == 200
    checked(hostile.send(f"--{C}\r\n\r\n".encode(), headers={"Content-Type": kind}), 400, "invalid_json")


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"])
@pytest.mark.parametrize("path", POST_PATHS)
def test_another_method_than_post_is_a_405(hostile: Place, method: str, path: str) -> None:
    response = hostile.send({"messages": [USER]}, path, method)
    checked(response, 405, "method_not_allowed")
    assert response.headers["allow"] == "POST"


@pytest.mark.parametrize("method", ["POST", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/v1/models", "/v1/models/auto"])
def test_what_is_only_read_takes_no_other_method(hostile: Place, path: str, method: str) -> None:
    response = hostile.send({"messages": [USER]}, path, method)
    checked(response, 405, "method_not_allowed")
    assert "GET" in response.headers["allow"]
    assert hostile.send(b"", path, "GET").headers["x-gatehouse-request-id"].startswith("gh-")


FOREIGN = (
    *(
        "/v1/responses/x/cancel",
        "/v1/messages/batches",
        "/v1/files",
        "/v1",
        "/v1/",
        "/",
        "/docs",
    ),
    *("/v1/chat/completions/", f"/v1/chat/completions/{C}", f"/v1/{C}", "/v1/../healthz", "//v1/chat/completions"),
    *("/v1/chat%2Fcompletions/x", "/V1/chat/completions", "/v1/chat/completions;x", f"/{C}?{C}={C}", "/%00", "/%ff"),
    *("/healthz/", "/openapi.json", "/admin"),
)


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "PROPFIND"])
@pytest.mark.parametrize("path", FOREIGN)
def test_a_path_that_is_not_ours_is_a_404(hostile: Place, path: str, method: str) -> None:
    checked(hostile.send({"messages": [USER]}, path, method), 404, "unknown_path")


def test_an_unknown_model_of_the_list_is_a_404(hostile: Place) -> None:
    checked(hostile.send(b"", f"/v1/models/{C}", "GET"), 404, "model_not_found")


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"Origin": f"https://{C}.example"}, 403, "origin_not_allowed"),
        ({"Origin": "null"}, 403, "origin_not_allowed"),
        ({"X-Gatehouse-Privacy": C}, 400, None),
        ({"X-Gatehouse-Privacy": ""}, 400, None),
    ],
)
def test_a_header_that_is_not_allowed_is_refused(
    hostile: Place, headers: dict[str, str], status: int, code: str | None
) -> None:
    checked(hostile.send({"messages": [USER]}, headers=headers), status, code)


@pytest.mark.parametrize("number", ["1e999", "-1e999", "9" * 400, "1" + "0" * 5000, "1e-999", "0." + "3" * 5000, "-0"])
@pytest.mark.parametrize("field", ["temperature", "max_tokens", "seed", "x_unknown"])
def test_a_huge_number_is_no_fault_of_the_gateway(hostile: Place, field: str, number: str) -> None:
    body = f'{{"messages": [{{"role": "user", "content": "{C}"}}], "{field}": {number}}}'.encode()
    response = hostile.send(body)
    if response.status != 200:
        checked(response, 400)


@pytest.mark.parametrize("way", ["auto", "local", "cloud"])
def test_an_error_of_a_streamed_request_before_its_stream_is_an_ordinary_error(hostile: Place, way: str) -> None:
    checked(hostile.send({"model": way, "stream": True, "messages": [{"role": C}]}), 400)
