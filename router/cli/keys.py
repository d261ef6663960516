"""`gatehouse keys`: who may use this gateway. A key is shown once, when it is made; only digests are kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, TypeVar

import orjson
import typer
from rich.console import Console
from rich.table import Table

from router.api_keys.key import StoredKey
from router.api_keys.orders import BadOrder, duration, key_json, moment, order_key
from router.api_keys.store import KEYS_FILE, KeyStore, NoSuchKey
from router.cli.audited import audited
from router.keys import StateFolderError
from router.records.store import StoreError
from router.settings import from_environment
from router.types import SCOPES

T = TypeVar("T")

keys = typer.Typer(help="API keys: who may ask, for which tenant, and for how long.", no_args_is_help=True)

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
    requests_per_minute: Annotated[
        int | None, typer.Option(min=1, help="How many it may ask for; the policy's rates hold it too.")
    ] = None,
    tokens_per_minute: Annotated[int | None, typer.Option(min=1, help="The same, in tokens.")] = None,
    as_json: _AsJson = False,
    state_dir: _StateDir = None,
) -> None:
    """Make a key and print it: it cannot be shown again.

    From the first key on, every request needs one, on loopback too.
    """
    order = _ordered(
        lambda: order_key(
            time.time(),
            name=name,
            tenant=tenant,
            scopes=scope or ["infer"],
            groups=group or [],
            expires=expires,
            subject_header=subject_header,
            requests_per_minute=requests_per_minute,
            tokens_per_minute=tokens_per_minute,
        )
    )
    with _store(state_dir) as store, audited(state_dir, "keys.create", order.name) as detail:
        is_first = not store.list()
        key, text = store.create(
            order.name,
            tenant=order.tenant,
            scopes=order.scopes,
            groups=order.groups,
            subject_header=order.subject_header,
            expires=order.expires,
            rate=order.rate,
        )
        detail["about"] = key_json(key, time.time())
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
        typer.echo(orjson.dumps([key_json(key, time.time()) for key in found]))
        return
    table = Table(
        "id",
        "name",
        "tenant",
        "scopes",
        "groups",
        "subject header",
        "created",
        "expires",
        "a minute",
        "state",
        box=None,
    )
    for key in found:
        table.add_row(
            *(key.id, key.name, key.tenant, " ".join(sorted(key.scopes)), " ".join(key.groups) or "-"),
            *(key.subject_header or "-", _day(key.created), _day(key.expires), _rate(key), key.state(time.time())),
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
    seconds = _ordered(lambda: duration(overlap, "overlap"))
    until = _ordered(lambda: moment(expires, "expires", time.time()))
    with _store(state_dir) as store, audited(state_dir, "keys.rotate", which) as detail:
        key, text = store.rotate(which, seconds, until)
        detail.update(about=key_json(key, time.time()), overlap_s=seconds)
    _show_new(key, text, as_json)


@keys.command()
def revoke(which: _Which, as_json: _AsJson = False, state_dir: _StateDir = None) -> None:
    """End a key for good. A running gateway refuses it within a second."""
    with _store(state_dir) as store, audited(state_dir, "keys.revoke", which, closes=True) as detail:
        key = store.revoke(which)
        detail["about"] = key_json(key, time.time())
    typer.echo(orjson.dumps(key_json(key, time.time())) if as_json else f"The key {key.id} ({key.name}) is revoked.")


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
        typer.echo(orjson.dumps({**key_json(key, time.time()), "key": text}))
        return
    until = f", until {_day(key.expires)}" if key.expires is not None else ""
    about = f"{key.name}: id {key.id}, tenant {key.tenant}, scopes {' '.join(sorted(key.scopes))}{until}"
    typer.echo(f"{about}\nIt is shown this once:", err=True)
    typer.echo(text)


def _rate(key: StoredKey) -> str:
    if key.rate is None:
        return "-"
    parts = ((key.rate.requests, "requests"), (key.rate.tokens, "tokens"))
    return ", ".join(f"{limit:,} {what}" for limit, what in parts if limit is not None)


def _day(moment: float | None) -> str:
    return "-" if moment is None else datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M")


def _ordered(check: Callable[[], T]) -> T:
    try:
        return check()
    except BadOrder as error:
        hint = "NAME" if error.what == "name" else f"--{error.what}"
        raise typer.BadParameter(str(error), param_hint=hint) from None
