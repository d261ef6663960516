"""What was asked for in the last minute on all hosts: a hash of seconds for each counter, checked and counted at once.

Seconds are Redis's own, so that no host's clock counts. A Redis that does not answer is a value, never an error.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

from router.cache.redis import RedisLink
from router.rates.table import KINDS, WINDOW, Counter, Kind, Level, Taken, tightest

_PREFIX = "gatehouse:rate:"
# ARGV: the window, requests, tokens, and of each counter both limits (-1: none). A field is `r` or `t` and a second.
# Answers: number of the counter that refuses (0: none), of its kind, milliseconds until it would fit; the second; and
# of each counter and kind what is taken, and milliseconds until nothing is.
_TAKE = """
local time = redis.call('TIME')
local now = tonumber(time[1])
local fine = now + tonumber(time[2]) / 1000000
local window = tonumber(ARGV[1])
local amounts = {r = tonumber(ARGV[2]), t = tonumber(ARGV[3])}
local needs = {r = amounts.r, t = math.max(amounts.t, 1)}
local kinds = {'r', 't'}
local refused, kind, wait = 0, 0, 0
local seen = {}
for i, key in ipairs(KEYS) do
  local all = redis.call('HGETALL', key)
  local sums, last, rings, old = {r = 0, t = 0}, {r = 0, t = 0}, {r = {}, t = {}}, {}
  for j = 1, #all, 2 do
    local name, second = string.sub(all[j], 1, 1), tonumber(string.sub(all[j], 2))
    local value = tonumber(all[j + 1])
    if sums[name] == nil or second == nil or value == nil or second <= now - window then
      old[#old + 1] = all[j]
    elseif value > 0 then
      sums[name] = sums[name] + value
      last[name] = math.max(last[name], second)
      rings[name][second] = value
    end
  end
  if #old > 0 then redis.call('HDEL', key, unpack(old)) end
  for k, name in ipairs(kinds) do
    local limit = tonumber(ARGV[2 + 2 * i + k - 1])
    local short = sums[name] + needs[name] - limit
    if limit >= 0 and (amounts.r > 0 or name == 't') and short > 0 then
      local until_ = now + window
      for second = now - window + 1, now + 1 do
        short = short - (rings[name][second] or 0)
        if short <= 0 then until_ = second + window break end
      end
      local ms = math.ceil((until_ - fine) * 1000)
      if refused == 0 or ms > wait then refused, kind, wait = i, k, ms end
    end
    seen[#seen + 1] = sums[name]
    seen[#seen + 1] = last[name] == 0 and 0 or math.ceil((last[name] + window - fine) * 1000)
  end
end
if refused == 0 then
  for _, key in ipairs(KEYS) do
    for _, name in ipairs(kinds) do
      if amounts[name] > 0 then redis.call('HINCRBY', key, name .. now, amounts[name]) end
    end
    redis.call('EXPIRE', key, window + 10)
  end
end
return {refused, kind, wait, now, unpack(seen)}
"""
# ARGV: the window, the second, requests, tokens. What is over counts no more, unless more was used than was held.
_GIVE = """
local now = tonumber(redis.call('TIME')[1])
local second = tonumber(ARGV[2])
for _, key in ipairs(KEYS) do
  for k, name in ipairs({'r', 't'}) do
    local amount = tonumber(ARGV[2 + k])
    local at = second
    if second <= now - tonumber(ARGV[1]) then
      at = now
      amount = math.max(amount, 0)
    end
    if amount ~= 0 and redis.call('HINCRBY', key, name .. at, amount) < 0 then
      redis.call('HSET', key, name .. at, 0)
    end
  end
  redis.call('EXPIRE', key, tonumber(ARGV[1]) + 10)
end
return 1
"""
_HEAD = 4  # numbers of an answer before those of the counters


class RedisRates(RedisLink):
    """`router.rates.rates.SharedRates` in Redis."""

    _part = "rates"
    _meanwhile = "each host counts by itself what is asked for, unless the policy takes nothing then"

    async def take(self, counters: Sequence[Counter], requests: int, tokens: int) -> Taken | None:
        """Count it in every counter, or in none of them; None when Redis does not say."""
        names = [_name(counter) for counter in counters]
        limits = [-1 if limit is None else limit for counter in counters for limit in counter.limit]
        arguments = [str(value) for value in (WINDOW, requests, tokens, *limits)]
        answer = await self._ask(lambda: self._client.eval(_TAKE, len(names), *names, *arguments))
        length = _HEAD + len(counters) * len(KINDS) * 2
        if not isinstance(answer, list) or len(answer) != length or not all(type(each) is int for each in answer):
            return None
        self._turn("ok", "")
        refused, kind, wait, second = answer[:_HEAD]
        levels = _levels(counters, answer[_HEAD:], (requests, tokens) if not refused else (0, 0))
        if not refused:
            return Taken(second, "", "requests", 0.0, levels)
        return Taken(second, counters[refused - 1].name, KINDS[kind - 1], wait / 1000, levels)

    async def give(self, counters: Sequence[Counter], second: int, requests: int, tokens: int) -> None:
        """Change what was counted at `second` by so much; lost when Redis does not take it, for a minute at most."""
        names = [_name(counter) for counter in counters]
        arguments = [str(value) for value in (WINDOW, second, requests, tokens)]
        await self._ask(lambda: self._client.eval(_GIVE, len(names), *names, *arguments))


def _levels(counters: Sequence[Counter], seen: list[int], added: tuple[int, int]) -> dict[Kind, Level]:
    levels: dict[Kind, Level] = {}
    for number, counter in enumerate(counters):
        for at, kind in enumerate(KINDS):
            limit = counter.limit[at]
            if limit is not None:
                used, reset = seen[(number * len(KINDS) + at) * 2 :][:2]
                until = float(WINDOW) if added[at] else reset / 1000
                tightest(levels, kind, Level(limit, max(limit - used - added[at], 0), until))
    return levels


def _name(counter: Counter) -> str:
    """No name of a tenant or a key stands in Redis."""
    return _PREFIX + blake2b(counter.name.encode(), digest_size=16).hexdigest()
