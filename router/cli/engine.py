"""`gatehouse engine`: the embedded engine alone, in the foreground, for a container or a unit of its own."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from pydantic import ValidationError

from router.keys import StateFolderError, ensure_private_folder
from router.models.catalogue import ModelFileError
from router.models.local import manifest_entries
from router.processes.engine_child import engine_command, what_to_serve
from router.settings import Settings, engine_environment, from_environment
from router.types import JsonObject


def engine(
    socket: Annotated[Path, typer.Option(help="The unix socket to listen on; made with mode 0600.")],
    model: Annotated[
        list[str] | None, typer.Option(help="A model's name (see `gatehouse models list`), or a GGUF file. Repeatable.")
    ] = None,
    alias: Annotated[str | None, typer.Option(help="What a GGUF file is called; without it, its own name.")] = None,
    manifest: Annotated[Path | None, typer.Option(help="A list of models instead, read again when it changes.")] = None,
    threads: Annotated[int | None, typer.Option(help="0: the processors that it may use.")] = None,
    context: Annotated[int | None, typer.Option(help="Tokens of prompt and answer together, at most.")] = None,
    slots: Annotated[int | None, typer.Option(help="Requests answered at the same time; 0: what suits.")] = None,
    memory: Annotated[int | None, typer.Option(help="MB for all models; 0: half of what it may use.")] = None,
    queue: Annotated[int | None, typer.Option(help="Requests that may wait for one model.")] = None,
    queue_tokens: Annotated[int | None, typer.Option(help="Tokens that they may ask for together.")] = None,
    gpu_layers: Annotated[str | None, typer.Option(help="Layers on the GPU: auto, or a number.")] = None,
) -> None:
    """Run the engine by itself. Gateways use it with GATEHOUSE_ENGINE_SOCKET_PATH=SOCKET; several may share it.

    Every option but --socket, --model and --manifest has an environment variable too, as for `gatehouse serve`:
    GATEHOUSE_ENGINE_THREADS, GATEHOUSE_ENGINE_MEMORY_MB, … It ends when the process that started it ends.
    """
    if (model is None) == (manifest is None):
        raise typer.BadParameter("give either --model, once or more, or --manifest")
    if alias is not None and (model is None or len(model) != 1 or not _is_file(model[0])):
        raise typer.BadParameter("--alias names the one GGUF file that --model gives")
    try:
        settings = from_environment(
            engine_threads=threads,
            engine_context=context,
            engine_slots=slots,
            engine_memory_mb=memory,
            engine_queue=queue,
            engine_queue_tokens=queue_tokens,
            engine_gpu_layers=gpu_layers,
        )
        what = ("--manifest", str(manifest.absolute())) if manifest else _models(model or [], alias, settings)
    except (ValidationError, ModelFileError, StateFolderError, OSError) as error:
        typer.echo(f"The engine does not start: {error}", err=True)
        raise typer.Exit(1) from None
    _become(engine_command(settings, socket.absolute(), what))


def _models(given: list[str], alias: str | None, settings: Settings) -> tuple[str, ...]:
    """The engine's arguments for these models. Raises ModelFileError, OSError, StateFolderError."""
    entries: dict[str, JsonObject] = {}
    for name in given:
        found = [_entry(Path(name), alias)] if _is_file(name) else manifest_entries([name], settings.state_dir)
        for entry in found:
            entries.setdefault(entry["name"], entry)
    if len(entries) == 1:
        return what_to_serve(list(entries.values()), Path())
    # This process's id stays that of the engine: the next gateway sweeps the folder away once it has ended.
    ensure_private_folder(settings.runtime_dir)
    folder = ensure_private_folder(settings.runtime_dir / str(os.getpid()))
    return what_to_serve(list(entries.values()), folder / "engine.json")


def _is_file(name: str) -> bool:
    return "/" in name or name.endswith(".gguf")


def _entry(path: Path, alias: str | None) -> JsonObject:
    if not path.is_file():
        raise ModelFileError(f"there is no file {path}")
    return {"name": alias or path.stem, "path": str(path.absolute())}


def _become(command: list[str]) -> NoReturn:
    """Go on as the engine, with no more of the environment than that may see."""
    sys.stdout.flush()
    os.execve(command[0], command, engine_environment())  # noqa: S606 - no shell, and every word is ours or checked
