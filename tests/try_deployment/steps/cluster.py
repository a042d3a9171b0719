"""A Redis Cluster takes the place of the one Redis and gives it back; in between its servers end, during chat."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

from tests.try_deployment import guide
from tests.try_deployment.stack import LOOK_SECONDS
from tests.try_deployment.steps.census import same_as
from tests.try_deployment.steps.faults import MESSAGES_PER_SECOND, OUT_SECONDS, PEOPLE, reckoning
from tests.try_deployment.steps.outside import give
from tests.try_deployment.walk import Walk, in_time

SERVERS = ("redis", "redis-2", "redis-3", "redis-4", "redis-5", "redis-6")
PATIENCE_SECONDS = 180.0


def takes_the_place_of_redis(walk: Walk) -> str:
    """The guide's commands make it; then two people chat."""
    started = time.monotonic()
    give(walk, guide.block(guide.CLUSTER))
    taken = time.monotonic() - started
    found = walk.visitors.do("chat")
    running = sorted(name for name in walk.stack.running() if name.startswith("redis"))
    assert running == list(SERVERS), running
    [said] = [line for line in walk.stack.log_of("redis-cluster") if "cluster has" in line]
    assert _is_whole(walk, "redis-2"), _nodes(walk, "redis-2")
    return f"{said}, {taken:.1f} s after the command; {found['messages']} messages"


def lets_a_replica_take_over(walk: Walk) -> str:
    """A master is killed and stays away: its replica becomes a master. The first one comes back as a replica."""
    [killed, *_] = _masters(walk, "redis-2")
    asked = next(name for name in SERVERS if name != killed)
    successors: list[str] = []

    def end_it() -> None:
        # A container that was killed by hand stays away until it is started.
        walk.stack.engine.run("compose", "kill", killed)
        _until(lambda: len(set(_masters(walk, asked)) - {killed}) == 3, "no replica became a master")
        successors.extend(sorted(_masters(walk, asked)))

    taken, counts = _during_chat(walk, end_it)
    walk.stack.engine.run("compose", "start", killed)
    walk.stack.until_healthy()
    _until(lambda: _is_whole(walk, asked) and killed not in _masters(walk, asked), f"{killed} is no replica")
    walk.visitors.do("chat")
    text = f"{killed} killed, the masters are {', '.join(successors)} after {taken:.1f} s; {reckoning(counts)}"
    in_time(counts["longest_away"], OUT_SECONDS, text)
    return text


def comes_back_with_other_addresses(walk: Walk) -> str:
    """All its servers end, and start in another order, which gives them other addresses in the processes' network."""
    before, roles = _addresses(walk), sorted(_masters(walk, "redis"))

    def restart() -> None:
        walk.stack.engine.run("compose", "stop", *SERVERS)
        for name in reversed(SERVERS):
            walk.stack.engine.run("compose", "start", name)
        _until(lambda: all(_is_whole(walk, name) for name in SERVERS), "it is not whole")

    taken, counts = _during_chat(walk, restart)
    walk.stack.until_healthy()
    walk.visitors.do("chat")
    after = _addresses(walk)
    moved = [name for name in SERVERS if before[name] != after[name]]
    text = f"whole after {taken:.1f} s, {len(moved)} have other addresses; {reckoning(counts)}"
    assert moved, text
    assert len(_masters(walk, "redis")) == len(roles) == 3, text
    in_time(counts["longest_away"], OUT_SECONDS, text)
    return text


def gives_its_place_back(walk: Walk) -> str:
    """With the guide's commands, there is one Redis again, and everything else is as before."""
    stack = walk.stack
    before = walk.visitors.do("census", pictures=walk.pictures)
    kept = walk.visitors.do("hand_over")
    volumes = [one["name"] for name, one in stack.configuration()["volumes"].items() if name in SERVERS]
    walk.visitors_leave()
    stack.keep_log()
    stack.engine.shell(guide.block(guide.ONE_REDIS))
    stack.until_healthy()
    stack.follow()
    stack.engine.run("volume", "rm", *volumes)
    walk.visitors_come()
    walk.visitors.do("remember", people=kept)
    same = same_as(walk, before)
    found = walk.visitors.do("chat")
    running = sorted(name for name in stack.running() if name.startswith("redis"))
    assert running == ["redis"], running
    return f"only {running[0]} runs, {len(volumes)} volumes removed; {same}; {found['messages']} messages"


def _during_chat(walk: Walk, do_it: Callable[[], None]) -> tuple[float, dict[str, float]]:
    """Returns the seconds that it took, and the counts of the chat."""
    walk.visitors.do("begin_chat", users=PEOPLE, rate=MESSAGES_PER_SECOND)
    started = time.monotonic()
    try:
        do_it()
        taken = time.monotonic() - started
    finally:
        counts = walk.visitors.do("end_chat")
    return taken, counts


def _until(condition: Callable[[], bool], otherwise: str) -> None:
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < PATIENCE_SECONDS, otherwise
        time.sleep(LOOK_SECONDS)


def _nodes(walk: Walk, asked: str) -> list[list[str]]:
    """What a server says of all servers: the words of each line of CLUSTER NODES."""
    password = "$(cat /run/secrets/redis_cluster_password)"
    script = f"valkey-cli --user cluster -a {password} --no-auth-warning cluster nodes"
    done = walk.stack.engine.run("compose", "exec", "--no-TTY", asked, "sh", "-c", script, check=False)
    return [line.split() for line in done.output.splitlines() if re.match("[0-9a-f]{40} ", line)]


def _name(node: list[str]) -> str:
    """The host name in `address:port@port,name`."""
    return node[1].split(",")[1]


def _masters(walk: Walk, asked: str) -> list[str]:
    """The names of the masters that have slots and are not away, by their slots."""
    found = [node for node in _nodes(walk, asked) if "master" in node[2] and "fail" not in node[2] and len(node) > 8]
    return [_name(node) for node in sorted(found, key=lambda node: int(node[8].split("-")[0]))]


def _is_whole(walk: Walk, asked: str) -> bool:
    """Whether a server sees three masters with a replica each, all of them there."""
    nodes = _nodes(walk, asked)
    masters = {node[0] for node in nodes if "master" in node[2] and len(node) > 8}
    followed = {node[3] for node in nodes if "slave" in node[2]}
    # A server that is suspected has "fail?" among its flags.
    return len(nodes) == len(SERVERS) and len(masters) == 3 and masters == followed and "fail" not in str(nodes)


def _addresses(walk: Walk) -> dict[str, str]:
    """Where processes find each server."""
    network = walk.stack.configuration()["networks"]["back"]["name"]
    containers = walk.stack.containers()
    return {name: containers[name]["NetworkSettings"]["Networks"][network]["IPAddress"] for name in SERVERS}
