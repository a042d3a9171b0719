"""Commands find the servers of a running `make run`, and never those of one that has ended."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from development.claim import AlreadyRunning, Claim
from shared.running import Running, find_running, with_servers
from shared.settings import InvalidSettings, Settings

RUNNING = Running(
    os.getpid(),
    "postgresql:///one",
    "postgresql:///owner",
    "redis:///two",
    "http://127.0.0.1:1",
    ["http://127.0.0.1:2"],
)


def test_servers_are_found_while_make_run_runs(tmp_path: Path) -> None:
    assert find_running(tmp_path) is None
    with Claim(tmp_path) as claim:
        assert find_running(tmp_path) is None, "the servers are not announced yet"
        claim.announce(RUNNING)
        assert find_running(tmp_path) == RUNNING
        assert (tmp_path / "running.json").stat().st_mode & 0o777 == 0o600
    assert find_running(tmp_path) is None


def test_the_file_of_a_killed_make_run_is_ignored(tmp_path: Path) -> None:
    with Claim(tmp_path) as claim:
        claim.announce(RUNNING)
        left = (tmp_path / "running.json").read_bytes()
    (tmp_path / "running.json").write_bytes(left)
    assert find_running(tmp_path) is None


def test_a_claimed_folder_cannot_be_claimed_again(tmp_path: Path) -> None:
    with Claim(tmp_path) as claim:
        claim.announce(RUNNING)
        with pytest.raises(AlreadyRunning, match=f"already runs on .* \\(process {os.getpid()}, http://127.0.0.1:1\\)"):
            Claim(tmp_path).__enter__()
        assert find_running(tmp_path) is not None, "the second claim removed the first one"
    with Claim(tmp_path):
        pass


def test_settings_without_servers_get_those_of_the_running_make_run(tmp_path: Path) -> None:
    settings = Settings(data_directory=tmp_path)
    with Claim(tmp_path) as claim:
        claim.announce(RUNNING)
        found = with_servers(settings)
        assert (found.database_url, found.redis_url) == ("postgresql:///one", "redis:///two")
        assert with_servers(settings, is_owner=True).database_url == "postgresql:///owner"
        mixed = with_servers(replace(settings, redis_url="redis://mine"))
        assert (mixed.database_url, mixed.redis_url) == ("postgresql:///one", "redis://mine")


def test_settings_without_servers_are_refused_in_one_line_when_nothing_runs(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings, match=r"^DATABASE_URL and REDIS_URL: not set, and no `make run` [^\n]+$"):
        with_servers(Settings(data_directory=tmp_path))


def test_settings_with_servers_are_not_changed(tmp_path: Path) -> None:
    settings = Settings(data_directory=tmp_path, database_url="postgresql://mine", redis_url="redis://mine")
    assert with_servers(settings) is settings
