"""A process that cannot start with its settings ends with one line that names the wrong variable."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.support.ports import free_port
from tests.support.processes import NURSERY, base_environment
from tests.support.sentinels import SentinelServers

pytestmark = pytest.mark.servers

MODULES = ("gateway", "api", "development")
WRONG = {
    "ALLOWED_ORIGINS": "nonsense here",
    "REDIS_URL": "nonsense",
}


def start(module: str, directory: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `python -m MODULE`, and wait until it ends."""
    given = {
        **base_environment(),
        "DATA_DIRECTORY": str(directory),
        "API_PORT": str(free_port()),
        "GATEWAY_PORT": str(free_port()),
        "DATABASE_URL": "postgresql://127.0.0.1:1/none",
        "REDIS_URL": "redis://127.0.0.1:1",
        **environment,
    }
    return NURSERY.run(module, environment=given)


def line_of(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode in (1, 2)
    (line,) = (done.stdout + done.stderr).splitlines()
    return line


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize(("name", "text"), WRONG.items())
def test_an_invalid_setting_is_named_in_one_line(module: str, name: str, text: str, tmp_path: Path) -> None:
    assert f"{name}: " in line_of(start(module, tmp_path / "data", **{name: text}))


@pytest.mark.parametrize("module", ["gateway", "api"])
def test_a_service_that_the_sentinels_do_not_know_is_named(
    module: str, sentinels: SentinelServers, tmp_path: Path
) -> None:
    line = line_of(start(module, tmp_path / "data", REDIS_URL=f"redis+sentinel://{sentinels.hosts}/vans"))
    assert line == f"python -m {module}: REDIS_URL: the sentinels know no service 'vans'"


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize("kind", ["below a file", "read-only"])
def test_a_data_directory_that_is_not_writable_is_named(module: str, kind: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    directory = tmp_path / "file" / "data" if kind == "below a file" else Path("/proc")
    assert "DATA_DIRECTORY: " in line_of(start(module, directory))


@pytest.mark.parametrize("url", ["file:///proc", "file:///dev/null", "nonsense"])
def test_an_unusable_place_for_pictures_is_named(url: str, tmp_path: Path) -> None:
    assert "PICTURES_URL: " in line_of(start("api", tmp_path / "data", PICTURES_URL=url))


@pytest.mark.parametrize("host", ["192.0.2.1"])
def test_an_address_of_another_machine_is_named(host: str, tmp_path: Path) -> None:
    done = start("gateway", tmp_path / "data", GATEWAY_HOST=host)
    assert done.returncode == 1
    assert "GATEWAY_HOST, GATEWAY_PORT: cannot listen" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
