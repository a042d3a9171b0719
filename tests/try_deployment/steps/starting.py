"""From nothing to a running deployment, by the guide's own commands."""

from __future__ import annotations

import secrets
import shutil
import time

from tests.try_deployment import guide
from tests.try_deployment.stack import SECRETS, is_lasting
from tests.try_deployment.walk import Walk


def refuses_without_secrets(walk: Walk) -> str:
    """Without one of the secrets nothing starts, and the message names the missing one."""
    for missing in SECRETS:
        walk.stack.write_secrets(**{name: "x" * 48 for name in SECRETS if name != missing})
        done = walk.stack.engine.shell(guide.line(guide.UP), check=False)
        assert done.code != 0, f"it starts without {missing}"
        assert missing in done.text, f"without {missing} it says: {done.text}"
        others = [name for name in SECRETS if name != missing and name in done.text]
        assert not others, f"without {missing} it names {others}"
        started = [name for name, each in walk.stack.containers().items() if each["State"]["Status"] != "created"]
        assert not started, f"without {missing} these are started: {started}"
        walk.stack.down()
    walk.stack.forget_secrets()
    return f"each of {' and '.join(SECRETS)} is asked for by name"


def comes_up(walk: Walk) -> str:
    """The guide's commands make the secrets and start everything."""
    stack = walk.stack
    commands = guide.block(guide.UP)
    if shutil.which("openssl") is None:
        stack.write_secrets(
            jwt_secrets=secrets.token_hex(32),
            postgres_password=f"{walk.words}-too",
            redis_password=f"{walk.words}-also",
        )
        commands = guide.line(guide.UP)
    started = time.monotonic()
    stack.engine.shell(commands)
    taken = time.monotonic() - started
    states = {name: each["State"].get("Health", {}).get("Status") for name, each in stack.running().items()}
    assert set(states.values()) == {"healthy"}, states
    done = {name: each["State"]["ExitCode"] for name, each in stack.containers().items() if name not in states}
    assert not any(done.values()), f"exit codes {done}"
    assert set(stack.secrets()) == set(SECRETS)
    stack.follow()
    walk.visitors_come()
    return f"{len(states)} containers healthy {taken:.1f} s after the command, image built"


def said_again_it_changes_nothing(walk: Walk) -> str:
    """When the command is repeated, no container is replaced or started again."""
    before = _identity(walk)
    started = time.monotonic()
    walk.stack.engine.shell(guide.line(guide.UP))
    taken = time.monotonic() - started
    after = _identity(walk)
    replaced = sorted(name for name in after if after[name] != before.get(name))
    assert not replaced, f"these were replaced or started again: {replaced}"
    return f"0 of {len(after)} containers recreated, {taken:.1f} s"


def _identity(walk: Walk) -> dict[str, tuple[str, str]]:
    return {
        name: (each["Id"], each["State"]["StartedAt"] if is_lasting(each) else "")
        for name, each in walk.stack.containers().items()
    }
