"""`gatehouse calibrate`: asks the local model what is known, fits its confidence, says what can be promised.

The answers stay in the state folder while it runs and are deleted at its end; the card that is left holds numbers only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import orjson
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from classifiers.pipeline import Pipeline
from classifiers.types import Signals
from policies.errors import PolicyError
from policies.escalation import TargetKind
from policies.schema import load_policy
from policies.types import Model, Policy
from router.calibration.asking import Answered, NotMeasured, body_for, graded
from router.calibration.collect import AT_ONCE, Unanswered, collect
from router.calibration.fit import NothingToFit
from router.calibration.kept import KeptAnswers
from router.calibration.looking import Looked, bodies_of, value_of
from router.calibration.questions import Question, QuestionError, everyday, read_questions
from router.calibration.standing import FOLDER, card_name
from router.cli.audited import audited
from router.cli.calibration_card import Beside, Made, listen, make, month
from router.cli.calibration_report import (
    guarantee,
    look_kind,
    parse_target,
    show_look,
    show_promises,
    show_tasks,
    targets,
)
from router.cli.home import local_backend
from router.confidence.looks import LOOKS, LookKind
from router.errors import GatehouseError
from router.keys import StateFolderError, ensure_private_folder, replace_whole
from router.records.store import StoreError
from router.running import with_local_server
from router.settings import Settings, from_environment
from router.types import JsonObject

_PATIENCE_SECONDS = 1800.0  # nobody waits for one answer, and the machine may be busy with others' requests
_TIMEOUTS = ("local_timeout_s", "first_chunk_timeout_s", "idle_chunk_timeout_s")
_BUDGET_MS = 60_000.0  # a busy machine must not turn measuring into timeouts


def calibrate(
    set_: Annotated[
        Path | None, typer.Option("--set", metavar="FILE.jsonl", help="Your own questions. Else the set that ships.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(help="A local model of the policy, by the policy's name.", show_default="defaults.local"),
    ] = None,
    policy: Annotated[
        str | None, typer.Option(help="A policy file or a recipe's name.", show_default="default")
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(metavar="KIND=VALUE", help="In place of the policy's: max_bad_local=0.05, max_cloud_share=0.2, …"),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Ask only so many, an even sample of the set.")] = None,
    at_once: Annotated[int, typer.Option(min=1, max=64, help="Questions that are asked at the same time.")] = AT_ONCE,
    requests_per_month: Annotated[
        float | None,
        typer.Option(min=0, help="For a budget: local answers a month that may escalate. Else as recorded."),
    ] = None,
    usd_per_escalation: Annotated[
        float | None, typer.Option(min=0, help="For a budget: what one escalated request costs. Else as recorded.")
    ] = None,
    feedback_days: Annotated[
        float | None,
        typer.Option(
            "--feedback",
            metavar="DAYS",
            min=0,
            help="Let what callers said of local answers in these days count among the grades. They are not trusted: "
            "only you know whether they may be.",
        ),
    ] = None,
    second_look: Annotated[
        str | None,
        typer.Option(
            metavar="KIND",
            help="Measure a second look too: verify or agreement. It is used only where this shows that it helps.",
            show_default="the policy's",
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Ask and report, but write no card.")] = False,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep the answers' file (content!) in the state folder.")
    ] = False,
    local_url: Annotated[str | None, typer.Option(help="As for `gatehouse serve`.")] = None,
    local_model: Annotated[str | None, typer.Option(help="As for `gatehouse serve`.")] = None,
) -> None:
    """Learn from graded answers when to trust a local model, and what can be promised.

    Asks the model of your policy every question of a set, on this machine: the
    engine of a gateway that runs here, else one of its own; or any
    OpenAI-compatible server that gives log-probabilities. Grades the answers
    by rule, fits the chance that an answer is good, and turns the policy's
    `escalation.target` into a threshold that holds with 95 % probability.
    Too few answers, or too many bad ones: no threshold, and it says so.

    A line of FILE.jsonl is {"prompt", "truth", "grader", "task"?, "system"?,
    "wrong"?, "max_tokens"?}; graders: mention, label, number, exact, json,
    items, words. Take requests like your own, 400 or more: a promise holds
    for traffic like what was graded, and for nothing else.

    Ctrl-C loses nothing: the next run goes on where this one stopped. The
    answers stay on this machine, in a file of your own (0600), and are deleted
    at the end. The card that is left in the state folder holds scores and
    grades, no text. A running gateway takes it up within seconds, without a
    reload; decision records name it by its digest.
    """
    try:
        settings = from_environment(policy=policy, local_url=local_url, local_model=local_model)
        wanted = parse_target(target)
        loaded = with_local_server(load_policy(settings.policy), settings)
        home = _model(loaded, model)
        questions = _sample(everyday() if set_ is None else read_questions(set_), limit)
        look = look_kind(second_look, loaded)
        answers, looked = _run(settings, loaded, home, questions, at_once, keep, look)
        said = () if feedback_days is None else listen(settings, home, feedback_days)
        volume = month(loaded, home, settings, requests_per_month, usd_per_escalation)
        made = make(home.model, answers, Beside(volume, said, looked))
    except KeyboardInterrupt:
        typer.echo("\nStopped. What was answered is kept: run the same command again to go on.", err=True)
        raise typer.Exit(130) from None
    except NothingToFit as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    except (PolicyError, QuestionError, NotMeasured, Unanswered, StateFolderError, StoreError, GatehouseError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    except OSError as error:
        typer.echo(f"error: {error.filename or 'a file'}: {error.strerror}", err=True)
        raise typer.Exit(1) from None
    if feedback_days is not None:
        again = sum(each.is_reask for each in said)
        typer.echo(
            f"Of callers {len(said)} verdicts count ({sum(each.good for each in said)} good; {again} were asked again)."
        )
    _finish(settings, loaded, home, made, wanted, dry_run=dry_run)


def _model(policy: Policy, name: str | None) -> Model:
    found = policy.models.get(name or policy.default_local)
    if found is None or found.locality != "local":
        local = ", ".join(model.name for model in policy.models.values() if model.locality == "local")
        raise typer.BadParameter(f"{name} is no local model of the policy; these are: {local}")
    return found


def _sample(questions: Sequence[Question], limit: int | None) -> list[Question]:
    """Every n-th, so that each task keeps its share."""
    if limit is None or limit >= len(questions):
        return list(questions)
    return [questions[place * len(questions) // limit] for place in range(limit)]


def _run(
    settings: Settings,
    policy: Policy,
    model: Model,
    questions: Sequence[Question],
    at_once: int,
    keep: bool,
    look: LookKind | None,
) -> tuple[list[Answered], Looked | None]:
    ensure_private_folder(settings.state_dir)  # first, or it is made for the other's sake, and open to others
    file = settings.state_dir / FOLDER / f"answers-{quote(model.model, safe='')}.jsonl"
    with KeptAnswers(file) as kept:
        bodies = [body_for(question, model.model) for question in questions]
        choices = asyncio.run(_ask(settings, policy, model, bodies, kept, at_once))
        answers = graded(questions, choices, asyncio.run(_measured(policy, questions)).of)
        looked = None
        if look is not None:
            taken = [pair for pair in zip(questions, choices, strict=True) if "refused" not in pair[1]]
            samples = policy.escalation.samples
            more = [bodies_of(look, samples, question, choice, model.model) for question, choice in taken]
            flat = [body for each in more for body in each]
            said = iter(asyncio.run(_ask(settings, policy, model, flat, kept, at_once)))
            rows = zip(taken, more, strict=True)
            values = [value_of(look, choice, list(islice(said, len(each)))) for (_, choice), each in rows]
            looked = Looked(look, samples, tuple(values))
        if not keep:
            kept.delete()
    refused = len(questions) - len(answers)
    if refused:
        typer.echo(f"{refused} questions were refused by the model (too long, most likely) and are left out", err=True)
    return answers, looked


async def _ask(
    settings: Settings,
    policy: Policy,
    model: Model,
    bodies: Sequence[JsonObject],
    kept: KeptAnswers,
    at_once: int,
) -> list[JsonObject]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        line = progress.add_task(f"asking {model.model}", total=len(bodies))

        def count(answered: int) -> None:
            progress.advance(line, answered)

        patient = settings.model_copy(update=dict.fromkeys(_TIMEOUTS, _PATIENCE_SECONDS))
        patient_model = replace(model, timeout_seconds=_PATIENCE_SECONDS)
        async with local_backend(policy, patient_model, patient) as backend:
            return await collect(backend, bodies, kept, at_once=at_once, on_answer=count)


class _Measured(dict[bytes, Signals]):
    """Signals by the messages that they were measured on."""

    def of(self, body: JsonObject) -> Signals | None:
        return self.get(orjson.dumps(body["messages"]))


async def _measured(policy: Policy, questions: Sequence[Question]) -> _Measured:
    """What the gateway would know of each question before it is answered."""
    pipeline, found = Pipeline(budget_ms=_BUDGET_MS, detectors={}), _Measured()
    try:
        await pipeline.start()
        for question in questions:
            body = body_for(question, "")
            found[orjson.dumps(body["messages"])] = await pipeline.run(body, policy.scan_rules, "calibrate")
    finally:
        await pipeline.close()
    return found


def _finish(
    settings: Settings,
    policy: Policy,
    model: Model,
    made: Made,
    wanted: tuple[TargetKind, float] | None,
    *,
    dry_run: bool,
) -> None:
    """Print the report, and put the card in its place."""
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"[bold]{model.model}[/bold]: {sum(map(len, made.by_question.values()))} graded answers\n")
    show_tasks(console, made.by_question)
    console.print()
    shown = [("", *wanted)] if wanted is not None else targets(policy)
    show_promises(console, made.graded["whole"], shown)
    for kind in LOOKS:
        found = made.looks.get(kind)
        if found is None:
            continue
        show_look(console, kind, found)
        if found["helps"]:
            show_promises(console, made.graded[kind], shown)
    if policy.escalation.stream == "commit":
        console.print("\nOf streams (stream: commit), judged by their first tokens:")
        show_promises(console, made.graded["commit"], shown)
    console.print(f"\n{guarantee()}")
    if dry_run:
        console.print("No card was written (--dry-run).")
        return
    path = ensure_private_folder(settings.state_dir / FOLDER) / card_name(model.model)
    with audited(settings.state_dir, "calibrate", model.model) as detail:
        detail["card"] = made.digest
        replace_whole(path, made.text)
    console.print(f"\nThe card is {path} ({made.digest[:12]}). A running gateway takes it up within seconds.")
