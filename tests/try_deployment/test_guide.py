"""Tests how the walk finds its commands in the operating guide, and that it fails if one is missing."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.support.scratch import scratch_directory
from tests.try_deployment import guide
from tests.try_deployment.engine import Engine
from tests.try_deployment.guide import Command

NOBODY = 65534
TEXT = """# Guide

## Deploy

```sh
make secrets
docker up
```

Then

```sh
docker exec role
```

## Other

```sh
docker up
```
"""


def test_a_heading_has_only_the_blocks_below_it() -> None:
    assert guide.blocks("Deploy", TEXT) == ["make secrets\ndocker up\n", "docker exec role\n"]
    assert guide.blocks("Other", TEXT) == ["docker up\n"]
    assert guide.block(Command("Deploy", "secrets"), TEXT) == "make secrets\ndocker up\n"
    assert guide.line(Command("Deploy", "docker up"), TEXT) == "docker up"


def test_a_missing_or_repeated_command_raises() -> None:
    with pytest.raises(guide.NotInGuide, match="no heading 'Nothing'"):
        guide.blocks("Nothing", TEXT)
    with pytest.raises(guide.NotInGuide, match="0 blocks below 'Deploy' have 'restore'"):
        guide.block(Command("Deploy", "restore"), TEXT)
    with pytest.raises(guide.NotInGuide, match="2 blocks below 'Deploy' have 'docker'"):
        guide.block(Command("Deploy", "docker"), TEXT)
    with pytest.raises(guide.NotInGuide, match="2 lines below 'Other' have 'docker'"):
        guide.line(Command("Other", "docker"), TEXT.replace("docker up\n```\n", "docker up\ndocker down\n```\n"))


@pytest.mark.parametrize("command", guide.WALKED)
def test_the_guide_has_every_command_of_the_walk(command: Command) -> None:
    assert any(line.startswith("docker compose") for line in guide.block(command).splitlines())


@pytest.mark.servers
@pytest.mark.parametrize("command", [guide.REPLACE, guide.BACK])
def test_when_a_process_does_not_become_healthy_the_next_ones_are_not_replaced(
    command: Command, tmp_path: Path
) -> None:
    stand_in = tmp_path / "docker"
    stand_in.write_text('#!/bin/sh\necho "$*" >> log\ncase "$*" in *api-2) exit 1; esac\n', encoding="utf-8")
    stand_in.chmod(0o755)
    variables = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    # At a terminal, a command that fails does not end the shell.
    done = subprocess.run(["sh", "-c", guide.block(command)], cwd=tmp_path, env=variables, check=False)
    assert done.returncode == 1
    _, *replaced = (tmp_path / "log").read_text(encoding="utf-8").splitlines()
    assert replaced == [f"compose up --detach --wait {name}" for name in ("api-1", "api-2")]


@pytest.mark.servers
def test_whoever_made_the_secrets_can_change_them_by_the_commands_and_need_not_be_root() -> None:
    with scratch_directory() as place:
        (place / "docker").write_text('#!/bin/sh\necho "docker $*" >> log\n', encoding="utf-8")
        (place / "docker").chmod(0o755)
        user = os.geteuid() or NOBODY
        os.chown(place, user, -1)
        engine = Engine("docker", place, {"PATH": f"{place}:{os.environ['PATH']}"}, user)
        secrets = place / "secrets"
        found = []
        for command, certificate in ((guide.UP, ""), (guide.TLS, "first"), (guide.RENEW, "second")):
            for name in ("fullchain.pem", "privkey.pem"):
                (place / name).write_text(f"{certificate} {name}", encoding="utf-8")
            engine.shell(guide.block(command))
            found.append({each.name: (each.stat().st_ino, each.read_text(encoding="utf-8")) for each in every(secrets)})
        _, before, after = found
        for name, (inode, text) in after.items():
            # Containers have the file itself mounted, not its name.
            assert inode == before[name][0]
            is_of_tls = name.startswith("tls_")
            assert (text != before[name][1]) is is_of_tls
        assert after["tls_key"][1] == "second privkey.pem"
        engine.shell(guide.block(guide.ANOTHER_SECRET))
        assert (secrets / "redis_password").read_text(encoding="utf-8") != after["redis_password"][1]
        assert all(each.stat().st_mode & 0o777 == 0o444 for each in every(secrets))
        last = (place / "log").read_text(encoding="utf-8").splitlines()
        assert last[-2:] == [
            guide.block(guide.RENEW).splitlines()[-1].replace("'", ""),
            "docker compose up --detach --force-recreate --wait",
        ]


def every(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())
