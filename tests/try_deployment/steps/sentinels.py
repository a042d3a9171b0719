"""A replica of Redis and three sentinels are added; then each server is killed once as the master, during chat."""

from __future__ import annotations

import time

from tests.try_deployment import guide
from tests.try_deployment.stack import LOOK_SECONDS
from tests.try_deployment.steps.faults import MESSAGES_PER_SECOND, OUT_SECONDS, PEOPLE, reckoning
from tests.try_deployment.steps.outside import give
from tests.try_deployment.walk import Walk, in_time

PATIENCE_SECONDS = 180.0


def are_added(walk: Walk) -> str:
    """The guide's commands add them; then two people chat."""
    give(walk, guide.block(guide.SENTINEL))
    found = walk.visitors.do("chat")
    running = sorted(name for name in walk.stack.running() if name.startswith(("redis", "sentinel")))
    assert running == ["redis", "redis-2", "sentinel-1", "sentinel-2", "sentinel-3"], running
    assert _master(walk) == "redis"
    return f"{', '.join(running)} are healthy; {found['messages']} messages"


def let_the_replica_take_over(walk: Walk) -> str:
    """The master is killed and stays away: the sentinels make its replica the master."""
    return _during_chat(walk, "redis", "redis-2")


def take_back_the_first_server(walk: Walk) -> str:
    """The first server comes back as a replica, and is the master again when the other one is killed."""
    return _during_chat(walk, "redis-2", "redis")


def _during_chat(walk: Walk, killed: str, successor: str) -> str:
    stack = walk.stack
    walk.visitors.do("begin_chat", users=PEOPLE, rate=MESSAGES_PER_SECOND)
    started = time.monotonic()
    try:
        # A container that was killed by hand stays away until it is started.
        stack.engine.run("compose", "kill", killed)
        while _master(walk) != successor:
            assert time.monotonic() - started < PATIENCE_SECONDS, f"{successor} did not become the master"
            time.sleep(LOOK_SECONDS)
        taken = time.monotonic() - started
    finally:
        counts = walk.visitors.do("end_chat")
    stack.engine.run("compose", "start", killed)
    stack.until_healthy()
    while f"ip={killed}," not in _replicas(walk):
        assert time.monotonic() - started < PATIENCE_SECONDS, f"{killed} is no replica: {_replicas(walk)}"
        time.sleep(LOOK_SECONDS)
    walk.visitors.do("chat")
    text = f"{killed} killed, {successor} is the master after {taken:.1f} s; {reckoning(counts)}"
    in_time(counts["longest_away"], OUT_SECONDS, text)
    return text


def _master(walk: Walk) -> str:
    """The server that the sentinels name."""
    command = ("valkey-cli", "-p", "26379", "sentinel", "get-master-addr-by-name", "daveslist")
    done = walk.stack.engine.run("compose", "exec", "--no-TTY", "sentinel-1", *command, check=False)
    return done.output.partition("\n")[0].strip()


def _replicas(walk: Walk) -> str:
    """What the master says of its replicas. They give names in the place of addresses."""
    password = "$(cat /run/secrets/redis_sentinel_password)"
    script = f"valkey-cli --user sentinel -a {password} --no-auth-warning info replication"
    done = walk.stack.engine.run("compose", "exec", "--no-TTY", _master(walk), "sh", "-c", script, check=False)
    return done.text
