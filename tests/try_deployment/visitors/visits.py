"""What one or two people do on the site, each answer looked at."""

from __future__ import annotations

import asyncio
import itertools
import json
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

METRICS = (
    "/metrics",
    "/metrics/",
    "//metrics",
    "/./metrics",
    "/%6detrics",
    "/metrics?a=b",
    "/api/../metrics",
    "/socket/../metrics",
    "/socket/..%2fmetrics",
    "/metrics/gateway",
)
REFERENCE = re.compile(r"""(?:src=|href=|from\s|import\s|import\(|url\()\s*["']?((?:/web/|\.{1,2}/)[^"'\s)]+)""")
PATIENCE_SECONDS = 15.0
TOO_MUCH = 12 * 1024**2


async def page(crowd: Crowd) -> dict[str, Any]:
    """The page with all that it loads, the API's documents and the listings."""
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
    """By the API, through nginx."""
    async with Rest(NGINX) as rest:
        people = [crowd.knows(await rest.register(name)) for name in names]
    return [{"id": person.id, "email": person.email} for person in people]


async def chat(crowd: Crowd) -> dict[str, Any]:
    """Two people, each on another gateway, write to each other; how many sockets each gateway got."""
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
    """The same two without a socket; nginx hands polls to the gateways in turn."""
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
    """Ann, who has just been made an admin, may; and Bob sells a car in it."""
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
    """One up through each API and one through nginx; each down from all three, the same bytes."""
    bob = crowd.people["Bob"]
    paths, sizes = [], []
    async with browser() as client:
        for url in (*APIS, NGINX):
            # Noise, which no format makes smaller: above what nginx keeps in memory.
            picture = BytesIO()
            Image.effect_noise((1200, 1200), 100).convert("RGB").save(picture, "JPEG", quality=95)
            sizes.append(len(picture.getvalue()))
            async with _post_picture(client, crowd, bob, url, picture.getvalue()) as response:
                assert response.status == 201, f"{url}: {response.status} {await response.text()}"
                answer = await response.json()
                paths += [answer["url"], answer["thumbnail_url"]]
        for path in paths:
            async with client.get(NGINX + path) as response:
                with Image.open(BytesIO(await response.read())) as shown:
                    assert max(shown.size) in (480, 1200), shown.size
    crowd.pictures = await digests(paths)
    return {"paths": paths, "bytes": sizes}


def _post_picture(client: aiohttp.ClientSession, crowd: Crowd, person: Person, url: str, picture: bytes) -> Any:
    data = aiohttp.FormData()
    data.add_field("picture", BytesIO(picture), filename="car.jpg", content_type="image/jpeg")
    headers = {"Authorization": f"Bearer {person.token}"}
    return client.post(f"{url}/api/listings/{crowd.listing_id}/pictures", data=data, headers=headers)


async def too_large(crowd: Crowd) -> dict[str, Any]:
    """A picture that nginx refuses, one that only the API does, and a body that is no picture."""
    bob = crowd.people["Bob"]
    limit = crowd.settings.max_picture_bytes
    answers = []
    async with browser() as client:
        for size in (TOO_MUCH, limit + 1024):
            async with _post_picture(client, crowd, bob, NGINX, bytes(size)) as response:
                answers.append((response.status, await _problem(response)))
        headers = {"Authorization": f"Bearer {bob.token}", "Content-Type": "application/json"}
        body = BytesIO(json.dumps({"title": "x" * 2 * crowd.settings.max_body_bytes}).encode())
        async with client.post(f"{NGINX}/api/listings", data=body, headers=headers) as response:
            answers.append((response.status, await _problem(response)))
    assert {status for status, _ in answers} == {413}, answers
    return {"answers": len(answers)}


async def _problem(response: aiohttp.ClientResponse) -> str:
    assert response.content_type == "application/problem+json", (response.status, response.content_type)
    return str((await response.json(content_type=None))["type"])


async def metrics_are_refused(crowd: Crowd) -> dict[str, Any]:
    """Each spelling, byte for byte: a client library would tidy it."""
    for path in METRICS:
        reader, writer = await asyncio.open_connection("nginx", 8080)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: nginx:8080\r\nConnection: close\r\n\r\n".encode())
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
        assert answer.startswith(b"HTTP/1.1 404 "), f"{path}: {answer[:60]!r}"
        assert b"# HELP" not in answer, path
    inside = [await metric(url, "process_open_fds") for url in (*GATEWAYS, *APIS)]
    return {"spellings": len(METRICS), "inside": len(inside)}


async def foreign_origin(crowd: Crowd) -> dict[str, Any]:
    """A page of another site gets no socket and no poll; the deployment's own does."""
    ann = crowd.people["Ann"]
    query = {"token": ann.token, "vsn": "2.0.0"}
    own, other = NGINX, "https://elsewhere.example"
    async with browser() as client:
        async with client.ws_connect(SOCKET, params=query, origin=own) as socket:
            assert not socket.closed
        try:
            async with client.ws_connect(SOCKET, params=query, origin=other):
                raise AssertionError("another site's page got a socket")
        except aiohttp.WSServerHandshakeError as refused:
            status = refused.status
        poll = f"{NGINX}/socket/longpoll"
        async with client.get(poll, params=query, headers={"Origin": other}) as response:
            polled = (response.status, await response.text())
    assert status == 403, status
    assert polled[0] == 403 or json.loads(polled[1])["status"] == 403, polled
    return {"status": status}


async def leave_a_mark(crowd: Crowd, url: str, path: str) -> int:
    """Ask for a page that nobody else asks for: nginx's log has it, and the address from which it was asked."""
    async with browser() as client, client.get(url + path) as response:
        await response.read()
        return response.status


async def header(crowd: Crowd, name: str) -> str | None:
    """Of an answer to somebody who comes anew."""
    async with browser() as client, client.get(f"{NGINX}/health/nginx") as response:
        return response.headers.get(name)


async def until_header(crowd: Crowd, name: str, value: str | None) -> None:
    """nginx does not tell when it has done what it was told."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while await header(crowd, name) != value:
            pass


async def told_apart(crowd: Crowd, one: str, other: str) -> dict[str, Any]:
    """Who has registered too often from one address is refused, and may still do so from the other."""
    refused = crowd.settings.registrations_per_minute
    async with browser() as client:

        async def register(url: str, number: int) -> int:
            # Counted, and then found not to be enough.
            async with client.post(f"{url}/api/register", json={"email": f"nobody{number}@example.com"}) as response:
                return response.status

        answers = []
        for number in itertools.count():
            answers.append(await register(one, number))
            if answers[-1] == 429 or number > refused + 5:
                break
        there = await register(other, 0)
    assert answers[-1] == 429, answers
    assert there != 429, "both addresses are counted as one"
    return {"before_refused": len(answers) - 1}


async def sockets(crowd: Crowd, gateways: list[str], count: int) -> list[int]:
    """So many of one person's sockets at once: how many of them each gateway got."""
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
    """What has to be in no log: every token, the password, the words of the messages."""
    return {"tokens": sorted(crowd.tokens), "password": PASSWORD, "words": crowd.words}


async def remember(crowd: Crowd, people: dict[str, Any]) -> None:
    """People that visitors of an earlier container were."""
    crowd.people = {name: Person(**person) for name, person in people["people"].items()}
    crowd.tokens |= set(people["tokens"])
    crowd.listing_id = people["listing_id"]


async def hand_over(crowd: Crowd) -> dict[str, Any]:
    """What `remember` takes."""
    people = {name: vars(person) for name, person in crowd.people.items()}
    return {"people": people, "tokens": sorted(crowd.tokens), "listing_id": crowd.listing_id}
