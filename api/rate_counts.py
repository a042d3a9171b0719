"""Counts requests in Redis, for all nodes together; while Redis is away, in this process (api/local_counts.py).

The window slides: the count of the previous minute is weighted by its part that lies in the last 60 seconds.

All requests of a process are counted over one connection: Redis is asked about one batch, and those that arrive
meanwhile are the next batch. So no request waits for a free connection, and a burst cannot look like an outage.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from redis.exceptions import RedisClusterException, RedisError

from api.local_counts import WINDOW_SECONDS, LocalCounts, Quota
from shared.logs import log_of
from shared.redis import client

log = log_of(__name__)

Answer = TypeVar("Answer")

MOST_AT_ONCE = 500
"""The most requests that are counted with one question to Redis."""
RETRY_SECONDS = 5.0
"""While Redis is away, it is asked this often whether it is back."""

_STEPS = 10
"""Silence is measured in this many steps."""
_MOST_STEPS = 200
"""After this many steps, late ones included, Redis counts as silent."""
_CLIENT_SECONDS = 600.0
"""The timeout of redis-py itself. It is long, because it also runs out when this process is late."""

# KEYS: hashes of window number -> count. ARGV: the window in milliseconds, and the limit of each key.
# Returns 0 if the request is counted under all keys, or the milliseconds to wait if it is not counted under any.
TAKE = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local length = tonumber(ARGV[1])
local window, passed = math.floor(now / length), now % length
local name, before = string.format('%.0f', window), string.format('%.0f', window - 1)
local wait, counts = 0, {}
for i, key in ipairs(KEYS) do
  local limit = tonumber(ARGV[i + 1])
  local current = tonumber(redis.call('HGET', key, name) or '0')
  local previous = tonumber(redis.call('HGET', key, before) or '0')
  if previous * (length - passed) / length + current + 1 > limit then
    if current + 1 <= limit then
      wait = math.max(wait, math.ceil(length * (1 - (limit - 1 - current) / previous) - passed))
    else
      wait = math.max(wait, math.ceil(length - passed + length * math.max(0, 1 - (limit - 1) / current)))
    end
  end
  counts[i] = {current, previous}
end
if wait > 0 then return wait end
for i, key in ipairs(KEYS) do
  if counts[i][1] == 0 then
    redis.call('DEL', key)
    if counts[i][2] > 0 then redis.call('HSET', key, before, counts[i][2]) end
  end
  redis.call('HINCRBY', key, name, 1)
  redis.call('PEXPIRE', key, 2 * length)
end
return 0
"""

# KEYS as above. ARGV: the window in milliseconds. Undoes one count of each key.
GIVE_BACK = """
local time = redis.call('TIME')
local window = math.floor((time[1] * 1000 + math.floor(time[2] / 1000)) / tonumber(ARGV[1]))
for _, key in ipairs(KEYS) do
  for _, name in ipairs({string.format('%.0f', window), string.format('%.0f', window - 1)}) do
    if tonumber(redis.call('HGET', key, name) or '0') > 0 then
      redis.call('HINCRBY', key, name, -1)
      break
    end
  end
end
return 0
"""


@dataclass(frozen=True, slots=True)
class _Question:
    script: str
    quotas: Sequence[Quota]
    answer: asyncio.Future[int] | None
    """Gets the milliseconds to wait; None if nobody waits for it."""


class RateCounts:
    """Counts the requests of this process, together with those that other processes count. Each process has one."""

    def __init__(self, redis_url: str, prefix: str, silence_seconds: float) -> None:
        """A Redis that is silent for `silence_seconds` while this process is on time counts as away."""
        self._client: Any = client(redis_url, _CLIENT_SECONDS)
        self._prefix = prefix
        self._silence_seconds = silence_seconds
        self._local = LocalCounts()
        self._waiting: list[_Question] = []
        self._asking: asyncio.Task[None] | None = None
        self._returning: asyncio.Task[None] | None = None
        """Runs while Redis is away, and asks it whether it is back."""

    @property
    def is_away(self) -> bool:
        """Whether Redis is away. This process then counts alone."""
        return self._returning is not None

    async def take(self, quotas: Sequence[Quota]) -> int:
        """Count a request under all keys, or under none if one is used up. Returns 0, or the milliseconds to wait.

        On a Redis Cluster, the keys must have the same text in braces.
        """
        if self.is_away:
            return self._local.take(quotas)
        answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._ask_later(_Question(TAKE, quotas, answer))
        return await answer

    def give_back(self, quotas: Sequence[Quota]) -> None:
        """Undo the count of a request under all keys, such as that of a log-in whose password was right."""
        self._local.give_back(quotas)
        if not self.is_away:
            self._ask_later(_Question(GIVE_BACK, quotas, None))

    async def close(self) -> None:
        """Stop counting, and close the connection."""
        for task in (self._asking, self._returning):
            if task is not None:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
        await self._client.aclose()

    def _ask_later(self, question: _Question) -> None:
        self._waiting.append(question)
        if self._asking is None:
            self._asking = asyncio.get_running_loop().create_task(self._ask_all())

    async def _ask_all(self) -> None:
        try:
            while self._waiting:
                asked, self._waiting = self._waiting[:MOST_AT_ONCE], self._waiting[MOST_AT_ONCE:]
                try:
                    waits = await self._ask(asked)
                except (RedisError, RedisClusterException, OSError, TimeoutError) as error:
                    self._lose(error)
                    self._count_here(asked + self._waiting)
                    self._waiting = []
                    return
                for question, wait in zip(asked, waits, strict=True):
                    self._tell(question, wait)
        finally:
            self._asking = None

    async def _ask(self, questions: Sequence[_Question]) -> list[int]:
        """Returns the milliseconds to wait, for each question. Raises what redis-py raises, or TimeoutError."""
        pipeline = self._client.pipeline(transaction=False)
        for question in questions:
            keys = [self._prefix + one.key for one in question.quotas]
            limits = [one.count for one in question.quotas] if question.script is TAKE else []
            pipeline.execute_command("EVAL", question.script, len(keys), *keys, WINDOW_SECONDS * 1000, *limits)
        return [int(wait) for wait in await patiently(pipeline.execute(), self._silence_seconds)]

    def _tell(self, question: _Question, wait: int) -> None:
        if question.answer is not None and not question.answer.done():
            if wait == 0:
                self._local.note(question.quotas)
            question.answer.set_result(wait)

    def _count_here(self, questions: Sequence[_Question]) -> None:
        for question in questions:
            if question.answer is not None and not question.answer.done():
                question.answer.set_result(self._local.take(question.quotas))

    def _lose(self, error: Exception) -> None:
        log.warning("rate limits counted in this process", error=f"{type(error).__name__}: {error}")
        self._returning = asyncio.get_running_loop().create_task(self._return())

    async def _return(self) -> None:
        # The script writes, so it also finds out whether a Redis that answers accepts writes.
        probe = _Question(TAKE, [Quota("rate:{probe}", 1_000_000)], None)
        while True:
            await asyncio.sleep(RETRY_SECONDS)
            try:
                await self._ask([probe])
            except (RedisError, RedisClusterException, OSError, TimeoutError):
                continue
            self._returning = None
            log.info("rate limits counted in Redis again")
            return


async def patiently(work: Awaitable[Answer], silence_seconds: float) -> Answer:
    """Returns the answer of `work`. Raises TimeoutError if it does not come while this process is on time.

    If the event loop was blocked, the answer may have arrived long ago without having been read. So silence is measured
    in short steps, and a step that took much longer than it should does not count.
    """
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(work)
    step = silence_seconds / _STEPS
    silent = 0
    try:
        for _ in range(_MOST_STEPS):
            began = loop.time()
            await asyncio.wait((task,), timeout=step)
            if task.done():
                return task.result()
            if loop.time() - began < 2 * step:
                silent += 1
                if silent == _STEPS:
                    break
        raise TimeoutError(f"no answer within {silence_seconds:g} s")
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait((task,))
