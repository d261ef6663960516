"""Blobs that cannot be read are unknown; what coding agents send every day is not."""

from __future__ import annotations

import base64
import hashlib
import random
from collections.abc import Callable
from typing import Any

import pytest

Scan = Callable[..., Any]
CHANCE = random.Random(20)


def raw(size: int) -> bytes:
    return CHANCE.randbytes(size)


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def chat(content: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": content}]}


def wrapped(text: str, width: int = 64) -> str:
    return "\n".join(text[at : at + width] for at in range(0, len(text), width))


SHA512 = b64(hashlib.sha512(b"a").digest())
BENIGN = {
    "package-lock.json": '"node_modules/semver": {\n  "version": "7.6.3",\n  "resolved": '
    '"https://registry.npmjs.org/semver/-/semver-7.6.3.tgz",\n'
    f'  "integrity": "sha512-{SHA512}",\n  "bin": {{"semver": "bin/semver.js"}}',
    "yarn.lock": f'lodash@^4.17.21:\n  version "4.17.21"\n  integrity sha512-{SHA512}\n',
    "yarn berry": f"  checksum: 10c0/{hashlib.sha512(b'b').hexdigest()}\n  languageName: node",
    "poetry.lock": f'files = [\n  {{file = "six-1.16.0.whl", hash = "sha256:{hashlib.sha256(b"c").hexdigest()}"}},\n]',
    "cargo.lock": f'[[package]]\nname = "serde"\nchecksum = "{hashlib.sha256(b"d").hexdigest()}"',
    "go.sum": f"golang.org/x/net v0.30.0 h1:{b64(hashlib.sha256(b'e').digest())}=\n",
    "subresource integrity": f'<script src="/a.js" integrity="sha384-{b64(hashlib.sha384(b"f").digest())}"></script>',
    "nix": f'hash = "sha256-{b64(hashlib.sha256(b"g").digest())}";',
    "docker": f"FROM python:3.12@sha256:{hashlib.sha256(b'h').hexdigest()}",
    "git diff": "diff --git a/x.py b/x.py\nindex 83db48f1c..bf2a5c1d2 100644\n--- a/x.py\n+++ b/x.py\n@@ -1,3 +1,3 @@",
    "git log": f"commit {hashlib.sha1(b'i').hexdigest()}\nAuthor: A <noreply@example.com>\n\n    Fix it\n",
    "permalink": f"https://github.com/o/r/blob/{hashlib.sha1(b'j').hexdigest()}/some/long/folder/of/sources/file.json#L1",
    "digests": " ".join(hashlib.new(name, b"k").hexdigest() for name in ("md5", "sha1", "sha224", "sha256", "sha512")),
    "uuids": "3f2504e0-4f89-11d3-9a0c-0305e82c3301_5f2504e0-4f89-11d3-9a0c-0305e82c3302",
    "call ids": "call_9pw1a9iH3WQ0sVhZ5n8rJt2K toolu_01A09q90qw90lq917835lq9 chatcmpl-AbCdEf0123456789GhIjKlMnOp",
    "response ids": "rs_68af4030baa48193b0b43b4c2a176a1a0e6967589f080e78 msg_68af4030592c81938ec0a5fbab4a3e9f05438e46",
    "nanoids": "V1StGXR8_Z5jdHi6B-myT IRFa-VaY2b 8AF2aCZBw0Yu3aR",
    "source map": '{"version":3,"mappings":"AAAA,SAASA,EAAQC,GACf,OAAOA,EAAI,CACb,CAEA,IAAIC,EAAQ;AACA,MAAMC,IAAUH",'
    '"names":["add","value"],"sources":["a.js"]}',
    "minified": "!function(e,t){'object'==typeof exports?module.exports=t():e.lib=t()}(this,function(){return function("
    "e){var n={};function r(o){if(n[o])return n[o].exports;var i=n[o]={i:o,l:!1,exports:{}};return i.exports}}});",
    "long path": "/usr/local/lib/python3.12/site-packages/sklearn/ensemble/_hist_gradient_boosting/gradient.py",
    "long url": "https://docs.example.com/en/latest/reference/configuration-options-for-advanced-users/index.html?a=1&b=2",
    "long name": "ThisIsAVeryLongClassNameThatSomeJavaDeveloperWroteForTheAbstractSingletonProxyFactoryBeanImpl",
    "long constant": "THE_LONGEST_CONSTANT_THAT_ANYBODY_HAS_EVER_WRITTEN_IN_ALL_OF_THE_SOURCE_CODE_OF_THE_WORLD_TODAY",
    "ssh key": "ssh-ed25519 " + b64(b"\x00\x00\x00\x0bssh-ed25519\x00\x00\x00 " + raw(32)) + " me@host",
    "ssh rsa key": "ssh-rsa " + b64(b"\x00\x00\x00\x07ssh-rsa\x00\x00\x00\x03\x01\x00\x01" + raw(260)) + " me@host",
    "public key": f"-----BEGIN PUBLIC KEY-----\n{wrapped(b64(raw(294)))}\n-----END PUBLIC KEY-----",
    "certificate": f"-----BEGIN CERTIFICATE-----\n{wrapped(b64(raw(900)))}\n-----END CERTIFICATE-----",
    "signed commit": f"-----BEGIN PGP SIGNATURE-----\n\n{wrapped(b64(raw(400)))}\n-----END PGP SIGNATURE-----",
    "certificate in JSON": "-----BEGIN CERTIFICATE-----\\n" + wrapped(b64(raw(900))).replace("\n", "\\n") + "\\n---",
    "dna": "GATTACA" * 20,
    "base64 text": b64(b"Dear reader, this is the text of an ordinary letter in which nothing is to be found at all."),
    "table of numbers": "0.1234 0.5678 0.9012\n" * 20,
}  # fmt: skip


@pytest.mark.parametrize("name", BENIGN)
async def test_what_coding_agents_send_every_day_is_not_unknown(scan: Scan, name: str) -> None:
    assert (await scan(chat(f"Look at this:\n{BENIGN[name]}\nWhat does it do?"))).unknowns == ()


UNREADABLE = {
    "base64": (b64(raw(90)), "undecodable"),
    "base64, url-safe": (base64.urlsafe_b64encode(raw(300)).decode(), "undecodable"),
    "base64 in lines": (wrapped(b64(raw(600)), 76), "undecodable"),
    "hex": (raw(60).hex(), "undecodable"),
    "base32": (base64.b32encode(raw(200)).decode(), "undecodable"),
    "message": (f"-----BEGIN PGP MESSAGE-----\n\n{wrapped(b64(raw(400)))}\n-----END PGP MESSAGE-----", "undecodable"),
    "what calls itself a digest": ("sha512-" + b64(raw(300)), "undecodable"),
    "behind a public key": (
        "-----BEGIN PUBLIC KEY-----\nAA==\n-----END PUBLIC KEY-----\n" + b64(raw(300)),
        "undecodable",
    ),
    "partly text": (b64(b"hello there, this is text " + raw(200)), "undecodable"),
    "png": ("data:image/png;base64," + b64(b"\x89PNG\r\n\x1a\n" + raw(300)), "image"),
    "pdf": (b64(b"%PDF-1.7\n" + raw(300)), "file"),
    "mp3": (b64(b"ID3\x04" + raw(300)), "audio"),
}


@pytest.mark.parametrize("name", UNREADABLE)
async def test_what_looks_encoded_and_cannot_be_read_is_unknown(scan: Scan, name: str) -> None:
    blob, kind = UNREADABLE[name]
    result = await scan(chat(f"Look at this:\n{blob}\nWhat is it?"))
    assert {(unknown.kind, unknown.pointer) for unknown in result.unknowns} == {(kind, "/messages/0/content")}


async def test_an_unreadable_blob_is_unknown_each_time_it_comes(scan: Scan) -> None:
    body = chat("words go on " * 40 + UNREADABLE["base64"][0])
    for _ in range(3):
        assert [unknown.kind for unknown in (await scan(body)).unknowns] == ["undecodable"]


async def test_an_unreadable_blob_in_json_in_a_string_is_unknown(scan: Scan) -> None:
    result = await scan(chat('{"data": "' + b64(raw(200)).replace("/", "\\/") + '"}'))
    assert {unknown.kind for unknown in result.unknowns} == {"undecodable"}


async def test_a_signed_token_is_read_without_its_signature(scan: Scan) -> None:
    head, body = (
        base64.urlsafe_b64encode(part).decode().rstrip("=")
        for part in (b'{"alg":"RS256","typ":"JWT"}', b'{"sub":"7","email":"jo@example.com"}')
    )
    text = f"token: {head}.{body}.{base64.urlsafe_b64encode(raw(256)).decode().rstrip('=')}"
    result = await scan(chat(text))
    assert ("EMAIL_ADDRESS", ("base64",)) in {(finding.entity_type, finding.via) for finding in result.findings}
    assert result.unknowns == ()


OPAQUE: list[tuple[dict[str, Any], str]] = [
    ({"type": "reasoning", "encrypted_content": "gAAA"}, "encrypted_content"),
    ({"type": "thinking", "thinking": "hm", "signature": "Eq"}, "signature"),
    ({"type": "redacted_thinking", "data": "Em"}, "data"),
    ({"thought_signature": "Cg"}, "thought_signature"),
]


@pytest.mark.parametrize(("item", "member"), OPAQUE)
async def test_what_a_protocol_makes_opaque_is_unknown(scan: Scan, item: dict[str, Any], member: str) -> None:
    result = await scan({"input": [item]})
    assert [(unknown.kind, unknown.pointer) for unknown in result.unknowns] == [("undecodable", f"/input/0/{member}")]


async def test_members_of_those_names_elsewhere_are_ordinary(scan: Scan) -> None:
    assert (await scan({**chat("hi"), "metadata": {"signature": "Jo", "data": "x"}})).unknowns == ()
