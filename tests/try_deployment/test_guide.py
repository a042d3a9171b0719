"""Tests how the walk finds its commands in the operating guide, and that it fails if one is missing."""

from __future__ import annotations

import pytest

from tests.try_deployment import guide
from tests.try_deployment.guide import Command

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
