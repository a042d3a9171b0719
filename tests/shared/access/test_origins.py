"""Tests which origins of web pages may connect and send requests."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from shared.access.addresses import forwarded_host
from shared.access.origins import is_allowed
from shared.settings import Settings

LISTED = Settings(
    allowed_origins=("https://example.com", "https://*.cars.example", "//dev.example", "*.any.example:8080")
)


ORIGINS = [
    (None, True),
    ("https://example.com", True),
    ("https://example.com:443", True),
    ("http://example.com", False),
    ("https://example.com:8443", False),
    ("https://example.com.evil.example", False),
    ("https://evilexample.com", False),
    ("https://a.cars.example", True),
    ("https://a.b.cars.example", True),
    # As Phoenix's check_origin.
    ("https://cars.example", True),
    ("http://cars.example", False),
    ("https://evilcars.example", False),
    ("http://a.cars.example", False),
    ("http://dev.example:3000", True),
    ("http://x.any.example:8080", True),
    ("http://x.any.example", False),
    ("null", False),
    ("", False),
    ("https://[", False),
    ("https://example.com:port", False),
]


@pytest.mark.parametrize("origin", [origin for origin, _ in ORIGINS])
def test_a_star_allows_every_origin(origin: str | None) -> None:
    assert is_allowed(origin, "api.example", Settings(environment="production", allowed_origins=("*",)))


@pytest.mark.parametrize(
    ("listed", "origin", "allowed"),
    [
        ("null", "null", True),
        ("null", "file://", False),
        ("null", "https://null", False),
        ("file://", "file://", True),
        ("file://", "null", False),
        ("file://", "https://file", False),
        ("capacitor://localhost", "capacitor://localhost", True),
        ("capacitor://localhost", "http://localhost", False),
        ("localhost:3000", "http://localhost:3000", True),
        ("https://a.example/", "https://a.example", True),
        ("app://.", "app://.", True),
        ("app://.", "https://.", False),
        ("http://[0:0:0:0:0:0:0:1]:3000", "http://[::1]:3000", True),
        ("[0:0::1]", "http://[::2]", False),
    ],
)
def test_origins_without_a_dotted_host_are_allowed_by_exact_name(listed: str, origin: str, allowed: bool) -> None:
    settings = Settings(environment="production", allowed_origins=(listed,))
    assert is_allowed(origin, "api.example", settings) is allowed


@pytest.mark.parametrize(("origin", "allowed"), ORIGINS)
def test_only_listed_origins_are_allowed(origin: str | None, allowed: bool) -> None:
    assert is_allowed(origin, "api.example", LISTED) is allowed


@pytest.mark.parametrize("origin", [None, "https://x.example", "null", "moz-extension://1234"])
def test_in_development_every_origin_is_allowed_by_default(origin: str | None) -> None:
    assert is_allowed(origin, "localhost:4001", Settings())


@pytest.mark.parametrize(
    ("origin", "host", "allowed"),
    [
        ("https://cars.example", "cars.example", True),
        ("https://cars.example:443", "cars.example", True),
        ("https://cars.example", "cars.example:443", True),
        ("http://cars.example", "cars.example:80", True),
        ("https://CARS.example", "cars.EXAMPLE", True),
        ("http://localhost:8080", "localhost:8080", True),
        ("http://[::1]:8080", "[::1]:8080", True),
        ("https://cars.example:8443", "cars.example", False),
        ("http://cars.example:9999", "cars.example", False),
        ("http://localhost:9999", "localhost:8080", False),
        ("https://cars.example", "cars.example:8443", False),
        ("https://other.example", "cars.example", False),
        ("https://cars.example:port", "cars.example", False),
        ("https://cars.example", "cars.example:port", False),
        ("null", "cars.example", False),
        ("https://[", "cars.example", False),
        (None, "cars.example", True),
    ],
)
def test_in_production_only_the_same_host_and_port_are_allowed_by_default(
    origin: str | None, host: str, allowed: bool
) -> None:
    assert is_allowed(origin, host, Settings(environment="production")) is allowed


@pytest.mark.parametrize(
    ("origin", "forwarded", "allowed"),
    [
        ("https://cars.example:8443", "cars.example:8443", True),
        ("https://cars.example", "cars.example", True),
        ("https://cars.example", "cars.example, inner.example", True),
        ("https://inner.example", "cars.example, inner.example", False),
        ("http://10.0.0.1:4000", "cars.example", False),
        ("http://10.0.0.1:4000", "", True),
    ],
)
def test_the_host_that_a_proxy_names_counts_instead_of_the_request_s_own(
    origin: str, forwarded: str, allowed: bool
) -> None:
    assert is_allowed(origin, "10.0.0.1:4000", Settings(environment="production"), forwarded) is allowed


def test_only_a_trusted_proxy_names_the_host() -> None:
    headers = {"X-Forwarded-Host": "evil.example"}
    trusted = [ip_network("10.0.0.0/8")]
    assert forwarded_host("10.1.2.3", headers, trusted) == "evil.example"
    assert forwarded_host("192.0.2.1", headers, trusted) == ""
    assert forwarded_host("10.1.2.3", headers, []) == ""
    assert forwarded_host(None, headers, trusted) == ""
    assert forwarded_host("10.1.2.3", {}, trusted) == ""
