"""The policy in force and candidates for it: what they reach, how they differ, what they would have decided.

A candidate is a text or a recipe. What it extends is a recipe, or what the policy in force extends under that word:
nobody reads another file of this machine through here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from policies.comparing.compare import compare
from policies.comparing.reports import differences_json, policy_json, problems_json, radius_json
from policies.errors import PolicyError
from policies.schema import compile_policy, load_policy
from policies.simulate import simulate, usual_latencies
from policies.store import PolicyStore
from policies.text.chain import Written, read_chain
from policies.text.document import parse
from policies.text.sources import recipes
from policies.types import Policy
from router.admin.changing import Done, perform
from router.admin.reading import days_ago, reader_of, text_of, whole_number
from router.admin.types import AdminRoute, Call
from router.approvals import strange
from router.errors import Denied, InvalidRequest
from router.types import JsonObject

T = TypeVar("T")

_MOST_TEXT = 1024 * 1024
_MOST_DAYS = 3650
CANDIDATE = frozenset({"policy", "recipe"})


async def show(call: Call) -> JsonObject:
    """What is in force, in facts."""
    store = call.house.gateway.store
    warnings = [*store.current.warnings, *strange(store.current, call.house.settings)]
    return {**policy_json(store.current), "source": store.status.source, "warnings": warnings}


async def show_text(call: Call) -> JsonObject:
    """The text in force, and of what it extends. It may name what is sensitive: for admins."""
    store = call.house.gateway.store
    above = [{"source": each.source, "text": each.text} for each in store.parents]
    return {"source": store.status.source, "digest": store.current.digest, "text": store.text, "extends": above}


async def validate(call: Call) -> JsonObject:
    """Whether a candidate is good; if not, every problem with its place."""

    def work() -> JsonObject:
        try:
            policy = _candidate(call)
        except PolicyError as error:
            return {"good": False, "problems": problems_json(error)}
        return {"good": True, **policy_json(policy)}

    return await asyncio.to_thread(work)


async def diff(call: Call) -> JsonObject:
    """What a candidate allows, holds or sends otherwise than the policy in force, or than a recipe."""

    def work() -> JsonObject:
        old, new = _against(call), _candidate(call)
        found = compare(old, new)
        loosens = any(each.direction == "loosens" for each in found)
        return {"from": old.label, "to": new.label, "loosens": loosens, "differences": differences_json(found)}

    return await asyncio.to_thread(_said, work)


async def replay(call: Call) -> JsonObject:
    """What a candidate would have decided about the requests of the last days."""
    if call.tenant is not None:
        raise Denied("A simulation goes over the records of every tenant.", code="insufficient_scope")
    since = days_ago(whole_number(call, "days", 30, _MOST_DAYS))

    def work() -> JsonObject:
        policy = _candidate(call)
        with reader_of(call.house) as reader:
            latencies = usual_latencies(reader.latencies_since(since))
            return {"policy": policy.label, **radius_json(simulate(policy, reader.decisions_since(since), latencies))}

    return await asyncio.to_thread(_said, work)


async def reload(call: Call) -> JsonObject:
    """Read the policy's file again, as SIGHUP has it done."""

    async def work() -> Done:
        gateway = call.house.gateway
        before = gateway.store.current.digest
        is_good = await gateway.reload()
        status = gateway.store.status
        told = {"good": is_good, "before": before, "after": status.running_digest}
        return Done({**told, "last_error": status.last_error}, told)

    return await perform(call, "policy.reload", None, work)


def _said(work: Callable[[], T]) -> T:
    """A candidate that is not good is a 400 with its first problems; `validate` shows them all."""
    try:
        return work()
    except PolicyError as error:
        raise InvalidRequest(f"The policy is not good: {str(error)[:2000]}", code="policy_not_good") from None


def candidate_texts(call: Call) -> tuple[Written, ...]:
    """A candidate's text as the gateway's own file, then what it extends. Raises `PolicyError`, `InvalidRequest`."""
    if len(CANDIDATE & call.body.keys()) != 1:
        raise InvalidRequest("Give either `policy`, a text, or `recipe`, a name.", param="policy")
    if "recipe" in call.body:
        name = text_of(call, "recipe", 100)
        _recipe(name, "recipe")
        return read_chain(name)
    text, store = text_of(call, "policy", _MOST_TEXT), call.house.gateway.store
    word = _extended(text)
    parents = read_chain(word) if word in recipes() else _parents(text, store)
    return (Written(store.status.source, text), *parents)


def _candidate(call: Call) -> Policy:
    if len(CANDIDATE & call.body.keys()) != 1:
        raise InvalidRequest("Give either `policy`, a text, or `recipe`, a name.", param="policy")
    if "recipe" in call.body:
        return _recipe(text_of(call, "recipe", 100), "recipe")
    text = text_of(call, "policy", _MOST_TEXT)
    store = call.house.gateway.store
    today = datetime.now(UTC).date()
    return compile_policy(text, "candidate", today=today, parents=_parents(text, store))


def _parents(text: str, store: PolicyStore) -> Sequence[Written]:
    """What the policy in force extends, where the candidate extends the same; recipes are read by name anyway."""
    word = _extended(text)
    return store.parents if store.parents and word is not None and word == _extended(store.text) else ()


def _extended(text: str) -> Any:
    if "extends" not in text:
        return None
    value = parse(text, "candidate").value
    return value.get("extends") if isinstance(value, dict) else None


def _against(call: Call) -> Policy:
    name = text_of(call, "against", 100, "running")
    return call.house.gateway.store.current if name == "running" else _recipe(name, "against")


def _recipe(name: str, param: str) -> Policy:
    if name not in recipes():
        raise InvalidRequest(f"There is no such recipe; there are {', '.join(recipes())}.", param=param)
    return load_policy(name)


ROUTES = (
    AdminRoute("GET", "/policy", "read", show),
    AdminRoute("GET", "/policy/text", "admin", show_text),
    AdminRoute("POST", "/policy/validate", "read", validate, fields=CANDIDATE, command="gatehouse policy validate"),
    AdminRoute("POST", "/policy/diff", "read", diff, fields=CANDIDATE | {"against"}, command="gatehouse policy diff"),
    AdminRoute(
        "POST", "/policy/simulate", "read", replay, fields=CANDIDATE | {"days"}, command="gatehouse policy simulate"
    ),
    AdminRoute("POST", "/policy/reload", "admin", reload, changes=True),
)
