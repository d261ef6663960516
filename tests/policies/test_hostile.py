"""Files that were made to hurt: each is refused with a clear message, or handled, without much processor time.

The aim is a second; the bound leaves room for a slow machine, and is of processor time, never of the clock.
"""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from policies.errors import PolicyError
from policies.schema import load_policy
from policies.text.document import MAX_BYTES
from tests.policies.worlds import BASE, OFFLINE

SECONDS = 10.0  # of processor time: one is the aim; the bound is for what never ends, on a slow machine too
MIB = 1024 * 1024


def refusal(tmp_path: Path, text: str | bytes, **others: str) -> str:
    """What loading this file says, within the time."""
    file = tmp_path / "p.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
    for name, content in others.items():
        (tmp_path / f"{name}.yaml").write_text(content)
    begun = time.process_time()
    with pytest.raises(PolicyError) as caught:
        load_policy(str(file))
    assert time.process_time() - begun < SECONDS
    return str(caught.value).replace(str(tmp_path) + "/", "")


LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join([f'*{chr(97 + n)}'] * 9)}]\n" for n in range(20)
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (LAUGHS, "p.yaml:1:4: anchor '&a': anchors are not allowed"),
        (LAUGHS, "p.yaml:2:8: alias '*a': aliases are not allowed"),
        (OFFLINE + "cache: &c {mode: 'off'}\nfallback: {<<: *c}\n", "merge keys (<<) are not allowed"),
        (OFFLINE + "cache: !!python/object/apply:os.system ['true']\n", "tags (!) are not allowed"),
        (OFFLINE + "version: 2\n", "p.yaml:5:1: duplicate key 'version': it stands in line 1 already"),
        (OFFLINE.replace("home: {", "home: {locality: lan, "), "duplicate key 'locality'"),
        ("---\n" + OFFLINE + "---\n" + OFFLINE, "a second document (---)"),
        (OFFLINE + "decisions: " + "[" * 100 + "]" * 100, "nested deeper than 32 levels"),
        (OFFLINE + "#" * MIB, f"a policy may have {MAX_BYTES:,}"),
        ("[" * MIB, f"a policy may have {MAX_BYTES:,}"),
        ("a: &a [*a]\n" * (MIB // 11), f"a policy may have {MAX_BYTES:,}"),
        (b"\x00" * MIB, f"a policy may have {MAX_BYTES:,}"),
        (b"\x00" * 1000, "control character"),
        (b"\xff\xfe" + OFFLINE.encode("utf-16-le"), "not UTF-8"),
        ("?" * MAX_BYTES, "p.yaml:"),
        (OFFLINE + "version\u200b: 2\n", "the invisible character U+200B"),
        (OFFLINE + "\u202everdict: 2\n", "the invisible character U+202E"),
        ("version: 1\n" + "\u0430\u0441\u0441ess: 1\n", "unknown key"),
    ],
    ids=range(18),
)  # fmt: skip
def test_a_hostile_file_is_refused_with_a_message_that_names_the_cause(
    tmp_path: Path, text: str | bytes, message: str
) -> None:
    assert message in refusal(tmp_path, text)


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        # Cyrillic, Greek and full-width letters that look like ours
        ("version:", "v\u0435rsion:", "(it holds U+0435, which is no ASCII letter)"),
        ("confidential: {payload", "\u0441onfidential: {payload", "unknown key"),
        ("  eu: {locality", "  \u0435u: {locality", "must be up to 64 letters, digits and . _ : /"),
        ("name: hard,", "name: h\u0430rd,", "'name' must be up to 64 letters"),
        ("payload: full", "payload: ful\uff4c", "is not one of none, pseudonymized, full"),
        ("{complexity: {at_least: 0.7}}", "{\u0441omplexity: {at_least: 0.7}}", "there is no signal"),
        ("forbid: [cloud]", "forbid: [\u0441loud]", "up to 64 letters, digits"),
        ("restricted: [CREDIT_CARD", "restricted: [CR\u0395DIT_CARD", "up to 64 letters, digits"),
    ],
)
def test_words_that_only_look_like_the_policys_are_refused(
    tmp_path: Path, before: str, after: str, message: str
) -> None:
    assert before in BASE
    assert message in refusal(tmp_path, BASE.replace(before, after, 1))


def test_names_that_differ_only_in_case_are_refused(tmp_path: Path) -> None:
    twin = '  EU: {locality: cloud, backend: openai, base_url: "https://x.example/v1", model: b}\n'
    assert "differ only in case" in refusal(tmp_path, BASE.replace("defaults:", twin + "defaults:", 1))


def test_ten_thousand_rules_are_refused_for_their_size_or_number(tmp_path: Path) -> None:
    rule = "  - {{name: r{0}, priority: {0}, when: {{complexity: {{at_least: 0.5}}}}, route: local}}\n"
    told = refusal(tmp_path, OFFLINE + "decisions:\n" + "".join(rule.format(n) for n in range(10_000)))
    assert "a policy may have" in told
    short = "- {{name: r{0}, priority: {0}, route: local}}\n"  # fits only as long as the rules are this short
    text = OFFLINE + "decisions:\n" + "".join(short.format(n) for n in range(5500))
    file = tmp_path / "p.yaml"
    file.write_text(text)
    assert len(text) <= MAX_BYTES
    begun = time.process_time()
    assert len(load_policy(str(file)).rules) == 5500
    assert time.process_time() - begun < 4 * SECONDS


def test_files_that_extend_each_other_are_refused(tmp_path: Path) -> None:
    circle = "this goes round in a circle: it leads back to a file that extends this one"
    assert circle in refusal(tmp_path, "extends: q.yaml\nversion: 1\n", q="extends: p.yaml\nversion: 1\n")
    assert circle in refusal(tmp_path, "extends: p.yaml\nversion: 1\n")


def test_a_ladder_of_files_has_an_end(tmp_path: Path) -> None:
    chain = {f"q{n}": f"extends: q{n + 1}.yaml\nversion: 1\n" for n in range(1, 9)}
    assert "more than 5 files above one another" in refusal(
        tmp_path, "extends: q1.yaml\nversion: 1\n", **chain, q9=OFFLINE
    )
