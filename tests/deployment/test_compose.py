"""compose.yaml agrees with the other parts of the deployment, which rely on it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
import yaml

from shared.access.push_key import new_push_key
from shared.settings import InvalidSettings, Settings
from shared.workers.parent import CLEANING_SECONDS
from tests.deployment.composefile import VARIABLE, Missing, NotKnown, environment, merged, read
from tests.support.secret import JWT_SECRET

CHECKOUT = Path(__file__).parents[2]
COMPOSE = read(CHECKOUT / "compose.yaml")
SERVICES: dict[str, Any] = COMPOSE["services"]
WITH_MAIL = merged(COMPOSE, read(CHECKOUT / "compose.mail.yaml"))
WITH_TLS = merged(COMPOSE, read(CHECKOUT / "compose.tls.yaml"))
WITH_S3 = merged(COMPOSE, read(CHECKOUT / "compose.s3.yaml"))
PROCESSES = ["gateway-1", "gateway-2", "api-1", "api-2"]
ENDING = ["operator", "postgres-roles", "schema"]
"""These services do their work once and end."""
NGINX = CHECKOUT / "deploy" / "nginx"
SECRETS = {"jwt_secrets": JWT_SECRET, "postgres_password": "p@ss:/word", "redis_password": "p@ss:/words"}
MAIL_SECRETS = {"smtp_url": "smtps://cars:p%40ss@mail.example.com", "vapid_private_key": new_push_key()}
S3_SECRETS = {"aws_access_key_id": "a key", "aws_secret_access_key": "its secret"}
TLS_SECRETS = {"tls_certificate", "tls_key"}
MOUNTED = "/run/secrets/"


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    """The folder of the secrets, as an operator makes it."""
    for name, secret in SECRETS.items():
        (tmp_path / name).write_text(f"{secret}\n", encoding="utf-8")
    return tmp_path


def settings_of(
    name: str, secrets: Path, compose: dict[str, Any] = COMPOSE, variables: Mapping[str, str] | None = None
) -> Settings:
    """The settings that a service reads in its container, where it finds the secrets that it names."""
    service = compose["services"][name]
    given = environment(service, variables or {})
    for variable, path in given.items():
        if variable.endswith("_FILE"):
            assert path.startswith(MOUNTED)
            assert path.removeprefix(MOUNTED) in service["secrets"]
            given[variable] = str(secrets / path.removeprefix(MOUNTED))
    return Settings.from_environment(given)


@pytest.mark.parametrize("name", [*PROCESSES, "operator", "schema"])
def test_the_settings_are_valid_in_production(name: str, secrets: Path) -> None:
    settings = settings_of(name, secrets)
    assert settings.is_production
    assert settings.rate_limits
    assert (*settings.jwt_secrets, settings.database_password, settings.redis_password) == tuple(SECRETS.values())
    (secrets / "jwt_secrets").write_text("short", encoding="utf-8")
    with pytest.raises(InvalidSettings, match="JWT_SECRETS"):
        settings_of(name, secrets)


@pytest.mark.parametrize("missing", SECRETS)
def test_no_secret_has_a_default(missing: str, secrets: Path) -> None:
    assert COMPOSE["secrets"] == {name: {"file": f"./secrets/{name}"} for name in SECRETS}
    (secrets / missing).unlink()
    for name in (*PROCESSES, "operator"):
        with pytest.raises(InvalidSettings, match=f"_FILE: cannot read .*{missing}"):
            settings_of(name, secrets)


def test_secrets_are_in_no_environment_and_each_service_has_only_its_own() -> None:
    for name, service in SERVICES.items():
        variables = service.get("environment", {})
        secret = {each for each in variables if re.search("PASSWORD|SECRET", each) and not each.endswith("_FILE")}
        assert not secret, name
        assert not any(re.search("://.*:.*@", str(value)) for value in variables.values()), name
    assert {name: set(service.get("secrets", ())) for name, service in SERVICES.items()} == {
        **{name: set(SECRETS) for name in (*PROCESSES, "operator", "schema")},
        "postgres": {"postgres_password"},
        "postgres-roles": {"postgres_password"},
        "redis": {"redis_password"},
        "nginx": set(),
    }
    assert "/secrets/\n" in (CHECKOUT / ".gitignore").read_text(encoding="utf-8")


def test_the_only_trusted_proxy_is_nginx(secrets: Path) -> None:
    address = SERVICES["nginx"]["networks"]["front"]["ipv4_address"]
    for name in PROCESSES:
        [network] = settings_of(name, secrets).trusted_proxies
        assert str(network) == f"{address}/32"


def test_nginx_knows_every_process_by_name_and_address() -> None:
    upstreams = (NGINX / "upstreams.conf").read_text(encoding="utf-8")
    names = dict(host.split(":") for host in SERVICES["nginx"]["extra_hosts"])
    assert names == {name: SERVICES[name]["networks"]["front"]["ipv4_address"] for name in PROCESSES}
    assert set(re.findall(r"server ([a-z0-9-]+):", upstreams)) == set(PROCESSES)


def test_only_nginx_can_be_reached_from_outside() -> None:
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["nginx"]
    for name in ("postgres", "redis", "operator"):
        assert SERVICES[name]["networks"] == ["back"]
    for name in ("postgres-roles", "schema"):
        assert SERVICES[name]["network_mode"] == "none"


def test_only_nginx_can_reach_the_outside() -> None:
    networks = COMPOSE["networks"]
    assert {name for name, network in networks.items() if not network.get("internal")} == {"outside"}
    assert {name for name, service in SERVICES.items() if "outside" in service.get("networks", ())} == {"nginx"}
    for name, service in SERVICES.items():
        # A service that names no network would get one with a way out.
        assert ("networks" in service) != (service.get("network_mode") == "none"), name
    for name in PROCESSES:
        assert set(SERVICES[name]["networks"]) == {"front", "back"}
    assert set(SERVICES["nginx"]["networks"]) == {"outside", "front"}


@pytest.mark.parametrize("name", ["api-1", "api-2"])
def test_mail_and_push_messages_need_one_more_file_and_few_settings(name: str, secrets: Path) -> None:
    plain = settings_of(name, secrets)
    assert not plain.has_mail
    assert not plain.vapid_private_key
    for secret, value in MAIL_SECRETS.items():
        (secrets / secret).write_text(f"{value}\n", encoding="utf-8")
    given = {"SITE_URL": "https://cars.example.com", "MAIL_FROM": "cars@example.com", "CONFIRM_ADDRESSES": "off"}
    settings = settings_of(name, secrets, WITH_MAIL, {**given, "VAPID_CONTACT": "mailto:me@example.com"})
    assert (settings.smtp_url, settings.vapid_private_key) == tuple(MAIL_SECRETS.values())
    assert (settings.mail_from, settings.vapid_contact) == ("cars@example.com", "mailto:me@example.com")
    assert settings.has_mail
    assert not settings.confirms_addresses
    assert settings_of(name, secrets, WITH_MAIL, {"SITE_URL": "https://cars.example.com"}).confirms_addresses
    (secrets / "smtp_url").unlink()
    with pytest.raises(InvalidSettings, match="SMTP_URL_FILE: cannot read"):
        settings_of(name, secrets, WITH_MAIL, given)


@pytest.mark.parametrize("name", ["api-1", "api-2"])
def test_pictures_in_s3_need_one_key_and_few_settings(name: str, secrets: Path) -> None:
    assert settings_of(name, secrets).pictures_url == "file:///daveslist/data/pictures"
    for secret, value in S3_SECRETS.items():
        (secrets / secret).write_text(f"{value}\n", encoding="utf-8")
    settings = settings_of(name, secrets, WITH_S3, {"PICTURES_URL": "s3://cars/pictures", "AWS_REGION": "x"})
    assert settings.pictures_url == "s3://cars/pictures"
    assert (settings.aws_access_key_id, settings.aws_secret_access_key) == tuple(S3_SECRETS.values())
    assert settings.aws_endpoint_url == ""
    own = {"PICTURES_URL": "s3://cars/pictures", "AWS_ENDPOINT_URL": "https://s3.example.com"}
    assert settings_of(name, secrets, WITH_S3, own).aws_endpoint_url == "https://s3.example.com"
    with pytest.raises(Missing, match="PICTURES_URL"):
        settings_of(name, secrets, WITH_S3)


def test_tls_adds_a_port_the_certificate_and_another_listen_conf_to_nginx_alone() -> None:
    services = WITH_TLS["services"]
    assert {name: service for name, service in services.items() if name != "nginx"} == {
        name: service for name, service in SERVICES.items() if name != "nginx"
    }
    nginx = services["nginx"]
    assert nginx["ports"] == [*SERVICES["nginx"]["ports"], "${TLS_PORT:-8443}:8443"]
    assert set(nginx["secrets"]) == TLS_SECRETS
    assert nginx["volumes"] == [
        *SERVICES["nginx"]["volumes"],
        "./deploy/nginx/listen_tls.conf:/etc/daveslist/listen.conf:ro",
    ]
    listen = (NGINX / "listen_tls.conf").read_text(encoding="utf-8")
    assert set(re.findall(f"{MOUNTED}([a-z_]+);", listen)) == TLS_SECRETS
    assert re.findall(r"^listen (.+);$", listen, re.MULTILINE) == ["8443 ssl", "[::]:8443 ssl", "8080", "[::]:8080"]


@pytest.mark.parametrize(("compose", "added"), [(WITH_MAIL, set(MAIL_SECRETS)), (WITH_S3, set(S3_SECRETS))])
def test_only_the_apis_get_a_way_out_and_the_secrets_for_it(compose: dict[str, Any], added: set[str]) -> None:
    apis = ["api-1", "api-2"]
    services = compose["services"]
    assert [name for name, service in services.items() if "out" in service.get("networks", ())] == apis
    ways_out = {name for name, network in compose["networks"].items() if not (network or {}).get("internal")}
    assert ways_out == {"outside", "out"}
    for name, service in services.items():
        has_one = not added.isdisjoint(service.get("secrets", ()))
        assert has_one is (name in apis), name
        if name not in apis:
            assert service == SERVICES[name]
    for name in apis:
        assert set(services[name]["networks"]) == {"front", "back", "out"}
        assert set(services[name]["secrets"]) == {*SECRETS, *added}
        left = {**services[name], "networks": None, "secrets": None, "environment": None}
        assert left == {**SERVICES[name], "networks": None, "secrets": None, "environment": None}
    assert {name: compose["secrets"][name] for name in added} == {name: {"file": f"./secrets/{name}"} for name in added}


def test_visitors_can_reach_nginx_by_ipv6() -> None:
    outside = COMPOSE["networks"]["outside"]
    assert outside["enable_ipv6"] is True
    [six] = (ip_network(config["subnet"]) for config in outside["ipam"]["config"])
    assert six.version == 6
    assert six.subnet_of(ip_network("fd00::/8"))  # type: ignore[arg-type]
    listens = re.findall(r"^listen (.+);$", (NGINX / "listen.conf").read_text(encoding="utf-8"), re.MULTILINE)
    assert listens == ["8080", "[::]:8080"]


def test_every_lasting_service_has_a_health_check_and_is_restarted() -> None:
    dockerfile = (CHECKOUT / "Dockerfile").read_text(encoding="utf-8")
    for name, service in SERVICES.items():
        if name in ENDING:
            continue
        assert service["restart"] == "unless-stopped"
        if name in PROCESSES:
            _, _, stage = dockerfile.partition(f"\nFROM base AS {name.partition('-')[0]}\n")
            assert "\nHEALTHCHECK " in stage.partition("\nFROM ")[0]
        else:
            assert service["healthcheck"]["test"]


def test_the_health_check_of_nginx_does_not_depend_on_other_processes() -> None:
    [url] = [word for word in SERVICES["nginx"]["healthcheck"]["test"] if word.startswith("http")]
    path = url.removeprefix("http://127.0.0.1:8080")
    block = (NGINX / "nginx.conf").read_text(encoding="utf-8").partition(f"location = {path} {{")[2].partition("}\n")[0]
    assert "return 200" in block
    assert "proxy_pass" not in block


def test_postgres_is_not_ready_while_its_image_initializes_an_empty_volume() -> None:
    test = SERVICES["postgres"]["healthcheck"]["test"]
    assert test[test.index("-h") + 1] == "127.0.0.1"


@pytest.mark.parametrize("name", SERVICES)
def test_every_log_is_bounded(name: str) -> None:
    logging = SERVICES[name]["logging"]
    assert logging["driver"] == "json-file"
    assert set(logging["options"]) == {"max-size", "max-file"}


@pytest.mark.parametrize("name", SERVICES)
def test_no_service_can_gain_privileges(name: str) -> None:
    service = SERVICES[name]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["cap_drop"] == ["ALL"]
    if name == "postgres":  # Its image starts as root, changes the owner of its folder, and then drops its rights.
        assert service["cap_add"] == ["CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID"]
    else:
        assert "cap_add" not in service
        assert service["read_only"] is True


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_has_a_bounded_number_of_bytes_and_processes(name: str) -> None:
    assert re.fullmatch(r"\d+[mg]", SERVICES[name]["mem_limit"])
    assert 0 < SERVICES[name]["pids_limit"] <= 512
    # A folder in memory has half of the machine's by default.
    assert all(re.search(r"[:,]size=\d+m$", folder) for folder in SERVICES[name].get("tmpfs", []))


def test_what_nginx_keeps_is_bounded() -> None:
    [folder] = SERVICES["nginx"]["tmpfs"]
    size = re.search(r",size=(\d+)m$", folder)
    assert size is not None
    # The folder counts as memory of the container, which needs some for connections as well.
    assert 2 * int(size[1]) <= int(SERVICES["nginx"]["mem_limit"].removesuffix("m"))


def test_redis_has_a_writable_folder() -> None:
    user, _, group = SERVICES["redis"]["user"].partition(":")
    assert SERVICES["redis"]["tmpfs"] == [f"/data:uid={user},gid={group},size=16m"]


def test_every_image_is_named_by_an_exact_version() -> None:
    """A tag that moves would be another image tomorrow. nginx's branch is a stable one that still gets fixes."""
    others = {service["image"] for service in SERVICES.values() if not service["image"].startswith("daveslist-")}
    bases = set(re.findall(r"^FROM (\S+:\S+) ", (CHECKOUT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE))
    assert len(bases) == 1
    for image in others | bases:
        assert re.search(r":\d+\.\d+(\.\d+)?(-[a-z]+)?$", image), image
    [nginx] = [image for image in others if image.startswith("nginx:")]
    major, minor, fix = (int(number) for number in re.findall(r"\d+", nginx)[:3])
    assert (major, minor, fix) >= (1, 30, 7)
    assert minor % 2 == 0


@pytest.mark.parametrize("name", ["production", "run", "test", "node", "audit", "peers"])
def test_every_locked_package_has_hashes_and_the_lock_names_no_registry(name: str) -> None:
    text = (CHECKOUT / "requirements" / f"{name}.lock").read_text(encoding="utf-8")
    entries = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]
    assert entries
    for entry in entries:
        assert re.match(r"[a-z0-9-]+==\S+ ", entry), entry
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", entry), entry
    assert "://" not in text
    assert "index-url" not in text


def test_packages_are_installed_by_their_hashes() -> None:
    for name in ("Dockerfile", "Makefile"):
        installs = re.findall(r"pip .*\binstall .*", (CHECKOUT / name).read_text(encoding="utf-8"))
        assert installs
        for line in installs:
            if "uninstall" not in line:
                assert "--no-deps --require-hashes" in line


def test_only_one_service_builds_each_image() -> None:
    """If two services build one image, each builds its own, and so a second `up` replaces a container."""
    built = {name: service["image"] for name, service in SERVICES.items() if "build" in service}
    assert built == {"gateway-1": "daveslist-gateway", "api-1": "daveslist-api"}
    assert {SERVICES[name]["image"] for name in (*PROCESSES, "operator", "schema")} == set(built.values())
    for name, image in built.items():
        assert SERVICES[name]["build"] == {"context": ".", "target": image.removeprefix("daveslist-")}


def test_the_operator_service_has_the_image_and_settings_of_the_api() -> None:
    operator, api = SERVICES["operator"], SERVICES["api-1"]
    assert operator["profiles"] == ["operator"]
    assert (operator["restart"], operator["healthcheck"]) == ("no", {"disable": True})
    for key in ("image", "environment", "secrets", "volumes", "depends_on"):
        assert operator[key] == api[key]


def test_the_processes_wait_for_schema_and_roles_and_use_a_role_that_can_change_neither() -> None:
    ended = {"condition": "service_completed_successfully"}
    for name in (*PROCESSES, "operator"):
        assert SERVICES[name]["depends_on"]["schema"] == ended
        assert SERVICES[name]["environment"]["DATABASE_URL"].startswith("postgresql://daveslist_processes@postgres:")
    schema = SERVICES["schema"]
    assert schema["depends_on"] == {"postgres-roles": ended}
    assert schema["command"] == ["python", "-m", "api", "schema"]
    assert schema["environment"]["DATABASE_URL"] == "postgresql://daveslist@/daveslist?host=/var/run/postgresql"
    role, server = SERVICES["postgres-roles"], SERVICES["postgres"]
    assert role["image"] == server["image"]
    assert server["environment"]["POSTGRES_USER"] == role["environment"]["PGUSER"] == "postgres"
    assert server["environment"]["POSTGRES_DB"] == role["environment"]["PGDATABASE"] == "daveslist"
    shared = {name for name, service in SERVICES.items() if "postgres-socket" in str(service.get("volumes"))}
    assert shared == {"postgres", "postgres-roles", "schema"}
    for service in (role, schema):
        assert service["restart"].startswith("on-failure")


def test_nginx_does_not_wait_for_open_sockets_when_it_stops() -> None:
    assert SERVICES["nginx"]["stop_signal"] == "SIGTERM"


@pytest.mark.parametrize("name", PROCESSES)
def test_a_process_has_time_to_stop(name: str, secrets: Path) -> None:
    settings = settings_of(name, secrets)
    assert int(SERVICES[name]["stop_grace_period"].removesuffix("s")) > settings.shutdown_seconds + CLEANING_SECONDS


def test_postgres_allows_enough_connections_for_all_processes() -> None:
    [most] = [int(word.partition("=")[2]) for word in SERVICES["postgres"]["command"] if "max_connections" in word]
    assert most >= len(PROCESSES) * Settings().database_pool_size + 20


def passed_on(compose: dict[str, Any]) -> set[str]:
    """The variables of the environment, or of `.env`, that a file uses."""
    return {name for name, _, _ in VARIABLE.findall(yaml.safe_dump(compose, width=10_000))}


def test_the_head_of_the_file_names_every_variable_that_it_uses() -> None:
    head = (CHECKOUT / "compose.yaml").read_text(encoding="utf-8").partition("\nx-logging")[0]
    sentences = re.findall(r"#\n# (PORT.*?optional too)", head, re.DOTALL)[0]
    assert passed_on(COMPOSE) == set(re.findall(r"\b[A-Z]+(?:_[A-Z]+)+\b|\bPORT\b", sentences))


def test_every_variable_that_the_guide_puts_into_the_file_reaches_the_deployment() -> None:
    guide = (CHECKOUT / "docs" / "operating.md").read_text(encoding="utf-8")
    lines = re.findall(r"^printf '%s\\n' (.*) >> \.env$", guide, re.MULTILINE)
    names = {name for line in lines for name in re.findall(r"([A-Z_]+)=", line)}
    assert names >= {"PORT", "TLS_PORT", "SITE_URL", "PICTURES_URL", "AWS_REGION", "COMPOSE_FILE"}
    # The engine itself reads the last one. A variable without a value is passed on as well.
    bare = {name for service in WITH_S3["services"].values() for name in service.get("environment", {})}
    assert names - {"COMPOSE_FILE"} <= passed_on(WITH_TLS) | passed_on(WITH_MAIL) | passed_on(WITH_S3) | bare


@pytest.mark.parametrize("name", PROCESSES)
def test_the_settings_of_several_processes_reach_each_of_them(name: str, secrets: Path) -> None:
    usual = Settings()
    plain = settings_of(name, secrets, variables={"DATABASE_POOL_SIZE": ""})
    assert plain.database_pool_size == usual.database_pool_size
    given = {"GATEWAY_WORKERS": "3", "API_WORKERS": "2", "DATABASE_POOL_SIZE": str(advised_pool())}
    settings = settings_of(name, secrets, variables=given)
    assert (settings.gateway_workers, settings.api_workers) == (3, 2)
    assert settings.database_pool_size == advised_pool() != usual.database_pool_size


def advised_pool() -> int:
    """What the guide says for two workers of each process of the deployment."""
    guide = (CHECKOUT / "docs" / "operating.md").read_text(encoding="utf-8")
    [size] = re.findall(r"\*\*How many\.\*\*(?:.(?!\n\n))*?set `DATABASE_POOL_SIZE=(\d+)`", guide, re.DOTALL)
    return int(size)


def test_with_the_advised_pools_two_workers_each_fit_into_postgres_while_one_api_replaces_its_workers() -> None:
    [most] = [int(word.partition("=")[2]) for word in SERVICES["postgres"]["command"] if "max_connections" in word]
    of_gateway, of_api = advised_pool() + 1, advised_pool() + 8
    kept_for_superusers = 3
    assert 4 * of_gateway + 4 * of_api + of_api <= most - kept_for_superusers
    # The usual pools do not fit.
    assert 4 * (Settings().database_pool_size + 1) + 4 * (Settings().database_pool_size + 8) > most


@pytest.mark.parametrize("command", ["up --detach --no-deps", "docker run", "--no-recreate"])
def test_the_guide_has_no_command_that_bypasses_compose_up(command: str) -> None:
    assert command not in (CHECKOUT / "docs" / "operating.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "change",
    [
        {"services": {"redis": {"privileged": True}}},
        {"services": {"redis": {"hostname": "redis"}}},
        {"services": {"redis": {"image": "$TAG"}}},
        {"services": {"redis": {"image": "valkey:${TAG-9}"}}},
        {"services": {"redis": {"image": "valkey:${TAG:+9}"}}},
        {"services": {"redis": {"image": "valkey:${TAG:-${OTHER}}"}}},
        {"services": {"redis": {"command": ["valkey-server", "$$$NAME"]}}},
        {"services": {"redis": {"healthcheck": {"start_interval": "1s"}}}},
        {"services": {"redis": {"networks": {"back": {"priority": 1}}}}},
        {"services": {"redis": {"networks": ["elsewhere"]}}},
        {"services": {"api-1": {"build": {"args": {"A": "1"}}}}},
        {"services": {"api-1": {"depends_on": {"redis": {"condition": "service_started"}}}}},
        {"services": {"api-1": {"depends_on": {"redis": {"condition": "service_healthy", "restart": True}}}}},
        {"services": {"api-1": {"depends_on": {"mailer": {"condition": "service_healthy"}}}}},
        {"networks": {"back": {"driver": "host"}}},
        {"volumes": {"pictures": {"external": True}}},
        {"include": ["other.yaml"]},
        {"secrets": {"jwt_secrets": {"environment": "JWT_SECRETS"}}},
        {"services": {"redis": {"secrets": ["other"]}}},
        {"configs": {}},
    ],
    ids=str,
)
def test_an_unknown_key_or_form_fails(tmp_path: Path, change: dict[str, Any]) -> None:
    text = (CHECKOUT / "compose.yaml").read_text(encoding="utf-8")
    changed = tmp_path / "compose.yaml"
    changed.write_text(yaml.safe_dump(_merged(yaml.safe_load(text), change)), encoding="utf-8")
    with pytest.raises(NotKnown):
        read(changed)


def _merged(base: Any, change: Any) -> Any:
    if not (isinstance(base, dict) and isinstance(change, dict)):
        return change
    return {**base, **{key: _merged(base.get(key), value) for key, value in change.items()}}
