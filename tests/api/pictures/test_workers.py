"""Tests the processes that work on pictures: they leave the event loop free, have limits, and are never left behind."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import random
import select
import signal
import sys
import time
from asyncio.subprocess import PIPE
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest
import uvloop
from PIL import Image

from api.pictures.errors import (
    BrokenPicture,
    PictureRefused,
    PicturesBusy,
    PictureTooLarge,
    TooManyPictures,
    UnsupportedPicture,
)
from api.pictures.processing import ProcessedPicture, process_picture
from api.pictures.worker_process import WorkerLimits
from api.pictures.workers import PictureWorkers
from shared.logs import JsonLines
from shared.settings import Settings
from tests.api.pictures.samples import LIMITS, corners, encoded, exif, jpeg_that_takes_minutes, opened, quarters
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.servers

PATIENCE_SECONDS = 15.0
PATIENT = replace(LIMITS, max_scans=10_000)
"""These limits let a picture through that takes minutes."""
accounts = itertools.count(1)
"""Each picture is of another account, unless a test says otherwise."""
SMALL = encoded(quarters(), "PNG")
PROJECT = Path(__file__).resolve().parents[3]


def workers(
    *,
    count: int = 1,
    max_waiting: int = 8,
    seconds: float = 30.0,
    cpu_seconds: float = 60.0,
    memory_bytes: int = 1024**3,
) -> PictureWorkers:
    limits = WorkerLimits(picture=PATIENT, seconds=seconds, cpu_seconds=cpu_seconds, memory_bytes=memory_bytes)
    return PictureWorkers(limits, workers=count, max_waiting=max_waiting)


async def process(pictures: PictureWorkers, data: bytes, account: int | None = None) -> ProcessedPicture:
    with pictures.place(next(accounts) if account is None else account) as place:
        return await place.process(data)


def worker_pids(parent: int | None = None) -> set[int]:
    """The pids of the picture processes that are children of `parent`, by default of this process."""
    found = set()
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                status = (folder / "stat").read_text()
                command = (folder / "cmdline").read_bytes()
            except OSError:
                continue
            parent_pid = int(status.rpartition(")")[2].split()[1])
            if parent_pid == (parent or os.getpid()) and b"api.pictures.worker_process" in command:
                found.add(int(folder.name))
    return found


async def decoding_pid() -> int:
    """The pid of the worker, as soon as its memory shows that it decodes a picture of many megapixels."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            for pid in worker_pids():
                pages = int(Path(f"/proc/{pid}/statm").read_text().split()[0])
                if pages * os.sysconf("SC_PAGE_SIZE") > 100_000_000:
                    return pid
            await asyncio.sleep(0.01)


def wait_for_end(pid: int, seconds: float) -> bool:
    """Wait until a process ends that need not be our child; False if it still runs after `seconds`."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], seconds)[0])
    finally:
        os.close(descriptor)


@pytest.fixture(scope="module")
def endless() -> bytes:
    return jpeg_that_takes_minutes()


@pytest.fixture(autouse=True)
def no_worker_is_left() -> Iterator[None]:
    yield
    assert worker_pids() == set()


async def test_a_worker_returns_what_processing_here_returns() -> None:
    async with workers() as pictures:
        assert await process(pictures, SMALL) == process_picture(SMALL, LIMITS)


async def test_workers_get_their_limits_from_the_settings(tmp_path: Path) -> None:
    settings = Settings(data_directory=tmp_path, max_picture_pixels=96 * 64 - 1)
    async with PictureWorkers.from_settings(settings) as pictures:
        with pytest.raises(PictureTooLarge, match="96 by 64"):
            await process(pictures, SMALL)


def test_workers_run_on_uvloop() -> None:
    async def main() -> int:
        async with workers() as pictures:
            return (await process(pictures, SMALL)).width

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(main()) == 96


async def test_a_refusal_keeps_its_type_and_reason_and_its_worker_goes_on() -> None:
    async with workers() as pictures:
        await process(pictures, SMALL)
        before = worker_pids()
        with pytest.raises(UnsupportedPicture, match="only JPEG, PNG, WebP, GIF, HEIC and AVIF"):
            await process(pictures, b"text")
        with pytest.raises(BrokenPicture, match="damaged or incomplete"):
            await process(pictures, SMALL[:-40])
        with pytest.raises(PictureTooLarge, match="at most 10485760 bytes"):
            await process(pictures, bytes(10 * 1024 * 1024 + 1))
        assert (await process(pictures, SMALL)).width == 96
        assert worker_pids() == before
        assert len(before) == 1


async def test_the_event_loop_goes_on_while_a_big_picture_is_processed() -> None:
    big = encoded(quarters().resize((7000, 5000)), "PNG", compress_level=1)
    # The loop's own CPU time, which no other process lengthens.
    ticks = [time.thread_time()]

    async def tick() -> None:
        while True:
            await asyncio.sleep(0.002)
            ticks.append(time.thread_time())

    async with workers() as pictures:
        await process(pictures, SMALL)
        ticking = asyncio.create_task(tick())
        started = time.monotonic()
        await process(pictures, big)
        took = time.monotonic() - started
        ticking.cancel()
    longest = max(later - earlier for earlier, later in itertools.pairwise(ticks))
    assert longest < took / 3
    assert len(ticks) > 20


async def test_two_workers_process_pictures_at_the_same_time() -> None:
    async with workers(count=2) as pictures:
        answers = await asyncio.gather(*(process(pictures, SMALL) for _ in range(6)))
        assert len(worker_pids()) == 2
    assert {answer.width for answer in answers} == {96}


async def test_an_upload_is_refused_when_the_queue_is_full() -> None:
    async with workers(count=1, max_waiting=2) as pictures:
        waiting = [asyncio.create_task(process(pictures, SMALL)) for _ in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(PicturesBusy, match="too many"):
            await process(pictures, SMALL)
        await asyncio.gather(*waiting)
        assert (await process(pictures, SMALL)).width == 96


async def test_a_place_is_taken_before_the_picture_comes_and_always_given_back() -> None:
    async with workers(count=1, max_waiting=1) as pictures:
        with pictures.place(next(accounts)) as place, pictures.place(next(accounts)):
            with pytest.raises(PicturesBusy, match="too many"), pictures.place(next(accounts)):
                pytest.fail("a third place was given")
            assert (await place.process(SMALL)).width == 96
        with pytest.raises(UnsupportedPicture):
            await process(pictures, b"text")
        with pictures.place(next(accounts)), pictures.place(next(accounts)):
            pass


async def test_a_picture_that_takes_too_long_is_refused_and_its_worker_is_replaced(endless: bytes) -> None:
    async with workers(seconds=1.0) as pictures:
        await process(pictures, SMALL)
        (before,) = worker_pids()
        with pytest.raises(PictureTooLarge, match="more than 1 seconds"):
            await process(pictures, endless)
        assert (await process(pictures, SMALL)).width == 96
        assert before not in worker_pids()


async def test_a_picture_that_needs_too_much_memory_is_refused_and_the_next_one_works() -> None:
    big = encoded(Image.new("RGBA", (7000, 7000), (1, 2, 3, 4)), "PNG", compress_level=1)
    async with workers(memory_bytes=256 * 1024 * 1024) as pictures:
        assert (await process(pictures, SMALL)).width == 96
        with pytest.raises(PictureTooLarge, match="memory"):
            await process(pictures, big)
        assert (await process(pictures, SMALL)).width == 96


@pytest.mark.slow
@pytest.mark.parametrize(("width", "height"), [(9248, 6936), (12_000, 9_000)])
async def test_a_jpeg_of_many_megapixels_needs_little_memory(width: int, height: int) -> None:
    photo = encoded(quarters().resize((width, height), Image.Resampling.NEAREST), "JPEG", quality=80)
    assert width * height > LIMITS.max_pixels
    async with workers(memory_bytes=512 * 1024 * 1024) as pictures:
        picture = await process(pictures, photo)
    assert max(picture.width, picture.height) == LIMITS.side
    assert corners(opened(picture.data)) == ["red", "green", "blue", "white"]


async def test_damaged_heics_are_processed_or_refused_and_harm_no_other_picture() -> None:
    """A decoder that crashes takes only its own process with it."""
    whole, chance = encoded(quarters(), "HEIF", exif=exif(6)), random.Random(14)
    async with workers() as pictures:
        for _ in range(60):
            damaged = bytearray(whole)
            for _ in range(chance.randint(1, 4)):
                at = chance.randrange(len(damaged))
                damaged[at : at + chance.randint(0, 4)] = chance.randbytes(chance.randint(1, 4))
            with contextlib.suppress(PictureRefused):
                assert max((await process(pictures, bytes(damaged))).data[:2]) == 0xFF
        assert (await process(pictures, whole)).width == 96


async def test_a_worker_that_dies_fails_only_its_own_picture(endless: bytes) -> None:
    async with workers() as pictures:
        dying = asyncio.create_task(process(pictures, endless))
        waiting = asyncio.create_task(process(pictures, SMALL))
        os.kill(await decoding_pid(), signal.SIGKILL)
        with pytest.raises(BrokenPicture):
            await dying
        assert (await waiting).width == 96


async def test_a_worker_that_died_while_idle_is_replaced() -> None:
    async with workers() as pictures:
        await process(pictures, SMALL)
        (pid,) = worker_pids()
        descriptor = os.pidfd_open(pid)
        gone = asyncio.Event()
        asyncio.get_running_loop().add_reader(descriptor, gone.set)
        os.kill(pid, signal.SIGKILL)
        await gone.wait()
        asyncio.get_running_loop().remove_reader(descriptor)
        os.close(descriptor)
        assert (await process(pictures, SMALL)).width == 96


async def test_a_worker_is_replaced_after_a_number_of_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.pictures.workers.PICTURES_A_PROCESS", 2)
    async with workers() as pictures:
        seen = []
        for _ in range(4):
            await process(pictures, SMALL)
            seen.append(worker_pids())
    assert seen[0] == seen[1] != seen[2] == seen[3]


async def test_a_cancelled_caller_gives_its_place_back(endless: bytes) -> None:
    async with workers(max_waiting=1, seconds=1.0) as pictures:
        await process(pictures, SMALL)
        calls = [asyncio.create_task(process(pictures, picture)) for picture in (endless, endless)]
        await asyncio.sleep(0)
        calls[1].cancel()
        with pytest.raises(asyncio.CancelledError):
            await calls[1]
        following = asyncio.create_task(process(pictures, SMALL))
        with pytest.raises(PictureTooLarge):
            await calls[0]
        assert (await following).width == 96


async def test_closing_ends_running_and_waiting_pictures(endless: bytes) -> None:
    pictures = workers(max_waiting=2)
    async with pictures:
        await process(pictures, SMALL)
        calls = [asyncio.create_task(process(pictures, endless)) for _ in range(3)]
        await decoding_pid()
        closing = asyncio.get_running_loop().time()
    # Long before the picture's own time is over.
    assert asyncio.get_running_loop().time() - closing < PATIENCE_SECONDS
    for call in calls:
        with pytest.raises(PicturesBusy):
            await call
    with pytest.raises(PicturesBusy):
        await process(pictures, SMALL)


async def test_closing_while_a_worker_starts_leaves_no_process() -> None:
    async with workers() as pictures:
        call = asyncio.create_task(process(pictures, SMALL))
        # The process is there, and has not imported what it needs.
        await until(lambda: bool(worker_pids()))
    with pytest.raises(PicturesBusy):
        await call


async def test_a_worker_that_cannot_start_is_logged_with_its_error(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with workers() as pictures:
        monkeypatch.setattr(sys, "executable", "/nonexistent/python")
        with pytest.raises(PicturesBusy):
            await process(pictures, SMALL)
        monkeypatch.undo()
        assert (await process(pictures, SMALL)).width == 96
    [record] = caplog.records
    line = json.loads(JsonLines().format(record))
    assert line["event"] == "picture worker did not start"
    assert line["error"]


async def test_an_unexpected_error_fails_only_its_own_picture(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> dict[str, str]:
        raise RuntimeError("nobody foresaw it")

    async with workers() as pictures:
        monkeypatch.setattr("api.pictures.workers._environment", fail)
        async with asyncio.timeout(PATIENCE_SECONDS):
            with pytest.raises(PicturesBusy):
                await process(pictures, SMALL)
        monkeypatch.undo()
        assert (await process(pictures, SMALL)).width == 96
    [record] = caplog.records
    assert "nobody foresaw it" in JsonLines().format(record)


async def test_workers_know_no_secrets_and_have_a_lower_priority(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JWT_SECRET", "known to the api alone, and to nobody")
    async with workers() as pictures:
        await process(pictures, SMALL)
        (pid,) = worker_pids()
        environment = Path(f"/proc/{pid}/environ").read_bytes()
        nice = os.getpriority(os.PRIO_PROCESS, pid)
    assert b"PYTHONPATH=" in environment
    assert b"SECRET" not in environment
    own = os.getpriority(os.PRIO_PROCESS, 0)
    assert nice > own or own == 19, "nothing is lower than 19"


ORPHANS = """
import asyncio, sys, msgspec
from api.pictures.worker_process import WorkerLimits
from api.pictures.workers import PictureWorkers
from tests.api.pictures.samples import encoded, jpeg_that_takes_minutes, quarters
from tests.api.pictures.test_workers import decoding_pid

async def process(pictures, data):
    with pictures.place(0) as place:
        return await place.process(data)

async def main():
    limits = msgspec.json.decode(sys.argv[1], type=WorkerLimits)
    async with PictureWorkers(limits, workers=2, max_waiting=2) as pictures:
        small = encoded(quarters(), "PNG")
        await asyncio.gather(*(process(pictures, small) for _ in range(2)))
        busy = asyncio.create_task(process(pictures, jpeg_that_takes_minutes()))
        await decoding_pid()
        print("ready", flush=True)
        await busy

asyncio.run(main())
"""


async def test_no_worker_outlives_a_killed_api() -> None:
    limits = WorkerLimits(picture=PATIENT, seconds=2.0, cpu_seconds=60.0, memory_bytes=1024**3)
    api = await asyncio.create_subprocess_exec(
        sys.executable, "-c", ORPHANS, msgspec.json.encode(limits).decode(), stdout=PIPE, cwd=PROJECT
    )
    assert api.stdout is not None
    assert await api.stdout.readline() == b"ready\n"
    orphans = worker_pids(api.pid)
    assert len(orphans) == 2
    api.kill()
    await api.wait()
    for pid in orphans:
        assert await asyncio.to_thread(wait_for_end, pid, 20.0)


@contextmanager
def open_descriptors_unchanged() -> Iterator[None]:
    before = set(os.listdir("/proc/self/fd"))
    yield
    assert len(set(os.listdir("/proc/self/fd"))) <= len(before)


async def test_closing_closes_every_pipe() -> None:
    async with workers() as pictures:
        await process(pictures, SMALL)
    with open_descriptors_unchanged():
        for _ in range(3):
            async with workers(count=2) as pictures:
                await asyncio.gather(*(process(pictures, SMALL) for _ in range(3)))


async def test_an_account_has_one_picture_in_processing_and_two_waiting(endless: bytes) -> None:
    async with workers(count=2, max_waiting=8) as pictures:
        own = [asyncio.create_task(process(pictures, endless, account=1)) for _ in range(3)]
        await decoding_pid()
        with pytest.raises(TooManyPictures):
            await process(pictures, SMALL, account=1)
        # The other process is free for other accounts.
        for account in (2, 3, 2):
            assert (await process(pictures, SMALL, account=account)).width == 96
        for task in own:
            task.cancel()
        await asyncio.gather(*own, return_exceptions=True)


async def test_an_account_that_has_waited_gets_its_places_back() -> None:
    async with workers(count=2, max_waiting=8) as pictures:
        for _ in range(2):
            answers = await asyncio.gather(*(process(pictures, SMALL, account=1) for _ in range(3)))
            assert {answer.width for answer in answers} == {96}


async def test_a_picture_that_uses_up_its_cpu_time_is_refused_and_its_worker_is_replaced(endless: bytes) -> None:
    async with workers(cpu_seconds=0.5) as pictures:
        assert (await process(pictures, SMALL)).width == 96
        (before,) = worker_pids()
        with pytest.raises(PictureTooLarge, match="too long"):
            await process(pictures, endless)
        assert (await process(pictures, SMALL)).width == 96
        assert before not in worker_pids()
