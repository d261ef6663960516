"""A policy that extends another one: what is merged, what it may not loosen, and which file is named for what."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from policies.comparing.proof import reachable
from policies.errors import PolicyError
from policies.schema import compile_policy, load_policy
from policies.store import PolicyStore
from policies.text.chain import MAX_PARENTS
from policies.types import Level, Policy
from tests.policies.test_store import watching
from tests.policies.worlds import BASE

CHILD = "extends: base.yaml\nversion: 7\n"
_RANK = {"none": 0, "pseudonymized": 1, "full": 2}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "base.yaml").write_text(BASE)
    return tmp_path


def child(folder: Path, text: str, name: str = "policy.yaml") -> Policy:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return load_policy(str(path))


def told(folder: Path, text: str, name: str = "policy.yaml") -> list[str]:
    """The problems, with the folder left out."""
    with pytest.raises(PolicyError) as caught:
        child(folder, text, name)
    return str(caught.value).replace(f"{folder}/", "").splitlines()


def test_what_the_child_does_not_say_is_the_parents(folder: Path) -> None:
    policy, parent = child(folder, CHILD), load_policy(str(folder / "base.yaml"))
    assert policy.version == 7
    assert (policy.models, policy.rules, policy.egress) == (parent.models, parent.rules, parent.egress)
    assert policy.digest != parent.digest


def test_the_digest_is_that_of_the_whole_content(folder: Path) -> None:
    policy = child(folder, CHILD)
    assert policy.digest == compile_policy(BASE.replace("version: 3", "version: 7"), "flat.yaml").digest
    (folder / "base.yaml").write_text(BASE.replace("threshold: 0.55", "threshold: 0.5"))
    assert load_policy(str(folder / "policy.yaml")).digest != policy.digest


def test_mappings_are_merged_key_by_key_and_named_rules_by_name(folder: Path) -> None:
    policy = child(
        folder,
        CHILD + "egress: {confidential: {payload: pseudonymized}, restricted: {payload: none}}\n"
        "decisions:\n"
        "  - {name: hard, priority: 50, when: {all: [{complexity: {at_least: 0.9}}]}, route: cloud}\n"
        "  - {name: no-code-out, when: {task: {is: code}}, forbid: [cloud, lan]}\n",
    )
    parent = load_policy(str(folder / "base.yaml"))
    assert policy.egress[Level.CONFIDENTIAL].payload == "pseudonymized"
    assert policy.egress[Level.CONFIDENTIAL].regions == {"site", "eu"}
    assert {rule.name for rule in policy.rules} == {rule.name for rule in parent.rules} | {"no-code-out"}
    hard = next(rule for rule in policy.rules if rule.name == "hard")
    assert hard.when is not None
    assert hard.when.parts[0].value == 0.9  # type: ignore[union-attr]  # a leaf


def test_an_entity_has_the_level_that_the_child_gives_it(folder: Path) -> None:
    policy = child(folder, CHILD + "sensitivity: {levels: {restricted: [EMAIL_ADDRESS, IP_ADDRESS]}}\n")
    assert policy.levels["EMAIL_ADDRESS"] == policy.levels["IP_ADDRESS"] == Level.RESTRICTED
    assert policy.levels["CREDIT_CARD"] == Level.RESTRICTED
    assert policy.levels["ORGANIZATION"] == Level.INTERNAL


def test_dictionaries_are_added_and_other_lists_replaced(folder: Path) -> None:
    policy = child(
        folder,
        CHILD + "sensitivity: {dictionaries: [{name: own, level: restricted, terms: [Heron]}]}\n"
        "egress: {confidential: {regions: [site]}}\n",
    )
    assert [each.name for each in policy.scan_rules.dictionaries] == ["project-names", "own"]
    assert policy.egress[Level.CONFIDENTIAL].regions == {"site"}


def test_what_excludes_a_key_of_the_parent_takes_its_place(folder: Path) -> None:
    policy = child(folder, CHILD + "escalation: {target: {max_bad_local: 0.05}}\n")
    assert (policy.escalation.threshold, policy.escalation.stream) == (0.0, "hold")
    assert policy.escalation.target is not None


def test_a_model_that_says_where_it_is_takes_no_key_of_its_namesake(folder: Path) -> None:
    text = "extends: default\nversion: 2\nmodels: {cloud: {locality: cloud, backend: openai, model: m, "
    policy = child(folder, text + "base_url: 'https://own.example.com/v1'}}\n")
    assert (policy.models["cloud"].api_key_env, policy.models["cloud"].price) == (None, None)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("egress: {confidential: {regions: [site, eu, us]}}\n", ":3:10: looser than what this extends: confidential "),
        ("egress: {restricted: {payload: none}}\n", None),
        ("sensitivity: {levels: {public: [EMAIL_ADDRESS]}}\n", ":3:15: looser than what this extends: EMAIL_ADDRESS: "),
        ("sensitivity: {min_score: {PERSON: 0.9}}\n", ":3:15: looser than what this extends: PERSON counts from"),
        ("sensitivity: {min_score: {PERSON: 0.5}}\n", None),
        (
            "sensitivity: {on_unknown: {audio: {counts_as: public, reason: jingles}}}\n",
            ":3:15: looser than what this extends: audio: restricted -> public",
        ),
        ("sensitivity: {on_unknown: {image: {counts_as: restricted, reason: none of it}}}\n", None),
        (
            "sensitivity: {exceptions: [{entity: EMAIL_ADDRESS, domains: [a.example.com], reason: ours}]}\n",
            ":3:15: looser than what this extends: 1 new or changed: EMAIL_ADDRESS",
        ),
        (
            "decisions: [{name: no-injections-out, when: {injection: {at_least: 0.9}}, forbid: [cloud]}]\n",
            ":3:14: looser than what this extends: forbid cloud when injection at least 0.8",
        ),
        ("decisions: [{name: no-injections-out, forbid: [cloud]}]\n", None),
        ("networks: {lan: [10.20.0.0/16, 10.30.0.0/16]}\n", ":3:12: looser than what this extends: counts as"),
        ("tools: {forbid: [shell]}\n", None),
        ("history: drop_turns\n", ":3:1: looser than what this extends: keep_local -> drop_turns"),
        (
            "models: {new: {locality: cloud, backend: openai, model: m, region: eu, base_url: 'https://x.example.com'}}\n",
            "looser than what this extends: public to 'new': none -> full",
        ),
        (
            "models: {cloud: {base_url: 'https://x.example.com', locality: cloud, backend: openai, model: big}}\n",
            ":3:10: looser than what this extends: what leaves goes elsewhere: base_url",
        ),
        ("models: {near: {locality: local, backend: engine, model: small-2}}\n", None),
        ("mode: shadow\naudit: required\nescalation: {threshold: 0.9}\n", None),
    ],
)  # fmt: skip
def test_a_child_may_only_tighten(folder: Path, text: str, says: str | None) -> None:
    if says is None:
        policy, parent = child(folder, CHILD + text), load_policy(str(folder / "base.yaml"))
        before = {(cell.level, cell.model): _RANK[cell.payload] for cell in reachable(parent)}
        assert all(
            _RANK[cell.payload] <= before[cell.level, cell.model]
            for cell in reachable(policy)
            if cell.locality != "local"
        )
    else:
        problems = told(folder, CHILD + text)
        assert any(each.startswith("policy.yaml:") and says in each for each in problems), problems


RATED = """\
rates: {when_unshared: refuse, all: {requests_per_minute: 100}, each_tenant: {tokens_per_minute: 1000},
        tenants: {lab: {tokens_per_minute: 500}}}
"""


@pytest.mark.parametrize(
    ("rates", "says"),
    [
        ("{all: {requests_per_minute: 100}, each_key: {requests_per_minute: 5}}", None),
        ("{all: {requests_per_minute: 99, tokens_per_minute: 9}}", None),
        ("{all: {requests_per_minute: 101}}", ":3:9: looser than what this extends: requests: 100 -> 101"),
        ("{tenants: {lab: {tokens_per_minute: 501}}}", "looser than what this extends: tokens: 500 -> 501"),
        ("{tenants: {new: {tokens_per_minute: 999}}}", None),
        ("{tenants: {new: {tokens_per_minute: 1001}}}", "looser than what this extends: tokens: 1,000 -> 1,001"),
        ("{tenants: {new: {requests_per_minute: 9}}}", "looser than what this extends: tokens: 1,000 -> no limit"),
        ("{when_unshared: own_limits}", ":3:9: looser than what this extends: refuse -> own_limits"),
    ],
)
def test_a_child_may_only_tighten_the_rates(folder: Path, rates: str, says: str | None) -> None:
    (folder / "base.yaml").write_text(BASE + RATED)
    if says is None:
        assert child(folder, f"{CHILD}rates: {rates}\n").rates is not None
    else:
        problems = told(folder, f"{CHILD}rates: {rates}\n")
        assert any(each.startswith("policy.yaml:3:") and says in each for each in problems), problems


def test_the_models_of_a_recipe_are_examples_and_its_egress_rules_hold(folder: Path) -> None:
    text = (
        "extends: default\nversion: 2\n"
        "models: {mine: {locality: cloud, backend: openai, model: m, base_url: 'https://x.example.com/v1'}}\n"
    )
    cells = {(cell.level.word, cell.model): cell.payload for cell in reachable(child(folder, text))}
    assert cells["internal", "mine"] == "full"
    assert cells["confidential", "mine"] == "none"
    assert told(folder, text + "egress: {confidential: {payload: full}}\n")[0].startswith("policy.yaml:4:10: looser")


def test_a_grandchild_is_held_to_its_parent_and_not_to_the_recipe(folder: Path) -> None:
    child(folder, "extends: default\nversion: 2\negress: {internal: {payload: none}}\n", "house.yaml")
    text = "extends: house.yaml\nversion: 3\n"
    assert child(folder, text).egress[Level.INTERNAL].payload == "none"
    problems = told(folder, text + "egress: {internal: {payload: full}}\n")
    assert "policy.yaml:3:10: looser than what this extends: internal to 'cloud': none -> full" in problems


def test_what_is_wrong_in_the_parent_is_told_with_the_parents_name(folder: Path) -> None:
    (folder / "base.yaml").write_text(BASE.replace("route: eu", "route: us-east"))
    assert told(folder, CHILD)[0].startswith("base.yaml:")
    (folder / "base.yaml").write_text(BASE)
    problems = told(folder, CHILD + "decisions: [{name: late, priority: 50, route: cloud}]\n")
    assert problems == ["policy.yaml:3:36: the route 'hard' has the priority 50 already"]
    problems = told(folder, CHILD + "models: {eu: {locality: cloud, backend: openai, model: b, context: many}}\n")
    assert problems == ["policy.yaml:3:68: 'context' must be a whole number, not text"]


def test_what_only_the_two_together_make_wrong_is_told_where_it_stands(folder: Path) -> None:
    """A model of the parent that the child's ranges no longer hold: the parent's line, by the parent's name."""
    problems = told(folder, CHILD + "networks: {lan: [10.30.0.0/16]}\n")
    line = BASE[: BASE.index("http://10.20.0.7")].count("\n") + 1
    assert any(each.startswith(f"base.yaml:{line}:") for each in problems), problems


def test_a_warning_names_its_file(folder: Path) -> None:
    (folder / "base.yaml").write_text(BASE.replace("[ORGANIZATION]", "[ORGANISATIONS]"))
    assert any("base.yaml:" in each and "ORGANISATIONS" in each for each in child(folder, CHILD).warnings)


def test_a_path_is_relative_to_the_file_that_names_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    assert child(folder, CHILD.replace("base.yaml", "../base.yaml"), "team/policy.yaml").version == 7
    assert child(folder, CHILD.replace("base.yaml", str(folder / "base.yaml")), "team/policy.yaml").version == 7


@pytest.mark.parametrize("word", ["nowhere.yaml", "defualt", "'a\\0b'", "."])
def test_a_parent_that_cannot_be_read_is_told_where_it_is_named(folder: Path, word: str) -> None:
    assert told(folder, f"version: 1\nextends: {word}\n")[0].startswith("policy.yaml:2:10: ")


def test_a_circle_is_refused_whatever_the_names_are(folder: Path) -> None:
    (folder / "a.yaml").write_text("extends: b.yaml\nversion: 1\n")
    os.symlink("a.yaml", folder / "c.yaml")
    (folder / "b.yaml").write_text("version: 1\nextends: ./c.yaml\n")
    with pytest.raises(PolicyError, match=r"b\.yaml:2:10: this goes round in a circle"):
        load_policy(str(folder / "a.yaml"))
    assert told(folder, "extends: policy.yaml\n")[0].startswith("policy.yaml:1:10: this goes round in a circle")


def test_a_chain_may_be_so_long_and_no_longer(folder: Path) -> None:
    for above in range(1, MAX_PARENTS + 2):
        name = "base.yaml" if above == 1 else f"{above - 1}.yaml"
        (folder / f"{above}.yaml").write_text(f"extends: {name}\nversion: {above}\n")
    assert load_policy(str(folder / f"{MAX_PARENTS}.yaml")).version == MAX_PARENTS
    with pytest.raises(PolicyError, match="more than 5 files above one another"):
        load_policy(str(folder / f"{MAX_PARENTS + 1}.yaml"))


def test_what_a_file_extends_cannot_be_hidden_in_an_escape(folder: Path) -> None:
    assert "has not been read with it" in told(folder, '"ext\\x65nds": base.yaml\nversion: 1\n')[0]


async def test_the_watcher_follows_what_a_file_extends(folder: Path) -> None:
    path = folder / "policy.yaml"
    path.write_text(CHILD)
    async with watching(path) as watched:
        assert watched.store.status.is_current
        (folder / "base.yaml").write_text(BASE.replace("threshold: 0.55", "threshold: 0.7"))
        policy = await watched.next()
        assert policy is not None
        assert policy.escalation.threshold == 0.7
        assert watched.store.parents[0].text == (folder / "base.yaml").read_text()
        (folder / "base.yaml").write_text("models: [")
        assert await watched.next() is None
        assert "base.yaml:1:" in (watched.store.status.last_error or "")
        (folder / "base.yaml").unlink()
        assert await watched.next() is None
        assert watched.store.current is policy
        (folder / "base.yaml").write_text(BASE)
        policy = await watched.next()
        assert policy is not None
        assert watched.store.status.is_current


def test_another_process_makes_the_same_policy_of_the_texts(folder: Path) -> None:
    (folder / "policy.yaml").write_text(CHILD)
    store = PolicyStore(str(folder / "policy.yaml"))
    policy = store.load()
    assert compile_policy(store.text, policy.source, parents=store.parents).digest == policy.digest
