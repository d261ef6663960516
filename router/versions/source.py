"""Where a gateway's policy comes from, and the parent's account of what it has put in force.

Blocks on files and SQLite: run it in a thread.
"""

from __future__ import annotations

import logging
import os
import pwd
from collections.abc import Callable
from pathlib import Path

from policies.errors import PolicyError, Problem
from policies.store import InForce, PolicyStore
from policies.text.chain import Chain
from policies.text.sources import recipes
from policies.types import Policy
from policies.version import Serving
from router.keys import StateFolderError
from router.records.store import StoreError
from router.settings import Settings
from router.versions.versions import VersionStore, read_active

log = logging.getLogger("gatehouse.policy")

STORE_NAME = "the store of policies"


def open_policy(settings: Settings, check: Callable[[Policy], None]) -> PolicyStore:
    """The policy that `gatehouse serve` was given, loaded; where it says `policy: {source: store}`, what the store has
    in force, which the file begins. Raises `PolicyError`, `StoreError`, `StateFolderError`."""
    store = PolicyStore(settings.policy, check)
    policy = store.load()
    if policy.kept_in == "file":
        return store
    state_dir = settings.state_dir
    with VersionStore(state_dir) as versions:
        active = versions.active()
        if active is None or not _is_kept_in_store(active.compiled()):  # of a time when the file was in charge
            versions.note_in_force(policy, store.in_force.texts, file_author(settings.policy))

    def check_kept(policy: Policy) -> None:
        if not _is_kept_in_store(policy):
            raise _problem("this gateway takes its policy from the store: it must say `policy: {source: store}`")
        check(policy)

    kept = PolicyStore(STORE_NAME, check_kept, read=lambda: _read(state_dir))
    kept.load()
    return kept


def _is_kept_in_store(policy: Policy) -> bool:
    return policy.kept_in == "store"


def _read(state_dir: Path) -> Chain:
    try:
        active = read_active(state_dir)
    except StoreError as error:
        raise _problem(str(error)) from None
    if active is None:
        raise _problem("no version is in force")
    return active.chain


def _problem(message: str) -> PolicyError:
    return PolicyError(STORE_NAME, [Problem(0, 0, message)])


class VersionLog:
    """Writes down what a gateway puts in force. `failing` says why the last one is not written, None: it is."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.failing: str | None = None

    def note(self, in_force: InForce) -> None:
        """One policy is in force. What cannot be written down stays in force: it is said in `/readyz`."""
        name = self._settings.policy
        kept = name if name in recipes() else os.path.abspath(name)
        try:
            with VersionStore(self._settings.state_dir) as versions:
                serving = Serving(kept, in_force.policy.kept_in)
                if versions.serving() != serving:
                    versions.serve(serving)
                versions.note_in_force(in_force.policy, in_force.texts, file_author(name))
        except (StoreError, StateFolderError) as error:
            if self.failing is None:
                log.error("the policy in force cannot be written down: %s", error)
            self.failing = str(error)
        else:
            self.failing = None


def local_author() -> str:
    """Who runs this process: `user:NAME`."""
    return f"user:{_name_of(os.geteuid())}"


def file_author(name: str) -> str:
    """Whom a file belongs to, `file:NAME`: who has edited it is not known. Of a recipe, who runs this process."""
    try:
        return f"file:{_name_of(os.stat(name).st_uid)}" if name not in recipes() else local_author()
    except (OSError, ValueError):
        return local_author()


def _name_of(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:  # a user of a container that no file names
        return str(user)
