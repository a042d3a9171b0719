"""An operator turns the second factor of an admin off: sockets lose at once what needs one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from shared.settings import Settings
from tests.support.client import Rest, Socket
from tests.support.database import query
from tests.support.processes import NURSERY, Processes, base_environment, environment_of
from tests.support.roles import as_owner


@pytest.mark.parametrize("is_by_command", [False, True])
async def test_staff_that_loses_its_second_factor_leaves_what_needs_one(
    settings: Settings, tmp_path: Path, is_by_command: bool
) -> None:
    processes = Processes(replace(settings, second_factor_for_staff=True), tmp_path)
    try:
        api, gateway = await processes.api(), await processes.gateway()
        async with Rest(api.url) as rest:
            people = [await rest.register(name) for name in ("Ann", "Bob")]
            for person in people:
                query(as_owner(settings.database_url), "UPDATE users SET role = 'admin' WHERE id = %s", person.id)
                query(
                    as_owner(settings.database_url),
                    "INSERT INTO second_factors (user_id, seed, confirmed_at) VALUES (%s, 'x', now())",
                    person.id,
                )
            ann, bob = people
            async with await Socket.connect(gateway.socket_url, ann.token) as socket:
                assert (await socket.join("system"))["status"] == "ok"
                if is_by_command:
                    given = {**base_environment(), **environment_of(processes.settings)}
                    done = NURSERY.run("api", "second-factor-off", ann.email, environment=given)
                    assert (done.returncode, done.stdout) == (0, f"the second factor of user {ann.id} is now off\n")
                else:
                    await rest.call("DELETE", f"/api/users/{ann.id}/second-factor", 204, who=bob)
                await socket.take(lambda frame: frame[2] == "system" and frame[3] in ("phx_close", "phx_error"))
    finally:
        await processes.stop()
