"""What `gatehouse calibrate` prints: by task how many, how good, how well told apart; what is promised, or why not."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import get_args

from rich.console import Console
from rich.table import Table

from policies.types import Policy
from router.calibration.figures import auroc, auroc_interval, calibration_error
from router.calibration.targets import ALL, GradedAnswers, Standards, describe_target, standards
from router.calibration.thresholds import DELTA, LEAST_LABELS, Graded, Kind, Promise
from router.confidence.looks import LOOKS, LookKind
from router.types import JsonObject

# Shown where the policy has no target: what these answers could promise.
USUAL: tuple[tuple[Kind, float], ...] = (
    ("max_bad_local", 0.05),
    ("max_bad_local", 0.1),
    ("max_bad_local", 0.2),
    ("max_cloud_share", 0.2),
)


def parse_target(text: str | None) -> tuple[Kind, float] | None:
    """`max_bad_local=0.05` and the like. Raises `ValueError`."""
    if text is None:
        return None
    name, _, value = text.partition("=")
    found = {kind: kind for kind in get_args(Kind)}.get(name.strip())
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if found is None or not (0 < number < (math.inf if name == "max_usd_per_month" else 1)):
        kinds = ", ".join(get_args(Kind))
        raise ValueError(f"a target is one of {kinds}, = and a share between 0 and 1 (or USD): max_bad_local=0.05")
    return found, number


def show_tasks(console: Console, by_task: Mapping[str, Sequence[Graded]]) -> None:
    """One line a task and one for all: answers, share of good ones, AUROC with its 95 % interval, calibration error."""
    table = Table("task", "answers", "good", "AUROC", "95 %", "ECE", box=None)
    for task, graded in sorted(by_task.items()):
        if len(by_task) > 1 or task != ALL:
            table.add_row(task or "(not told)", *_figures(graded))
    table.add_row("all", *_figures([each for rows in by_task.values() for each in rows]))
    console.print(table)


def _figures(graded: Sequence[Graded]) -> list[str]:
    area, interval = auroc(graded), auroc_interval(graded)
    good = sum(each.good for each in graded) / len(graded) if graded else 0.0
    return [
        str(len(graded)),
        f"{good:.1%}",
        "-" if area is None else f"{area:.3f}",
        "-" if interval is None else f"{interval[0]:.3f} to {interval[1]:.3f}",
        f"{calibration_error(graded):.3f}",
    ]


def targets(policy: Policy) -> list[tuple[str, Kind, float]]:
    """What the policy holds answers at home to: (the rule whose terms they are, "" for its own; kind; value)."""
    terms = (policy.escalation, *(rule.escalation for rule in policy.rules))
    return [(each.rule, each.target.kind, each.target.value) for each in terms if each is not None and each.target]


def show_promises(console: Console, graded: GradedAnswers, wanted: Sequence[tuple[str, Kind, float]]) -> None:
    """The thresholds for these targets, as `targets` gives them; without any, for some usual ones."""
    if not wanted:
        console.print("The policy names no target (escalation.target). These answers would carry:")
    for rule, kind, value in wanted or [("", *each) for each in USUAL]:
        made = standards(kind, value, graded.model, graded)
        whose = f"  what {rule} keeps at home:" if rule else ""
        console.print(f"\n[bold]{describe_target(kind, value)}[/bold]{whose}  {_meaning(kind, value)}")
        for line in _lines(made):
            console.print(f"  {line}", markup=False)


def _meaning(kind: Kind, value: float) -> str:
    if kind == "max_bad_local":
        return f"of the answers kept at home, at most {value:.1%} bad"
    if kind == "max_cloud_share":
        return f"of the local answers that may escalate, at most {value:.1%} do"
    return f"escalations for at most {value:g} USD a month"


def _lines(made: Standards) -> list[str]:
    found = [(f"task {task}", standard.promise) for task, standard in sorted(made.own.items())]
    if made.others is not None:
        found.append(("all other tasks together" if made.own else "all tasks together", made.others.promise))
    if not found:
        found.append(("all tasks", made.uncalibrated.promise))
    lines = [f"{who}: {_promise(promise)}" for who, promise in found]
    if made.own or made.seen - {ALL}:
        lines.append(f"tasks that were never graded: uncalibrated (at least {LEAST_LABELS} graded answers are needed)")
    return lines


def _promise(promise: Promise) -> str:
    if promise.threshold is None:
        return f"no threshold: {promise.why}"
    words = f"confidence at least {promise.threshold:.4f} keeps {promise.kept_share:.0%} at home"
    if promise.kind == "max_bad_local":
        words += f", {promise.bad} of {promise.kept} of them bad (at most {promise.bound:.1%} of all such answers)"
    else:
        words += f" (at most {promise.bound:.1%} escalate)"
    return f"{words}; holds with {1 - promise.delta:.0%} confidence, from {promise.labels} answers"


def guarantee() -> str:
    """What all of it rests on, in one sentence."""
    return (
        f"Each promise holds with a probability of {1 - DELTA:.0%} over the draw of the graded answers, for traffic "
        "like them: grade answers to your own requests (--set), and watch gatehouse_promise_observed for drift."
    )


def look_kind(text: str | None, policy: Policy) -> LookKind | None:
    """The second look to measure: as typed, else the policy's; None: none. Raises `ValueError`."""
    wanted = policy.escalation.second_look if text is None else text
    found = next((kind for kind in LOOKS if kind == wanted), None)
    if found is None and wanted != "none":
        raise ValueError(f"there is no second look {wanted!r}: {', '.join(LOOKS)}, or none")
    return found


def show_look(console: Console, kind: str, found: JsonObject) -> None:
    """What a second look adds, and whether it will be used."""
    figures = found["metric"]
    low, high = figures["gain_95"]
    console.print(
        f"\n[bold]Second look, {kind}[/bold]: AUROC {figures['auroc_alone']:.3f} alone, {figures['auroc_first']:.3f} "
        f"without it, {figures['auroc_both']:.3f} together (gain {low:+.3f} to {high:+.3f})"
    )
    if found["helps"]:
        console.print("It helps, so `escalation.second_look` takes it. Judged after it:")
    else:
        console.print("That may be nothing: it stays off for this model, whatever the policy says.")
