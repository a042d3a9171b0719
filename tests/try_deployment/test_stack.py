"""Tests how the walk reads compose.yaml and the output of an engine. No engine is needed."""

from __future__ import annotations

import re
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.try_deployment.engine import Engine
from tests.try_deployment.stack import (
    CHECKOUT,
    SECRETS,
    Stack,
    copy_of_the_deployment,
    environment_of_an_operator,
    is_lasting,
    overlapping,
    plain,
    scratch_folder,
)
from tests.try_deployment.steps.replacing import other_header, third_gateway, third_upstream

COMPOSE = (CHECKOUT / "compose.yaml").read_text(encoding="utf-8")
UPSTREAMS = (CHECKOUT / "deploy" / "nginx" / "upstreams.conf").read_text(encoding="utf-8")


def test_the_environment_has_only_the_walks_own_settings() -> None:
    given = {"PATH": "/bin", "ALLOWED_ORIGINS": "x", "LOG_LEVEL": "y", "COMPOSE_FILE": "z", "AWS_REGION": "a"}
    environment = environment_of_an_operator(given, "mine")
    ports = {"PORT": "0", "TLS_PORT": "0"}
    assert environment == {"PATH": "/bin", "COMPOSE_PROJECT_NAME": "mine", "COMPOSE_ANSI": "never", **ports}


def test_the_environment_has_no_variable_that_compose_reads() -> None:
    files = [path.read_text(encoding="utf-8") for path in CHECKOUT.glob("compose*.yaml")]
    read = {name for text in files for name in re.findall(r"\$\{([A-Z0-9_]+)", text)}
    assert {"PICTURES_URL", "AWS_REGION", "MAIL_FROM"} < read
    environment = environment_of_an_operator(dict.fromkeys(read, "x"), "mine")
    free = ("PORT", "TLS_PORT")
    assert {name: environment.get(name) for name in read} == {name: "0" if name in free else None for name in read}


def test_every_compose_file_is_copied(tmp_path: Path) -> None:
    copy_of_the_deployment(tmp_path)
    copied = {path.name for path in tmp_path.glob("compose*.yaml")}
    assert copied == {path.name for path in CHECKOUT.glob("compose*.yaml")}
    assert {
        "compose.yaml",
        "compose.cluster.yaml",
        "compose.mail.yaml",
        "compose.s3.yaml",
        "compose.sentinel.yaml",
        "compose.tls.yaml",
    } <= copied


def test_the_copy_has_every_file_that_compose_and_the_dockerfile_name(tmp_path: Path) -> None:
    copy_of_the_deployment(tmp_path)
    mounted = re.findall(r'"\./([^:"]+):', COMPOSE)
    copied = re.findall(r"^COPY (?!--)(.+) \S+$", (CHECKOUT / "Dockerfile").read_text(), re.MULTILINE)
    assert mounted
    assert copied
    for name in (*mounted, *copied, "compose.yaml", "Dockerfile", ".dockerignore"):
        assert (tmp_path / name).exists(), name
    assert not list(tmp_path.rglob("__pycache__"))


def test_the_secrets_are_files_that_every_user_of_a_container_can_read(tmp_path: Path) -> None:
    stack = Stack(Engine("docker", tmp_path, {}), "nobody")
    stack.write_secrets(**dict.fromkeys(SECRETS, "x" * 48))
    assert stack.secrets() == dict.fromkeys(SECRETS, "x" * 48)
    files = [tmp_path / each["file"] for each in yaml.safe_load(COMPOSE)["secrets"].values()]
    assert {path.stat().st_mode & 0o777 for path in files} == {0o444}
    stack.write_secrets(jwt_secrets="y")
    assert stack.secrets() == {"jwt_secrets": "y"}


def test_the_scratch_folder_is_removed() -> None:
    with scratch_folder() as directory:
        assert directory.is_dir()
        (directory / "file").write_text("x")
    assert not directory.exists()


@pytest.mark.parametrize(
    ("policy", "lasts"), [("unless-stopped", True), ("always", True), ("no", False), ("on-failure", False), ("", False)]
)
def test_containers_that_end_by_themselves_are_not_lasting(policy: str, lasts: bool) -> None:
    assert is_lasting({"HostConfig": {"RestartPolicy": {"Name": policy}}}) is lasts


def network(name: str, *subnets: str) -> dict[str, Any]:
    return {"Name": name, "IPAM": {"Config": [{"Subnet": subnet} for subnet in subnets]}}


@pytest.mark.parametrize(
    ("networks", "taken"),
    [
        ([], None),
        ([network("bridge", "172.17.0.0/16"), {"Name": "host", "IPAM": {"Config": None}}, {"Name": "none"}], None),
        ([network("bridge", "172.17.0.0/16"), network("other_front", "172.30.57.0/24")], "other_front"),
        ([network("wide", "172.16.0.0/12")], "wide"),
        ([network("six", "fd57:da7e::/64")], "six"),
    ],
)
def test_a_network_with_overlapping_addresses_is_found(networks: list[dict[str, Any]], taken: str | None) -> None:
    found = overlapping([ip_network("172.30.57.0/24"), ip_network("fd57:da7e::/64")], networks)
    assert (found and found["Name"]) == taken


def test_a_third_gateway_is_like_the_second_with_its_own_address() -> None:
    before, after = yaml.safe_load(COMPOSE)["services"], yaml.safe_load(third_gateway(COMPOSE))["services"]
    assert set(after) - set(before) == {"gateway-3"}
    second, third = after["gateway-2"], after["gateway-3"]
    assert third["networks"]["front"]["ipv4_address"] == "172.30.57.13"
    assert {**third, "networks": None} == {**second, "networks": None}
    assert set(after["nginx"]["extra_hosts"]) - set(before["nginx"]["extra_hosts"]) == {"gateway-3:172.30.57.13"}
    assert {name: after[name] for name in before if name != "nginx"} == {
        name: before[name] for name in before if name != "nginx"
    }


def test_a_third_gateway_has_a_line_beside_each_line_of_the_second() -> None:
    servers = re.findall(r"server gateway-(\d):4000", third_upstream(UPSTREAMS))
    assert servers == ["1", "2", "3"] * 3
    assert third_upstream(UPSTREAMS).count("server api-") == UPSTREAMS.count("server api-")


def test_a_header_can_be_added_and_removed() -> None:
    listen = (CHECKOUT / "deploy" / "nginx" / "listen.conf").read_text(encoding="utf-8")
    changed = other_header(listen, "X-Walk", "changed")
    assert changed == f"{listen}add_header X-Walk changed always;\n"
    assert other_header(changed, "X-Walk", None) == listen


def test_terminal_codes_are_removed() -> None:
    assert plain("\x1b[2Knginx-1  | {\x1b[0m}\n") == "nginx-1  | {}\n"
