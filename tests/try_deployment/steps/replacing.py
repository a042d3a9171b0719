"""Processes are replaced by a new build, the schema is applied separately, and a gateway is added, all during use."""

from __future__ import annotations

import re
import time
from functools import partial

from tests.try_deployment import guide
from tests.try_deployment.steps.faults import BACK_SECONDS, reckoning
from tests.try_deployment.walk import Walk, in_time

PEOPLE = 200
MESSAGES_PER_SECOND = 50.0


def processes_are_replaced(walk: Walk) -> str:
    """The guide's commands replace the processes by a new build. Nobody is without a socket for over BACK_SECONDS."""
    stack = walk.stack
    before = {name: each["Id"] for name, each in stack.containers().items()}
    stack.change("shared/__init__.py", lambda text: f"{text}\n# Another build.\n")
    walk.visitors.do("begin_watch", path="/api/listings")
    walk.visitors.do("begin_chat", users=PEOPLE, rate=MESSAGES_PER_SECOND)
    started = time.monotonic()
    try:
        stack.engine.shell(guide.block(guide.REPLACE))
        taken = time.monotonic() - started
    finally:
        watched = walk.visitors.do("end_watch")
        counts = walk.visitors.do("end_chat")
    after = {name: each["Id"] for name, each in stack.containers().items()}
    replaced = sorted(name for name in after if after[name] != before[name])
    text = (
        f"{PEOPLE} people, {taken:.0f} s with the build; {reckoning(counts)}; reads {watched['answers']}, "
        f"longest between two {watched['longest']:.1f} s"
    )
    # The new build's schema is applied before its processes start.
    wanted = ["api-1", "api-2", "gateway-1", "gateway-2", "schema"]
    assert replaced == wanted, f"replaced were {replaced}; {text}"
    in_time(counts["longest_away"], BACK_SECONDS, text)
    assert set(watched["answers"]) == {"200"}, text
    return text


def said_again_after_a_replacement_it_changes_nothing(walk: Walk) -> str:
    """If an operator repeats the first command, no container is replaced."""
    before = {name: each["Id"] for name, each in walk.stack.containers().items()}
    walk.stack.engine.shell(guide.line(guide.UP))
    after = {name: each["Id"] for name, each in walk.stack.containers().items()}
    replaced = sorted(name for name in after if after[name] != before.get(name))
    assert not replaced, f"these were replaced: {replaced}"
    return f"0 of {len(after)} containers recreated"


def nginx_reads_its_configuration_anew(walk: Walk) -> str:
    """nginx reads it on command, and answers all the time."""
    stack, name = walk.stack, "X-Walk"
    assert walk.visitors.do("header", name=name) is None
    walk.visitors.do("begin_watch", path="/health/nginx")
    try:
        for wanted in ("changed", None):
            stack.change("deploy/nginx/listen.conf", partial(other_header, name=name, value=wanted))
            stack.engine.shell(guide.block(guide.RELOAD))
            walk.visitors.do("until_header", name=name, value=wanted)
    finally:
        watched = walk.visitors.do("end_watch")
    assert set(watched["answers"]) == {"200"}, watched
    return f"a change and back, both seen; {watched['answers']['200']} answers meanwhile, and no other"


def other_header(listen: str, name: str, value: str | None) -> str:
    """listen.conf with a header that is added to each answer, or without that header."""
    line = f"add_header {name} "
    kept = "".join(each for each in listen.splitlines(keepends=True) if not each.startswith(line))
    return kept if value is None else f"{kept}{line}{value} always;\n"


def schema_is_applied_apart(walk: Walk) -> str:
    """The schema is applied by a separate container, while everything runs."""
    done = walk.stack.engine.shell(guide.line(guide.SCHEMA))
    assert "schema" in done.text, done.text
    return repr(done.output.strip())


def a_third_gateway_is_added(walk: Walk) -> str:
    """What the comments in upstreams.conf and compose.sentinel.yaml say is enough."""
    stack = walk.stack
    stack.change("compose.yaml", third_gateway)
    stack.change("compose.sentinel.yaml", third_process)
    stack.change("deploy/nginx/upstreams.conf", third_upstream)
    stack.engine.shell(guide.line(guide.UP))
    names = ["gateway-1", "gateway-2", "gateway-3"]
    sockets = walk.visitors.do("sockets", gateways=[f"http://{name}:4000" for name in names], count=9)
    assert sockets == [3, 3, 3], f"of 9 sockets the gateways got {sockets}"
    return f"of 9 sockets the gateways got {sockets[0]}, {sockets[1]} and {sockets[2]}, and each heard the same message"


def third_gateway(compose: str) -> str:
    """compose.yaml with a third gateway."""
    [service] = re.findall(r"^  gateway-2:\n(?:    .*\n)+", compose, re.MULTILINE)
    [host] = re.findall(r"^ +- gateway-2:.*\n", compose, re.MULTILINE)
    renamed = [
        re.sub(r"(\d+\.\d+\.\d+\.)12\b", r"\g<1>13", text.replace("gateway-2", "gateway-3")) for text in (service, host)
    ]
    return compose.replace(service, f"{service}\n{renamed[0]}").replace(host, host + renamed[1])


def third_process(compose: str) -> str:
    """compose.sentinel.yaml with the third gateway."""
    return compose.replace("  gateway-2: *process\n", "  gateway-2: *process\n  gateway-3: *process\n", 1)


def third_upstream(upstreams: str) -> str:
    """upstreams.conf with a third gateway."""
    return re.sub(r"^( +server )gateway-2(:.*\n)", r"\g<0>\g<1>gateway-3\g<2>", upstreams, flags=re.MULTILINE)
