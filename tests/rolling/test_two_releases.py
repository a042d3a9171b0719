"""The release before and this one run side by side on one Postgres and Redis, and this one replaces the other."""

from __future__ import annotations

import asyncio
import re
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest

from shared.postgres.schema import apply_schema
from shared.settings import Settings
from shared.version import VERSION
from tests.end_to_end.faults.load import Load
from tests.rolling.release_before import CHECKOUT, archive, database_of, unpack, what_is_missing
from tests.support.client import Person, Rest, Socket
from tests.support.database import acquaint, query
from tests.support.processes import Node, Processes
from tests.support.roles import as_owner
from tests.support.servers import Servers

SENDS_PER_SECOND = 50


@pytest.fixture
def before(tmp_path: Path) -> Path:
    """The folder of the release before."""
    folder = tmp_path / "before"
    unpack(folder)
    return folder


@pytest.fixture
def database_url(servers: Servers, before: Path) -> Iterator[str]:
    """A database with the schema of the release before."""
    with database_of(before, servers) as url:
        yield url


@pytest.mark.servers
def test_the_release_before_is_one_of_the_changelog() -> None:
    missing = what_is_missing()
    if missing is not None:
        pytest.skip(missing)
    with tarfile.open(fileobj=BytesIO(archive("shared/version.py"))) as files:
        source = files.extractfile("shared/version.py")
        assert source is not None
        [version] = re.findall(r'^VERSION.* = "(.*)"$', source.read().decode(), re.MULTILINE)
    changelog = (CHECKOUT / "CHANGELOG.md").read_text(encoding="utf-8")
    [*_, earlier] = changelog.partition(f"\n## {VERSION}")
    assert f"\n## {version} " in changelog if version == VERSION else f"\n## {version} " in earlier


async def talk(one: tuple[Person, Socket, Rest], other: tuple[Person, Socket, Rest], say: str) -> None:
    """Two people write to each other, by socket and by REST, and each hears the other on the other's gateway."""
    for (author, socket, rest), (reader, hears, _) in ((one, other), (other, one)):
        message = f"{say}, says {author.name}"
        answer = await socket.push(author.topic, "send", {"to": str(reader.id), "message": message})
        assert answer["status"] == "ok", answer
        assert (await hears.event("send"))["message"] == message
        body = {"to": reader.id, "message": f"{message} by REST"}
        await rest.call("POST", "/api/messages", 201, who=author, body=body)
        assert (await hears.event("send"))["message"] == f"{message} by REST"
        # The author's own devices hear it, too.
        for _ in range(2):
            await socket.event("send")


async def seen(socket: Socket, topic: str, people: set[str]) -> None:
    """Wait until a client that has joined a listing sees exactly these people."""
    found: set[str] = set()
    while found != people:
        frame = await socket.take(lambda frame: frame[2] == topic and frame[3].startswith("presence_"))
        if frame[3] == "presence_state":
            found = set(frame[4])
        else:
            found = (found | set(frame[4]["joins"])) - (set(frame[4]["leaves"]) - set(frame[4]["joins"]))


async def test_this_release_replaces_the_release_before_and_nobody_misses_anything(
    settings: Settings, before: Path, tmp_path: Path
) -> None:
    (tmp_path / "old").mkdir()
    old = Processes(settings, tmp_path / "old", checkout=before, nursery=None)
    new = Processes(settings, tmp_path)
    try:
        # One after the other: no nursery has imported these modules, which takes a busy machine long.
        old_api = await old.api()
        old_gateway = await old.gateway()
        addresses = [old_gateway.socket_url]
        async with Load(settings, addresses, users=20, rate=SENDS_PER_SECOND) as load:
            await load.more_acknowledged(50)
            # The new schema, while the release before is at work.
            owner = replace(settings, database_url=as_owner(settings.database_url))
            await apply_schema(owner)
            await load.more_acknowledged(50)
            new_api, new_gateway = await asyncio.gather(new.api(), new.gateway())
            load.addresses[:] = [old_gateway.socket_url, new_gateway.socket_url]
            await side_by_side(settings, (old_api, old_gateway), (new_api, new_gateway))
            await load.more_acknowledged(50)
            load.addresses[:] = [new_gateway.socket_url]
            assert await old_gateway.stop() == 0
            assert await old_api.stop() == 0
            await load.until_all_joined()
            await load.more_acknowledged(50)
            assert not load.errors
            reckoning = await load.reckon()
        assert reckoning.sent == reckoning.stored
        assert reckoning.received == 2 * reckoning.stored
        for node in (old_api, old_gateway, new_api, new_gateway):
            assert "Traceback" not in node.output(), node.output()
            assert "forged" not in node.output(), node.output()
    finally:
        await asyncio.gather(old.stop(), new.stop())


async def side_by_side(settings: Settings, old: tuple[Node, Node], new: tuple[Node, Node]) -> None:
    """Ann is a client of the release before and Bob one of this release; they write to each other and meet."""
    async with Rest(old[0].url) as old_rest, Rest(new[0].url) as new_rest:
        ann, bob = await old_rest.register("Ann"), await new_rest.register("Bob")
        acquaint(settings.database_url, ann.id, bob.id)
        [(category,)] = query(
            settings.database_url, "INSERT INTO categories (name, visibility) VALUES ('Vans', 'public') RETURNING id"
        )
        listing = {"title": "A van", "content": "It drives.", "category_id": category}
        made = await old_rest.call("POST", "/api/listings", 201, who=ann, body=listing)
        topic = f"listing:{made['id']}"
        async with (
            await Socket.connect(old[1].socket_url, ann.token) as anns,
            await Socket.connect(new[1].socket_url, bob.token) as bobs,
        ):
            for person, socket in ((ann, anns), (bob, bobs)):
                assert (await socket.join(person.topic))["status"] == "ok"
            await talk((ann, anns, old_rest), (bob, bobs, new_rest), "Hello")
            # A message that is posted to one release reaches a client of the other.
            for socket in (anns, bobs):
                assert (await socket.join(topic, join_ref="j2"))["status"] == "ok"
            for socket in (anns, bobs):
                await seen(socket, topic, {str(ann.id), str(bob.id)})
            for rest, who in ((new_rest, ann), (old_rest, bob)):
                await rest.call("POST", f"/api/listings/{made['id']}/replies", 201, who=who, body={"text": "Nice."})
                for socket in (anns, bobs):
                    await socket.event("reply_created")
