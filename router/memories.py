"""What a worker remembers of answers: cache, marks, who answered; shared through Redis where there is one."""

from __future__ import annotations

from collections.abc import Callable

from router.affinity import TABLE_BYTES, TABLE_FILE, Affinity
from router.budgets.purse import Purse, shared_budgets
from router.cache.base import Cache
from router.cache.memory import MemoryBytes
from router.cache.sealed import SealedCache, Sealer
from router.cache.semantic import SimilarIndex
from router.keys import Keys
from router.rates.rates import RateLimits, SharedRates
from router.rates.table import RATES_FILE
from router.settings import Settings
from router.taint.ledger import SharedMarks, TaintLedger
from router.taint.marks import MARKS_FILE, MarkTable
from router.telemetry.telemetry import Telemetry


def make_cache(settings: Settings, keys: Keys) -> tuple[Cache, SimilarIndex, Callable[[], str]]:
    """The cache, the index of similar questions in the same place, and how to ask for its state."""
    sealer = Sealer(keys)
    if settings.redis_url is None:
        place = MemoryBytes(settings.cache_max_bytes)
        return SealedCache(sealer, place), SimilarIndex(sealer, place), lambda: "ok"
    from router.cache.redis import RedisBytes  # only where it is configured: the client costs 6 MB

    redis = RedisBytes(settings.redis_url, settings.redis_timeout_ms)
    return SealedCache(sealer, redis), SimilarIndex(sealer, redis), lambda: redis.state


def make_ledger(settings: Settings, keys: Keys, telemetry: Telemetry) -> TaintLedger:
    """The marks of answers to sensitive requests."""
    table = MarkTable(settings.state_dir / MARKS_FILE, settings.taint_max_bytes)
    shared: SharedMarks | None = None
    if settings.redis_url is not None:
        from router.cache.redis import RedisMarks

        shared = RedisMarks(settings.redis_url, settings.redis_timeout_ms, table.name, settings.taint_ttl_s)
    return TaintLedger(keys, table, ttl=settings.taint_ttl_s, telemetry=telemetry, shared=shared)


def make_affinity(settings: Settings, keys: Keys) -> Affinity:
    """Who has answered which conversation."""
    table = MarkTable(settings.state_dir / TABLE_FILE, TABLE_BYTES)
    if settings.redis_url is None:
        return Affinity(keys, table)
    from router.cache.redis import RedisAffinity

    return Affinity(keys, table, RedisAffinity(settings.redis_url, settings.redis_timeout_ms, table.name, 86_400.0))


def make_purse(settings: Settings, telemetry: Telemetry) -> Purse:
    """The money for calls outside. Opens nothing before a policy with budgets asks for some."""
    purse = Purse(settings.state_dir, shared_budgets(settings))
    purse.on_refusal = telemetry.budget_refused
    return purse


def make_rates(settings: Settings, telemetry: Telemetry) -> RateLimits:
    """How much is asked for in a minute. Opens nothing before somebody is limited."""
    shared: SharedRates | None = None
    if settings.redis_url is not None:
        from router.cache.redis_rates import RedisRates

        shared = RedisRates(settings.redis_url, settings.redis_timeout_ms)
    rates = RateLimits(settings.runtime_dir / RATES_FILE, shared)
    rates.on_refusal = telemetry.rate_refused
    return rates
