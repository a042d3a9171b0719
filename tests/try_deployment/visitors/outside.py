"""The visits of people who read their mail, and of people who come by HTTPS."""

from __future__ import annotations

import asyncio
import json
import ssl
from contextlib import suppress
from dataclasses import replace
from typing import Any

import aiohttp

from tests.support.client import PASSWORD, Rest
from tests.try_deployment.visitors.crowd import NGINX, Crowd, browser

PORT = 8443
PATIENCE_SECONDS = 30.0


async def may_not_write_yet(crowd: Crowd, name: str, to: str) -> None:
    """A person whose address is not confirmed may not write first."""
    await _write(crowd, name, to, 403)


async def confirm_the_address(crowd: Crowd, name: str, to: str, token: str) -> None:
    """After the link in the mail, the person may write; the link works once."""
    async with Rest(NGINX) as rest:
        await rest.call("POST", "/api/address/confirm", 204, body={"token": token})
        await rest.call("POST", "/api/address/confirm", 410, body={"token": token})
    crowd.tokens.add(token)
    await _write(crowd, name, to, 201)


async def _write(crowd: Crowd, name: str, to: str, status: int) -> None:
    body = {"to": crowd.people[to].id, "message": f"A question, {crowd.words}", "listing_id": crowd.listing_id}
    async with Rest(NGINX) as rest:
        await rest.call("POST", "/api/messages", status, who=crowd.people[name], body=body)


async def forget_the_password(crowd: Crowd, name: str) -> None:
    async with Rest(NGINX) as rest:
        await rest.call("POST", "/api/password/forgotten", 202, body={"email": crowd.people[name].email})


async def choose_a_password(crowd: Crowd, name: str, token: str) -> None:
    """The link in the mail ends the sessions and sets another password; it works once."""
    person, new = crowd.people[name], f"{PASSWORD}, a new one"
    async with Rest(NGINX) as rest:
        await rest.call("POST", "/api/password/reset", 204, body={"token": token, "password": new})
        await rest.call("POST", "/api/password/reset", 410, body={"token": token, "password": new})
        await rest.call("GET", "/api/me", 401, who=person)
        answer = await rest.call("POST", "/api/login", 200, body={"email": person.email, "password": new})
    crowd.tokens.add(token)
    crowd.knows(replace(person, token=answer["access_token"], refresh_token=answer["refresh_token"]))


async def come_by_https(crowd: Crowd, host: str, authority: str) -> dict[str, Any]:
    """Read the page and chat by HTTPS at nginx, whose certificate is the host's; come without, and be led there."""
    context = ssl.create_default_context(cadata=authority)
    context.set_alpn_protocols(["h2", "http/1.1"])
    _, writer = await asyncio.open_connection("nginx", PORT, ssl=context, server_hostname=host)
    spoken = [
        writer.get_extra_info("ssl_object").version(),
        writer.get_extra_info("ssl_object").selected_alpn_protocol(),
    ]
    writer.close()
    assert spoken == ["TLSv1.3", "h2"], spoken
    context.set_alpn_protocols(["http/1.1"])
    given: dict[str, Any] = {"ssl": context, "server_hostname": host, "headers": {"Host": host}}
    async with browser() as client:
        for path in ("/", "/api/listings"):
            async with client.get(f"https://nginx:{PORT}{path}", **given) as answer:
                assert answer.status == 200, f"{path}: {answer.status}"
                assert "Strict-Transport-Security" in answer.headers, dict(answer.headers)
        moved: dict[str, Any] = {"headers": {"Host": host}, "allow_redirects": False}
        async with client.get(f"{NGINX}/listings?sort=new", **moved) as answer:
            led = (answer.status, answer.headers.get("Location"))
            assert led == (308, f"https://{host}/listings?sort=new"), led
        async with client.get(f"{NGINX}/health/nginx", **moved) as answer:
            assert answer.status == 200, answer.status
        messages = await _chat(crowd, client, given, host)
    return {"spoken": " with ".join(spoken), "messages": messages}


async def _chat(crowd: Crowd, client: aiohttp.ClientSession, given: dict[str, Any], host: str) -> int:
    """Bob writes to himself by wss. The page's own Origin is admitted."""
    bob = crowd.people["Bob"]
    url = f"https://nginx:{PORT}/socket/websocket?vsn=2.0.0&token={bob.token}"
    options = {key: value for key, value in given.items() if key != "headers"}
    headers = {"Host": host, "Origin": f"https://{host}"}
    async with client.ws_connect(url, headers=headers, **options) as socket:
        await socket.send_json(["1", "1", bob.topic, "phx_join", {}])
        await socket.send_json(["1", "2", bob.topic, "send", {"to": str(bob.id), "message": f"By TLS, {crowd.words}"}])
        received: list[Any] = []
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not any(frame[3] == "send" for frame in received):
                received.append(json.loads(await socket.receive_str()))
    return 1


async def until_certified(crowd: Crowd, host: str, authority: str) -> None:
    """Wait until nginx shows the certificate of this authority to new visitors."""
    context = ssl.create_default_context(cadata=authority)
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            with suppress(ssl.SSLCertVerificationError):
                _, writer = await asyncio.open_connection("nginx", PORT, ssl=context, server_hostname=host)
                writer.close()
                return
            await asyncio.sleep(0.1)
