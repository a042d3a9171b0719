"""`python -m tests.try_deployment.visitors` reads an order from each line of input, and writes its answer in a line.

The answer to `{"do": NAME, ...arguments}` is `{"answer": ...}` or `{"failed": TEXT}`. The settings come from the
environment.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import traceback
from collections.abc import Awaitable, Callable
from typing import Any

from shared.start import settings_to_start_with
from tests.try_deployment.visitors import books, chats, outside, refusals, visits
from tests.try_deployment.visitors.crowd import Crowd

PATIENCE_SECONDS = 600.0
"""The longest time for one order. What waits within it gives up much earlier when nothing happens."""

DEEDS: dict[str, Callable[..., Awaitable[Any]]] = {
    deed.__name__: deed
    for deed in (
        books.census,
        books.fail_in_the_database,
        chats.begin_chat,
        chats.begin_watch,
        chats.end_chat,
        chats.end_watch,
        outside.choose_a_password,
        outside.come_by_https,
        outside.confirm_the_address,
        outside.forget_the_password,
        outside.may_not_write_yet,
        outside.until_certified,
        refusals.foreign_origin,
        refusals.metrics_are_refused,
        refusals.told_apart,
        refusals.too_large,
        visits.admin_makes_category,
        visits.chat,
        visits.hand_over,
        visits.header,
        visits.leave_a_mark,
        visits.long_poll,
        visits.page,
        visits.pictures,
        visits.register,
        visits.remember,
        visits.secrets,
        visits.sockets,
        visits.until_header,
    )
}


async def serve() -> None:
    crowd = Crowd(settings_to_start_with(), os.environ["WORDS"])
    while line := await asyncio.to_thread(sys.stdin.readline):
        asked = json.loads(line)
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                answer = {"answer": await DEEDS[asked.pop("do")](crowd, **asked)}
        except Exception as error:
            traceback.print_exc()
            answer = {"failed": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    asyncio.run(serve())
