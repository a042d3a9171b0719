"""The part `peers` says how to install its packages, and compares only servers that answer alike."""

from __future__ import annotations

import venv
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shared.settings import Settings
from tests.bench.__main__ import main
from tests.bench.load_run import LoadFailed
from tests.bench.parts import peers
from tests.bench.parts.peers import PEERS, check
from tests.support.ports import free_port
from tests.support.processes import CHECKOUT, Node, Processes
from tests.support.secret import JWT_SECRET


@pytest.fixture
async def processes(tmp_path: Path) -> AsyncIterator[Processes]:
    """Processes that need neither Postgres nor Redis."""
    running = Processes(Settings(jwt_secrets=(JWT_SECRET,)), tmp_path)
    try:
        yield running
    finally:
        await running.stop()


async def started(processes: Processes, module: str) -> Node:
    port = free_port()
    return await processes.start(f"tests.bench.{module}", "--port", str(port), port=port)


def test_without_its_packages_the_part_says_in_one_line_how_to_install_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(peers, "PYTHON", tmp_path / "python")
    assert main(["peers"]) == 1
    output, errors = capsys.readouterr()
    assert output == ""
    assert errors.splitlines() == [
        "python -m tests.bench: the part `peers` needs packages of its own: run `make bench-peers`"
    ]


@pytest.mark.servers
def test_where_an_installation_was_interrupted_the_line_names_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    venv.create(tmp_path, symlinks=True)
    monkeypatch.setattr(peers, "PYTHON", tmp_path / "bin" / "python")
    assert main(["peers"]) == 1
    output, errors = capsys.readouterr()
    assert output == ""
    assert errors.splitlines() == [
        "python -m tests.bench: the packages of the part `peers` are incomplete"
        " (ModuleNotFoundError: No module named 'picows'): run `make bench-peers`"
    ]


def test_every_peer_has_its_module() -> None:
    modules = {path.stem for path in (CHECKOUT / "tests" / "bench" / "peers").glob("*_echo.py")}
    assert modules == set(PEERS.values())


@pytest.mark.servers
async def test_a_server_that_answers_as_the_bare_echo_does_may_be_compared(processes: Processes) -> None:
    await check(await started(processes, "bare_echo"))


@pytest.mark.servers
async def test_a_server_that_answers_otherwise_is_not_compared(processes: Processes) -> None:
    server = await started(processes, "bare_broadcast")
    with pytest.raises(LoadFailed, match="shout"):
        await check(server)
