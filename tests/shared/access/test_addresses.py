"""Tests which address a request is taken to come from, behind trusted proxies and with forged headers."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from shared.access.addresses import client_address, counted_as, is_trusted, network_of, networks_of

OURS = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("203.0.113.9", [], "203.0.113.9"),
        # A client that is no trusted proxy can write any header.
        ("203.0.113.9", ["198.51.100.1"], "203.0.113.9"),
        ("10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["6.6.6.6, 198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["6.6.6.6", "198.51.100.1, 10.0.0.2"], "198.51.100.1"),
        ("10.0.0.1", ["198.51.100.1:4711"], "198.51.100.1"),
        ("10.0.0.1", ["[2001:db8::1]:4711"], "2001:db8::1"),
        ("10.0.0.1", ["::ffff:198.51.100.1"], "198.51.100.1"),
        ("::ffff:10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("fd00::1", ["2001:db8::1"], "2001:db8::1"),
        ("10.0.0.1", ["6.6.6.6, nonsense"], "10.0.0.1"),
        ("10.0.0.1", [""], "10.0.0.1"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        ("fe80::1%eth0", [], "fe80::1"),
        # Nothing so long is an address, whatever it begins with.
        ("10.0.0.1", ["198.51.100.1%" + 100 * "x"], "10.0.0.1"),
        (None, ["198.51.100.1"], ""),
    ],
)
def test_the_address_is_the_rightmost_one_that_is_no_trusted_proxy(
    peer: str | None, forwarded: list[str], address: str
) -> None:
    assert client_address(peer, forwarded, OURS) == address


def test_without_trusted_proxies_the_header_is_ignored() -> None:
    assert client_address("127.0.0.1", ["198.51.100.1"], ()) == "127.0.0.1"


def test_addresses_of_one_ipv6_network_count_as_one() -> None:
    assert counted_as("2001:db8:1:2:3::4") == counted_as("2001:db8:1:2:ffff::") == "2001:db8:1:2::/64"
    assert counted_as("2001:db8:1:3::") != counted_as("2001:db8:1:2::")
    assert counted_as("203.0.113.9") == "203.0.113.9"
    assert counted_as("") == ""


def test_an_ipv6_address_is_counted_in_three_networks_and_an_ipv4_address_alone() -> None:
    networks = (("2001:db8:1:2ab::/64", 1), ("2001:db8:1:200::/56", 4), ("2001:db8:1::/48", 16))
    assert networks_of("2001:db8:1:2ab:3::4") == networks
    assert networks_of("203.0.113.9") == (("203.0.113.9", 1),)
    assert networks_of("") == (("", 1),)


def test_the_network_of_an_ipv4_address_is_its_24_and_of_an_ipv6_address_its_64() -> None:
    assert network_of("203.0.113.9") == "203.0.113.0/24"
    assert network_of("2001:db8:1:2:3::4") == "2001:db8:1:2::/64"
    assert network_of("") == ""


def test_only_the_named_networks_are_trusted() -> None:
    assert is_trusted("10.1.2.3", OURS)
    assert not is_trusted("11.1.2.3", OURS)
    assert not is_trusted(None, OURS)
    assert not is_trusted("10.1.2.3", ())
