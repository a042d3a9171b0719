"""Tests that what docs/sizes.md says of nginx is enough for the people of the chapter."""

from __future__ import annotations

import re

import pytest

from shared.settings import Settings
from tests.deployment.composefile import read
from tests.deployment.nginx import CONFIGURATION
from tests.deployment.units import unit
from tests.documents.guide import CHECKOUT

TEXT = " ".join((CHECKOUT / "docs" / "sizes.md").read_text(encoding="utf-8").split())
HUNDRED_THOUSAND, MILLION = (
    TEXT.partition(f"## {people} people")[2].partition(" ## ")[0] for people in ("100,000", "A million")
)
NGINX = (CONFIGURATION / "nginx.conf").read_text(encoding="utf-8")
PORTS = 64_000
"""The most connections from one address to one address and port."""
IN_WORDS = {"two": 2, "three": 3, "four": 4, "twelve": 12}


def number(pattern: str, text: str) -> int:
    """The number, in digits with commas or as a word, that the pattern finds once in the text."""
    [found] = re.findall(pattern, text)
    return IN_WORDS.get(found) or int(found.replace(",", ""))


def test_a_hundred_thousand_people_fit_into_the_connections_of_nginx() -> None:
    most = number(r"`worker_connections` and `worker_rlimit_nofile` in `nginx.conf` to ([\d,]+)", HUNDRED_THOUSAND)
    per_person = number(r"nginx:\* (\w+) connections for each person", HUNDRED_THOUSAND)
    workers = number(r"With (\w+) workers these are", HUNDRED_THOUSAND)
    assert f"{per_person * 100_000 // workers:,} for each" in HUNDRED_THOUSAND
    assert per_person * 100_000 / workers <= most
    # worker_rlimit_nofile alone cannot go beyond the hard limit of the service.
    hard = int(unit("daveslist-nginx").one["LimitNOFILE"])
    assert hard == read(CHECKOUT / "compose.yaml")["services"]["nginx"]["ulimits"]["nofile"]
    assert f"its own hard limit, {hard:,}: set it to {most:,} too, by `LimitNOFILE`" in HUNDRED_THOUSAND
    assert "or by `nofile` of the service `nginx`" in HUNDRED_THOUSAND


def test_a_hundred_thousand_people_find_a_port_while_a_machine_is_away() -> None:
    machines = number(r"the others on (\w+) with", HUNDRED_THOUSAND)
    each = 100_000 // (machines - 1)
    assert f"has {each:,} people" in HUNDRED_THOUSAND
    assert each <= PORTS
    assert each <= Settings().max_connections * number("`GATEWAY_WORKERS=(.)`", HUNDRED_THOUSAND)
    reserved = {int(port) for port in re.findall(r"reserved_ports = ([\d,]+)", HUNDRED_THOUSAND)[0].split(",")}
    assert reserved >= {Settings().api_port, Settings().gateway_port, 5432, 6379}


def test_a_million_people_fit_into_the_machines_with_nginx() -> None:
    machines = number(r"nginx:\* (\w+), each configured as for 100,000 people", MILLION)
    each = 1_000_000 // (machines - 1)
    assert each <= 100_000
    assert number(r"each has ([\d,]+) people", MILLION) == round(each, -3)
    per_person = number(r"nginx:\* (\w+) connections for each person", HUNDRED_THOUSAND)
    shipped = number(r"worker_connections (\d+);", NGINX) // per_person
    assert f"a worker has room for {shipped:,} people" in MILLION
    workers = number(r"machines with (\w+) workers", MILLION)
    assert f"it would take {-(-1_000_000 // (workers * shipped))} machines" in MILLION


@pytest.mark.parametrize("chapter", [HUNDRED_THOUSAND, MILLION])
def test_redis_has_room_for_what_waits_for_all_processes(chapter: str) -> None:
    waiting = number(r"up to\s+(\d+) MB", chapter) * number(r"MB(?: wait)? for each of (\d+)", chapter)
    assert waiting * 10**6 < number(r"`maxmemory (\d+)gb`", chapter) * 2**30


def test_the_memory_of_nginx_is_that_of_its_sockets() -> None:
    plain, with_tls = re.findall(r"`python -m tests.bench nginx`\) \| ([\d.]+) KB, ([\d.]+) KB", TEXT)[0]
    [row] = re.findall(r"nginx's memory for their sockets[^|]*\| (.*?) \| API processes", TEXT)
    shown = [size.split() for cell in row.split(" | ") for size in cell.strip(" |").split(", ")]
    exact = [float(each) * people * 1000 for people in (1000, 100_000, 1_000_000) for each in (plain, with_tls)]
    for (size, unit_of_size), of_people in zip(shown, exact, strict=True):
        assert float(size) * {"MB": 10**6, "GB": 10**9}[unit_of_size] == pytest.approx(of_people, rel=0.02)
    memory = int(read(CHECKOUT / "compose.yaml")["services"]["nginx"]["mem_limit"].removesuffix("m")) - 256
    for kilobytes, sockets in ((plain, "15,000"), (with_tls, "8,000")):
        assert sockets in TEXT
        assert int(sockets.replace(",", "")) * float(kilobytes) * 1000 <= memory * 2**20
