"""Refusals in words: what is refused, because of what, and what to do about it. Pure, and never with content.

Names that a message repeats are the policy's, the API's or ours; a caller's own text never is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from policies.candidates import LOCAL_ONLY, LOCKDOWN, SENSITIVITY, Target
from policies.tools import TOOLS
from policies.types import Level, Policy, Reason, Refusal

ADD_LOCAL_MODEL = "gatehouse serve --local-url http://127.0.0.1:11434/v1 --local-model NAME"
MISSING_KEY = "missing_key"
BUDGET = "budget_exhausted"  # why a model outside is not available: what it may cost has been spent


def model_not_found(policy: Policy) -> Refusal:
    """404 for a name that is neither a model, nor a locality, nor an alias."""
    names = ", ".join(dict.fromkeys(("auto", "local", "cloud", *policy.models)))
    return Refusal("model_not_found", 404, f"No model has the name that was asked for. Names: {names}.")


def missing_key(target: Target) -> Refusal:
    """404 for a model that the policy names but that has no key."""
    model = target.model
    where = f"the environment variable {model.api_key_env}" if model.api_key_env else f"the file {model.api_key_file}"
    return Refusal(
        "model_not_found",
        404,
        f"Model '{model.name}' is not available: {where} holds no key. Set it, or ask for 'auto'.",
    )


def denied(policy: Policy, level: Level, reasons: Sequence[Reason], asked: Sequence[Target]) -> Refusal:
    """403 for a model outside that was asked for by name and is not lawful."""
    if all(target.barred == LOCKDOWN for target in asked):
        return Refusal(
            "lockdown",
            403,
            f"All exits are locked by an admin, so nothing may go to '{asked[0].model.name}'. "
            "Ask for 'auto' or 'local' to have it answered at home.",
        )
    causes = "; ".join(_cause(level, reasons, target) for target in _distinct(asked))
    return Refusal(
        "policy_denied",
        403,
        f"The policy ({policy.label}) does not let this request go to '{asked[0].model.name}': {causes}. "
        "Ask for 'auto' or 'local' to have it answered at home.",
    )


def none_able(
    level: Level, reasons: Sequence[Reason], asked: Iterable[Target], barred: Iterable[Target], note: str = ""
) -> Refusal:
    """400 when lawful models exist and none can take the request: what is missing, and what keeps it home.

    Agents shorten their conversation when they read that the prompt is too long, and go in circles when they do not.
    """
    asked = list(asked)
    too_long = "The prompt is too long. " if any(target.is_too_small for target in asked) else ""
    missing = "; ".join(f"{target.model.name}: {_missing(target)}" for target in asked)
    kept = "; ".join([*(_cause(level, reasons, target) for target in _distinct(barred)), *([note] if note else [])])
    keeps = f" The other models are closed to it: {kept}." if kept else ""
    return Refusal(
        "no_able_lawful_model",
        400,
        f"{too_long}No model that may take this request is able to ({missing}).{keeps} "
        f"Change the request, or add a local model that is able: {ADD_LOCAL_MODEL}",
    )


def local_down(*, is_sensitive: bool) -> Refusal:
    """503 while the local model is not there; `is_sensitive` when the request may go nowhere else."""
    if is_sensitive:
        return Refusal(
            "sensitive_data_local_unavailable",
            503,
            "The local model is not available, and the policy keeps this request at home. Retry in a few seconds.",
            should_retry=True,
        )
    return Refusal("local_unavailable", 503, "The local model is not available. Retry in a few seconds.", True)


def budget_exhausted(status: int = 429) -> Refusal:
    """No budget is left for what a call outside could cost."""
    return Refusal(
        BUDGET,
        status,
        "The budget for models outside is used up. Ask for 'auto' or 'local' to have it answered at home.",
    )


def outside_down(policy: Policy, target: Target) -> Refusal:
    """503 while a model outside that was asked for is not there; 429 where there is no money left for it."""
    if target.down == BUDGET:
        return budget_exhausted(policy.budgets.refuse_with if policy.budgets is not None else 429)
    return Refusal(
        "upstream_error", 503, f"Model '{target.model.name}' is not available. Retry in a few seconds.", True
    )


def _missing(target: Target) -> str:
    parts = list(target.lacks)
    if target.down is not None:
        parts.append("its key is missing" if target.down == MISSING_KEY else f"it is not available ({target.down})")
    return ", ".join(parts)


def _distinct(targets: Iterable[Target]) -> list[Target]:
    return list({(target.barred, target.why): target for target in targets}.values())


def _cause(level: Level, reasons: Sequence[Reason], target: Target) -> str:
    if target.barred == LOCAL_ONLY:
        return "the request itself asks for local-only"
    if target.barred == LOCKDOWN:
        return "all exits are locked by an admin"
    if target.barred == TOOLS:
        return target.why
    if target.barred != SENSITIVITY:
        return f"the rule '{target.barred}' forbids it"
    found = next((reason.why for reason in reasons if reason.rule == SENSITIVITY and reason.matched is not False), "")
    return f"{target.why} ({found})" if found else target.why
