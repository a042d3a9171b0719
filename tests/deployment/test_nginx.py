"""nginx with the deployment's own configuration lets people do all that they may, and nothing else."""

from __future__ import annotations

import asyncio
import gzip
import json
import ssl
from contextlib import asynccontextmanager
from dataclasses import replace
from io import BytesIO
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from PIL import Image

from shared.domain.uploads import LEAST_APPENDED, PARTIAL
from shared.domain.users import Role
from shared.postgres import Database
from shared.repositories.users import UserRepository
from tests.deployment.conftest import Deployment
from tests.deployment.nginx import find_nginx, running_nginx
from tests.deployment.raw import PATIENCE_SECONDS, raw
from tests.gateway.transports.longpoll.client import LongPollClient
from tests.support.client import PASSWORD, Person, Rest, Socket

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.asyncio(loop_scope="module")


@asynccontextmanager
async def browser_at(address: str) -> AsyncIterator[aiohttp.ClientSession]:
    """A client that connects from this address."""
    connector = aiohttp.TCPConnector(local_addr=(address, 0), limit=0)
    async with aiohttp.ClientSession(connector=connector) as client:
        yield client


async def problem(response: aiohttp.ClientResponse) -> str:
    """The type of the problem in a response."""
    assert response.content_type == "application/problem+json"
    return str((await response.json(content_type=None))["type"])


async def test_people_chat_by_websocket(deployment: Deployment) -> None:
    async with Rest(deployment.nginx.url) as rest:
        ann, bob = await rest.register("Ann"), await rest.register("Bob")
    url = deployment.nginx.socket_url
    async with await Socket.connect(url, ann.token) as first, await Socket.connect(url, bob.token) as second:
        assert (await first.join(ann.topic))["status"] == "ok"
        assert (await second.join(bob.topic))["status"] == "ok"
        answer = await first.push(ann.topic, "send", {"to": str(bob.id), "message": "Sold?"})
        assert answer["status"] == "ok"
        assert (await second.event("send"))["id"] == answer["response"]["id"]
    # nginx chooses the gateway with fewer connections, so each gateway has one.
    nodes = {line["upstream"] for line in await deployment.nginx.logged("/socket/websocket", 2)}
    assert nodes == {f"127.0.0.1:{node.port}" for node in deployment.gateways}


async def test_people_chat_by_polls_that_go_to_the_gateways_in_turn(deployment: Deployment) -> None:
    async with Rest(deployment.nginx.url) as rest, aiohttp.ClientSession() as http:
        ann, bob = await rest.register("Ann"), await rest.register("Bob")
        clients = []
        for person in (ann, bob):
            client = LongPollClient(http, [f"{deployment.nginx.url}/socket/longpoll"])
            client.jwt = person.token
            await client.open()
            await client.join(person.topic)
            clients.append(client)
        for number in range(6):
            frame = ["1", str(number), ann.topic, "send", {"to": str(bob.id), "message": f"Number {number}"}]
            assert await clients[0].post(frame) == 200
        frames = await clients[1].gets(6)
        assert [frame[4]["message"] for frame in frames] == [f"Number {number}" for number in range(6)]
    polls = await deployment.nginx.logged("/socket/longpoll", 6)
    assert {line["upstream"] for line in polls} == {f"127.0.0.1:{node.port}" for node in deployment.gateways}


async def test_a_forged_header_does_not_change_the_address_of_a_client(deployment: Deployment) -> None:
    limit = deployment.settings.registrations_per_minute

    async def register(client: aiohttp.ClientSession, number: int, forged: str) -> int:
        body = {"email": f"ann{number}.{forged}@example.com", "password": PASSWORD, "name": "Ann"}
        headers = {"X-Forwarded-For": forged}
        async with client.post(f"{deployment.nginx.url}/api/register", json=body, headers=headers) as response:
            return response.status

    async with browser_at("127.0.0.5") as one, browser_at("127.0.0.6") as other:
        answers = [await register(one, number, f"192.0.2.{number}") for number in range(limit + 1)]
        assert answers == [201] * limit + [429]
        assert await register(other, 0, "192.0.2.99") == 201


@pytest.mark.parametrize(
    "path",
    ["/metrics", "/metrics/", "//metrics", "/%6detrics", "/metrics?a=b", "/api/../metrics", "/socket/../metrics"],
)
async def test_metrics_are_closed_to_outsiders(deployment: Deployment, path: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", deployment.nginx.port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    assert answer.startswith(b"HTTP/1.1 404 ")
    assert b"# HELP" not in answer


async def test_pictures_are_taken_and_served_and_bodies_that_are_too_large_are_refused(deployment: Deployment) -> None:
    async with Rest(deployment.nginx.url) as rest, aiohttp.ClientSession() as client:
        ann = await rest.register("Ann")
        listing_id = await listing(deployment, rest, ann)
        url = f"{deployment.nginx.url}/api/listings/{listing_id}/pictures"
        headers = {"Authorization": f"Bearer {ann.token}"}
        # Noise cannot be compressed, so the file is larger than what nginx keeps in memory.
        picture = BytesIO()
        Image.effect_noise((1200, 1200), 100).convert("RGB").save(picture, "JPEG", quality=95)
        assert len(picture.getvalue()) > 1024**2
        async with client.post(url, data=form(picture.getvalue()), headers=headers) as response:
            assert response.status == 201
            answer = await response.json()
        async with client.get(deployment.nginx.url + answer["url"]) as response:
            assert response.status == 200
            assert len(await response.read()) > 100_000
        of_message = f"{deployment.nginx.url}/api/messages/pictures"
        async with client.post(of_message, data=form(picture.getvalue()), headers=headers) as response:
            assert response.status == 201
        async with client.post(url, data=form(bytes(12 * 1024**2)), headers=headers) as response:
            assert (response.status, await problem(response)) == (413, "/problems/too-large")
        json_headers = {**headers, "Content-Type": "application/json"}
        body = BytesIO(json.dumps({"title": "x" * 2 * 1024**2}).encode())
        async with client.post(f"{deployment.nginx.url}/api/listings", data=body, headers=json_headers) as response:
            assert (response.status, await problem(response)) == (413, "/problems/too-large")


async def test_an_upload_whose_line_is_cut_without_a_sign_goes_on_where_it_was(deployment: Deployment) -> None:
    picture = BytesIO()
    Image.effect_noise((600, 600), 100).convert("RGB").save(picture, "JPEG", quality=95)
    data = picture.getvalue()
    half = len(data) // 2
    assert half > LEAST_APPENDED
    async with Rest(deployment.nginx.url) as rest, aiohttp.ClientSession() as client:
        ann = await rest.register("Ann")
        url = f"{deployment.nginx.url}/api/listings/{await listing(deployment, rest, ann)}/uploads"
        token = {"Authorization": f"Bearer {ann.token}"}
        begun = {**token, "Upload-Length": str(len(data)), "Upload-Complete": "?0"}
        async with client.post(url, headers=begun) as response:
            assert response.status == 201
            path = (await response.json())["url"]
        appended = {**token, "Content-Type": PARTIAL, "Upload-Complete": "?1"}
        head = [f"{name}: {value}" for name, value in {**appended, "Upload-Offset": "0"}.items()]
        async with raw(deployment.nginx, "127.0.0.5") as line:
            await line.send([f"PATCH {path} HTTP/1.1", *head, f"Content-Length: {len(data)}"], data[:half])
            offset = 0
            # An API gives up a request that stands still after 20 seconds.
            async with asyncio.timeout(PATIENCE_SECONDS * 0.75):
                while offset < half:
                    await asyncio.sleep(0.1)
                    async with client.head(deployment.nginx.url + path, headers=token) as response:
                        offset = int(response.headers["Upload-Offset"])
            # Nothing was lost: nginx keeps no body for itself.
            assert offset == half
            headers = {**appended, "Upload-Offset": str(offset)}
            async with client.patch(deployment.nginx.url + path, data=data[offset:], headers=headers) as response:
                assert response.status == 201


async def test_a_page_of_another_site_cannot_connect(deployment: Deployment) -> None:
    async with Rest(deployment.nginx.url) as rest:
        ann = await rest.register("Ann")
    async with aiohttp.ClientSession() as client:
        query = {"token": ann.token, "vsn": "2.0.0"}
        own, other = deployment.nginx.url, "https://evil.example"
        async with client.ws_connect(deployment.nginx.socket_url, params=query, origin=own) as socket:
            assert not socket.closed
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await client.ws_connect(deployment.nginx.socket_url, params=query, origin=other)
        assert refused.value.status == 403


async def test_the_page_is_served_and_its_policy_allows_the_socket(deployment: Deployment) -> None:
    async with aiohttp.ClientSession() as client, client.get(deployment.nginx.url) as response:
        assert response.status == 200
        assert response.headers["Server"] == "nginx"
        assert "<html" in await response.text()
        assert "ws://127.0.0.1" in response.headers["Content-Security-Policy"]


async def listing(deployment: Deployment, rest: Rest, seller: Person) -> int:
    """A public listing of the seller, in a category that a moderator made."""
    moderator = await rest.register("Mona")
    database = Database(deployment.settings)
    try:
        await UserRepository(database).set_role(moderator.id, Role.MODERATOR, by=None)
    finally:
        await database.close()
    answer = await rest.call("POST", "/api/login", 200, body={"email": moderator.email, "password": PASSWORD})
    moderator = replace(moderator, token=answer["access_token"])
    category = await rest.call(
        "POST", "/api/categories", 201, who=moderator, body={"name": f"Cars of {seller.id}", "visibility": "public"}
    )
    given: dict[str, Any] = {"title": "A car", "content": "It drives.", "visibility": "public"}
    made = await rest.call("POST", "/api/listings", 201, who=seller, body={**given, "category_id": category["id"]})
    return int(made["id"])


def form(picture: bytes) -> aiohttp.FormData:
    data = aiohttp.FormData()
    data.add_field("picture", BytesIO(picture), filename="car.jpg", content_type="image/jpeg")
    return data


async def test_rendered_pages_are_compressed_and_not_sent_again(deployment: Deployment) -> None:
    async with aiohttp.ClientSession(auto_decompress=False, headers={"Accept-Encoding": "gzip"}) as client:
        for path in ("/", "/login", "/nowhere"):
            headers = {"Accept": "text/html"}
            async with client.get(deployment.nginx.url + path, headers=headers) as page:
                assert page.status == (404 if path == "/nowhere" else 200)
                assert page.headers["Content-Encoding"] == "gzip"
                assert "Accept-Encoding" in ",".join(page.headers.getall("Vary"))
                assert b"<!doctype html>" in gzip.decompress(await page.read())
        for path in ("/", "/sitemap.xml", "/sitemaps/0.xml", "/feed.atom", "/robots.txt"):
            async with client.get(deployment.nginx.url + path) as first:
                assert first.status == 200
                text, tag = await first.read(), first.headers["ETag"]
            text = gzip.decompress(text) if first.headers.get("Content-Encoding") == "gzip" else text
            # Through the proxy, the links name the host and port that the visitor used.
            assert path == "/" or deployment.nginx.url.encode() in text
            async with client.get(deployment.nginx.url + path, headers={"If-None-Match": tag}) as again:
                assert (again.status, await again.read()) == (304, b"")
        async with client.get(deployment.nginx.url + "/api/openapi.json") as answer:
            assert answer.headers["Content-Encoding"] == "gzip"
        for method, path, headers in (
            ("GET", "/api/openapi.json", {"Authorization": "Bearer x"}),
            ("POST", "/api/openapi.json", {}),
            ("GET", "/socket/longpoll?vsn=2.0.0", {}),
        ):
            async with client.request(method, deployment.nginx.url + path, headers=headers) as answer:
                assert "Content-Encoding" not in answer.headers, f"{method} {path} may have secrets"
        async with client.get(deployment.nginx.url + "/Login/?x=1", allow_redirects=False) as moved:
            assert (moved.status, moved.headers["Location"]) == (301, "/login?x=1")


async def test_with_a_certificate_nginx_speaks_http_2_and_http_1(deployment: Deployment) -> None:
    program = find_nginx()
    assert program is not None
    async with running_nginx(program, deployment.ports, with_tls=True) as nginx:
        context = ssl.create_default_context(cafile=str(nginx.directory / "certificate.pem"))
        for offered, spoken in ((["h2", "http/1.1"], "h2"), (["http/1.1"], "http/1.1")):
            context.set_alpn_protocols(offered)
            _, writer = await asyncio.open_connection("127.0.0.1", nginx.port, ssl=context)
            assert writer.get_extra_info("ssl_object").selected_alpn_protocol() == spoken
            writer.close()
        async with aiohttp.ClientSession() as client:
            async with client.get(f"https://127.0.0.1:{nginx.port}/login", ssl=context) as page:
                assert page.status == 200
            # Browsers open sockets with HTTP/1.1, also beside pages by HTTP/2.
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await client.ws_connect(f"https://127.0.0.1:{nginx.port}/socket/websocket?token=x", ssl=context)
            assert refused.value.status == 403


async def test_beside_tls_nginx_leads_everybody_to_the_same_address_with_tls_but_its_own_health_check(
    deployment: Deployment,
) -> None:
    program = find_nginx()
    assert program is not None
    async with running_nginx(program, deployment.ports, with_tls=True) as nginx, aiohttp.ClientSession() as client:
        plain = f"http://127.0.0.1:{nginx.plain_port}"
        for method, path in (
            ("GET", "/listings/1?x=%20a"),
            ("POST", "/api/login"),
            ("GET", "/socket/websocket?token=x"),
            ("GET", "/health/nginx/more"),
            ("GET", "/health/ready"),
        ):
            async with client.request(method, plain + path, allow_redirects=False) as moved:
                assert (moved.status, moved.headers["Location"]) == (308, f"https://127.0.0.1{path}")
        without = f"127.0.0.1:{nginx.port}"
        async with client.get(f"http://{without}/listings/1", allow_redirects=False) as moved:
            assert (moved.status, moved.headers["Location"]) == (308, f"https://{without}/listings/1")
        async with client.get(f"{plain}/health/nginx", allow_redirects=False) as healthy:
            assert healthy.status == 200
        context = ssl.create_default_context(cafile=str(nginx.directory / "certificate.pem"))
        async with client.get(f"https://127.0.0.1:{nginx.port}/health/ready", ssl=context) as ready:
            assert ready.status == 200
            assert ready.headers["Strict-Transport-Security"] == "max-age=31536000"


async def test_no_process_names_its_libraries_and_their_versions(deployment: Deployment) -> None:
    async with aiohttp.ClientSession() as client:
        for node in (*deployment.gateways, *deployment.apis):
            for path in ("/health/live", "/socket/longpoll", "/nothing"):
                async with client.get(node.url + path) as response:
                    assert response.headers["Server"] == "daveslist"


async def test_successful_health_checks_are_not_logged(deployment: Deployment) -> None:
    async with aiohttp.ClientSession() as client:
        for path in ("/health/nginx", "/health/live", "/health/ready", "/api/openapi.json"):
            async with client.get(deployment.nginx.url + path) as response:
                assert response.status == 200
    await deployment.nginx.logged("/api/openapi.json", 1)
    assert '"path":"/health' not in deployment.nginx.output()
