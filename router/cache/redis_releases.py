"""Which releases the hosts have used, in Redis: each one once, whatever host it comes back to; and what waits.

The name that tokens are made with goes with what is known of their use: a Redis that has started anew, was emptied or
replaced has another name, which voids every token before it. One that may forget keys by itself is not relied on.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Sequence
from typing import Any, cast

from router.cache.redis import RedisLink

_NAME = "gatehouse:release-name"
_USED = "gatehouse:release-used:"
_LEAST_MS = 1000
# KEYS: the name, and of a release that is used its own key. ARGV: a new name; then the name that its token was made
# with, who uses it, and for how long that is kept (ms). Answers the name ("": not to be relied on), and whether it was
# used now, or before by the very same.
_ASK = """
local server, memory = redis.pcall('INFO', 'server'), redis.pcall('INFO', 'memory')
if type(server) ~= 'string' or type(memory) ~= 'string' then return {'', 0} end
local run, most = string.match(server, 'run_id:(%w+)'), tonumber(string.match(memory, 'maxmemory:(%d+)'))
local policy = string.match(memory, 'maxmemory_policy:([%w%-]+)')
if run == nil or most == nil or (most > 0 and policy ~= 'noeviction') then return {'', 0} end
local name = redis.call('GET', KEYS[1])
if not name or string.match(name, '^(%w+):') ~= run then
  name = run .. ':' .. ARGV[1]
  redis.call('SET', KEYS[1], name)
end
if #KEYS == 1 or name ~= ARGV[2] then return {name, 0} end
if redis.call('SET', KEYS[2], ARGV[3], 'NX', 'PX', ARGV[4]) then return {name, 1} end
return {name, redis.call('GET', KEYS[2]) == ARGV[3] and 1 or 0}
"""


_LIST = "gatehouse:release-list:"
_LIST_MS = 15 * 24 * 3600 * 1000  # after the last change; entries end sooner, by what they are sealed with
# KEYS: the list. ARGV: an id, what must stand there now ("": nothing), what shall, how long the list is kept (ms).
_PUT = """
if (redis.call('HGET', KEYS[1], ARGV[1]) or '') ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return 1
"""


class RedisReleases(RedisLink):
    """`router.releases.board.SharedReleases` in Redis."""

    _part = "releases"
    _meanwhile = "what is released counts on the host that gave it"

    def __init__(self, url: str, timeout_ms: int, fleet: str = "") -> None:
        """`fleet` names the hosts of one root secret: others that use the same Redis have a list of their own."""
        super().__init__(url, timeout_ms)
        self._list = _LIST + fleet

    async def name(self) -> str | None:
        """What tokens are made with that count on every host; None when Redis does not say or may forget."""
        answer = await self._run([_NAME], [secrets.token_hex(16)])
        return answer[0] if answer is not None else None

    async def use(self, name: str, release_id: str, request_id: str, seconds: float) -> bool | None:
        """Use it for this request: True exactly once, and again for that very request. None when nobody can say."""
        kept = str(max(int(seconds * 1000), _LEAST_MS))
        answer = await self._run([_NAME, _USED + release_id], [secrets.token_hex(16), name, request_id, kept])
        return answer[1] if answer is not None else None

    async def listed(self) -> dict[str, bytes] | None:
        """Every sealed entry, by its id; None when Redis does not say."""
        found = await self._ask(lambda: cast(Awaitable[Any], self._client.hgetall(self._list)))
        if not isinstance(found, dict):
            return None
        return {name.decode("ascii", "replace"): value for name, value in found.items()}

    async def entry(self, release_id: str) -> bytes | None:
        """One sealed entry, empty where there is none; None when Redis does not say."""
        found = await self._ask(lambda: cast(Awaitable[Any], self._client.hmget(self._list, [release_id])))
        return (found[0] or b"") if isinstance(found, list) and len(found) == 1 else None

    async def put_entry(self, release_id: str, old: bytes, new: bytes) -> bool | None:
        """Put an entry in the place of `old` (empty: of none); False where something else stands there."""
        arguments: list[Any] = [release_id, old, new, str(_LIST_MS)]
        answer = await self._ask(lambda: self._client.eval(_PUT, 1, self._list, *arguments))
        return answer == 1 if isinstance(answer, int) else None

    async def drop(self, release_ids: Sequence[str]) -> None:
        """Forget these entries."""
        if release_ids:
            await self._ask(lambda: cast(Awaitable[Any], self._client.hdel(self._list, *release_ids)))

    async def _run(self, keys: list[str], arguments: list[str]) -> tuple[str, bool] | None:
        answer = await self._ask(lambda: self._client.eval(_ASK, len(keys), *keys, *arguments))
        if not isinstance(answer, list) or len(answer) != 2 or not isinstance(answer[0], bytes) or not answer[0]:
            return None
        self._turn("ok", "")
        return answer[0].decode("ascii", "replace"), answer[1] == 1
