"""The start of every process: complete settings that can work, or one line that names the faulty variable."""

from __future__ import annotations

from dataclasses import replace

from redis.asyncio import ConnectionPool
from redis.exceptions import RedisError

from shared.access.secret import jwt_secret
from shared.embedded.discovery import with_servers
from shared.folders import why
from shared.postgres.address import InvalidDatabaseUrl, parsed
from shared.settings import InvalidSettings, Settings


def settings_to_start_with() -> Settings:
    """The settings of the environment, with servers and secret. Nothing is connected yet. Raises InvalidSettings."""
    settings = with_servers(Settings.from_environment())
    check_addresses(settings)
    return replace(settings, jwt_secret=jwt_secret(settings))


def check_addresses(settings: Settings) -> None:
    """Check that the servers' addresses, if given, can be read. Raises InvalidSettings, whose text has no password."""
    if settings.database_url:
        try:
            parsed(settings.database_url)
        except InvalidDatabaseUrl as error:
            raise InvalidSettings(str(error)) from None
    if settings.redis_url:
        try:
            ConnectionPool.from_url(settings.redis_url.replace("+cluster://", "://", 1)).make_connection()  # type: ignore[no-untyped-call]
        except (ValueError, TypeError, RedisError):
            raise InvalidSettings(
                "REDIS_URL: redis-py cannot read it; redis://host:port or redis+cluster://host:port is needed"
            ) from None


def cannot_listen(name: str, host: str, port: int, error: OSError) -> OSError:
    """An error whose one line names the variables; `name` is the beginning of their names."""
    return OSError(f"{name}_HOST, {name}_PORT: cannot listen on {host}:{port}: {why(error)}")
