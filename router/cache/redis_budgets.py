"""What each host has spent and holds, in Redis: a hash a budget, a field a host, checked and raised in one script.

A host tells of money before any of it can be spent, so that the sum is never less than what is spent. After Redis was
away, or came back with less than it knew, nothing is taken until every host has had the time to tell again.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from policies.allowances import Account
from router.budgets.ledger import Balance
from router.cache.redis import RedisLink

log = logging.getLogger("gatehouse.budgets")

_PREFIX = "gatehouse:budget:"
_EPOCH = "gatehouse:budget-epoch"
_NAMES = "gatehouse:budget-names:"  # of a period: the accounts that any host has told of
_KEPT_SECONDS = 40 * 86_400  # longer than a month
_AT_ONCE = 200
# KEYS: the epoch, then the accounts. ARGV: the host, how long hosts may need to tell again (ms), how long a hash lives
# (s), of each account the turn, the amount and the limit ("": only told), and how the sets of names begin. Amounts are
# whole numbers of 10^-12 USD, which a double holds exactly up to 9,007 USD, and to 10^-9 USD above. Answers: the epoch;
# -1 while others may not have told, 0 when it is held, else the number of the account that has not enough; what the
# others have of each account.
_RAISE = """
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local info = redis.pcall('INFO', 'server')
local run = type(info) == 'string' and string.match(info, 'run_id:(%w+)') or 'unknown'
local epoch = redis.call('GET', KEYS[1])
local run_then, since = string.match(epoch or '', '^(%w+):(%d+)$')
if run_then ~= run then
  since = tostring(now)
  epoch = run .. ':' .. string.format('%d', now)
  redis.call('SET', KEYS[1], epoch)
end
local answer, refused, checks = {}, 0, false
local writes = {}
for i = 2, #KEYS do
  local at = 4 + 3 * (i - 2)
  local turn, amount, limit = tonumber(ARGV[at]), tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  local others, own_turn, own = 0, -1, 0
  local all = redis.call('HGETALL', KEYS[i])
  for j = 1, #all, 2 do
    local then_, value = string.match(all[j + 1], '^(%d+):(%d+)$')
    if all[j] == ARGV[1] then
      own_turn, own = tonumber(then_ or '-1'), tonumber(value or '0')
    else
      others = others + tonumber(value or '0')
    end
  end
  if turn > own_turn then
    own = amount
    writes[#writes + 1] = {KEYS[i], string.format('%d:%.0f', turn, amount), own_turn < 0}
  end
  if limit ~= nil then
    checks = true
    if refused == 0 and others + own > limit then refused = i - 1 end
  end
  answer[#answer + 1] = string.format('%.0f', others)
end
if checks and refused == 0 and now - tonumber(since) < tonumber(ARGV[2]) then refused = -1 end
if refused <= 0 then
  for _, write in ipairs(writes) do
    redis.call('HSET', write[1], ARGV[1], write[2])
    redis.call('EXPIRE', write[1], tonumber(ARGV[3]))
    if write[3] then
      local names = ARGV[#ARGV] .. string.match(write[1], '([^/]+)$')
      redis.call('SADD', names, write[1])
      redis.call('EXPIRE', names, tonumber(ARGV[3]))
    end
  end
end
return {epoch, refused, unpack(answer)}
"""
# KEYS: sets of names. ARGV: the host, and how accounts begin. Answers each account with what other hosts have of it.
_REPORT = """
local answer = {}
for _, names in ipairs(KEYS) do
  for _, key in ipairs(redis.call('SMEMBERS', names)) do
    local others, all = 0, redis.call('HGETALL', key)
    for j = 1, #all, 2 do
      if all[j] ~= ARGV[1] then others = others + tonumber(string.match(all[j + 1], '^%d+:(%d+)$') or '0') end
    end
    answer[#answer + 1] = string.sub(key, #ARGV[2] + 1)
    answer[#answer + 1] = string.format('%.0f', others)
  end
end
return answer
"""
_HEAD = 2


@dataclass(frozen=True, slots=True)
class Told:
    """What Redis said of a reservation: the account that has not enough left; "" for none."""

    refused: str


class RedisBudgets(RedisLink):
    """`router.budgets.purse.SharedBalances` in Redis."""

    _part = "budgets"
    _meanwhile = "what costs is kept or counted by each host alone, as the policy says"

    def __init__(self, url: str, timeout_ms: int, settle_seconds: float = 7.0) -> None:
        """`settle_seconds`: how long another host may need, after Redis was away, to find it and to tell again."""
        super().__init__(url, timeout_ms)
        self._settle_ms = int(settle_seconds * 1000)
        self._epoch: bytes = b""
        self._told: dict[str, tuple[int, int]] = {}  # what Redis has of this host
        self._others: dict[str, int] = {}

    def others(self, account: str) -> int:
        """What the other hosts had spent and held when Redis last said so."""
        return self._others.get(account, 0)

    async def raise_to(self, host: str, balances: Sequence[Balance], accounts: Sequence[Account]) -> Told | None:
        """Tell what this host has now, if all hosts together stay within every limit. None when nobody can say."""
        limits = {account.name: account.limit for account in accounts}
        answer = await self._run(host, balances, limits)
        if answer is None or answer < 0:
            return None
        return Told(balances[answer - 1].name if answer else "")

    async def tell(self, host: str, balances: Sequence[Balance]) -> None:
        """Tell what this host has, whatever the limits are; lost when Redis does not take it, until the next time."""
        for start in range(0, len(balances), _AT_ONCE):
            if await self._run(host, balances[start : start + _AT_ONCE], {}) is None:
                return

    async def beat(self, host: str, balances: Sequence[Balance]) -> None:
        """Tell what Redis does not know, all of it when it has come back; and hear of the others."""
        await self._run(host, balances[:1], {})  # also where there is nothing: it begins the epoch
        news = [each for each in balances if self._told.get(each.name) != (each.spent, each.held)]
        await self.tell(host, news)

    async def elsewhere(self, host: str, periods: Sequence[str]) -> dict[str, int] | None:
        """What hosts other than this one have of each account of these periods (`2026-05`); None when nobody says."""
        names = [_NAMES + period for period in periods]
        answer = await self._ask(lambda: self._client.eval(_REPORT, len(names), *names, host, _PREFIX))
        if not isinstance(answer, list) or not all(isinstance(each, bytes) for each in answer):
            return None
        self._turn("ok", "")
        return {name.decode(): int(amount) for name, amount in zip(answer[::2], answer[1::2], strict=True)}

    async def _run(self, host: str, balances: Sequence[Balance], limits: dict[str, int]) -> int | None:
        keys = [_EPOCH, *(_PREFIX + each.name for each in balances)]
        arguments = [host, str(self._settle_ms), str(_KEPT_SECONDS)]
        for each in balances:
            arguments += [str(each.turn), str(each.spent + each.held), str(limits.get(each.name, ""))]
        arguments.append(_NAMES)
        answer = await self._ask(lambda: self._client.eval(_RAISE, len(keys), *keys, *arguments))
        if not isinstance(answer, list) or len(answer) != _HEAD + len(balances) or type(answer[1]) is not int:
            return None
        self._turn("ok", "")
        epoch, refused, others = answer[0], answer[1], answer[_HEAD:]
        if epoch != self._epoch:
            self._epoch = epoch
            self._told.clear()
        for each, amount in zip(balances, others, strict=True):
            self._others[each.name] = int(amount)
            if refused <= 0:
                self._told[each.name] = (each.spent, each.held)
        return refused
