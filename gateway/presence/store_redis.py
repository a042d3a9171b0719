"""The presence store in Redis, or in a Redis Cluster.

A topic is a hash, `presence:{topic}`: field `node:ref` is an entry, field `node:` the sequence of the node's entries.
The registry is a sorted set, `presence:nodes`: each node with its deadline, in milliseconds of Redis's clock. Each
script touches one key, so it is atomic on a cluster too. The scripts for several topics are sent in one pipeline.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.cluster import RedisCluster
from redis.exceptions import RedisClusterException, RedisError

from gateway.presence.state import Part
from gateway.presence.store import FORGET_NODE_LEASES, TOPIC_LIFE_SECONDS, Registry, StoreUnavailable, Write
from gateway.presence.wire import BadPresence, pack_entry, unpack_entry
from shared.logs import log_of
from shared.redis import client

log = log_of(__name__)

_TOPIC_LIFE = TOPIC_LIFE_SECONDS * 1000

# Scripts are sent whole: a Redis that has restarted does not know their hashes, and they are short.

# ARGV: node, lease in milliseconds, leases after which a node is forgotten.
_BEAT = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local lease = tonumber(ARGV[2])
local previous = redis.call('ZSCORE', KEYS[1], ARGV[1])
redis.call('ZADD', KEYS[1], string.format('%.0f', now + lease), ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now - lease * ARGV[3]))
return {previous, now + lease, now, redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')}
"""

# ARGV: node, previous sequence, new sequence, life in milliseconds, number of refs that leave, these refs, then
# pairs of ref and entry that join. Returns 0 and changes nothing if the stored sequence is not the previous one.
_WRITE = """
local node = ARGV[1] .. ':'
local sequence = redis.call('HGET', KEYS[1], node) or '0'
if sequence == ARGV[3] and sequence ~= '0' then return 1 end
if sequence ~= ARGV[2] then return 0 end
local leaves = tonumber(ARGV[5])
for i = 6, 5 + leaves do redis.call('HDEL', KEYS[1], node .. ARGV[i]) end
for i = 6 + leaves, #ARGV, 2 do redis.call('HSET', KEYS[1], node .. ARGV[i], ARGV[i + 1]) end
if ARGV[3] == '0' then
  redis.call('HDEL', KEYS[1], node)
else
  redis.call('HSET', KEYS[1], node, ARGV[3])
end
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return 1
"""

# ARGV: node, sequence, life in milliseconds, then pairs of ref and entry.
_REWRITE = """
local node = ARGV[1] .. ':'
for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
  if string.sub(field, 1, #node) == node then redis.call('HDEL', KEYS[1], field) end
end
if #ARGV > 3 and ARGV[2] ~= '0' then
  for i = 4, #ARGV, 2 do redis.call('HSET', KEYS[1], node .. ARGV[i], ARGV[i + 1]) end
  redis.call('HSET', KEYS[1], node, ARGV[2])
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
end
return 1
"""

# ARGV: node, life in milliseconds.
_CHECK = """
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return redis.call('HGET', KEYS[1], ARGV[1] .. ':') or '0'
"""


class RedisStore:
    """Keeps the promises of `Store`."""

    def __init__(self, redis: Redis | RedisCluster, prefix: str = "") -> None:
        """`redis` must return bytes and have its own timeout. `close` closes it.

        `prefix` begins every key; deployments that share a Redis need different ones.
        """
        self._client: Any = redis
        self._prefix = prefix
        self._registry = f"{prefix}presence:nodes"
        self.loses_together = not isinstance(redis, RedisCluster)

    @classmethod
    def from_url(cls, url: str, timeout_seconds: float = 2.0, prefix: str = "") -> RedisStore:
        """Returns a store that connects on first use. `url` names a server or a cluster (see shared/redis.py)."""
        return cls(client(url, timeout_seconds), prefix)

    async def beat(self, node: str, lease_seconds: float) -> Registry:
        lease = int(lease_seconds * 1000)
        ((previous, deadline, now, nodes),) = await self._run(
            [("EVAL", _BEAT, 1, self._registry, node, lease, FORGET_NODE_LEASES)]
        )
        deadlines = {_text(nodes[i]): int(float(nodes[i + 1])) for i in range(0, len(nodes), 2)}
        return Registry(None if previous is None else int(float(previous)), int(deadline), int(now), deadlines)

    async def depart(self, node: str) -> None:
        await self._run([("ZREM", self._registry, node)])

    async def load(self, topics: Sequence[str]) -> list[dict[str, Part]]:
        return [_parts(hash_) for hash_ in await self._run(("HGETALL", self._key(topic)) for topic in topics)]

    async def write(self, node: str, writes: Sequence[Write]) -> list[bool]:
        commands = []
        for topic, change, sequence in writes:
            command = ["EVAL", _WRITE, 1, self._key(topic), node, change.previous, sequence, _TOPIC_LIFE]
            command += [len(change.leaves), *change.leaves]
            for entry in change.joins:
                command += [entry.ref, pack_entry(entry)]
            commands.append(command)
        return [bool(written) for written in await self._run(commands)]

    async def rewrite(self, node: str, parts: Mapping[str, Part]) -> None:
        commands = []
        for topic, part in parts.items():
            command = ["EVAL", _REWRITE, 1, self._key(topic), node, part.sequence, _TOPIC_LIFE]
            for entry in part.entries:
                command += [entry.ref, pack_entry(entry)]
            commands.append(command)
        await self._run(commands)

    async def check(self, node: str, topics: Sequence[str]) -> list[int]:
        commands = [("EVAL", _CHECK, 1, self._key(topic), node, _TOPIC_LIFE) for topic in topics]
        return [int(sequence) for sequence in await self._run(commands)]

    async def remove(self, node: str, topics: Sequence[str]) -> None:
        await self.rewrite(node, dict.fromkeys(topics, Part(0, ())))

    async def close(self) -> None:
        try:
            await self._client.aclose()
        except (RedisError, RedisClusterException, OSError) as error:
            log.info("presence store did not close cleanly", error=str(error))

    def _key(self, topic: str) -> bytes:
        # A topic is text from a client. It may have lone surrogates, which strict UTF-8 cannot encode.
        return f"{self._prefix}presence:{{{topic}}}".encode("utf-8", "surrogatepass")

    async def _run(self, commands: Iterable[Sequence[Any]]) -> list[Any]:
        """Returns the answers in order. Raises StoreUnavailable if any command failed."""
        try:
            pipeline = self._client.pipeline(transaction=False)
            for command in commands:
                pipeline.execute_command(*command)
            answers: list[Any] = await pipeline.execute()
        except (RedisError, RedisClusterException, OSError, TimeoutError) as error:
            raise StoreUnavailable(f"{type(error).__name__}: {error}") from error
        return answers


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _parts(fields: Mapping[bytes, bytes]) -> dict[str, Part]:
    sequences: dict[str, int] = {}
    entries: dict[str, list[Any]] = {}
    for field, value in fields.items():
        node, _, ref = field.rpartition(b":")
        try:
            if ref:
                entries.setdefault(node.decode(), []).append(unpack_entry(value))
            else:
                sequences[node.decode()] = int(value)
        except (BadPresence, ValueError) as error:
            log.warning("bad presence in the store", field=repr(field), error=str(error))
    return {
        node: Part(sequence, tuple(entries[node]))
        for node, sequence in sequences.items()
        if sequence and node in entries
    }
