"""Reads compose.yaml without a container engine. It knows the keys and forms that our file has; any other raises."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

SERVICE_KEYS = frozenset(
    [
        "build",
        "cap_add",
        "cap_drop",
        "command",
        "depends_on",
        "entrypoint",
        "environment",
        "extra_hosts",
        "healthcheck",
        "image",
        "init",
        "logging",
        "mem_limit",
        "network_mode",
        "networks",
        "pids_limit",
        "ports",
        "profiles",
        "read_only",
        "restart",
        "secrets",
        "security_opt",
        "shm_size",
        "stop_grace_period",
        "stop_signal",
        "tmpfs",
        "ulimits",
        "user",
        "volumes",
    ]
)
KEYS: Mapping[str, frozenset[str]] = {
    "build": frozenset({"context", "target"}),
    "healthcheck": frozenset({"test", "interval", "timeout", "retries", "start_period", "disable"}),
    "logging": frozenset({"driver", "options"}),
    "ulimits": frozenset({"nofile"}),
}
CONDITIONS = frozenset({"service_healthy", "service_completed_successfully"})
VARIABLE = re.compile(r"\$\{([A-Z_]+)(?:(:[-?])([^${}]*))?\}")


class NotKnown(AssertionError):
    """compose.yaml has a key or a form that these tests do not know."""


class _Reset:
    """The value of a key with the tag `!reset`: the engine takes the key away from the files before."""


class _Loader(yaml.SafeLoader):  # type: ignore[misc]
    """Knows the tag."""


_Loader.add_constructor("!reset", lambda _loader, _node: _Reset())


class Missing(Exception):
    """A variable is not set, and `${NAME:?message}` demands it."""


def read(path: Path) -> dict[str, Any]:
    """The content of the file. Raises NotKnown."""
    compose: dict[str, Any] = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    _only(
        compose,
        {"services", "networks", "secrets", "volumes"} | {key for key in compose if key.startswith("x-")},
        "the file",
    )
    for name, service in compose["services"].items():
        _only(service, SERVICE_KEYS, name)
        for key, known in KEYS.items():
            _only(service.get(key, {}), known, f"{name}.{key}")
        for network, options in _named(service.get("networks", {})).items():
            _only({network: None}, compose.get("networks", {}), f"{name}.networks")
            _only(options, {"ipv4_address", "aliases"}, f"{name}.networks.{network}")
        for other, options in service.get("depends_on", {}).items():
            _only({other: None}, compose["services"], f"{name}.depends_on")
            _only({options["condition"]: None}, CONDITIONS, f"{name}.depends_on.{other}")
            _only(options, {"condition"}, f"{name}.depends_on.{other}")
        _only(_named(service.get("secrets", [])), compose["secrets"], f"{name}.secrets")
        for value in _texts(service):
            interpolated(value, _Anything())
    for name, network in compose.get("networks", {}).items():
        _only(network, {"internal", "enable_ipv6", "ipam"}, f"networks.{name}")
    for name, secret in compose["secrets"].items():
        _only(secret, {"file"}, f"secrets.{name}")
    for name, volume in compose.get("volumes", {}).items():
        _only(volume, set(), f"volumes.{name}")
    return compose


def merged(base: Any, further: Any) -> Any:
    """What the engine makes of two files: mappings are merged, lists such as `secrets` added, keys reset."""
    if isinstance(base, dict) and isinstance(further, dict):
        both = {key: merged(base[key], further[key]) for key in base.keys() & further.keys()}
        return {key: value for key, value in {**base, **further, **both}.items() if not isinstance(value, _Reset)}
    if isinstance(base, list) and isinstance(further, dict):
        # A list of names is a mapping without options.
        return merged(_named(base), further)
    if isinstance(base, list) and isinstance(further, list):
        return [*base, *(one for one in further if one not in base)]
    return further


def interpolated(text: str, given: Mapping[str, str]) -> str:
    """Replace `${NAME}`, `${NAME:-default}`, `${NAME:?message}` and `$$` as the engine does.

    Raises Missing, NotKnown.
    """

    def value(match: re.Match[str]) -> str:
        name, operator, rest = match.groups()
        if not given.get(name) and operator == ":?":
            raise Missing(f"{name}: {rest}")
        return given.get(name) or (rest if operator == ":-" else "")

    parts = text.split("$$")
    if any("$" in VARIABLE.sub("", part) for part in parts):
        raise NotKnown(f"a variable in {text!r}")
    return "$".join(VARIABLE.sub(value, part) for part in parts)


def environment(service: Mapping[str, Any], given: Mapping[str, str]) -> dict[str, str]:
    """The environment of a container. A variable without a value is passed on if it is set."""
    found = {}
    for variable, text in service["environment"].items():
        if text is not None:
            found[variable] = interpolated(text, given)
        elif variable in given:
            found[variable] = given[variable]
    return found


class _Anything(dict[str, str]):
    """An environment in which every variable is set."""

    def get(self, key: str, default: Any = None) -> Any:
        return key


def _named(given: Any) -> dict[str, Any]:
    """The options by name; names in a list have no options."""
    return {name: {} for name in given} if isinstance(given, list) else given


def _only(given: Any, known: Any, where: str) -> None:
    unknown = set(given) - set(known)
    if unknown:
        raise NotKnown(f"{where}: {', '.join(sorted(unknown))}")


def _texts(value: Any) -> list[str]:
    match value:
        case str():
            return [value]
        case dict():
            return [text for part in value.values() for text in _texts(part)]
        case list():
            return [text for part in value for text in _texts(part)]
    return []
