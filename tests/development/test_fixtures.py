"""Tests the fixtures of the other tests: their databases, their Redis and their settings."""

from __future__ import annotations

from contextlib import closing

import psycopg2
import pytest
from redis import Redis

from shared.settings import Settings
from tests.support.processes import environment_of
from tests.support.roles import as_owner
from tests.support.servers import Servers


@pytest.mark.parametrize("turn", [1, 2])
def test_each_test_has_a_new_database(database_url: str, turn: int) -> None:
    with closing(psycopg2.connect(as_owner(database_url))) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE traces (turn int)")
        cursor.execute("INSERT INTO traces VALUES (%s)", (turn,))
        connection.commit()
        cursor.execute("SELECT turn FROM traces")
        assert cursor.fetchall() == [(turn,)]


@pytest.mark.parametrize("turn", [1, 2])
def test_each_test_has_an_empty_redis(redis_url: str, turn: int) -> None:
    with closing(Redis.from_url(redis_url)) as client:
        assert client.dbsize() == 0
        client.set("turn", turn)


def test_a_child_process_reads_the_settings_of_the_test(settings: Settings) -> None:
    assert Settings.from_environment(environment_of(settings)) == settings


def test_a_database_is_dropped_although_sessions_are_open(servers: Servers) -> None:
    with servers.database() as url:
        connection = psycopg2.connect(url)
    connection.close()
    with pytest.raises(psycopg2.OperationalError, match="does not exist"):
        psycopg2.connect(url)
