"""The page of all workers: counters of a place never go backwards, whoever has it, and however it ended."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import permutations
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import NoReturn

import pytest
from prometheus_client import Counter, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric

from development.child import happens
from shared.workers import incidents
from shared.workers.files import make_folder
from shared.workers.pages import KEPT_SECONDS, Family, Pages, page
from shared.workers.worker import Worker


@pytest.fixture
def folder() -> Iterator[Path]:
    # Not pytest's own: the address of a Unix socket must be short.
    with TemporaryDirectory(prefix="pages-") as made:
        incidents.write(Path(made), incidents.Incidents([0, 1], [2, 0], 3))
        yield Path(made)


class Part:
    """One worker, without its process."""

    def __init__(self, folder: Path, number: int, node_id: str, *, is_successor: bool = False) -> None:
        self.link, self._theirs = socket.socketpair()
        self.worker = Worker(self._theirs, number, 2, folder, [], is_successor=is_successor)
        self.sends = Counter("sends", "Messages", ["kind"], registry=None)
        self.seconds = Histogram("seconds", "Times", buckets=(1.0, 2.0), registry=None)
        self.pages = Pages(self.worker, node_id, self._collect)

    def _collect(self) -> Iterable[Metric]:
        yield from self.sends.collect()
        yield from self.seconds.collect()
        yield GaugeMetricFamily("people", "People", value=5.0)

    async def page(self) -> dict[tuple[str, str], float]:
        """The samples by name and worker, added up over their other labels."""
        found: dict[tuple[str, str], float] = {}
        for metric in await self.pages.collect():
            for sample in metric.samples:
                key = (sample.name, sample.labels["worker"])
                found[key] = found.get(key, 0.0) + sample.value
        return found

    def close(self) -> None:
        self.link.close()
        self._theirs.close()


@asynccontextmanager
async def part(folder: Path, number: int, node_id: str, *, is_successor: bool = False) -> AsyncIterator[Part]:
    made = Part(folder, number, node_id, is_successor=is_successor)
    await made.pages.start()
    try:
        yield made
        await made.pages.stop()
    finally:
        made.close()


async def test_any_worker_shows_the_metrics_of_all(folder: Path) -> None:
    async with part(folder, 1, "ann") as ann, part(folder, 2, "bob") as bob:
        ann.sends.labels("text").inc(3)
        bob.sends.labels("text").inc(4)
        bob.seconds.observe(1.5)
        assert await ann.page() == await bob.page()
        found = await ann.page()
        assert (found["sends_total", "1"], found["sends_total", "2"]) == (3.0, 4.0)
        assert (found["seconds_sum", "2"], found["seconds_count", "2"]) == (1.5, 1.0)
        assert (found["people", "1"], found["people", "2"]) == (5.0, 5.0)
        assert (found["daveslist_worker_up", "1"], found["daveslist_worker_up", "2"]) == (1.0, 1.0)
        assert (found["daveslist_worker_deaths_total", "1"], found["daveslist_worker_deaths_total", "2"]) == (0.0, 1.0)
        assert found["daveslist_worker_reload_failures_total", "1"] == 2.0
        assert found["daveslist_worker_reload_failures_total", "2"] == 0.0
        assert found["daveslist_faults_total", "parent"] == 3.0


async def test_a_worker_that_ended_leaves_its_counts_to_its_successor(folder: Path) -> None:
    async with part(folder, 2, "bob") as bob:
        async with part(folder, 1, "ann") as ann:
            ann.sends.labels("text").inc(3)
        found = await bob.page()
        assert (found["sends_total", "1"], found["daveslist_worker_up", "1"]) == (3.0, 0.0)
        assert ("people", "1") not in found
        async with part(folder, 1, "cat") as cat:
            cat.sends.labels("text").inc(10)
            cat.sends.labels("picture").inc(1)
            assert (await bob.page())["sends_total", "1"] == 14.0
            assert (await cat.page())["sends_total", "1"] == 14.0


async def test_a_worker_that_was_killed_leaves_what_was_shown(folder: Path) -> None:
    async with part(folder, 2, "bob") as bob:
        ann = Part(folder, 1, "ann")
        await ann.pages.start()
        ann.sends.labels("text").inc(3)
        assert (await bob.page())["sends_total", "1"] == 3.0
        assert ann.pages._server is not None
        ann.pages._server.close()  # Its socket stays, as after a kill.
        ann.close()
        assert (await bob.page())["sends_total", "1"] == 3.0


async def test_a_worker_that_drains_beside_its_successor_is_told_apart(folder: Path) -> None:
    async with part(folder, 1, "ann") as ann, part(folder, 1, "cat") as cat:
        ann.worker.is_replaced = True
        ann.sends.labels("text").inc(3)
        cat.sends.labels("text").inc(4)
        found = await cat.page()
        assert found["sends_total", "1"] == 7.0
        assert (found["people", "1"], found["people", "1-leaving"]) == (5.0, 5.0)
        assert found["daveslist_worker_up", "2"] == 0.0


async def test_a_successor_shows_only_counts_until_the_place_is_its_own(folder: Path) -> None:
    async with part(folder, 1, "ann"), part(folder, 1, "cat", is_successor=True) as cat:
        cat.sends.labels("text").inc(4)
        for is_ready in (False, True):
            if is_ready:
                cat.worker.is_ready()
            shown = [each for metric in await cat.pages.collect() for each in metric.samples]
            assert sum(each.name == "people" for each in shown) == 1 + is_ready
            assert [each.value for each in shown if each.name == "sends_total"] == [4.0]


async def test_the_files_of_workers_that_ended_long_ago_become_one(folder: Path) -> None:
    async with part(folder, 2, "bob") as bob:
        for number in range(20):
            async with part(folder, 1, f"ann{number}") as ann:
                ann.sends.labels("text").inc(1)
                ann.seconds.observe(0.5)
            long_ago = time.time() - 2 * KEPT_SECONDS
            os.utime(folder / f"ann{number}.counts", (long_ago, long_ago))
            found = await bob.page()
            assert (found["sends_total", "1"], found["seconds_count", "1"]) == (number + 1, number + 1)
    assert sorted(path.name for path in folder.iterdir()) == ["bob.counts", "departed", "incidents", "lock"]


def test_the_sum_of_several_workers_of_one_place_does_not_depend_on_their_order() -> None:
    sums = {
        sample.value
        for values in permutations((0.1, 0.2, 0.3, 0.7, 1e9))
        for metric in page([], [(1, [Family("s", "", "counter", [("s_total", (), one)])]) for one in values], 1)
        for sample in metric.samples
        if sample.name == "s_total"
    }
    assert sums == {1000000001.3}


async def test_a_sum_does_not_go_backwards_when_files_become_one(folder: Path) -> None:
    random = Random(1)
    shown = 0.0
    async with part(folder, 1, "bob") as bob:
        for number in range(30):
            async with part(folder, 1, f"ann{number}") as ann:
                ann.seconds.observe(random.random())
            before, shown = shown, (await bob.page())["seconds_sum", "1"]
            assert shown > before
            for path in random.sample([*folder.glob("ann*.counts")], 1):
                long_ago = time.time() - 2 * KEPT_SECONDS
                os.utime(path, (long_ago, long_ago))
            before, shown = shown, (await bob.page())["seconds_sum", "1"]
            assert shown >= before


async def test_a_worker_whose_folder_is_gone_shows_itself_until_there_is_one_again(folder: Path) -> None:
    async with AsyncExitStack() as stack:
        ann = await stack.enter_async_context(part(folder, 1, "ann"))
        ann.sends.labels("text").inc(3)
        shutil.rmtree(folder)
        # A worker begins without a folder, too.
        bob = await stack.enter_async_context(part(folder, 2, "bob"))
        # Less than before would look as if all had been counted anew.
        found = await ann.page()
        assert found["people", "1"] == 5.0
        assert not [name for name, _ in found if name.endswith("_total")]
        assert ("people", "1") not in await bob.page()
        folder.mkdir(mode=0o700)
        assert await happens(lambda: len(list(folder.glob("*.socket"))) == 2, 30.0)
        assert (await bob.page())["sends_total", "1"] == 3.0
        assert await ann.page() == await bob.page()


async def test_a_worker_that_ends_while_it_begins_to_answer_closes_its_socket(folder: Path) -> None:
    ann = Part(folder, 1, "ann")
    beginning = asyncio.create_task(ann.pages.start())
    while not (folder / "ann.socket").exists():  # noqa: ASYNC110
        await asyncio.sleep(0)
    os.link(folder / "ann.socket", folder / "another-name")
    beginning.cancel()
    await asyncio.gather(beginning, return_exceptions=True)
    await ann.pages.stop()
    ann.close()
    with socket.socket(socket.AF_UNIX) as client, pytest.raises(ConnectionRefusedError):
        client.connect(str(folder / "another-name"))


async def test_a_worker_writes_nothing_into_a_folder_of_others(folder: Path) -> None:
    async with part(folder, 1, "ann") as ann:
        shutil.rmtree(folder)
        # Anybody could have made it, with links to this user's files in it.
        folder.mkdir()
        folder.chmod(0o777)
        assert ("daveslist_worker_up", "1") in await ann.page()
        assert list(folder.iterdir()) == []
        # Nor does it read what is there: this would never end.
        os.mkfifo(folder / "incidents")
        assert ("daveslist_worker_up", "1") in await ann.page()
        (folder / "incidents").unlink()
    assert list(folder.iterdir()) == []
    with pytest.raises(PermissionError):
        make_folder(folder)


async def test_a_worker_comes_back_from_a_folder_that_it_may_not_enter(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with part(folder, 1, "ann") as ann:
        shutil.rmtree(folder)
        looks = 0

        def refused(path: Path) -> NoReturn:
            nonlocal looks
            looks += 1
            raise PermissionError(path)

        with monkeypatch.context() as patched:
            patched.setattr(Path, "stat", refused)
            patched.setattr(Path, "lstat", refused)
            assert await happens(lambda: looks > 1, 30.0)
        folder.mkdir(mode=0o700)
        assert await happens(lambda: len(list(folder.glob("*.socket"))) == 1, 30.0)
        assert (await ann.page())["daveslist_worker_up", "1"] == 1.0


async def test_a_page_without_a_file_of_the_parent_shows_no_counts_of_it(folder: Path) -> None:
    async with part(folder, 1, "ann") as ann:
        ann.sends.labels("text").inc(3)
        (folder / "incidents").unlink()
        found = await ann.page()
        assert found["sends_total", "1"] == 3.0
        assert ("daveslist_faults_total", "parent") not in found
        (folder / "incidents").write_text("nonsense")
        assert ("daveslist_worker_up", "1") in await ann.page()
