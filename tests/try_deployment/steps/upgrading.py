"""The release before this version is upgraded and gone back to, while people chat and read."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from tests.rolling import release_before
from tests.try_deployment import guide
from tests.try_deployment.stack import (
    copy_of_the_deployment,
    copy_of_the_release_before,
    remove_the_deployment,
)
from tests.try_deployment.steps.faults import OUT_SECONDS, reckoning
from tests.try_deployment.walk import Walk, in_time

PEOPLE = 100
MESSAGES_PER_SECOND = 40.0


def release_before_comes_up(walk: Walk) -> str:
    """Everything is removed, and the release before comes up in its place, from nothing."""
    stack = walk.stack
    missing = release_before.what_is_missing()
    assert missing is None, missing
    image = stack.configuration()["services"]["api-1"]["image"]
    walk.visitors_leave()
    walk.neighbours_leave()
    stack.keep_log()
    stack.down()
    # The people are of this version all the time.
    stack.engine.run("tag", image, _people(walk))
    remove_the_deployment(stack.directory)
    copy_of_the_release_before(stack.directory)
    started = time.monotonic()
    stack.engine.shell(guide.line(guide.UP))
    taken = time.monotonic() - started
    stack.follow()
    walk.visitors_come(_people(walk))
    walk.people = walk.visitors.do("register", names=["Ann", "Bob"])
    walk.visitors.do("chat")
    return f"{release_before.COMMIT[:12]} healthy {taken:.1f} s after the command; two people chat"


def is_upgraded(walk: Walk) -> str:
    """This version comes in the place of the one before: its schema, what nginx reads, and then each process."""
    return _during_use(walk, copy_of_the_deployment, guide.block(guide.SCHEMA), guide.block(guide.REPLACE))


def is_gone_back_from(walk: Walk) -> str:
    """The release before comes in the place of this version, whose schema stays."""
    return _during_use(walk, copy_of_the_release_before, guide.block(guide.BACK))


def _during_use(walk: Walk, copy: Callable[[Path], None], *commands: str) -> str:
    stack = walk.stack
    before = {name: each["Image"] for name, each in stack.running().items()}
    remove_the_deployment(stack.directory)
    copy(stack.directory)
    # The build comes first: it takes most of the time, and nothing is replaced by it.
    stack.engine.run("compose", "build")
    walk.visitors.do("begin_watch", path="/api/listings")
    walk.visitors.do("begin_chat", users=PEOPLE, rate=MESSAGES_PER_SECOND)
    started = time.monotonic()
    try:
        for each in commands:
            stack.engine.shell(each)
        taken = time.monotonic() - started
    finally:
        watched = walk.visitors.do("end_watch")
        counts = walk.visitors.do("end_chat")
    walk.visitors.do("chat")
    after = {name: each["Image"] for name, each in stack.running().items()}
    replaced = sorted(name for name in after if after[name] != before.get(name))
    text = f"{PEOPLE} people, {taken:.0f} s; {reckoning(counts)}; reads {watched['answers']}"
    assert replaced == ["api-1", "api-2", "gateway-1", "gateway-2"], f"replaced were {replaced}; {text}"
    assert set(watched["answers"]) == {"200"}, text
    in_time(counts["longest_away"], OUT_SECONDS, text)
    return text


def _people(walk: Walk) -> str:
    """The image of the people who visit, which stays while the deployment's images change."""
    return f"{walk.stack.project}-people:now"
