"""The walk finds its commands in the operating guide. If one is changed there, the walk runs the new one, or fails."""

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


def test_the_blocks_of_a_heading_are_its_own() -> None:
    assert guide.blocks("Deploy", TEXT) == ["make secrets\ndocker up\n", "docker exec role\n"]
    assert guide.blocks("Other", TEXT) == ["docker up\n"]
    assert guide.block(Command("Deploy", "secrets"), TEXT) == "make secrets\ndocker up\n"
    assert guide.line(Command("Deploy", "docker up"), TEXT) == "docker up"


def test_a_command_that_is_not_there_or_twice_is_missed() -> None:
    with pytest.raises(guide.NotInGuide, match="no heading 'Nothing'"):
        guide.blocks("Nothing", TEXT)
    with pytest.raises(guide.NotInGuide, match="0 blocks below 'Deploy' have 'restore'"):
        guide.block(Command("Deploy", "restore"), TEXT)
    with pytest.raises(guide.NotInGuide, match="2 blocks below 'Deploy' have 'docker'"):
        guide.block(Command("Deploy", "docker"), TEXT)
    with pytest.raises(guide.NotInGuide, match="2 lines below 'Other' have 'docker'"):
        guide.line(Command("Other", "docker"), TEXT.replace("docker up\n```\n", "docker up\ndocker down\n```\n"))


@pytest.mark.parametrize("command", guide.WALKED)
def test_the_guide_has_every_command_that_is_walked(command: Command) -> None:
    assert guide.line(command).startswith("docker compose")
