"""Policies and requests that the tests of this folder share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

from classifiers.types import Finding, Scan, Signal, Signals, Unknown
from policies.schema import compile_policy
from policies.types import Policy

ENTITIES = frozenset({"CREDIT_CARD", "EMAIL_ADDRESS", "PERSON", "ORGANIZATION", "LOCATION", "SECRET", "PHONE_NUMBER"})

BASE = """\
version: 3
models:
  home: {locality: local, backend: engine, model: small, context: 8192}
  lan: {locality: lan, backend: openai, base_url: "http://10.20.0.7:8000/v1", model: mid, region: site, context: 16000}
  cloud: {locality: cloud, backend: openai, base_url: "https://api.example.com/v1", model: big, region: us,
          api_key_env: CLOUD_KEY}
  eu: {locality: cloud, backend: openai, base_url: "https://eu.example.com/v1", model: big, region: eu,
       attributes: [zero-retention], context: 64000, capabilities: [json_schema]}
defaults: {local: home, cloud: cloud}
aliases: {"gpt-*": auto, "gpt-4-pinned": cloud, "claude-home": home, "any-cloud": cloud}
networks: {lan: [10.20.0.0/16]}
sensitivity:
  levels:
    restricted: [CREDIT_CARD, SECRET]
    confidential: [EMAIL_ADDRESS]
    internal: [ORGANIZATION]
    public: [LOCATION]
  min_score: {PERSON: 0.6}
  dictionaries: [{name: project-names, level: restricted, terms: [Bluebird]}]
  on_unknown: {image: {counts_as: internal, reason: product photos only}}
egress:
  public: {payload: full, localities: [lan, cloud]}
  internal: {payload: full, localities: [lan, cloud], regions: [site, us, eu]}
  confidential: {payload: full, localities: [lan, cloud], regions: [site, eu], require: []}
  restricted: {payload: full, localities: [lan], regions: [site]}
decisions:
  - {name: no-injections-out, priority: 90, when: {any: [{injection: {at_least: 0.8}}]}, forbid: [cloud]}
  - {name: no-us-tools, priority: 80, when: {all: [{has_tools: {is: true}}]}, forbid: [cloud]}
  - {name: long-to-lan, priority: 70, when: {all: [{context_length: {at_least: 5000}}]}, route: lan}
  - {name: pictures-home, priority: 60, when: {any: [{modality: {in: [image]}}]}, route: local}
  - {name: hard, priority: 50, when: {all: [{complexity: {at_least: 0.7}}]}, route: cloud}
  - {name: long-stays-off-eu, priority: 45, when: {all: [{context_length: {at_least: 4000}}]}, forbid: [eu]}
  - {name: hard-eu, priority: 40, when: {all: [{complexity: {at_least: 0.6}}]}, route: eu}
escalation: {threshold: 0.55, max_hops: 1, stream: hold}
cache: {mode: exact}
"""

VARIANTS: dict[str, Sequence[tuple[str, str]]] = {
    "base": (),
    "shadow": (("version: 3\n", "version: 3\nmode: shadow\n"),),
    "home-if-denied": (("version: 3\n", "version: 3\non_pinned_denied: local\n"),),
    "fallback": (("version: 3\n", "version: 3\nfallback: {local_unavailable: cloud}\n"),),
    "shadow-fallback": (("version: 3\n", "version: 3\nmode: shadow\nfallback: {local_unavailable: cloud}\n"),),
    "before": (("stream: hold", "stream: before"),),
    "rule-cache": (
        ("{at_least: 0.7}}]}, route: cloud}", "{at_least: 0.7}}]}, route: cloud, cache: 'off'}"),
        ("route: eu}", "route: eu, cache: {ttl_seconds: 60}}"),
    ),
    "rule-cache-alone": (("mode: exact", "mode: off"), ("route: eu}", "route: eu, cache: exact}")),
    "limits": (
        (
            "version: 3\n",
            "version: 3\nlimits: {max_input_tokens: 5000, max_output_tokens: 400, max_messages: 10, max_tools: 2}\n",
        ),
    ),
    "rule-limits": (
        ("version: 3\n", "version: 3\nlimits: {max_output_tokens: 400}\n"),
        (
            "{at_least: 0.7}}]}, route: cloud}",
            "{at_least: 0.7}}]}, route: cloud, limits: {max_input_tokens: 900, max_output_tokens: 100, max_tools: 1}}",
        ),
    ),
    "shadow-rule-limits": (
        ("version: 3\n", "version: 3\nmode: shadow\n"),
        ("{at_least: 0.7}}]}, route: cloud}", "{at_least: 0.7}}]}, route: cloud, limits: {max_input_tokens: 900}}"),
    ),
    "tools": (
        (
            "version: 3\n",
            "version: 3\ntools:\n  forbid: [format_disk, 'shell*']\n  outside:\n"
            "    public: {forbid: ['db_*']}\n    internal: {allow: [search, 'get_*', db_list]}\n",
        ),
        ("{at_least: 0.7}}]}, route: cloud}", "{at_least: 0.7}}]}, route: cloud, fallback: [eu, home]}"),
    ),
    "no-cache": (("mode: exact", "mode: off"),),
    "hops": (("max_hops: 1", "max_hops: 2, to: [lan, eu, cloud]"),),
    "three-hops": (("max_hops: 1", "max_hops: 3"),),
    "by-meaning": (
        ("mode: exact", "mode: semantic, similarity: 0.97"),
        ("{at_least: 0.7}}]}, route: cloud}", "{at_least: 0.7}}]}, route: cloud, cache: exact}"),
        ("route: eu}", "route: eu, cache: {mode: semantic, similarity: 0.99}}"),
    ),
    "pseudonymized": (
        ("confidential: {payload: full", "confidential: {payload: pseudonymized"),
        ("restricted: {payload: full, localities: [lan]", "restricted: {payload: none, localities: [lan]"),
    ),
    "pseudonymized-fallback": (
        ("version: 3\n", "version: 3\nfallback: {local_unavailable: cloud}\n"),
        ("confidential: {payload: full", "confidential: {payload: pseudonymized"),
        ("restricted: {payload: full, localities: [lan]", "restricted: {payload: none, localities: [lan]"),
    ),
    "fallback-list": (
        ("defaults: {local: home, cloud: cloud}", "defaults: {local: home, cloud: cloud, fallback: [eu, home]}"),
        ("{at_least: 0.7}}]}, route: cloud}", "{at_least: 0.7}}]}, route: cloud, fallback: [eu, lan, local]}"),
        ("route: eu}", "route: eu, fallback: []}"),
    ),
    "no-escalation": (("threshold: 0.55", "threshold: 0.0"),),
    "affinity": (("stream: hold}", "stream: hold, affinity: {minutes: 30}}"),),
    "shadow-affinity": (
        ("version: 3\n", "version: 3\nmode: shadow\n"),
        ("stream: hold}", "stream: hold, affinity: {minutes: 30}}"),
    ),
    "race": (("stream: hold}", "stream: hold, race: 0.4}"),),
    "deadline": (("stream: hold}", "stream: hold, deadline_ms: 2000}"),),
    "serving": (
        (
            "defaults: {local: home, cloud: cloud}",
            "defaults: {local: home, cloud: cloud, deadline: {total_seconds: 9}}",
        ),
        (
            "{at_least: 0.7}}]}, route: cloud}",
            "{at_least: 0.7}}]}, route: cloud, deadline: {total_seconds: 5, first_token_seconds: 2}, urgency: low}",
        ),
    ),
    "deadline-commit": (("stream: hold}", "stream: commit, deadline_ms: 2000}"),),
    "pseudonymized-lan": (
        ("confidential: {payload: full", "confidential: {payload: pseudonymized"),
        ("restricted: {payload: full, localities: [lan]", "restricted: {payload: pseudonymized, localities: [lan]"),
    ),
    "meanings": (
        (
            "confidential: {payload: full",
            "confidential: {payload: pseudonymized, meaning_may_leave: [{entity: MEDICAL, reason: consented to}]",
        ),
        ("restricted: {payload: full, localities: [lan]", "restricted: {payload: none, localities: [lan]"),
    ),
    "release": (
        ("version: 3\n", "version: 3\nrelease: {levels: [confidential], by: user}\n"),
        ("confidential: {payload: full", "confidential: {payload: none"),
        ("restricted: {payload: full, localities: [lan]", "restricted: {payload: none, localities: [lan]"),
    ),
    "release-shadow": (
        ("version: 3\n", "version: 3\nmode: shadow\nrelease: {levels: [confidential], by: user}\n"),
        ("confidential: {payload: full", "confidential: {payload: none"),
        ("restricted: {payload: full, localities: [lan]", "restricted: {payload: none, localities: [lan]"),
    ),
    "release-pseudonymized": (
        (
            "version: 3\n",
            "version: 3\nrelease: {levels: [confidential], by: approver}\nfallback: {local_unavailable: cloud}\n",
        ),
        ("confidential: {payload: full", "confidential: {payload: pseudonymized"),
        ("restricted: {payload: full, localities: [lan]", "restricted: {payload: none, localities: [lan]"),
    ),
    "words": (
        (
            "decisions:\n",
            "decisions:\n"
            "  - {name: german-or-french, priority: 240, when: {language: {in: [de, fr]}}, route: eu}\n"
            "  - {name: text-alone, priority: 230, when: {all: [{modality: {is: text}}, {task: {is: summarise}}]},"
            " route: lan}\n"
            "  - {name: short-law, priority: 220, when: {all: [{domain: {is: law}}, {context_length: {at_most: 100}}]},"
            " route: cloud}\n"
            "  - {name: harmless-alone, priority: 210,"
            " when: {all: [{sensitivity: {is: internal}}, {complexity: {at_least: 0.3}}]}, route: eu}\n"
            "  - {name: window, priority: 200,"
            " when: {all: [{complexity: {at_least: 0.2}}, {complexity: {at_most: 0.25}}]}, route: lan}\n"
            "  - {name: deep, priority: 190, when: {any: [{all: [{any: [{all: [{task: {is: code}},"
            " {complexity: {at_least: 0.5}}]}]}]}, {domain: {is: medicine}}]}, route: lan}\n"
            "  - {name: code-off-lan, priority: 5, when: {task: {in: [code]}}, forbid: [lan]}\n",
        ),
    ),
    "specialists": (
        (
            "  lan: {locality: lan",
            "  coder: {locality: local, backend: engine, model: code-1b, context: 4000,\n"
            "          good_at: {domain: [computing], task: [code]}}\n"
            "  ward: {locality: local, backend: engine, model: med-1b, context: 4000, good_at: {domain: [medicine]}}\n"
            "  lan: {locality: lan",
        ),
        (
            "decisions:\n",
            "decisions:\n"
            "  - {name: law-to-ward, priority: 85, when: {all: [{domain: {in: [law]}}]}, route: ward}\n"
            "  - {name: chat-home, priority: 84, when: {all: [{task: {is: chat}}]}, route: local}\n",
        ),
    ),
}

OFFLINE = """\
version: 1
models:
  home: {locality: local, backend: engine, model: small}
defaults: {local: home}
"""


@cache
def base(variant: str = "base") -> Policy:
    """The base policy, or a variant of it."""
    text = BASE
    for before, after in VARIANTS[variant]:
        assert before in text, before
        text = text.replace(before, after)
    return load(text)


def load(text: str) -> Policy:
    """A policy from text, under detectors that can find `ENTITIES`."""
    return compile_policy(text, "policy.yaml", ENTITIES)


def finding(entity: str, score: float = 0.99, pointer: str = "/messages/0/content") -> Finding:
    """One finding, as a detector would report it."""
    return Finding(entity, pointer, "value", 0, 8, score, "test", 0)


def scan(findings: Sequence[object] = (), unknowns: Sequence[str] = ()) -> Scan:
    """A scan from entity types, or [type, score] pairs, and kinds of unknowns."""
    found = tuple(finding(*each) if isinstance(each, list) else finding(str(each)) for each in findings)
    return Scan(found, tuple(Unknown(kind, "/messages/0/content/1") for kind in unknowns))  # type: ignore[arg-type]


EASY: Mapping[str, object] = {
    "complexity": 0.1,
    "injection": 0.0,
    "has_tools": False,
    "modality": frozenset({"text"}),
    "context_length": 20,
    "language": "en",
    "domain": "other",
    "task": "other",
}


def signals(values: Mapping[str, object] | None = None, seen: Scan | None = None) -> Signals:
    """Signals of an easy request but for `values`: `error:NAME` is a signal that failed, None one that is absent."""
    merged = {**EASY, **(values or {})}
    made = {}
    for name, value in merged.items():
        if isinstance(value, str) and value.startswith("error:"):
            made[name] = Signal(name, error=value.removeprefix("error:"))
        elif isinstance(value, list):
            made[name] = Signal(name, frozenset(value))
        elif value is not None:
            made[name] = Signal(name, value)  # type: ignore[arg-type]
    return Signals(made, seen if seen is not None else Scan())
