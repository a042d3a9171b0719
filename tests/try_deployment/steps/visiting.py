"""What people do on the site, and what the site refuses."""

from __future__ import annotations

import json
import secrets
import urllib.request
from typing import Any

from tests.try_deployment import guide
from tests.try_deployment.walk import Walk


def page_and_api_answer(walk: Walk) -> str:
    found = walk.visitors.do("page")
    return f"the page with {found['files']} files, documents and listings; {_published_port(walk)}"


def _published_port(walk: Walk) -> str:
    """Ask the published port from this machine. It may not be reachable, if the engine runs elsewhere."""
    address = walk.stack.engine.run("compose", "port", "nginx", "8080").output.strip()
    port = address.rpartition(":")[2]
    try:
        with urllib.request.urlopen(f"http://localhost:{port}/", timeout=3) as response:
            return f"the published port answers {response.status}"
    except OSError:
        return "the published port is not reachable from here"


def two_people_chat(walk: Walk) -> str:
    walk.people = walk.visitors.do("register", names=["Ann", "Bob"])
    found = walk.visitors.do("chat")
    one, other = found["sockets"]
    return f"{found['messages']} messages between gateways that hold {one} and {other} sockets of theirs"


def long_poll_works(walk: Walk) -> str:
    before = _polls(walk)
    found = walk.visitors.do("long_poll")
    polls = {gateway: count - before.get(gateway, 0) for gateway, count in _polls(walk).items()}
    assert len(polls) == 2, f"polls went to {polls}"
    assert min(polls.values()) > 0, f"polls went to {polls}"
    return f"{found['messages']} messages, polls handed to the gateways {' and '.join(map(str, polls.values()))} times"


def _polls(walk: Walk) -> dict[str, int]:
    found: dict[str, int] = {}
    for line in nginx_lines(walk):
        if line["path"] == "/socket/longpoll":
            found[line["upstream"]] = found.get(line["upstream"], 0) + 1
    return found


def nginx_lines(walk: Walk) -> list[dict[str, Any]]:
    """The requests in the log of nginx's container."""
    return [json.loads(line) for line in walk.stack.log_of("nginx") if line.startswith("{")]


def a_role_is_given(walk: Walk) -> str:
    command = guide.line(guide.ROLE)
    assert "ann@example.com" in command, command
    done = walk.stack.engine.shell(command.replace("ann@example.com", walk.people[0]["email"]))
    walk.visitors.do("admin_makes_category")
    return f"{done.output.strip()!r}, and may what only admins may"


def pictures_come_and_go(walk: Walk) -> str:
    found = walk.visitors.do("pictures")
    walk.pictures = found["paths"]
    sizes = ", ".join(f"{size:,}" for size in found["bytes"])
    return f"3 up by api-1, api-2 and nginx ({sizes} bytes), {len(walk.pictures)} files down from each, equal"


def too_large_is_said(walk: Walk) -> str:
    return f"413 with a problem for each of {walk.visitors.do('too_large')['answers']} bodies"


def metrics_are_for_nobody(walk: Walk) -> str:
    found = walk.visitors.do("metrics_are_refused")
    return f"404 for {found['spellings']} spellings, readable inside at {found['inside']} processes"


def other_sites_get_nothing(walk: Walk) -> str:
    return f"a socket of a foreign Origin: {walk.visitors.do('foreign_origin')['status']}; the own one's opens"


def visitors_are_told_apart(walk: Walk) -> str:
    """nginx logs each visitor's address, and limits count for each address: by IPv4, and by IPv6 if there is one."""
    nginx, visitor = _addresses(walk, walk.stack.containers()["nginx"]["Id"]), _addresses(walk, visitors_name(walk))
    marks = {}
    for version, address in nginx.items():
        marks[version] = f"/mark/{secrets.token_hex(8)}"
        walk.visitors.do("leave_a_mark", url=_url(address), path=marks[version])
    logged = {line["path"]: line["client"] for line in nginx_lines(walk)}
    seen = {version: logged.get(mark) for version, mark in marks.items()}
    expected = {version: visitor[version] for version in marks}
    assert seen == expected, f"nginx saw {seen}, where the visitor is {expected}"
    if "IPv6" not in seen:
        return f"{seen['IPv4']} by IPv4; this network has no IPv6"
    found = walk.visitors.do("told_apart", one=_url(nginx["IPv4"]), other=_url(nginx["IPv6"]))
    addresses = " and ".join(f"{address} by {version}" for version, address in seen.items())
    return f"{addresses}; the first is refused after {found['before_refused']} registrations, the other is not"


def visitors_name(walk: Walk) -> str:
    return f"{walk.stack.project}-visitors"


def _addresses(walk: Walk, container: str) -> dict[str, str]:
    """The addresses of a container in the network `outside`, by IP version."""
    name = walk.stack.configuration()["networks"]["outside"]["name"]
    [found] = walk.stack.engine.inspect([container])
    network = found["NetworkSettings"]["Networks"][name]
    both = {"IPv4": network["IPAddress"], "IPv6": network.get("GlobalIPv6Address", "")}
    return {version: address for version, address in both.items() if address}


def _url(address: str) -> str:
    return f"http://[{address}]:8080" if ":" in address else f"http://{address}:8080"
