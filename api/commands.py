"""The commands of `python -m api` other than serving. Each prints its result, or raises CommandFailed."""

from __future__ import annotations

import argparse
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from typing import Any

from api.demo.pictures import add_pictures
from api.passwords import hash_now
from api.pictures.errors import PicturesBusy, StorageUnavailable
from api.realtime import Realtime
from api.services import new_node_id
from shared.access.push_key import new_push_key
from shared.access.tokens import Tokens
from shared.domain.users import LastAdmin, Role, UserNotFound
from shared.logs import log_of
from shared.postgres import Database
from shared.postgres.schema import apply_schema
from shared.pubsub import broker_for
from shared.repositories.places import place_listings
from shared.repositories.second_factors import SecondFactorRepository, vault_of
from shared.repositories.seed import SeedRepository
from shared.repositories.seed_listings import ListingSeedRepository
from shared.repositories.users import UserRepository
from shared.security_events import SecurityEvent
from shared.settings import Settings

log = log_of(__name__)

SEED_PASSWORD = "correct horse battery"
TOKEN_SECONDS = 24 * 3600
SEED_TIMEOUT_SECONDS = 3600.0


class CommandFailed(Exception):
    """A command failed; the message is one line for the operator."""


async def schema(settings: Settings, _: argparse.Namespace) -> None:
    """Apply schema.sql and grants.sql, and bring earlier listings to their places. Raises SchemaRefused."""
    is_new = await apply_schema(settings)
    async with _database(replace(settings, database_timeout_seconds=SEED_TIMEOUT_SECONDS)) as database:
        await place_listings(database)
    print("schema applied" if is_new else "schema is up to date")


async def seed(settings: Settings, options: argparse.Namespace) -> None:
    """Add demo users, listings and pictures, after the schema. Raises SchemaRefused."""
    await apply_schema(settings)
    async with _database(replace(settings, database_timeout_seconds=SEED_TIMEOUT_SECONDS)) as database:
        repository = SeedRepository(database)
        if options.if_empty and await repository.has_users():
            return
        if options.users:
            first, last = await repository.users(options.users, hash_now(SEED_PASSWORD))
            print(f"users {first} to {last}: user{first}@example.com and so on, password '{SEED_PASSWORD}'")
        if options.listings:
            if not await ListingSeedRepository(database).listings(options.listings):
                raise CommandFailed("listings need users: seed some of them, too")
            print(f"{options.listings} listings", flush=True)
        if options.pictures:
            try:
                print(f"{await add_pictures(settings, database, options.pictures)} pictures")
            except (PicturesBusy, StorageUnavailable) as error:
                raise CommandFailed(f"the pictures cannot be stored: {error}") from None


async def push_key(settings: Settings, _: argparse.Namespace) -> None:
    """Print a new key for VAPID_PRIVATE_KEY."""
    print(new_push_key())


async def token(settings: Settings, options: argparse.Namespace) -> None:
    """Print an access token for each user, valid for a day."""
    tokens = Tokens(settings.jwt_secrets, settings.access_token_seconds)
    async with _database(settings) as database:
        users = UserRepository(database)
        for user_id in options.user_ids:
            try:
                user = await users.by_id(user_id)
            except UserNotFound:
                raise CommandFailed(f"no user {user_id}") from None
            print(user_id, tokens.issue(user_id, user.role, None, seconds=TOKEN_SECONDS), flush=True)


async def role(settings: Settings, options: argparse.Namespace) -> None:
    """Give a role to a user, and tell the gateways."""
    async with _database(settings) as database, _telling(settings) as told:
        users = UserRepository(database)
        try:
            user, is_change = await users.set_role(await users.id_by_email(options.email), Role(options.role), by=None)
        except UserNotFound:
            raise CommandFailed(f"no user has the e-mail address {options.email}") from None
        except LastAdmin:
            raise CommandFailed("the last admin must stay one") from None
        if is_change:
            log.warning(SecurityEvent.ROLE_CHANGED.value, by="command line", of_user_id=user.id, role=user.role)
            async with told() as realtime:
                realtime.role_changed(user.id, user.role)
    print(f"{user.email} is {'now' if is_change else 'already'} {user.role.value}")


async def second_factor_off(settings: Settings, options: argparse.Namespace) -> None:
    """Turn a user's second factor off, who has lost it and the recovery codes, and tell the gateways.

    Without one, staff may have to leave what they have joined (SECOND_FACTOR_FOR_STAFF).
    """
    async with _database(settings) as database, _telling(settings) as told:
        users = UserRepository(database)
        try:
            user = await users.by_id(await users.id_by_email(options.email))
        except UserNotFound:
            raise CommandFailed(f"no user has the e-mail address {options.email}") from None
        factors = SecondFactorRepository(database, vault_of(settings), has_mail=settings.has_mail)
        was_on = await factors.remove(user.id, by=None)
        if was_on:
            event = SecurityEvent.SECOND_FACTOR_CHANGED.value
            log.warning(event, by="command line", of_user_id=user.id, is_on=False)
            async with told() as realtime:
                realtime.role_changed(user.id, user.role)
    print(f"the second factor of user {user.id} {'is now off' if was_on else 'was off already'}")


@asynccontextmanager
async def _telling(settings: Settings) -> AsyncIterator[Callable[[], AbstractAsyncContextManager[Realtime]]]:
    """Yields what connects to the gateways. Use it after a change: until then this process is noted in Postgres, so
    that they look there if it dies before it has told them."""
    node_id = new_node_id()
    broker = broker_for(settings, node_id)
    realtime = Realtime(settings, broker, node_id)

    @asynccontextmanager
    async def told() -> AsyncIterator[Realtime]:
        await broker.start(realtime)
        try:
            yield realtime
        finally:
            await broker.stop()

    async with realtime.membership():
        yield told


@asynccontextmanager
async def _database(settings: Settings) -> AsyncIterator[Database]:
    database = await Database.connect(settings)
    try:
        yield database
    finally:
        await database.close()


COMMANDS: Mapping[str, Callable[[Settings, argparse.Namespace], Coroutine[Any, Any, None]]] = {
    "seed": seed,
    "token": token,
    "push-key": push_key,
    "role": role,
    "second-factor-off": second_factor_off,
    "schema": schema,
}
"""The commands by their names on the command line."""
