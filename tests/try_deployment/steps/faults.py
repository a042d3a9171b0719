"""Each container is restarted, and then killed, while people chat; nothing that was acknowledged may be missing."""

from __future__ import annotations

import time
from typing import Any

from tests.try_deployment.stack import NOT_OF_THE_STACK
from tests.try_deployment.walk import Step, Walk, in_time

PEOPLE = 20
MESSAGES_PER_SECOND = 40.0
OUT_SECONDS = 5.0
"""The longest time that anybody may be without a socket after a fault of one container."""
BACK_SECONDS = 2.0
"""The longest time without an answer of nginx after a restart, and without a socket while gateways are replaced."""


def restarted(service: str) -> Step:
    """A step in which the operator restarts one container."""

    def step(walk: Walk) -> str:
        return _during_chat(walk, service, lambda: _restart(walk, service))

    return step


def killed(service: str) -> Step:
    """A step that kills the first process of a container from outside, as a kernel does that is out of memory."""

    def step(walk: Walk) -> str:
        return _during_chat(walk, service, lambda: _kill(walk, service))

    return step


def _during_chat(walk: Walk, service: str, break_it: Any) -> str:
    before = walk.stack.containers()[service]["State"]["StartedAt"]
    walk.visitors.do("begin_watch", path="/health/live")
    walk.visitors.do("begin_chat", users=PEOPLE, rate=MESSAGES_PER_SECOND)
    started = time.monotonic()
    try:
        how = break_it()
        walk.stack.until_healthy(started_after={service: before})
        taken = time.monotonic() - started
    finally:
        watched = walk.visitors.do("end_watch")
        counts = walk.visitors.do("end_chat")
    text = f"{how}, healthy after {taken:.1f} s; {reckoning(counts)}; without an answer {watched['longest']:.1f} s"
    in_time(counts["longest_away"], OUT_SECONDS, text)
    if service == "nginx" and how == "restarted":
        in_time(watched["longest"], BACK_SECONDS, text)
    return text


def reckoning(counts: dict[str, Any]) -> str:
    """The counts in a few words. Raises AssertionError if a message is missing."""
    text = (
        f"sent {counts['sent']}, acknowledged {counts['acknowledged']}, stored {counts['stored']}, "
        f"received {counts['received']}, missing {counts['missing']}, "
        f"longest without a socket {counts['longest_away']:.1f} s"
    )
    assert counts["missing"] == 0, text
    return text


def _restart(walk: Walk, service: str) -> str:
    walk.stack.engine.run("compose", "restart", service)
    return "restarted"


def _kill(walk: Walk, service: str) -> str:
    """Kill the process directly, because the engine does not restart a container that it killed itself.

    If the processes on the engine's machine are not visible, the engine kills and starts the container.
    """
    [container] = walk.stack.engine.inspect([walk.stack.containers()[service]["Id"]])
    image = walk.stack.configuration()["services"]["api-1"]["image"]
    pid, identifier = container["State"]["Pid"], container["Id"]
    # The control groups show whether the process with this number is one of this container.
    command = f"grep -q {identifier} /proc/{pid}/cgroup && kill -9 {pid}"
    done = walk.stack.engine.run(
        *("run", "--rm", "--pid", "host", "--privileged", "--user", "0:0", "--network", "none", "--no-healthcheck"),
        *(*NOT_OF_THE_STACK, image, "sh", "-c", command),
        check=False,
    )
    if done.code == 0:
        return "killed, started by the engine"
    walk.stack.engine.run("kill", identifier)
    walk.stack.engine.run("start", identifier)
    return "killed and started"
