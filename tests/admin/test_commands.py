"""Every command is a route of the admin API, or stands here with the reason why it is none."""

from __future__ import annotations

import importlib

import typer

from router.admin.app import ROUTES
from router.cli.main import COMMANDS

_OWN_FILES = "reads or writes files that the caller names, on the caller's own machine"
_PROCESS = "is a process of its own"
_DOES_NOTHING = "shows what text means; the gateway's own /v1/route answers the same"
_MODELS = "moves gigabytes, or runs native code on a file: for a user of this machine, not for who has a key"

REASONS = {
    "gatehouse serve": _PROCESS,
    "gatehouse demo": _PROCESS,
    "gatehouse engine": _PROCESS,
    "gatehouse doctor": "looks at the caller's own environment",
    "gatehouse explain": _DOES_NOTHING,
    "gatehouse observe": _OWN_FILES,
    "gatehouse eval sensitivity": _OWN_FILES,
    "gatehouse erase": "needs the person's own name, which nothing of this API takes in",
    "gatehouse backup": _OWN_FILES,
    "gatehouse restore": _OWN_FILES,
    "gatehouse calibrate": "keeps the local model busy for hours; a running gateway takes up the cards by itself",
    "gatehouse policy approve-text": _OWN_FILES,
    "gatehouse policy hash": "makes a salted hash on the caller's own machine: the value shall not travel",
    "gatehouse policy probe": "runs the classifiers over a file's probes; its process, not the parent, has them",
    "gatehouse policy differences": "read from the records, which GET /records gives",
    "gatehouse policy fmt": _OWN_FILES,
    "gatehouse policy import": _OWN_FILES,
    "gatehouse records receipt": _OWN_FILES,
    "gatehouse import litellm": _OWN_FILES,
    "gatehouse models pull": _MODELS,
    "gatehouse models add": _MODELS,
    "gatehouse models verify": _MODELS,
    "gatehouse models remove": _MODELS,
    "gatehouse models use": _MODELS,
}


def commands() -> set[str]:
    """Every command with its words, as the command line builds them."""
    found = set()
    for name, module in COMMANDS.items():
        command = getattr(importlib.import_module(module), "import_" if name == "import" else name)
        if not isinstance(command, typer.Typer):
            found.add(f"gatehouse {name}")
            continue
        for each in command.registered_commands:
            word = each.name or (each.callback.__name__.replace("_", "-") if each.callback is not None else "")
            found.add(f"gatehouse {name} {word}")
    return found


def test_every_command_has_a_route_or_a_reason() -> None:
    routes = {route.command for route in ROUTES if route.command}
    lacking = commands() - routes - REASONS.keys()
    assert not lacking, "give it a route in router/admin/, or a reason here"
    assert len(commands()) > 20


def test_a_route_names_a_command_that_there_is_and_needs_no_reason_beside_it() -> None:
    routes = {route.command for route in ROUTES if route.command}
    assert routes <= commands()
    assert not routes & REASONS.keys()
