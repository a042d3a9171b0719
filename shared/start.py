"""The start of every process: settings that are complete and can work, or one line that names the wrong variable."""

from __future__ import annotations

from dataclasses import replace

from shared import tracing
from shared.access.push_key import push_key
from shared.access.secret import jwt_secrets
from shared.postgres.address import InvalidDatabaseUrl, parsed, with_password
from shared.pubsub import address_fault
from shared.redis import service_fault
from shared.redis import with_password as with_redis_password
from shared.running import with_servers
from shared.settings import InvalidSettings, Settings


def settings_to_start_with(*, is_owner: bool = False) -> Settings:
    """Returns the environment's settings, completed: with the servers of a running `make run`, passwords and secrets.

    `is_owner` is for commands that use the database of a running `make run` as its owner.
    Connects to nothing. Raises InvalidSettings.
    """
    settings = with_servers(Settings.from_environment(), is_owner=is_owner)
    check_addresses(settings)
    tracing.check(settings)
    return replace(
        settings,
        jwt_secrets=jwt_secrets(settings),
        vapid_private_key=push_key(settings),
        database_url=with_password(settings.database_url, settings.database_password),
        redis_url=with_redis_password(settings.redis_url, settings.redis_password, settings.redis_sentinel_password),
    )


def settings_for_the_schema() -> Settings:
    """Returns the environment's settings for the command that applies the schema, as the owner of the database.

    It needs the database alone: neither Redis nor a secret, and it writes no file. Raises InvalidSettings.
    """
    settings = with_servers(Settings.from_environment(), is_owner=True, needs_redis=False)
    check_addresses(settings)
    return replace(settings, database_url=with_password(settings.database_url, settings.database_password))


def check_addresses(settings: Settings) -> None:
    """Check that the servers' addresses, if given, can be read. Raises InvalidSettings; its text has no password."""
    if settings.database_url:
        try:
            parsed(settings.database_url)
        except InvalidDatabaseUrl as error:
            raise InvalidSettings(str(error)) from None
    fault = address_fault(settings)
    if fault:
        raise InvalidSettings(fault)


async def check_services(settings: Settings) -> None:
    """Check what only the servers can tell: whether the sentinels know the service. Raises InvalidSettings.

    Servers that are away say nothing, and may come later.
    """
    fault = await service_fault(settings.redis_url)
    if fault:
        raise InvalidSettings(f"REDIS_URL: {fault}")
