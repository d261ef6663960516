"""`gatehouse keys`: who may use this gateway. A key is shown once, when it is made; only digests are kept."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, cast

import orjson
import typer
from rich.console import Console
from rich.table import Table

from router.api_keys import StoredKey
from router.key_store import KEYS_FILE, KeyStore, NoSuchKey
from router.keys import StateFolderError
from router.settings import from_environment
from router.store import StoreError
from router.types import SCOPES, JsonObject, KeyScope

keys = typer.Typer(help="API keys: who may ask, for which tenant, and for how long.", no_args_is_help=True)

_UNITS = {"m": 60, "h": 3600, "d": 86_400}
_DURATION = re.compile(r"([1-9][0-9]{0,5})([mhd])")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}")
_HEADER = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
# Headers that mean something already: none of them can name a subject.
_TAKEN = re.compile(
    r"authorization|x-api-key|cookie|host|origin|connection|te|trailer|upgrade|expect|traceparent|tracestate|user-agent"
    r"|transfer-encoding|cache-control|accept.*|content-.*|proxy-.*|sec-.*|x-gatehouse-.*|x-forwarded-.*"
)

_StateDir = Annotated[
    Path | None,
    typer.Option("--state-dir", help="The gateway's state folder (GATEHOUSE_STATE_DIR).", show_default=False),
]
_AsJson = Annotated[bool, typer.Option("--json", help="One JSON object.")]
_Which = Annotated[str, typer.Argument(help="The key's id, or its name where only one has it.", metavar="KEY")]


@keys.command()
def create(
    name: Annotated[str, typer.Argument(help="What the key is for; for readers of lists.")],
    tenant: Annotated[str, typer.Option(help="Whose key it is; `tenants` in the policy may name it.")] = "default",
    scope: Annotated[
        list[str] | None, typer.Option(help=f"{', '.join(SCOPES)}; may be repeated. Default: infer.")
    ] = None,
    group: Annotated[list[str] | None, typer.Option(help="A group of the caller; may be repeated.")] = None,
    expires: Annotated[
        str | None, typer.Option(help="After so long, as 90d or 12h, or on a day, as 2027-01-31.")
    ] = None,
    subject_header: Annotated[
        str | None, typer.Option(help="The request header that names who the caller asks for; read for this key only.")
    ] = None,
    as_json: _AsJson = False,
    state_dir: _StateDir = None,
) -> None:
    """Make a key and print it: it cannot be shown again.

    From the first key on, every request needs one, on loopback too.
    """
    scopes = scope or ["infer"]
    for word in scopes:
        if word not in SCOPES:
            raise typer.BadParameter(f"'{word}' is no scope: there are {', '.join(SCOPES)}", param_hint="--scope")
    for given, hint in ((name, "NAME"), (tenant, "--tenant"), *((each, "--group") for each in group or ())):
        if not _NAME.fullmatch(given):
            words = "up to 64 letters, digits and . _ @ + -, beginning with a letter or digit"
            raise typer.BadParameter(words, param_hint=hint)
    until, header = _moment(expires, "--expires"), _header(subject_header)
    with _store(state_dir) as store:
        is_first = not store.list()
        key, text = store.create(
            name,
            tenant=tenant,
            scopes=cast("list[KeyScope]", scopes),
            groups=group or [],
            subject_header=header,
            expires=until,
        )
    _show_new(key, text, as_json)
    if is_first:
        typer.echo("It is the first: from now on every request needs a key, on loopback too.", err=True)


@keys.command("list")
def list_keys(as_json: _AsJson = False, state_dir: _StateDir = None) -> None:
    """Every key that was ever made, revoked ones too."""
    if not (from_environment(state_dir=state_dir).state_dir / KEYS_FILE).exists():
        typer.echo(
            "[]" if as_json else "No key was ever made: on loopback none is needed. `gatehouse keys create` makes one."
        )
        return
    with _store(state_dir) as store:
        found = store.list()
    if as_json:
        typer.echo(orjson.dumps([_as_json(key) for key in found]))
        return
    table = Table("id", "name", "tenant", "scopes", "groups", "subject header", "created", "expires", "state", box=None)
    for key in found:
        table.add_row(
            *(key.id, key.name, key.tenant, " ".join(sorted(key.scopes)), " ".join(key.groups) or "-"),
            *(key.subject_header or "-", _day(key.created), _day(key.expires), key.state(time.time())),
        )
    Console(width=max(Console().width, 140)).print(table)


@keys.command()
def rotate(
    which: _Which,
    overlap: Annotated[str, typer.Option(help="How long the secret before goes on: 24h, 7d; 0 ends it now.")] = "24h",
    expires: Annotated[str | None, typer.Option(help="From now on for the whole key, as at `create`.")] = None,
    as_json: _AsJson = False,
    state_dir: _StateDir = None,
) -> None:
    """Give a key a new secret and print it; id, tenant and scopes stay."""
    seconds = 0.0 if overlap == "0" else _seconds(overlap, "--overlap")
    until = _moment(expires, "--expires")
    with _store(state_dir) as store:
        key, text = store.rotate(which, seconds, until)
    _show_new(key, text, as_json)


@keys.command()
def revoke(which: _Which, as_json: _AsJson = False, state_dir: _StateDir = None) -> None:
    """End a key for good. A running gateway refuses it within a second."""
    with _store(state_dir) as store:
        key = store.revoke(which)
    typer.echo(orjson.dumps(_as_json(key)) if as_json else f"The key {key.id} ({key.name}) is revoked.")


@contextmanager
def _store(state_dir: Path | None) -> Iterator[KeyStore]:
    try:
        with KeyStore(from_environment(state_dir=state_dir).state_dir) as store:
            yield store
    except (StoreError, StateFolderError, NoSuchKey) as error:
        typer.echo(f"{error}", err=True)
        raise typer.Exit(1) from None


def _show_new(key: StoredKey, text: str, as_json: bool) -> None:
    """The key on standard output and nothing beside it, so that it can be taken from there."""
    if as_json:
        typer.echo(orjson.dumps({**_as_json(key), "key": text}))
        return
    until = f", until {_day(key.expires)}" if key.expires is not None else ""
    about = f"{key.name}: id {key.id}, tenant {key.tenant}, scopes {' '.join(sorted(key.scopes))}{until}"
    typer.echo(f"{about}\nIt is shown this once:", err=True)
    typer.echo(text)


def _as_json(key: StoredKey) -> JsonObject:
    return {
        "id": key.id,
        "name": key.name,
        "tenant": key.tenant,
        "groups": list(key.groups),
        "scopes": sorted(key.scopes),
        "subject_header": key.subject_header,
        "created": _iso(key.created),
        "expires": _iso(key.expires),
        "revoked": _iso(key.revoked),
        "state": key.state(time.time()),
        "secrets": len(key.secrets),
    }


def _iso(moment: float | None) -> str | None:
    return None if moment is None else datetime.fromtimestamp(moment, UTC).isoformat(timespec="seconds")


def _day(moment: float | None) -> str:
    return "-" if moment is None else datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M")


def _seconds(text: str, hint: str) -> float:
    match = _DURATION.fullmatch(text)
    if match is None:
        raise typer.BadParameter(f"'{text}' is no time: write 30m, 12h or 90d", param_hint=hint)
    return float(int(match[1]) * _UNITS[match[2]])


def _moment(text: str | None, hint: str) -> float | None:
    """A time from now, or the beginning of a day (UTC), as Unix seconds."""
    if text is None:
        return None
    try:
        day = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        return time.time() + _seconds(text, hint)
    if day.timestamp() <= time.time():
        raise typer.BadParameter(f"{text} is over", param_hint=hint)
    return day.timestamp()


def _header(name: str | None) -> str | None:
    if name is None:
        return None
    lower = name.lower()
    if not _HEADER.fullmatch(lower) or _TAKEN.fullmatch(lower):
        raise typer.BadParameter(
            f"'{name}' cannot name a subject: take one such as x-user", param_hint="--subject-header"
        )
    return lower
