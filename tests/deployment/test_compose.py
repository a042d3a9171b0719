"""compose.yaml says what the other parts of the deployment rely on."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from shared.settings import InvalidSettings, Settings

CHECKOUT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((CHECKOUT / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, Any] = COMPOSE["services"]
PROCESSES = ["gateway-1", "gateway-2", "api-1", "api-2"]


def environment(name: str, given: dict[str, str]) -> dict[str, str]:
    """As the engine would hand it over: `${NAME}`, `${NAME:-default}`, `${NAME:?message}`."""

    def value(match: re.Match[str]) -> str:
        name, operator, text = match.groups()
        if not given.get(name) and operator == ":?":
            raise KeyError(f"{name}: {text}")
        return given.get(name) or (text if operator == ":-" else "")

    found = {}
    for variable, text in SERVICES[name]["environment"].items():
        if text is not None:
            found[variable] = re.sub(r"\$\{([A-Z_]+)(?:(:[-?])([^}]*))?\}", value, text)
        elif variable in given:
            found[variable] = given[variable]
    return found


SECRETS = {"JWT_SECRET": "x" * 32, "POSTGRES_PASSWORD": "p@ss:/word"}


@pytest.mark.parametrize("name", PROCESSES)
def test_the_settings_are_good_for_production(name: str) -> None:
    settings = Settings.from_environment(environment(name, SECRETS))
    assert settings.is_production
    assert settings.rate_limits
    with pytest.raises(InvalidSettings, match="JWT_SECRET"):
        Settings.from_environment(environment(name, {**SECRETS, "JWT_SECRET": "short"}))


@pytest.mark.parametrize("missing", SECRETS)
def test_no_secret_has_a_default(missing: str) -> None:
    given = {name: value for name, value in SECRETS.items() if name != missing}
    for name in PROCESSES:
        with pytest.raises(KeyError, match=missing):
            environment(name, given)


def test_the_only_trusted_proxy_is_nginx() -> None:
    address = SERVICES["nginx"]["networks"]["front"]["ipv4_address"]
    for name in PROCESSES:
        [network] = Settings.from_environment(environment(name, SECRETS)).trusted_proxies
        assert str(network) == f"{address}/32"


def test_nginx_knows_every_process_by_name_and_address() -> None:
    upstreams = (CHECKOUT / "deploy" / "nginx" / "upstreams.conf").read_text(encoding="utf-8")
    names = dict(host.split(":") for host in SERVICES["nginx"]["extra_hosts"])
    assert names == {name: SERVICES[name]["networks"]["front"]["ipv4_address"] for name in PROCESSES}
    assert set(re.findall(r"server ([a-z0-9-]+):", upstreams)) == set(PROCESSES)


def test_one_port_is_open_and_the_servers_are_reached_from_inside_alone() -> None:
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["nginx"]
    assert COMPOSE["networks"]["back"] == {"internal": True}
    for name in ("postgres", "redis"):
        assert SERVICES[name]["networks"] == ["back"]


def test_everything_is_checked_and_started_again() -> None:
    dockerfile = (CHECKOUT / "Dockerfile").read_text(encoding="utf-8")
    for name, service in SERVICES.items():
        assert service["restart"] == "unless-stopped"
        if name in PROCESSES:
            _, _, stage = dockerfile.partition(f"\nFROM base AS {service['build']['target']}\n")
            assert "\nHEALTHCHECK " in stage.partition("\nFROM ")[0]
        else:
            assert service["healthcheck"]["test"]


@pytest.mark.parametrize("name", PROCESSES)
def test_a_process_has_time_to_stop(name: str) -> None:
    settings = Settings.from_environment(environment(name, SECRETS))
    assert int(SERVICES[name]["stop_grace_period"].removesuffix("s")) >= settings.shutdown_seconds + 5


def test_the_connections_to_postgres_are_enough_for_all_processes() -> None:
    [most] = [int(word.partition("=")[2]) for word in SERVICES["postgres"]["command"] if "max_connections" in word]
    assert most >= len(PROCESSES) * Settings().database_pool_size + 20
