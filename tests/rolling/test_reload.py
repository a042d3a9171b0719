"""A reload (SIGHUP) of several workers goes from the release before to this one, and back: the parent stays.

The program is replaced on disk while it runs, as an operator does it.
"""

from __future__ import annotations

import shutil
import signal
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from development.child import happens
from shared.postgres.schema import apply_schema
from shared.settings import Settings
from shared.workers.child import SILENT_SECONDS
from tests.rolling.release_before import CHECKOUT, PROGRAM, database_of, unpack
from tests.support.ports import free_port
from tests.support.processes import Node, Processes
from tests.support.roles import as_owner
from tests.support.secret import JWT_SECRET
from tests.support.servers import Servers
from tests.workers.crew import SOON, all_up, begun, living, logged, more_served, one_waits, values, visitors

pytestmark = pytest.mark.servers

PATHS = {"api": "/health/ready", "gateway": "/health/accepting"}
KILLED = "a worker gives no sign of life; it is killed"


@dataclass(frozen=True)
class Releases:
    before: Path
    this: Path


@pytest.fixture
def releases(tmp_path: Path) -> Releases:
    """The programs of both, each in a folder of its own."""
    found = Releases(tmp_path / "before", tmp_path / "this")
    unpack(found.before)
    found.this.mkdir()
    for name in PROGRAM:
        _copy(CHECKOUT / name, found.this / name)
    return found


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy2(source, target)


def install(program: Path, folder: Path) -> None:
    """Put a release in the place of the one in the folder, which must exist."""
    for name in PROGRAM:
        target = folder / name
        if target.is_dir():
            shutil.rmtree(target)
        _copy(program / name, target)


@pytest.mark.parametrize("module", ["gateway", "api"])
@pytest.mark.parametrize("direction", ["upgrade", "rollback"])
async def test_a_reload_goes_to_the_other_release_and_refuses_nobody(
    servers: Servers, redis_url: str, releases: Releases, tmp_path: Path, module: str, direction: str
) -> None:
    first, second = (releases.before, releases.this) if direction == "upgrade" else (releases.this, releases.before)
    served = tmp_path / "served"
    served.mkdir()
    install(first, served)
    with database_of(releases.before, servers) as database_url:
        settings = Settings(
            database_url=database_url,
            redis_url=redis_url,
            jwt_secrets=(JWT_SECRET,),
            data_directory=tmp_path / "data",
            drain_seconds=0.2,
            shutdown_seconds=10.0,
        )
        # The new schema comes before the new processes, and stays when they go.
        await apply_schema(replace(settings, database_url=as_owner(database_url)))
        processes = Processes(settings, tmp_path, served, nursery=None)
        port = free_port()
        given = {f"{module.upper()}_PORT": str(port), f"{module.upper()}_WORKERS": "2"}
        try:
            parent = await processes.start(module, port=port, environment=given, ready="/health/ready")
            await _reload(parent, second, served, PATHS[module])
            # Each worker lives for longer than a parent of this release waits for a sign of life.
            killed = first is releases.this and await happens(lambda: bool(logged(parent, KILLED)), SILENT_SECONDS + 3)
            assert not killed, parent.output()
            assert {pids[-1] for pids in begun(parent).values()} <= living(parent)
            assert "Traceback" not in parent.output(), parent.output()
            assert await parent.stop() == 0
        finally:
            await processes.stop()


async def _reload(parent: Node, release: Path, served: Path, path: str) -> None:
    """Install the release and replace the workers while people visit. Each is served, and no worker begins twice."""
    await all_up(parent)
    await one_waits(parent)
    async with visitors(parent, path) as visits:
        install(release, served)
        parent.signal(signal.SIGHUP)
        assert await happens(lambda: bool(logged(parent, "the workers are replaced")), 2 * SOON), parent.output()
        await more_served(visits, 50)
        # The page of either release has all workers, also while parent and workers are of two releases.
        assert set(values(await all_up(parent), "process_open_fds")) == {"1", "2"}
    assert visits.failed == []
    assert {number: len(pids) for number, pids in begun(parent).items()} == {1: 2, 2: 2}, parent.output()
