"""Servers behind sentinels, for all contracts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.sentinels import SentinelServers, running_sentinels


@pytest.fixture(scope="package")
def sentinels() -> Iterator[SentinelServers]:
    """A master, a replica and three sentinels. Nothing fails over here."""
    with running_sentinels() as servers:
        yield servers
