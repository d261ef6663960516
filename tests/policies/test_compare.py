"""Two policies compared: each difference is named, and what loosens is never called anything less."""

from __future__ import annotations

import pytest

from policies.comparing.compare import compare
from tests.policies.worlds import BASE, load

OLD = load(BASE)


def changed(*edits: tuple[str, str]) -> list[tuple[str, str]]:
    text = BASE
    for before, after in edits:
        assert before in text, before
        text = text.replace(before, after)
    return [(each.direction, each.what) for each in compare(OLD, load(text))]


HARD = "  - {name: hard, priority: 50, when: {all: [{complexity: {at_least: 0.7}}]}, route: cloud}\n"
HARD_SAID = "route cloud when complexity at least 0.7 (priority 50)"
EXCEPTION = "  exceptions: [{entity: EMAIL_ADDRESS, domains: [a.example], reason: ours}]"
FORBID = "{name: no-injections-out, priority: 90, when: {any: [{injection: {at_least: 0.8}}]}, forbid: [cloud]}"
SAID = "forbid cloud when injection at least 0.8 (priority 90)"


@pytest.mark.parametrize(
    ("before", "after", "direction", "what"),
    [
        ("restricted: {payload: full", "restricted: {payload: none", "tightens", "restricted to 'lan': full -> none"),
        ("regions: [site, eu]", "regions: [site, us, eu]", "loosens", "confidential to 'cloud': none -> full"),
        ("internal: [ORGANIZATION]", "internal: [ORGANIZATION, PHONE_NUMBER]", "loosens",
         "PHONE_NUMBER: confidential -> internal"),
        ("public: [LOCATION]", "public: []", "tightens", "LOCATION: public -> confidential"),
        ("{PERSON: 0.6}", "{PERSON: 0.9}", "loosens", "PERSON counts from a score of 0.6 -> 0.9"),
        ("{PERSON: 0.6}", "{PERSON: 0.1}", "tightens", "PERSON counts from a score of 0.6 -> 0.1"),
        ("{image: {counts_as: internal", "{audio: {counts_as: internal", "loosens", "audio: restricted -> internal"),
        ("{image: {counts_as: internal", "{audio: {counts_as: internal", "tightens", "image: internal -> restricted"),
        ("terms: [Bluebird]", "terms: [Bluebird, Heron]", "tightens", "'project-names' has more terms"),
        ("terms: [Bluebird]", "terms: [Heron]", "loosens", "'project-names' differs: it may find less"),
        ("name: project-names", "name: other-names", "loosens", "'project-names' is gone"),
        ("  dictionaries:", f"{EXCEPTION}\n  dictionaries:", "loosens", "1 new or changed: EMAIL_ADDRESS"),
        ("https://api.example.com", "https://else.example.com", "loosens", "what leaves goes elsewhere: base_url"),
        ("context: 64000", "context: 32000", "changes", "other context"),
        ("context: 8192", "context: 4096", "changes", "other context"),
        (FORBID, FORBID.replace("0.8", "0.9"), "loosens", f"{SAID} -> {SAID.replace('0.8', '0.9')}"),
        (FORBID, FORBID.replace("[cloud]", "[cloud, lan]"), "tightens",
         f"{SAID} -> {SAID.replace('cloud', 'cloud, lan')}"),
        (f"  - {FORBID}\n", "", "loosens", f"{SAID} -> nothing"),
        (HARD, "", "tightens", f"{HARD_SAID} -> nothing"),
        (HARD, HARD.replace("0.7", "0.5"), "sends out", f"{HARD_SAID} -> {HARD_SAID.replace('0.7', '0.5')}"),
        ("version: 3\n", "version: 3\nmode: shadow\n", "tightens", "enforce -> shadow"),
        ("version: 3\n", "version: 3\nhistory: drop_turns\n", "loosens", "keep_local -> drop_turns"),
        ("version: 3\n", "version: 3\naudit: required\n", "tightens", "best_effort -> required"),
        ("version: 3\n", "version: 3\nfallback: {local_unavailable: cloud}\n", "sends out", "refuse -> cloud"),
        ("version: 3\n", "version: 3\non_pinned_denied: local\n", "changes", "refuse -> local"),
        ("[10.20.0.0/16]", "[10.20.0.0/16, 10.30.0.0/16]", "loosens", "counts as lan now: 10.30.0.0/16"),
        ("threshold: 0.55", "threshold: 0.75", "sends out", "other terms of escalation"),
        ("threshold: 0.55", "threshold: 0.35", "tightens", "other terms of escalation"),
        (HARD, HARD.replace("0.7", "0.8"), "tightens", f"{HARD_SAID} -> {HARD_SAID.replace('0.7', '0.8')}"),
        (HARD, HARD.replace("0.7}}", "0.7}}, {has_tools: {is: false}}"), "tightens",
         f"{HARD_SAID} -> {HARD_SAID.replace(' (', ' and has_tools is false (')}"),
        (HARD, HARD.replace("0.7", "0.6"), "sends out", f"{HARD_SAID} -> {HARD_SAID.replace('0.7', '0.6')}"),
        (HARD, HARD.replace("complexity: {at_least: 0.7}", "injection: {at_least: 0.9}"), "sends out",
         f"{HARD_SAID} -> {HARD_SAID.replace('complexity at least 0.7', 'injection at least 0.9')}"),
        ("max_hops: 1", "max_hops: 0", "tightens", "other terms of escalation"),
        ("max_hops: 1", "max_hops: 2", "sends out", "other terms of escalation"),
        ("max_hops: 1", "max_hops: 1, to: [lan]", "sends out", "other terms of escalation"),
        ("cloud: cloud}\n", "cloud: cloud, fallback: [eu]}\n", "sends out", "[] -> [eu]"),
        (HARD, HARD.replace("route: cloud", "route: cloud, fallback: [eu]"), "sends out",
         f"{HARD_SAID} -> {HARD_SAID.replace('route cloud', 'route cloud with fallback [eu]')}"),
        (HARD, HARD.replace("route: cloud", "route: cloud, cache: 'off'"), "changes",
         f"{HARD_SAID} -> {HARD_SAID.replace('route cloud', 'route cloud without cache')}"),
        (HARD, HARD.replace("route: cloud", "route: cloud, cache: {ttl_seconds: 60}"), "changes",
         f"{HARD_SAID} -> {HARD_SAID.replace('route cloud', 'route cloud cached for 60 s')}"),
        ("version: 3\n", "version: 3\nlimits: {max_tools: 3}\n", "changes", "limits differs"),
        (HARD, HARD.replace("route: cloud", "route: cloud, limits: {max_output_tokens: 1000}"), "changes",
         f"{HARD_SAID} -> {HARD_SAID.replace('route cloud', 'route cloud with max_output_tokens 1,000')}"),
        (HARD, HARD.replace("route: cloud", "route: cloud, retention: {records_days: 9}"), "changes",
         f"{HARD_SAID} -> {HARD_SAID.replace('route cloud', 'route cloud recorded for 9 days')}"),
        ("version: 3\n", "version: 3\ntools: {forbid: [shell]}\n", "tightens", "forbidden: shell"),
        ("version: 3\n", "version: 3\ntools: {outside: {internal: {forbid: [a]}}}\n", "tightens",
         "internal: fewer tools may be offered outside"),
        ("cache: {mode: exact}", "cache: {mode: 'off'}", "changes", "cached for 3,600 s -> without cache"),
        ("cache: {mode: exact}", "cache: {mode: semantic}", "changes",
         "cached for 3,600 s -> cached by meaning from 0.95 on for 3,600 s"),
        ("version: 3\n", "version: 3\nretention: {records_days: 30}\n", "changes", "retention_days differs"),
        ("version: 3\n", "version: 3\nretention: {cache_seconds: 60}\n", "changes",
         "cached for 3,600 s -> cached for 60 s"),
    ],
)  # fmt: skip
def test_a_difference_is_named_with_its_direction(before: str, after: str, direction: str, what: str) -> None:
    assert (direction, what) in changed((before, after))


@pytest.mark.parametrize(
    ("was", "now", "levels"),
    [
        ("{internal: {allow: [a, b]}}", "{internal: {allow: [a]}}", {}),
        ("{internal: {allow: [a]}}", "{internal: {allow: [a, b]}}", {"internal", "confidential", "restricted"}),
        ("{confidential: {forbid: [a]}}", "{internal: {forbid: [a]}}", {}),
        ("{internal: {forbid: [a]}}", "{confidential: {forbid: [a]}}", {"internal"}),
        ("{internal: {allow: []}}", "{}", {"internal", "confidential", "restricted"}),
        ("{confidential: {forbid: ['a*']}}", "{confidential: {forbid: [ab]}}", {"confidential", "restricted"}),
    ],
)  # fmt: skip
def test_tools_that_may_leave_from_a_level_on_loosen_where_more_may(was: str, now: str, levels: set[str]) -> None:
    found = compare(load(f"{BASE}tools: {{outside: {was}}}\n"), load(f"{BASE}tools: {{outside: {now}}}\n"))
    assert found
    assert {each.path.removeprefix("tools.outside.") for each in found if each.direction == "loosens"} == set(levels)


def test_the_same_policy_has_no_difference_whatever_the_file_looks_like() -> None:
    assert compare(OLD, load(f"# a comment\n{BASE}")) == ()


def test_each_difference_undone_is_not_called_loosening_both_ways_unless_in_doubt() -> None:
    tighter = load(BASE.replace("restricted: {payload: full", "restricted: {payload: none"))
    assert {each.direction for each in compare(OLD, tighter)} == {"tightens"}
    assert {each.direction for each in compare(tighter, OLD)} == {"loosens"}


def test_what_loosens_comes_first_and_values_are_not_shown() -> None:
    found = changed(("cache: {mode: exact}", "cache: {mode: 'off'}"), ("terms: [Bluebird]", "terms: [Heron]"))
    assert [direction for direction, _ in found] == ["loosens", "changes"]
    assert not any("Heron" in what or "Bluebird" in what for _, what in found)


def test_a_forbid_that_goes_where_nothing_can_leave_loosens_nothing() -> None:
    closed = BASE
    for level in ("public", "internal", "confidential", "restricted"):
        closed = closed.replace(f"  {level}: {{payload: full", f"  {level}: {{payload: none")
    without = load(closed.replace(f"  - {FORBID}\n", ""))
    assert [(each.direction, each.path) for each in compare(load(closed), without)] == [
        ("changes", "decisions.no-injections-out")
    ]
