"""After any history of what people do to each other, each side is shown the same by socket, REST and catching up."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator

import pytest

from shared.domain.users import Role
from shared.repositories.recent_texts import HoldLimits
from shared.settings import Settings
from tests.api.two_sides.history import PEOPLE, SHAKY, STEADY, History, Step
from tests.api.two_sides.town import Town, running_town

HISTORIES = 14
"""More find more, and each takes a third of a second."""
STEPS = 30
HOLDS = HoldLimits(people=1, questions=1000, seconds=3600.0)
"""An offer to the second who has not written to its sender is held already; other texts are short questions."""


@pytest.fixture
async def town(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Town]:
    async with running_town(settings, monkeypatch, HOLDS) as running:
        yield running


class Chance:
    """Makes up histories. Two of the people do most of it, so that much happens between them."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def history(self) -> list[Step]:
        return [self._step() for _ in range(STEPS)]

    def _step(self) -> Step:
        match self._one_of(
            {"act": 16, "at_once": 3, "crash": 1, "join": 2, "deafen": 1, "hear": 1, "settle": 1, "tell": 3}
        ):
            case "act":
                return self._act()
            case "at_once":
                return ("at_once", self._act(), self._act())
            case "crash":
                return ("crash", self._person())
            case "join":
                return ("join", self._person(), self._random.choice((STEADY, SHAKY)))
            case other:
                return (other,)

    def _act(self) -> Step:
        who, other, number, way = self._person(), self._person(), self._random.randrange(30), self._random.randrange(3)
        name = self._one_of(
            {"send": 16, "read": 5, "decide": 4, "delete": 3, "block": 1, "unblock": 2, "report": 1, "choose": 1}
            | {"offer": 5, "judge": 3, "wait": 1, "tell": 2}
        )
        match name:
            case "send":
                about = self._random.choice((None, None, None, None, other, self._person()))
                return ("send", who, other, about, self._random.choice((None, None, None, 1, 2)), way)
            case "read":
                return ("read", who, other, number, way)
            case "decide":
                return ("decide", who, other, self._random.choice(("accepted", "declined")))
            case "delete" | "report":
                return (name, who, number)
            case "offer":
                return ("offer", self._random.randrange(PEOPLE), self._random.choice((None, None, 1)), way)
            case "judge":
                return ("judge", self._random.randrange(PEOPLE), self._random.choice(("let_go", "let_go", "kept")))
            case "wait":
                return ("wait", self._random.randrange(PEOPLE))
            case "tell":
                return ("tell",)
            case "choose":
                return ("choose", who, self._random.random() < 0.7)
            case _:
                return (name, who, other)

    def leaver(self) -> int | None:
        return self._random.choice((None, None, self._person()))

    def _person(self) -> int:
        return self._random.choices(range(PEOPLE), (5, 5, 2, 1))[0]

    def _one_of(self, weights: dict[str, int]) -> str:
        return self._random.choices(list(weights), list(weights.values()))[0]


async def play(town: Town, seed: int) -> int:
    """Returns how many held messages were delivered."""
    chance = Chance(seed)
    people = await town.people(PEOPLE)
    [moderator] = await town.people(1, Role.MODERATOR)
    category = await town.rows.category()
    history = History(town, people, moderator, [await town.rows.listing(person.id, category) for person in people])
    await history.begin()
    done: list[Step] = []
    try:
        for step in chance.history():
            done.append(step)
            await history.take(step)
        await history.compare()
        leaver = chance.leaver()
        if leaver is not None:
            done.append(("leave", leaver))
            await history.take(done[-1])
            await history.compare()
    except BaseException as error:
        error.add_note(f"seed {seed}, after {done}")
        raise
    finally:
        history.end()
    return history.delivered


async def test_after_any_history_all_ways_show_each_side_the_same(town: Town) -> None:
    delivered = 0
    for seed in range(HISTORIES):
        delivered += await play(town, seed)
    # Else the histories would say nothing of what was held.
    assert delivered
