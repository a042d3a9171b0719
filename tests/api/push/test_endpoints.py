"""A push message goes to push services on the internet, and never to what only the server can reach."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from api.push.endpoints import PrivateAddress, PublicResolver, endpoint_fault, is_public


@pytest.mark.parametrize(
    "endpoint",
    [
        "https://fcm.googleapis.com/fcm/send/abc:DEF_123-xyz",
        "https://updates.push.services.mozilla.com/wpush/v2/gAAAAA==",
        "https://web.push.apple.com/QGq%2Fx",
        "https://wns2-par02p.notify.windows.com:443/w/?token=BQYAAAC%2b",
    ],
)
def test_push_services_are_taken(endpoint: str) -> None:
    assert endpoint_fault(endpoint) is None


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://push.example.com/a",
        "https://push.example.com:8443/a",
        "https://127.0.0.1/a",
        "https://2130706433/a",
        "https://0x7f.0.0.1/a",
        "https://127.1/a",
        "https://[::1]/a",
        "https://[::ffff:10.0.0.1]/a",
        "https://localhost/a",
        "https://postgres/a",
        "https://printer.local/a",
        "https://metadata.google.internal/a",
        "https://user@push.example.com/a",
        "https://push.example.com\\@127.0.0.1/a",
        "https://push.example.com/a#b",
        "https://push.example.com/a b",
        "https://push.example.com/a\r\nX: y",
        "https://púsh.example.com/a",
        "https:///a",
        "https://push.example.com:x/a",
        "https://[",
        "ftp://push.example.com/a",
        "javascript:alert(1)",
        "",
        "https://push.example.com/" + "a" * 2000,
    ],
)
def test_other_addresses_are_refused(endpoint: str) -> None:
    assert endpoint_fault(endpoint) is not None


@pytest.mark.parametrize("address", ["8.8.8.8", "2001:4860:4860::8888", "::ffff:8.8.8.8"])
def test_addresses_of_the_internet_are_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0"),
        *("224.0.0.1", "255.255.255.255", "240.0.0.1", "198.18.0.1", "192.0.2.1"),
        *("::", "::1", "fe80::1", "fe80::1%eth0", "fd00::1", "ff02::1", "2001:db8::1"),
        *("::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1", "64:ff9b:1::a00:1", "2002:7f00:1::"),
    ],
)
def test_addresses_that_only_the_server_reaches_are_not_public(address: str) -> None:
    assert not is_public(address)


class Names(AbstractResolver):
    """Resolves each name to the same addresses."""

    def __init__(self, *addresses: str) -> None:
        self._addresses = addresses

    async def resolve(self, host: str, port: int = 0, family: Any = socket.AF_INET) -> list[ResolveResult]:
        return [
            ResolveResult(hostname=host, host=address, port=port, family=socket.AF_INET, proto=0, flags=0)
            for address in self._addresses
        ]

    async def close(self) -> None:
        """There is nothing to close."""


async def test_a_name_is_refused_if_any_of_its_addresses_is_private() -> None:
    [found] = await PublicResolver(Names("8.8.8.8")).resolve("push.example.com", 443)
    assert found["host"] == "8.8.8.8"
    with pytest.raises(PrivateAddress):
        await PublicResolver(Names("8.8.8.8", "127.0.0.1")).resolve("push.example.com", 443)
