"""The visits of one or two people, who check each answer."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from typing import Any
from urllib.parse import urljoin

import aiohttp
from PIL import Image

from tests.gateway.transports.longpoll.client import LongPollClient
from tests.support.client import PASSWORD, Person, Rest, Socket
from tests.try_deployment.visitors.books import digests
from tests.try_deployment.visitors.crowd import APIS, GATEWAYS, NGINX, SOCKET, Crowd, browser, metric

REFERENCE = re.compile(r"""(?:src=|href=|from\s|import\s|import\(|url\()\s*["']?((?:/web/|\.{1,2}/)[^"'\s)]+)""")
PATIENCE_SECONDS = 60.0


async def page(crowd: Crowd) -> dict[str, Any]:
    """Load the page with all its files, the API's documents and the listings."""
    found: dict[str, int] = {}
    waiting = ["/"]
    async with browser() as client:
        while waiting:
            path = waiting.pop()
            if path in found:
                continue
            async with client.get(NGINX + path) as response:
                found[path] = response.status
                assert response.status == 200, f"{path}: {response.status}"
                if response.content_type in ("text/html", "text/css", "text/javascript", "application/javascript"):
                    waiting += [urljoin(path, each) for each in REFERENCE.findall(await response.text())]
        for path in ("/api/docs", "/api/openapi.json", "/api/listings", "/api/categories"):
            async with client.get(NGINX + path) as response:
                assert response.status == 200, f"{path}: {response.status}"
        for url in APIS:
            async with client.get(f"{url}/api/listings") as response:
                assert response.status == 200, f"{url}: {response.status}"
    return {"files": len(found) - 1}


async def register(crowd: Crowd, names: list[str]) -> list[dict[str, Any]]:
    """Register people by the API, through nginx."""
    async with Rest(NGINX) as rest:
        people = [crowd.knows(await rest.register(name)) for name in names]
    return [{"id": person.id, "email": person.email} for person in people]


async def chat(crowd: Crowd) -> dict[str, Any]:
    """Two people on different gateways write to each other. Returns the number of sockets of each gateway."""
    ann, bob = crowd.people["Ann"], crowd.people["Bob"]
    before = [await metric(url, "gateway_connections") for url in GATEWAYS]
    async with await Socket.connect(SOCKET, ann.token) as first, await Socket.connect(SOCKET, bob.token) as second:
        for socket, person in ((first, ann), (second, bob)):
            answer = await socket.join(person.topic, {"after_id": 0})
            assert answer["status"] == "ok", answer
        after = [await metric(url, "gateway_connections") for url in GATEWAYS]
        sockets = [round(now - then) for now, then in zip(after, before, strict=True)]
        assert sockets == [1, 1], f"the gateways got {sockets} sockets"
        for sender, person, receiver, other in ((first, ann, second, bob), (second, bob, first, ann)):
            text = f"Hello, {crowd.words}"
            answer = await sender.push(person.topic, "send", {"to": str(other.id), "message": text})
            assert answer["status"] == "ok", answer
            got = await receiver.take(_is_message(answer["response"]["id"]))
            assert (got[4]["message"], got[4]["from"]) == (text, str(person.id)), got
    return {"sockets": sockets, "messages": 2}


def _is_message(message_id: int) -> Callable[[Any], bool]:
    return lambda frame: frame[3] == "send" and bool(frame[4].get("id") == message_id)


async def long_poll(crowd: Crowd) -> dict[str, Any]:
    """The same two people chat without a socket; nginx hands polls to the gateways in turn."""
    ann, bob = crowd.people["Ann"], crowd.people["Bob"]
    async with browser() as http:
        clients = []
        for person in (ann, bob):
            client = LongPollClient(http, [f"{NGINX}/socket/longpoll"])
            client.jwt = person.token
            await client.open()
            crowd.tokens.add(client.token)
            await client.join(person.topic)
            clients.append(client)
        texts = [f"Poll {number}, {crowd.words}" for number in range(6)]
        for number, text in enumerate(texts):
            frame = ["1", str(number), ann.topic, "send", {"to": str(bob.id), "message": text}]
            assert await clients[0].post(frame) == 200
        frames = await clients[1].gets(len(texts))
        assert [frame[4]["message"] for frame in frames] == texts, frames
    return {"messages": len(texts)}


async def admin_makes_category(crowd: Crowd) -> dict[str, Any]:
    """Ann, who has just been made an admin, makes a category, and Bob sells a car in it."""
    ann, bob = crowd.people["Ann"], crowd.people["Bob"]
    async with Rest(NGINX) as rest:
        answer = await rest.call("POST", "/api/login", 200, body={"email": ann.email, "password": PASSWORD})
        ann = crowd.knows(replace(ann, token=answer["access_token"], refresh_token=answer["refresh_token"]))
        await rest.call("POST", "/api/categories", 403, who=bob, body={"name": "Boats", "visibility": "public"})
        category = await rest.call(
            "POST", "/api/categories", 201, who=ann, body={"name": "Cars", "visibility": "public"}
        )
        given = {"title": "A car", "content": "It drives.", "visibility": "public", "category_id": category["id"]}
        listing = await rest.call("POST", "/api/listings", 201, who=bob, body=given)
    crowd.listing_id = listing["id"]
    return {"listing": listing["id"]}


async def pictures(crowd: Crowd) -> dict[str, Any]:
    """Upload a picture through each API and through nginx; download the same bytes of each from all three."""
    bob = crowd.people["Bob"]
    paths, sizes = [], []
    async with browser() as client:
        for url in (*APIS, NGINX):
            # Noise cannot be compressed, so the file is larger than what nginx keeps in memory.
            picture = BytesIO()
            Image.effect_noise((1200, 1200), 100).convert("RGB").save(picture, "JPEG", quality=95)
            sizes.append(len(picture.getvalue()))
            async with post_picture(client, crowd, bob, url, picture.getvalue()) as response:
                assert response.status == 201, f"{url}: {response.status} {await response.text()}"
                answer = await response.json()
                paths += [answer["url"], *(size["url"] for size in answer["sizes"])]
        for path in paths:
            async with client.get(NGINX + path) as response:
                with Image.open(BytesIO(await response.read())) as shown:
                    assert max(shown.size) in (480, 800, 1200), shown.size
    crowd.pictures = await digests(paths)
    return {"paths": paths, "bytes": sizes}


def post_picture(client: aiohttp.ClientSession, crowd: Crowd, person: Person, url: str, picture: bytes) -> Any:
    data = aiohttp.FormData()
    data.add_field("picture", BytesIO(picture), filename="car.jpg", content_type="image/jpeg")
    headers = {"Authorization": f"Bearer {person.token}"}
    return client.post(f"{url}/api/listings/{crowd.listing_id}/pictures", data=data, headers=headers)


async def leave_a_mark(crowd: Crowd, url: str, path: str) -> int:
    """Ask for a page that nobody else asks for, so that nginx's log shows the visitor's address beside it."""
    async with browser() as client, client.get(url + path) as response:
        await response.read()
        return response.status


async def header(crowd: Crowd, name: str) -> str | None:
    """The value of a header in an answer to a new visitor."""
    async with browser() as client, client.get(f"{NGINX}/health/nginx") as response:
        return response.headers.get(name)


async def until_header(crowd: Crowd, name: str, value: str | None) -> None:
    """Wait until answers have this header: nginx does not report that it has read its configuration."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while await header(crowd, name) != value:
            pass


async def sockets(crowd: Crowd, gateways: list[str], count: int) -> list[int]:
    """Open `count` sockets of one person at once. Returns the number that each gateway got."""
    bob = crowd.people["Bob"]
    before = [await metric(url, "gateway_connections") for url in gateways]
    opened = [await Socket.connect(SOCKET, bob.token) for _ in range(count)]
    try:
        for socket in opened:
            assert (await socket.join(bob.topic, {"after_id": 0}))["status"] == "ok"
        after = [await metric(url, "gateway_connections") for url in gateways]
        answer = await opened[0].push(bob.topic, "send", {"to": str(bob.id), "message": f"To all, {crowd.words}"})
        assert answer["status"] == "ok", answer
        for socket in opened:
            await socket.take(_is_message(answer["response"]["id"]))
    finally:
        for socket in opened:
            await socket.close()
    return [round(now - then) for now, then in zip(after, before, strict=True)]


async def secrets(crowd: Crowd) -> dict[str, Any]:
    """The texts that no log may have: every token, the password, the words of the messages."""
    return {"tokens": sorted(crowd.tokens), "password": PASSWORD, "words": crowd.words}


async def remember(crowd: Crowd, people: dict[str, Any]) -> None:
    """Take over the people of an earlier container."""
    crowd.people = {name: Person(**person) for name, person in people["people"].items()}
    crowd.tokens |= set(people["tokens"])
    crowd.listing_id = people["listing_id"]


async def hand_over(crowd: Crowd) -> dict[str, Any]:
    """The people, as `remember` takes them."""
    people = {name: vars(person) for name, person in crowd.people.items()}
    return {"people": people, "tokens": sorted(crowd.tokens), "listing_id": crowd.listing_id}
