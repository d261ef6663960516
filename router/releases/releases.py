"""What one worker does about releases: offers them, checks those that come back, and uses each exactly once.

Whatever cannot be known (a store that fails, a token of unknown making) refuses. Tokens are never logged or recorded.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import orjson

from policies.causes import causes
from policies.offering import offered
from policies.types import Policy, Release, ReleaseRule
from router.errors import Denied, GatehouseError, TooMany, Unavailable
from router.exchange import Exchange
from router.keys import Keys
from router.releases.board import ReleaseBoard, SharedReleases, shared_releases
from router.releases.store import MOST_WAITING, WAITS_SECONDS, About, Entry, ReleaseStore, ReleaseStoreError
from router.releases.tokens import BadToken, ReleaseTokens, bound_of
from router.settings import Settings
from router.types import ChatRequest, Principal

T = TypeVar("T")

log = logging.getLogger("gatehouse.releases")

_HELD_CODES = frozenset({"policy_denied", "no_able_lawful_model", "sensitive_data_local_unavailable"})
_REFUSED = "release_refused"
_CLOCKS = 600.0  # seconds that the clocks of hosts may be apart: that long it stays used after its end
_UNKNOWN = "Releases cannot be looked up at the moment, so nothing is released."


@dataclass(frozen=True, slots=True)
class Ticket:
    """A token that was given for this request. `is_open`: it counts now; else somebody must approve it first."""

    release: Release
    is_open: bool


class Releases:
    """One a worker. For one event loop; the store is asked in a thread, and opened when it is first needed.

    With `shared` a token counts on every host that has the same root secret, and what somebody must approve stands in
    the list of all; a token that was given while nobody could be asked is the host's own.
    """

    def __init__(self, state_dir: Path, keys: Keys, shared: SharedReleases | None = None) -> None:
        self._state_dir = state_dir
        self._keys = keys
        self._shared = shared
        self._board = ReleaseBoard(shared, keys) if shared is not None else None
        self._named: dict[str, tuple[str, float]] = {}  # a release that all hosts count -> their name, its end
        self._thread = ThreadPoolExecutor(1, "releases")
        self._store: ReleaseStore | None = None
        self._tokens: ReleaseTokens | None = None
        self._used: dict[tuple[str, str], float] = {}  # (release, request) -> its end
        self.on_event: Callable[[str], None] = lambda event: None

    async def admit(self, request: ChatRequest, policy: Policy) -> Ticket | None:
        """What the request's token gives leave to; None where it brings none.

        Raises `Denied` (`release_refused`) for one that is not of this request, over or used, `Unavailable` where that
        cannot be known.
        """
        if request.release is None:
            return None
        rule = policy.release
        if rule is None or not _is_offered_to(rule, request.principal):
            raise self._refusal("the policy does not let you release anything")
        release, now = await self._read(request, request.release, policy), time.time()
        entry = await self._entry(release.id, rule, now)
        if entry is not None and entry.state in ("used", "denied"):
            raise self._refusal("it was used already" if entry.state == "used" else "it was denied")
        if rule.by == "approver" and entry is not None:
            if entry.state == "expired":
                raise self._refusal("its time is over")
            return Ticket(replace(release, until=entry.until), entry.state == "approved")
        # An end that is too far away is that of a clock which has been set back since.
        if not now < release.until <= now + rule.ttl_seconds + 1:
            raise self._refusal("its time is over")
        return Ticket(release, rule.by == "user")

    async def _entry(self, release_id: str, rule: ReleaseRule, now: float) -> Entry | None:
        """What is known of it here, or on all hosts where one of them may have been asked to approve it."""
        entry = await self._ask_store(lambda store: store.get(release_id, now))
        if entry is not None or rule.by != "approver" or release_id not in self._named:
            return entry
        return await self._ask_board(lambda board: board.get(release_id, now))

    async def _read(self, request: ChatRequest, token: str, policy: Policy) -> Release:
        """What the token says, of this host or of all. Raises `Denied`, or `Unavailable` where that cannot be known."""
        await self._ask_store(lambda store: None)
        assert self._tokens is not None
        bound = bound_of(request, policy.digest)
        try:
            return self._tokens.read(token, bound)
        except BadToken:
            name = await self._common_name(policy)
        if name == "" and self._counts_everywhere(policy):
            raise Unavailable(_UNKNOWN, code="release_unavailable")
        try:
            if not name:
                raise BadToken
            release = ReleaseTokens(self._keys, name).read(token, bound)
        except BadToken:
            whose = "" if name else ", and so must the host"
            raise self._refusal(
                "the token was not given for this: the body, the key, the model that is asked for and the policy must "
                f"be those of the answer that it came with{whose}"
            ) from None
        now = time.time()
        self._named = {one: pair for one, pair in self._named.items() if pair[1] > now}
        self._named[release.id] = (name, release.until)
        return release

    async def _common_name(self, policy: Policy) -> str:
        """What tokens that all hosts count are made with; "" where there are none, or nobody can say."""
        if self._shared is None or not self._counts_everywhere(policy):
            return ""
        return await self._shared.name() or ""

    def _counts_everywhere(self, policy: Policy) -> bool:
        return self._shared is not None and policy.release is not None

    async def ask(self, exchange: Exchange, ticket: Ticket) -> None:
        """Put a request whose release must be approved into the list, if it would leave then; ends it with a 403.

        Returns where a release would not help. Raises `Denied` (`release_pending`), `TooMany`, `Unavailable`.
        """
        policy, plan, rule = exchange.policy, exchange.plan, exchange.policy.release
        if plan is None or rule is None:
            return
        offer = offered(policy, plan.facts, plan.signals, home_is_down=True)
        if offer is None or (offer.model, offer.level) != (ticket.release.model, ticket.release.level):
            return
        decision, caller, now = plan.decision, exchange.request.principal, time.time()
        about = About(
            model=offer.model,
            level=offer.level.word,
            rule=decision.held or decision.reason,
            because=tuple(dict.fromkeys(cause.name for cause in causes(policy, decision, plan.signals.scan))),
            size=len(orjson.dumps(exchange.original.body)),
            request_id=exchange.request.id,
        )
        entry = Entry(
            *(ticket.release.id, "waiting", now + WAITS_SECONDS, None, caller.tenant, caller.key_id),
            *(now, float(rule.ttl_seconds), about),
        )
        if ticket.release.id in self._named:
            is_taken = await self._ask_board(lambda board: board.ask(entry, now))
        else:
            is_taken = await self._ask_store(lambda store: store.ask(entry, now))
        if not is_taken:
            raise TooMany(f"{MOST_WAITING:,} releases of this tenant wait already.", code="release_list_full")
        self._note(exchange, "pending", ticket.release.id)
        raise Denied(
            f"This waits to be approved as {ticket.release.id} (`gatehouse release approve`). Repeat the request with "
            "the same token then.",
            code="release_pending",
            should_retry=False,
        )

    async def offer(self, exchange: Exchange, error: GatehouseError | None = None) -> None:
        """Put a token into the outcome of a request that was held, where the policy offers one to its caller.

        `error` is what it is refused with; its message then says so. Never raises: without a token it stays held.
        """
        rule, plan = exchange.policy.release, exchange.plan
        if rule is None or plan is None or not _is_offered_to(rule, exchange.request.principal):
            return
        if not _is_held(exchange, error):
            return
        home_is_down = error is not None and error.code == "sensitive_data_local_unavailable"
        offer = offered(exchange.policy, plan.facts, plan.signals, home_is_down=home_is_down)
        if offer is None:
            return
        release = replace(offer, id=f"rl-{secrets.token_hex(8)}", until=time.time() + rule.ttl_seconds)
        try:
            await self._ask_store(lambda store: None)
        except Unavailable:
            return
        assert self._tokens is not None
        name = await self._common_name(exchange.policy)
        tokens = ReleaseTokens(self._keys, name) if name else self._tokens
        token = tokens.make(release, bound_of(exchange.original, exchange.policy.digest))
        exchange.outcome.offer, exchange.outcome.release_token = release, token
        self._note(exchange, "offered", release.id)
        if error is not None:
            whose = "" if rule.by == "user" else "; somebody else must approve it then"
            error.message += (
                f" It may be released: repeat it with the header x-gatehouse-release of this answer{whose}."
            )

    async def use(self, exchange: Exchange, release: Release) -> None:
        """Use it for this request, just before its bytes leave. Raises `Denied`; `Unavailable` where nobody knows."""
        rule, request, now = exchange.policy.release, exchange.request, time.time()
        if rule is None or not now < release.until:
            raise self._refusal("its time is over")
        caller = request.principal
        entry = Entry(
            *(release.id, "used", release.until, request.id, caller.tenant, caller.key_id),
            *(now, float(rule.ttl_seconds), None),
        )
        is_common, needs_word = release.id in self._named, rule.by == "approver"
        if is_common and needs_word:
            await self._require_approved(release.id, request.id, now)
        if not await self._ask_store(lambda store: store.use(entry, now, approved=needs_word and not is_common)):
            raise self._refusal("it was used already")
        if is_common:
            await self._use_everywhere(release, request.id, now)
            if needs_word:
                await self._show_used(release.id, request.id, now)
        self._used = {pair: until for pair, until in self._used.items() if until > now}
        self._used[release.id, request.id] = release.until
        self._note(exchange, "used", release.id)

    async def _require_approved(self, release_id: str, request_id: str, now: float) -> None:
        """What was approved on some host is still so. Raises `Denied`, `Unavailable`."""
        entry = await self._ask_board(lambda board: board.get(release_id, now))
        if entry is None or (entry.state != "approved" and entry.used_by != request_id):
            raise self._refusal("it is not approved any more")

    async def _show_used(self, release_id: str, request_id: str, now: float) -> None:
        assert self._board is not None
        with contextlib.suppress(ReleaseStoreError):
            await self._board.note_used(release_id, request_id, now)

    async def _use_everywhere(self, release: Release, request_id: str, now: float) -> None:
        assert self._shared is not None
        used = await self._shared.use(self._named[release.id][0], release.id, request_id, release.until - now + _CLOCKS)
        if used is None:
            raise Unavailable(_UNKNOWN, code="release_unavailable")
        if not used:
            raise self._refusal("it was used already, or the hosts' Redis does not know of it any more")

    def require_used(self, release: Release, request_id: str) -> None:
        """Return if this worker has used the release for this very request. Raises `Denied`. Asked before each byte."""
        until = self._used.get((release.id, request_id))
        if until is None or not time.time() < until:
            raise self._refusal("it was not used for this request")

    async def close(self) -> None:
        """Close the store."""
        self._thread.shutdown(wait=True)
        if self._shared is not None:
            await self._shared.close()
        if self._store is not None:
            self._store.close()

    def _refusal(self, why: str) -> Denied:
        self.on_event("refused")
        return Denied(
            f"The release does not count, and nothing was sent: {why}. Ask again without x-gatehouse-release.",
            code=_REFUSED,
            should_retry=False,
        )

    def _note(self, exchange: Exchange, result: str, release_id: str) -> None:
        self.on_event(result)
        exchange.outcome.release = (result, release_id)

    async def _ask_store(self, work: Callable[[ReleaseStore], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, lambda: work(self._opened()))
        except ReleaseStoreError as error:
            log.error("nothing is released: %s", error)
            raise Unavailable(_UNKNOWN, code="release_unavailable") from None

    async def _ask_board(self, work: Callable[[ReleaseBoard], Awaitable[T]]) -> T:
        assert self._board is not None
        try:
            return await work(self._board)
        except ReleaseStoreError as error:
            log.error("nothing is released: %s", error)
            raise Unavailable(_UNKNOWN, code="release_unavailable") from None

    def _opened(self) -> ReleaseStore:
        if self._store is None:
            self._store = ReleaseStore(self._state_dir)
            self._tokens = ReleaseTokens(self._keys, self._store.host)
        return self._store


def make_releases(settings: Settings, keys: Keys) -> Releases:
    """One worker's releases, counted with those of other hosts where they share a Redis."""
    return Releases(settings.state_dir, keys, shared_releases(settings, keys))


def _is_offered_to(rule: ReleaseRule, caller: Principal) -> bool:
    return rule.groups is None or not rule.groups.isdisjoint(caller.groups)


def _is_held(exchange: Exchange, error: GatehouseError | None) -> bool:
    """Whether its level kept a request from going where it would have gone, or from being answered at all."""
    if error is not None:
        return error.code in _HELD_CODES
    outcome = exchange.outcome
    return outcome.route in ("local", "cache") and (outcome.held is not None or outcome.reason == "sensitivity")
