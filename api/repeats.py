"""Requests that a client may repeat, because it does not know whether the first was carried out: the header
Idempotency-Key (draft-ietf-httpapi-idempotency-key-header-07).

A handler of such a route makes what it makes within `once`. A request that failed has changed nothing, so only the
answers of successes are kept: a repeat of a failed request is carried out anew.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

from aiohttp import web

from api.answers import encoded
from api.call import Call
from api.problems import BadRequest
from api.services import Services
from shared.domain.repeats import MAX_KEY_LENGTH, KeptAnswer, Repeatable
from shared.repositories.repeats import Claim

KEY = "Idempotency-Key"
REPEATED = "Idempotent-Replayed"
"""The header of an answer that was given before."""

# The draft wants a string of structured fields (RFC 8941, 3.3.3), in quotes. Many clients leave the quotes out.
_QUOTED = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\])*)"')
_BARE = re.compile(r"""[^\x00-\x20",;\\\x7f-\U0010ffff]+""")

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Once:
    """Where a handler makes its thing: `services` write within the transaction that also keeps the answer."""

    services: Services
    _claim: Claim | None
    _status: int

    async def keep(self, answer: Answer) -> Answer:
        """Keep the answer for repeats of the request, and return it."""
        if self._claim is not None:
            await self._claim.keep(KeptAnswer(self._status, encoded(answer).decode()))
        return answer


def key_of(request: web.Request) -> str | None:
    """Returns the key of the request, with or without quotes in its header. Raises BadRequest."""
    headers = request.headers.getall(KEY, None)
    if headers is None:
        return None
    text = headers[0].strip(" \t")
    if quoted := _QUOTED.fullmatch(text):
        key = re.sub(r"\\(.)", r"\1", quoted[1])
    else:
        key = text if _BARE.fullmatch(text) else ""
    if len(headers) > 1 or not 0 < len(key) <= MAX_KEY_LENGTH:
        raise BadRequest(f"{KEY}: send one string of 1 to {MAX_KEY_LENGTH} printable ASCII characters, such as a UUID.")
    return key


async def begin(call: Call, body: bytes) -> None:
    """Call this when the body has arrived. Raises Repeated if the request was answered before, or KeyReused."""
    if call.key is None:
        return
    request = call.request
    told = hashlib.sha256()
    for part in (request.method.encode(), request.path_qs.encode(), body):
        told.update(len(part).to_bytes(8) + part)
    call.repeatable = Repeatable(call.user.user_id, call.key, told.hexdigest())
    await call.services.repeats.check(call.repeatable)


@asynccontextmanager
async def once(call: Call) -> AsyncIterator[Once]:
    """Carry out the request, at most once for each key. Publish what was made after the block: then it is committed.

    Raises Repeated, KeyReused or KeyInUse. The block uses no other connection to the database: if each of them were
    held by such a block, none could go on.
    """
    if call.repeatable is None:
        yield Once(call.services, None, call.status)
        return
    async with call.services.repeats.claim(call.repeatable) as claim:
        yield Once(call.services.within(claim.transaction), claim, call.status)


async def keep(call: Call, answer: Answer) -> Answer:
    """Keep the answer of a request whose thing cannot be made twice in any case. Raises Repeated or KeyReused."""
    if call.repeatable is not None:
        kept = KeptAnswer(call.status, encoded(answer).decode())
        await call.services.repeats.keep(call.repeatable, kept)
    return answer


def repeated(answer: KeptAnswer) -> web.Response:
    """Returns the response to a repeat: the first one's bytes."""
    body, headers = answer.json.encode(), {REPEATED: "true"}
    return web.Response(body=body, status=answer.status, headers=headers, content_type="application/json")
