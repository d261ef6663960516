"""Random policies, good by construction, and random requests, broken ones included: what property tests draw from.

A policy is plain data here, so that an edit is an edit of the file; JSON is YAML, so that it goes through the loader.
"""

from __future__ import annotations

import copy
import json
from typing import Any

from hypothesis import strategies as st

from classifiers.exempting import Exempting
from classifiers.types import Signals
from policies.types import Facts, Level, Policy
from tests.policies.worlds import load, scan, signals

File = dict[str, Any]
LEVELS = [level.word for level in Level]
PAYLOADS = ["none", "pseudonymized", "full"]
ENTITIES = ["SECRET", "CREDIT_CARD", "PERSON", "EMAIL_ADDRESS", "ORGANIZATION", "LOCATION"]
UNKNOWNS = ["image", "audio", "timeout"]
MAIL = "desk@support.example.com"  # the text of every finding, for exceptions

_MODELS: File = {
    "home": {"locality": "local", "backend": "engine", "model": "small"},
    "desk": {"locality": "local", "backend": "engine", "model": "code", "good_at": {"task": ["code"]}},
    "lan": {"locality": "lan", "backend": "openai", "base_url": "http://10.20.0.7/v1", "model": "m", "region": "site"},
    "us": {"locality": "cloud", "backend": "openai", "base_url": "https://a.example/v1", "model": "b", "region": "us"},
    "eu": {"locality": "cloud", "backend": "openai", "base_url": "https://b.example/v1", "model": "b", "region": "eu",
           "attributes": ["zero-retention"], "context": 16000},
    "nowhere": {"locality": "cloud", "backend": "openai", "base_url": "https://c.example/v1", "model": "b"},
}  # fmt: skip

BOUNDS = st.sampled_from(["at_least", "at_most"])
LEAVES = st.one_of(
    *(
        st.builds(lambda bound, value, name=name: {name: {bound: value}}, BOUNDS, values)
        for name, values in (
            ("complexity", st.sampled_from([0.0, 0.3, 0.7, 1.0])),
            ("injection", st.sampled_from([0.2, 0.8])),
            ("context_length", st.sampled_from([0, 100, 5000])),
        )
    ),
    st.builds(lambda value: {"has_tools": {"is": value}}, st.booleans()),
    st.builds(lambda words: {"language": {"in": words}}, st.sampled_from([["de"], ["en", "fr"]])),
    st.builds(lambda words: {"modality": words}, st.sampled_from([{"is": "text"}, {"in": ["image", "audio"]}])),
    st.builds(lambda word: {"task": {"is": word}}, st.sampled_from(["code", "chat"])),
)  # fmt: skip
KINDS = st.sampled_from(["all", "any"])
CONDITIONS = st.recursive(
    LEAVES,
    lambda inner: st.builds(lambda kind, parts: {kind: parts}, KINDS, st.lists(inner, min_size=1, max_size=3)),
    max_leaves=5,
)
ROUTES = st.sampled_from(["local", "lan", "cloud", "desk", "eu", "us"])
LISTS = st.lists(st.sampled_from(["eu", "us", "lan", "home"]), max_size=2, unique=True)
FORBIDS = st.lists(st.sampled_from(["cloud", "lan", "eu", "us"]), min_size=1, max_size=2, unique=True)


@st.composite
def egress(draw: Any) -> File:
    """Rules in which each level allows what the one below does, or less."""
    rules: File = {}
    payload, places, regions, require = "full", ["lan", "cloud"], ["us", "eu", "site"], []
    for level in LEVELS:
        if draw(st.integers(0, 3)) == 0:
            payload = PAYLOADS[max(0, PAYLOADS.index(payload) - 1)]
        if draw(st.integers(0, 4)) == 0 and len(regions) > 1:
            regions = regions[1:]
        if draw(st.integers(0, 4)) == 0:
            require = ["zero-retention"]
        if level == "restricted":
            places = ["lan"]
        rules[level] = {"payload": payload, "localities": places, "regions": regions, "require": require}
    return rules


@st.composite
def files(draw: Any) -> File:
    """A policy file as data."""
    rules = []
    for number in range(draw(st.integers(0, 6))):
        rule: File = {"name": f"r{number}", "priority": number + 1}
        if draw(st.integers(0, 5)):
            rule["when"] = draw(CONDITIONS)
        if draw(st.booleans()):
            rule["forbid"] = draw(FORBIDS)
        else:
            rule["route"] = draw(ROUTES)
            if rule["route"] not in ("local", "desk") and draw(st.integers(0, 3)) == 0:
                rule["fallback"] = [word for word in draw(LISTS) if word != rule["route"]]
            if rule["route"] in ("local", "desk") and draw(st.integers(0, 2)) == 0:
                rule["escalation"] = draw(st.sampled_from([{"threshold": 0.7}, {"target": {"max_bad_local": 0.1}}]))
            if draw(st.integers(0, 5)) == 0:
                rule["limits"] = {"max_input_tokens": 9000, "max_output_tokens": 100}
        rules.append(rule)
    streams = draw(st.sampled_from(["before", "hold", "commit"]))
    more = draw(
        st.sampled_from([{}, {"race": 0.4}, {"deadline_ms": 2000}, {"affinity": {"minutes": 5}}, {"via": "desk"}])
    )
    hops = draw(st.sampled_from([{}, {"max_hops": 2}, {"max_hops": 3, "to": ["lan", "eu", "us"]}, {"to": ["lan"]}]))
    escalation: File = {"threshold": draw(st.sampled_from([0.0, 0.5, 1.0])), "stream": streams, **more, **hops}
    return {
        "version": 1,
        "mode": draw(st.sampled_from(["enforce", "enforce", "shadow"])),
        "on_pinned_denied": draw(st.sampled_from(["refuse", "local"])),
        "fallback": {"local_unavailable": draw(st.sampled_from(["refuse", "cloud"]))},
        "models": copy.deepcopy(_MODELS),
        "defaults": {"local": "home", "cloud": "us", "fallback": draw(LISTS)},
        "aliases": {"gpt-*": "auto", "pin": "eu"},
        "networks": {"lan": ["10.20.0.0/16"]},
        "sensitivity": {
            "levels": {"restricted": ["SECRET", "CREDIT_CARD"], "confidential": ["PERSON"],
                       "internal": ["ORGANIZATION"], "public": ["LOCATION", "EMAIL_ADDRESS"]},
            "min_score": {"PERSON": draw(st.sampled_from([0.0, 0.5, 0.8]))},
            "exceptions": draw(st.sampled_from([[], [{"entity": "PERSON", "terms": [MAIL], "reason": "nobody"}]])),
            "on_unknown": draw(st.sampled_from([{}, {"image": {"counts_as": "internal", "reason": "photos"}}])),
        },
        "escalation": escalation,
        "cache": {"mode": draw(st.sampled_from(["exact", "semantic"]))},
        "egress": draw(egress()),
        "decisions": rules,
    }  # fmt: skip


def compiled(file: File) -> Policy:
    """Through the text of a file, as an admin's goes."""
    return load(json.dumps(file, indent=1))


UNITS = st.sampled_from([0.0, 0.25, 0.3, 0.65, 0.7, 0.9, 1.0, float("nan"), "error:timeout", None, "high", True])
VALUES = st.fixed_dictionaries(
    {
        "complexity": UNITS,
        "injection": UNITS,
        "context_length": st.sampled_from([20, 100, 6000, "error:timeout", None]),
        "has_tools": st.sampled_from([True, False, None, "error:timeout", 1.0]),
        "language": st.sampled_from(["de", "en", "other", "error:not_measured", None]),
        "modality": st.sampled_from([["text"], ["text", "image"], None, "error:timeout"]),
        "task": st.sampled_from(["code", "other", "error:timeout"]),
        "sensitivity": st.sampled_from([None, None, None, "error:timeout"]),
    }
)
FOUND = st.lists(
    st.tuples(st.sampled_from([*ENTITIES, "NOT_LISTED"]), st.sampled_from([0.4, 0.5, 0.7, 0.99])), max_size=3
)
UNREAD = st.lists(st.sampled_from(UNKNOWNS), max_size=1)
FACTS = st.builds(
    Facts,
    requested=st.sampled_from(["auto", "auto", "auto", "local", "lan", "cloud", "eu", "gpt-4", "pin", "who"]),
    local_only=st.sampled_from([False, False, False, True]),
    stream=st.booleans(),
    needs=st.frozensets(st.sampled_from(["tools", "json_mode"]), max_size=1),
    unknown_fields=st.frozensets(st.just("other")),
    input_tokens=st.sampled_from([1, 9000, 200_000]),
    output_tokens=st.sampled_from([0, 0, 5000]),
    bounded=st.booleans(),
    replaceable=st.sampled_from([frozenset(), frozenset(range(4))]),
    unavailable=st.dictionaries(
        st.sampled_from(["home", "desk", "lan", "us", "eu"]), st.sampled_from(["missing_key", "local_down"]), max_size=2
    ),
    taint=st.sampled_from([Level.PUBLIC, Level.PUBLIC, Level.CONFIDENTIAL]),
    answered_by=st.sampled_from([(), ("eu",), ("home",)]),
    waits=st.sampled_from([None, {"home": 50_000.0}]),
)
Request = tuple[Facts, dict[str, object], list[tuple[str, float]], list[str]]
REQUESTS = st.tuples(FACTS, VALUES, FOUND, UNREAD)


def seen_by(policy: Policy, request: Request) -> Signals:
    """What of a request reaches `decide`: findings that the policy excepts are none."""
    _, values, found, unread = request
    excepted = Exempting(policy.scan_rules.exemptions).covers
    kept = [list(each) for each in found if not excepted(each[0], MAIL, "default")]
    return signals(values, scan(kept, unread))


def _lower(file: File, level: str, change: Any) -> File:
    """The egress rules of this level and all above it, changed."""
    for word in LEVELS[LEVELS.index(level) :]:
        change(file["egress"][word])
    return file


def _less_payload(rule: File) -> None:
    rule["payload"] = PAYLOADS[max(0, PAYLOADS.index(rule["payload"]) - 1)]


def _no_region(region: str) -> Any:
    def change(rule: File) -> None:
        rest = [each for each in rule["regions"] if each != region]
        rule.update({"regions": rest} if rest else {"payload": "none"})

    return change


def _raised(file: File, entity: str) -> File:
    levels = file["sensitivity"]["levels"]
    at = next(word for word in LEVELS if entity in levels[word])
    if at != "restricted":
        levels[at] = [each for each in levels[at] if each != entity]
        levels[LEVELS[LEVELS.index(at) + 1]].append(entity)
    return file


def _without(file: File, part: str, name: str) -> File:
    file[part][name] = type(file[part][name])()
    return file


def _with_forbid(file: File, rule: File) -> File:
    file["decisions"] = [*file["decisions"], {"name": "more", **rule}]
    return file


def _scored(file: File) -> File:
    file["sensitivity"]["min_score"] = {"PERSON": 0.0}
    return file


def _set(file: File, **keys: Any) -> File:
    return {**file, **keys}


# Each makes a policy stricter; the file that it gets is its own.
TIGHTENINGS: dict[str, Any] = {
    "payload lower": lambda draw, file: _lower(file, draw(st.sampled_from(LEVELS)), _less_payload),
    "region removed": lambda draw, file: _lower(
        file, draw(st.sampled_from(LEVELS)), _no_region(draw(st.sampled_from(["us", "eu", "site"])))
    ),
    "attribute required": lambda draw, file: _lower(
        file, draw(st.sampled_from(LEVELS)), lambda rule: rule.update({"require": ["zero-retention"]})
    ),
    "level raised": lambda draw, file: _raised(file, draw(st.sampled_from(ENTITIES))),
    "exception removed": lambda draw, file: _without(file, "sensitivity", "exceptions"),
    "on_unknown removed": lambda draw, file: _without(file, "sensitivity", "on_unknown"),
    "min_score lowered": lambda draw, file: _scored(file),
    "forbid added": lambda draw, file: _with_forbid(
        file, {"forbid": draw(FORBIDS), **draw(st.sampled_from([{}, {"when": {"complexity": {"at_least": 0.3}}}]))}
    ),
    "shadow": lambda draw, file: _set(file, mode="shadow"),
    "fallback off": lambda draw, file: _set(file, fallback={"local_unavailable": "refuse"}),
    "escalation off": lambda draw, file: _set(file, escalation={"max_hops": 0}),
}


@st.composite
def tightened(draw: Any) -> tuple[File, File, str]:
    """A file, a stricter one, and what was done."""
    file = draw(files())
    edits = draw(st.lists(st.sampled_from(sorted(TIGHTENINGS)), min_size=1, max_size=2, unique=True))
    stricter = copy.deepcopy(file)
    for edit in edits:
        stricter = TIGHTENINGS[edit](draw, stricter)
    return file, stricter, ", ".join(edits)
