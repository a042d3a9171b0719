"""Reads the commands of docs/operating.md, so that the walk tries exactly the commands that operators read."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

GUIDE = Path(__file__).parents[2] / "docs" / "operating.md"


class Command(NamedTuple):
    """The block of shell commands below a heading that contains these words. There must be exactly one."""

    heading: str
    words: str


UP = Command("Deploy", "docker compose up --build")
ROLE = Command("Deploy", "python -m api role")
MAIL = Command("Deploy", "> secrets/smtp_url")
TLS = Command("Deploy", "compose.tls.yaml >> .env")
RENEW = Command("Deploy", "chmod u+w secrets/tls_certificate")
ANOTHER_SECRET = Command("Deploy", "chmod u+w secrets/redis_password")
SENTINEL = Command("Deploy", "> secrets/redis_sentinel_password")
CLUSTER = Command("Deploy", "> secrets/redis_cluster_password")
ONE_REDIS = Command("Deploy", "docker compose down")
S3 = Command("Deploy", "> secrets/aws_access_key_id")
REPLACE = Command("Replace a process", "docker compose build")
SCHEMA = Command("Upgrade the schema", "docker compose run --rm schema")
BACK = Command("Go back", "docker compose build")
RELOAD = Command("Deploy", "docker compose exec nginx sh -c 'kill -HUP 1'")
SAVE = Command("Back up", "docker compose exec -T postgres pg_dump")
RESTORE = Command("Back up", "docker compose exec -T postgres pg_restore")
EMPTY = Command("Back up", "docker compose exec postgres dropdb")
WALKED = (
    *(UP, ROLE, MAIL, TLS, RENEW, S3, SENTINEL, CLUSTER, ONE_REDIS, REPLACE, BACK, SCHEMA, RELOAD, SAVE, EMPTY),
    RESTORE,
)


class NotInGuide(AssertionError):
    """The guide does not have a command. The message names the heading and the missing words."""


def blocks(heading: str, text: str) -> list[str]:
    """The blocks of shell commands below a heading, in order."""
    _, found, section = text.partition(f"\n## {heading}\n")
    if not found:
        raise NotInGuide(f"the guide has no heading {heading!r}")
    return re.findall(r"^```sh\n(.*?)^```$", section.partition("\n## ")[0], re.DOTALL | re.MULTILINE)


def block(command: Command, text: str | None = None) -> str:
    """All lines of the block. Raises NotInGuide."""
    text = GUIDE.read_text(encoding="utf-8") if text is None else text
    found = [each for each in blocks(command.heading, text) if command.words in each]
    if len(found) != 1:
        raise NotInGuide(f"{len(found)} blocks below {command.heading!r} have {command.words!r}, where one should")
    return found[0]


def line(command: Command, text: str | None = None) -> str:
    """The line of the block that contains the words. Raises NotInGuide."""
    found = [each for each in block(command, text).splitlines() if command.words in each]
    if len(found) != 1:
        raise NotInGuide(f"{len(found)} lines below {command.heading!r} have {command.words!r}, where one should")
    return found[0]
