"""The headers ETag and If-Match (RFC 9110, 13.1.1): two changes of the same thing do not undo each other. Whoever names
a tag with If-None-Match (13.1.2) does not get the same answer again.

The ETag of an answer is a hash of its bytes. So it differs wherever answers differ, also between people who see
different fields, and tells nobody more than the answer does.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from hashlib import blake2b

from aiohttp import hdrs, web

from api.answers import encoded
from api.call import Call
from api.conditional import is_known
from api.problems import BadRequest, ChangedMeanwhile
from api.services import Services
from shared.repositories.locks import lock

_TAG_BYTES = 12
# Nobody changes these by a change of the listing, and others could do so all the time. In a text, quotes are escaped.
_COUNTS = re.compile(rb'"(?:favourite_count|reply_count)":[0-9]+,?')


def tag_of(data: bytes) -> str:
    """Returns the strong entity tag of an answer with these bytes: hashes of what can be changed, and of all."""
    return f'"{_hash(_COUNTS.sub(b"", data))}.{_hash(data)}"'


def _hash(data: bytes) -> str:
    return blake2b(data, digest_size=_TAG_BYTES).hexdigest()


def _changeable(tag: str) -> str:
    """Returns the part of a tag, without its quotes, that a change has to name."""
    return tag.partition(".")[0]


def tagged(request: web.Request, response: web.StreamResponse) -> web.StreamResponse:
    """Returns the answer with its ETag; 304 without a body if the request reads it and names that tag."""
    if not isinstance(response, web.Response) or not isinstance(response.body, bytes):
        return response
    response.headers[hdrs.ETAG] = tag = tag_of(response.body)
    if request.method in ("GET", "HEAD") and is_known(request, tag):
        return web.Response(status=304, headers={hdrs.ETAG: tag})
    return response


@asynccontextmanager
async def as_seen(
    call: Call, table: str, row_id: int, read: Callable[[Services], Awaitable[object]]
) -> AsyncIterator[Services]:
    """Services for a change of this row. With If-Match, the change takes effect only on the version that it names.

    `read` returns the answer that the caller would get now. Raises ChangedMeanwhile, with the current ETag, or
    BadRequest. The block uses no other connection to the database.
    """
    given = call.request.headers.getall(hdrs.IF_MATCH, None)
    if given is None:
        yield call.services
        return
    named = call.request.if_match
    if not named or len(given) > 1:
        raise BadRequest('If-Match: send * or entity tags, such as "8e03978e40d5".')
    async with call.services.database.transaction() as transaction:
        await lock(transaction, table, row_id, by=call.user.user_id)
        within = call.services.within(transaction)
        now = tag_of(encoded(await read(within)))
        # Strong comparison: a weak tag names no version for certain.
        seen = {_changeable(one.value) for one in named if not one.is_weak}
        if not seen & {"*", _changeable(now.strip('"'))}:
            raise ChangedMeanwhile(headers={hdrs.ETAG: now})
        yield within
