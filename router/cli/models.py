"""`gatehouse models`: which models there are and which run well here; pull, add, verify, remove, use."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from policies.errors import PolicyError
from policies.schema import load_policy
from router.cli.audited import audited
from router.cli.models_list import show_json, show_table
from router.models import install
from router.models.catalogue import ModelFileError, catalogue
from router.models.hub import OnProgress
from router.models.local import LocalModel, resolve
from router.models.registry import Registry
from router.models.trial import try_model
from router.models.use import context_for, make_default, read_policy_file
from router.settings import Settings, from_environment

models = typer.Typer(
    help=(
        "Local models: list, pull, add, verify, remove, use.\n\n"
        "`use NAME` is all that most people need: it pulls the model, checks it, tries it here, and puts it into your "
        "policy."
    ),
    no_args_is_help=True,
)

Name = Annotated[str, typer.Argument(help="A model's name, as `gatehouse models list` shows it.")]
PolicyOption = Annotated[
    str | None, typer.Option("--policy", help="The policy in force, as for `gatehouse serve`.", show_default="default")
]


@models.command("list")
def list_models(
    as_json: Annotated[bool, typer.Option("--json", help="All that is known of each, for programs.")] = False,
) -> None:
    """Show all models, which are here, and which would run well here.

    memory: weights, and one request of 8,192 tokens; each further request
    at the same time adds its share of the cache.

    runs: `well` at ten tokens a second or more, by an estimate from size and
    processors; else `slowly`. `tight`: more memory than is free right now.
    `no`: more than this process may use.

    licence: a star stands for limits of use; --json says which.

    digest: `known` is what the catalogue compares a pull with, `pinned` what
    the first pull or `add` got. `-`: not known; the first pull decides, and
    every later one must get the same.
    """
    with _said():
        settings = _settings()
        contents = Registry(settings.state_dir).read()
        (show_json if as_json else show_table)(contents, settings)


@models.command()
def pull(
    name: Name,
    repin: Annotated[
        bool, typer.Option(help="Take the file that the hub has now, although another one is recorded.")
    ] = False,
) -> None:
    """Download a model of the catalogue; compare its digest, check its header.

    Asks the hub of HF_ENDPOINT (https://huggingface.co), with HF_TOKEN where
    that is set, for this one file and nothing else. A transfer that breaks
    goes on where it broke, also when the command is run again.
    """
    with _said():
        settings = _settings()
        with audited(None, "models.pull", name) as detail:
            detail["sha256"] = _pull(name, settings, repin=repin)


@models.command()
def add(
    file: Annotated[Path, typer.Argument(help="A GGUF file. It is copied.", exists=False)],
    name: Annotated[
        str | None, typer.Option(help="What policies call it.", show_default="from the file's name")
    ] = None,
    adapter_of: Annotated[
        str | None, typer.Option(metavar="BASE", help="The file is a LoRA adapter for this model.")
    ] = None,
    embedding: Annotated[bool, typer.Option("--embedding", help="Serve it for embeddings only.")] = False,
) -> None:
    """Take in a GGUF file: your own, or one that was downloaded elsewhere.

    Its header is checked in Python, in a process of its own, before native
    code ever sees the file. Under the name of a model of the catalogue only
    the catalogue's file is taken. A policy names an adapter as it names a
    model: `model: NAME`.
    """
    with _said():
        settings = _settings()
        with audited(None, "models.add", name or file.name) as detail:
            entry = install.add(file, settings.state_dir, name=name, adapter_of=adapter_of, embedding=embedding)
            detail.update(name=entry.name, sha256=entry.sha256, bytes=entry.size)
        kind = f"adapter of {entry.adapter_of}" if entry.adapter_of else "embeddings" if entry.embedding else "model"
        typer.echo(f"{entry.name} is here ({kind}, {entry.architecture}, {entry.size / 1e6:,.0f} MB)")
        typer.echo(f"SHA-256 {entry.sha256}: what `gatehouse models verify {entry.name}` compares from now on")


@models.command()
def verify(
    name: Annotated[str | None, typer.Argument(help="A model's name.", show_default="all that are here")] = None,
) -> None:
    """Read model files whole: size, SHA-256, header. Exit 1 if one is wrong."""
    with _said():
        settings = _settings()
        here = [*Registry(settings.state_dir).read().models]
        packaged = [model.name for model in catalogue().values() if model.package]
        failed = False
        for each in [name] if name else [*packaged, *here]:
            try:
                found = install.verify(each, settings.state_dir)
            except ModelFileError as error:
                failed = True
                typer.echo(f"{each}: WRONG: {error}", err=True)
            else:
                typer.echo(f"{each}: good, {found.size:,} bytes, SHA-256 {found.sha256} (from: {found.pinned_by})")
        if failed:
            raise typer.Exit(1)


@models.command()
def remove(
    name: Name,
    policy: PolicyOption = None,
    force: Annotated[bool, typer.Option("--force", help="Even if the policy or an adapter names it.")] = False,
) -> None:
    """Delete a model's file, unless the policy or an adapter names it."""
    with _said():
        settings = _settings(policy=policy)
        if not force and name in Registry(settings.state_dir).read().models:
            _check_unused(name, settings)
        with audited(None, "models.remove", name) as detail:
            detail["force"] = force
            install.remove(name, settings.state_dir, force=force)
        typer.echo(f"{name} is no longer here")


@models.command()
def use(name: Name, policy: PolicyOption = None) -> None:
    """Make a model the one that answers at home.

    Pulls it if it is not here, reads it whole, tries it in an engine of its
    own and measures how fast it writes. Then the policy file changes, in one
    step: `defaults.local`, and at most one line under `models`; everything
    else stays, comments too. A running gateway reloads it by itself.

    Whatever fails before that leaves the old model where it was.
    """
    with _said():
        settings = _settings(policy=policy)
        file = read_policy_file(settings.policy, name)
        if settings.local_url is not None:
            typer.echo("note: --local-url (GATEHOUSE_LOCAL_URL) stands before the policy's local model", err=True)
        with audited(None, "models.use", name) as detail:
            model = _at_hand(name, settings)
            if model.embedding:
                raise ModelFileError(
                    f"{name} makes embeddings and cannot answer: name it under models, not as a default"
                )
            context = context_for(model, settings.engine_context)
            typer.echo(f"trying {name} in an engine of its own …")
            trial = asyncio.run(try_model(name, context, settings))
            speed = f"{trial.tokens_per_second:.1f} tokens/s"
            typer.echo(f"it is ready after {trial.seconds_to_ready:.1f} s and writes {speed} here")
            edited = make_default(file, model, context)
            detail.update(file=file.source, default=edited.name, was=edited.was)
            typer.echo(f"{file.source}: defaults.local is {edited.name} (was {edited.was})")
            if edited.is_new:
                typer.echo(f"{file.source}: models.{edited.name} is new, with a context of {context:,} tokens")
        typer.echo("a gateway that serves this file takes it up by itself; the old model finishes what it began")


def _at_hand(name: str, settings: Settings) -> LocalModel:
    """The model, pulled if it is not here, and read whole."""
    contents = Registry(settings.state_dir).read()
    known = catalogue().get(name)
    if name not in contents.models and known is not None and known.package is None:
        _pull(name, settings)
    install.verify(name, settings.state_dir)
    return resolve(name, settings.state_dir)


def _pull(name: str, settings: Settings, *, repin: bool = False) -> str:
    """Its SHA-256."""
    known = catalogue().get(name)
    if known is None:
        resolve(name, settings.state_dir)  # for its message, with the nearest name
        raise ModelFileError(f"{name} was added from a file, so there is nothing to pull it from")
    if known.restricts:
        typer.echo(f"licence: {known.licence}: {known.restricts}")
    else:
        typer.echo(f"licence: {known.licence}")
    with _progress(known.file) as on_progress:
        done = install.pull(known, settings.state_dir, on_progress, repin=repin)
    if done.was_here:
        typer.echo(f"{name} is here already, and right")
        return done.entry.sha256
    typer.echo(f"{name} is here: {done.entry.size:,} bytes, SHA-256 {done.entry.sha256}")
    if done.pinned:
        typer.echo("no digest of it was known before: this one is pinned from now on")
    return done.entry.sha256


def _check_unused(name: str, settings: Settings) -> None:
    try:
        policy = load_policy(settings.policy)
    except PolicyError as error:
        raise ModelFileError(f"the policy in force cannot be read to see whether it names {name}:\n{error}") from None
    users = [each.name for each in policy.models.values() if each.backend == "engine" and each.model == name]
    if users:
        raise ModelFileError(
            f"{settings.policy} names {name} (models.{', models.'.join(users)}): take it out first, or use --force"
        )


@contextmanager
def _progress(file: str) -> Iterator[OnProgress]:
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    with bar:
        task = bar.add_task(file, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@contextmanager
def _said() -> Iterator[None]:
    """What goes wrong in a way that was foreseen is said in plain words, with exit code 1."""
    try:
        yield
    except ModelFileError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        typer.echo("interrupted; nothing was changed, and a download goes on where it stopped", err=True)
        raise typer.Exit(130) from None


def _settings(policy: str | None = None) -> Settings:
    try:
        return from_environment(policy=policy)
    except (ValidationError, OSError) as error:
        typer.echo(f"A setting cannot be used: {error}", err=True)
        raise typer.Exit(2) from None
