"""The presence store in Redis, or in a Redis Cluster.

A topic is a hash, `presence:{topic}`: field `node:ref` is an entry, field `node:` the sequence of the node's entries.
The registry is a sorted set, `presence:nodes`: each node with its deadline, in milliseconds of Redis's clock. Each
script touches one key, so it is atomic on a cluster too. The scripts for several topics are sent in one pipeline.

An entry is sealed for its topic, node and ref. Entries that no node of this service has written there are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.cluster import RedisCluster
from redis.exceptions import RedisClusterException, RedisError

from gateway.presence.state import Entry, Part
from gateway.presence.store import FORGET_NODE_LEASES, TOPIC_LIFE_SECONDS, Registry, StoreUnavailable, Write
from gateway.presence.wire import BadPresence, pack_entry, unpack_entry
from shared.access.seal import NotSealed, Seal
from shared.logs import log_of
from shared.redis import client, is_cluster, is_sentinel
from shared.settings import Settings

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

    def __init__(self, redis: Redis | RedisCluster, settings: Settings, *, loses_together: bool) -> None:
        """`redis` must return bytes and have its own timeout. `close` closes it."""
        self._client: Any = redis
        self.loses_together = loses_together
        self._prefix = settings.redis_prefix
        self._registry = f"{self._prefix}presence:nodes"
        self._seal = Seal.of(settings, "presence")
        self.on_forged: Callable[[], None] = lambda: None
        """Called for each entry in the store that this service did not write."""

    @classmethod
    def of(cls, settings: Settings) -> RedisStore:
        """Returns a store that connects on first use, to the server or cluster of the settings."""
        url = settings.redis_url
        # A replica that becomes the master may lack the last writes to some topics.
        alone = not is_cluster(url) and not is_sentinel(url)
        return cls(client(url, settings.redis_timeout_seconds), settings, loses_together=alone)

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
        hashes = await self._run(("HGETALL", self._key(topic)) for topic in topics)
        return [self._parts(topic, hash_) for topic, hash_ in zip(topics, hashes, strict=True)]

    async def write(self, node: str, writes: Sequence[Write]) -> list[bool]:
        commands = []
        for topic, change, sequence in writes:
            command = ["EVAL", _WRITE, 1, self._key(topic), node, change.previous, sequence, _TOPIC_LIFE]
            command += [len(change.leaves), *change.leaves]
            for entry in change.joins:
                command += [entry.ref, self._sealed(topic, node, entry)]
            commands.append(command)
        return [bool(written) for written in await self._run(commands)]

    async def rewrite(self, node: str, parts: Mapping[str, Part]) -> None:
        commands = []
        for topic, part in parts.items():
            command = ["EVAL", _REWRITE, 1, self._key(topic), node, part.sequence, _TOPIC_LIFE]
            for entry in part.entries:
                command += [entry.ref, self._sealed(topic, node, entry)]
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

    def _sealed(self, topic: str, node: str, entry: Entry) -> bytes:
        return self._seal.sealed(_place(topic, node, entry.ref), pack_entry(entry))

    def _parts(self, topic: str, fields: Mapping[bytes, bytes]) -> dict[str, Part]:
        sequences: dict[str, int] = {}
        entries: dict[str, list[Entry]] = {}
        for field, value in fields.items():
            try:
                node, _, ref = field.decode().rpartition(":")
                if ref:
                    entry = unpack_entry(self._seal.opened(_place(topic, node, ref), value))
                    entries.setdefault(node, []).append(entry)
                else:
                    sequences[node] = int(value)
            except (NotSealed, BadPresence, ValueError) as error:
                self.on_forged()
                log.warning("forged presence left out", field=repr(field), error=str(error))
        return {
            node: Part(sequence, tuple(entries[node]))
            for node, sequence in sequences.items()
            if sequence and node in entries
        }

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


def _place(topic: str, node: str, ref: str) -> str:
    # Neither a node's id nor a ref has a colon.
    return f"{node}:{ref}:{topic}"
