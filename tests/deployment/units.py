"""Reads the units of deploy/systemd without systemd. It knows the keys that our files have; any other raises."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "deploy" / "systemd"
_KEYS = {
    "Unit": {"Description", "Wants", "After", "StartLimitIntervalSec"},
    "Service": {
        *("Type", "User", "Group", "WorkingDirectory", "EnvironmentFile", "LoadCredential", "Environment"),
        *("StateDirectory", "RuntimeDirectory", "RuntimeDirectoryMode", "ExecStart", "ExecReload", "Restart"),
        *("RestartSec", "KillMode", "TimeoutStopSec", "LimitNOFILE", "MemoryMax", "TasksMax", "OOMPolicy"),
        *("ProtectSystem", "ProtectHome", "PrivateTmp", "PrivateDevices"),
        *("NoNewPrivileges", "CapabilityBoundingSet", "ProtectKernelTunables", "ProtectKernelModules"),
        *("ProtectKernelLogs", "ProtectControlGroups", "ProtectClock", "ProtectHostname", "ProtectProc"),
        *("RestrictAddressFamilies", "RestrictNamespaces", "RestrictRealtime", "RestrictSUIDSGID"),
        *("LockPersonality", "SystemCallArchitectures", "UMask", "KillSignal", "LogRateLimitIntervalSec"),
    },
    "Install": {"WantedBy"},
}
_SEVERAL = {"LoadCredential", "Environment"}


@dataclass(frozen=True)
class Unit:
    """The settings of one service; those that may be there several times are lists."""

    name: str
    one: dict[str, str]
    several: dict[str, list[str]]

    @property
    def module(self) -> str:
        """What `ExecStart` runs: `python -m MODULE`."""
        program, option, module = shlex.split(self.one["ExecStart"])
        assert (program, option) == ("/srv/daveslist/.venv/bin/python", "-m")
        return module

    @property
    def credentials(self) -> dict[str, str]:
        """The file of each credential, by its name."""
        return dict(each.split(":", 1) for each in self.several["LoadCredential"])

    def environment(self, credentials: str) -> dict[str, str]:
        """The variables of `Environment`, where `credentials` is the folder that systemd calls %d."""
        return dict(each.replace("%d", credentials).split("=", 1) for each in self.several["Environment"])


def unit(name: str) -> Unit:
    """Read the unit with this name, without `.service`."""
    section = ""
    one: dict[str, str] = {}
    several: dict[str, list[str]] = {key: [] for key in _SEVERAL}
    for line in (FOLDER / f"{name}.service").read_text(encoding="utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        if line.startswith("["):
            section = line.strip("[]")
            continue
        key, equals, value = line.partition("=")
        assert equals, line
        assert key in _KEYS[section], f"{name}: {section} has no {key} that these tests know"
        if key in _SEVERAL:
            several[key].append(value)
        else:
            assert key not in one, f"{name}: {key} is there twice"
            one[key] = value
    return Unit(name, one, several)
