"""A copy of everything that is stored about the user, as one JSON file."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import msgspec
from aiohttp import hdrs, web

from api.call import Call
from api.pages.site import origin_of_site
from shared.domain.times import rfc3339
from shared.logs import log_of
from shared.postgres import DatabaseUnavailable

log = log_of(__name__)

Sections = AsyncIterator[tuple[str, list[str]]]


async def read(call: Call) -> web.Response:
    """Everything that is stored about you, as one JSON file, with the addresses of your pictures.

    Each kind of thing is a list. Messages are those from and to you. Nothing of it belongs to others.
    """
    call.query()
    user_id, services = call.user.user_id, call.services
    await services.rate_limits.export(user_id)
    now = datetime.now(UTC)
    sections = services.export.read(user_id, origin_of_site(services.settings, call.request))
    # A database that is away is answered as usual, as long as nothing has been sent.
    first = await anext(sections)
    headers = {
        hdrs.CONTENT_DISPOSITION: f'attachment; filename="daveslist-{user_id}-{now:%Y-%m-%d}.json"',
        hdrs.CACHE_CONTROL: "no-store",
    }
    body = _file(rfc3339(now), first, sections)
    return web.Response(body=body, content_type="application/json", headers=headers)


async def _file(now: str, first: tuple[str, list[str]], sections: Sections) -> AsyncIterator[bytes]:
    """Yields the parts of the file. What breaks off in the middle is no JSON, and the client sees that it broke off."""
    yield b'{"exported_at": ' + msgspec.json.encode(now)
    name, rows = first
    yield _begun(name, rows)
    has_rows = bool(rows)
    try:
        async for section, more in sections:
            if section != name:
                yield b"\n]" + _begun(section, more)
                has_rows = bool(more)
            elif more:
                yield ((",\n" if has_rows else "\n") + ",\n".join(more)).encode()
                has_rows = True
            name = section
    except DatabaseUnavailable as error:
        log.warning("export broken off", reason=str(error))
        raise ConnectionResetError("the database went away") from None
    yield b"\n]}\n"


def _begun(name: str, rows: list[str]) -> bytes:
    joined = ",\n".join(rows)
    return f',\n"{name}": [\n{joined}'.encode()
