"""Runs `process_picture` outside the event loop: in a few processes, with a bounded queue and a time limit.

Threads would not do, although Pillow releases the GIL while it decodes. A thread that a hostile picture keeps busy
cannot be ended, and its memory use, or a crash in a decoder, would hit the whole API. A process can be killed. It has
its own memory limit, a lower priority, an environment without secrets, and no access to files, network and other
processes (`confinement`). A `ProcessPoolExecutor` would not do either: if one of its processes has to be killed, all
pictures fail, and it unpickles bytes that a hijacked decoder may have
written. The processes here are children with pipes, and their answers are read as plain data.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Self

import msgspec

from api.pictures.errors import BrokenPicture, PicturesBusy, PictureTooLarge, TooManyPictures
from api.pictures.likeness import is_sound
from api.pictures.processing import PictureLimits, ProcessedPicture
from api.pictures.worker_process import LENGTH_BYTES, REFUSALS, Answer, Refused, WorkerLimits
from shared.logs import log_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from shared.settings import Settings

log = log_of(__name__)

START_SECONDS = 30.0
PICTURES_A_PROCESS = 100
"""A process is replaced after this many pictures, so that leaks in decoders stay small."""

MAX_ANSWER_BYTES = 64 * 1024 * 1024

_PROJECT = Path(__file__).resolve().parents[2]
_answer_decoder = msgspec.msgpack.Decoder(Answer)


MAX_PLACES_PER_ACCOUNT = 3
"""One picture of an account is processed and two wait, so that no account takes all the places and processes."""


class WorkerEnded(Exception):
    """The process ended by itself: it crashed, or the system killed it."""


class TookTooLong(WorkerEnded):
    """The process used up the CPU time that one picture may take."""


class WorkerNotStarted(Exception):
    """The process did not start, or not within START_SECONDS."""


@dataclass(frozen=True, slots=True)
class Job:
    """One upload, and the future for its result."""

    data: bytes
    picture: asyncio.Future[ProcessedPicture]


@dataclass(frozen=True, slots=True)
class Place:
    """The right to have one picture processed, given by `PictureWorkers.place`."""

    process: Callable[[bytes], Awaitable[ProcessedPicture]]
    """Returns and raises what `process_picture` does; raises PicturesBusy if no picture can be processed now."""


class PictureWorkers:
    """An asynchronous context manager. Leaving it ends every process, and waiting pictures get PicturesBusy.

    The processes start with the first pictures. At most `workers` pictures are processed at the same time, and at most
    `max_waiting` wait, in the order of arrival. An upload takes a `place` before its body is read, so the places also
    bound the number of bodies in memory. One account has at most MAX_PLACES_PER_ACCOUNT places, and one picture of an
    account is processed at a time.
    """

    def __init__(self, limits: WorkerLimits, *, workers: int, max_waiting: int) -> None:
        self._limits = limits
        self._workers = workers
        self._room = workers + max_waiting
        self._accounts: dict[int, _Account] = {}
        self._taken = 0
        self._jobs: asyncio.Queue[Job] = asyncio.Queue()
        self._under_way: set[asyncio.Future[ProcessedPicture]] = set()
        self._runners: list[asyncio.Task[None]] = []

    @classmethod
    def from_settings(cls, settings: Settings) -> PictureWorkers:
        """Returns the workers of the settings; none runs yet."""
        limits = WorkerLimits(
            picture=PictureLimits.from_settings(settings),
            seconds=settings.picture_seconds,
            cpu_seconds=settings.picture_cpu_seconds,
            memory_bytes=settings.picture_memory_bytes,
        )
        return cls(limits, workers=settings.picture_workers, max_waiting=settings.max_waiting_pictures)

    async def __aenter__(self) -> Self:
        self._runners = [asyncio.create_task(_Runner(self._jobs, self._limits).run()) for _ in range(self._workers)]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """End every process. Pictures that wait or are processed get PicturesBusy."""
        runners, self._runners = self._runners, []
        for runner in runners:
            runner.cancel()
        for picture in self._under_way:
            if not picture.done():
                picture.set_exception(PicturesBusy("the server is stopping"))
        await asyncio.gather(*runners, return_exceptions=True)

    @property
    def free(self) -> int:
        """The number of free places."""
        return self._room - self._taken

    @contextlib.contextmanager
    def place(self, account: int) -> Iterator[Place]:
        """Hold a place for one picture of an account, until the end of the block.

        Raises PicturesBusy if all places are taken, and TooManyPictures if the account has its share of them.

        If the caller is cancelled while its picture is processed, the result is dropped.
        """
        if not self._runners:
            raise PicturesBusy("no pictures are processed now")
        if not self.free:
            raise PicturesBusy("too many pictures are waiting")
        own = self._accounts.setdefault(account, _Account())
        if own.places >= MAX_PLACES_PER_ACCOUNT:
            raise TooManyPictures("too many of your pictures are waiting")
        self._taken += 1
        own.places += 1
        try:
            yield Place(partial(self._process_in_turn, own))
        finally:
            self._taken -= 1
            own.places -= 1
            if not own.places:
                del self._accounts[account]

    async def _process_in_turn(self, account: _Account, data: bytes) -> ProcessedPicture:
        async with account.turn:
            return await self._process(data)

    async def _process(self, data: bytes) -> ProcessedPicture:
        if not self._runners:
            raise PicturesBusy("no pictures are processed now")
        if len(data) > self._limits.picture.max_bytes:
            raise PictureTooLarge(f"a picture may have at most {self._limits.picture.max_bytes} bytes")
        picture: asyncio.Future[ProcessedPicture] = asyncio.get_running_loop().create_future()
        self._under_way.add(picture)
        picture.add_done_callback(self._under_way.discard)
        self._jobs.put_nowait(Job(data, picture))
        return await picture


@dataclass(slots=True)
class _Account:
    """An account that holds places. `turn` lets one of its pictures be processed at a time."""

    places: int = 0
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


class _Runner:
    """Owns at most one process at a time, and gives it one picture after the other."""

    def __init__(self, jobs: asyncio.Queue[Job], limits: WorkerLimits) -> None:
        self._jobs = jobs
        self._limits = limits
        self._worker: _Worker | None = None

    async def run(self) -> None:
        """Process pictures until cancelled; then end the process."""
        try:
            while True:
                await self._serve_next()
        finally:
            await self._end_worker()

    async def _serve_next(self) -> None:
        # A separate method, so that the runner keeps no picture in memory while it waits for the next one.
        job = await self._jobs.get()
        if job.picture.done():
            return
        try:
            answer = await self._ask(job.data)
        except TimeoutError:
            log.warning("picture took too long", seconds=self._limits.seconds, bytes=len(job.data))
            _fail(job, PictureTooLarge(f"the picture takes more than {self._limits.seconds:g} seconds to process"))
        except TookTooLong:
            log.warning("picture took too long", cpu_seconds=self._limits.cpu_seconds, bytes=len(job.data))
            _fail(job, PictureTooLarge("the picture takes too long to process"))
        except (OSError, WorkerNotStarted) as error:
            log.error("picture worker did not start", error=repr(error))
            _fail(job, PicturesBusy("no pictures can be processed now"))
        except WorkerEnded as error:
            log.warning("picture worker died", error=str(error), bytes=len(job.data))
            _fail(job, BrokenPicture("the picture cannot be decoded"))
        except Exception as error:
            # Without an answer the caller would wait for ever, and without the runner all later callers as well.
            log.error("picture worker failed", error=repr(error))
            await self._end_worker()
            _fail(job, PicturesBusy("no pictures can be processed now"))
        else:
            if isinstance(answer, Refused):
                _fail(job, REFUSALS.get(answer.error, BrokenPicture)(answer.reason))
            elif not job.picture.done():
                job.picture.set_result(_sound(answer.picture))

    async def _ask(self, data: bytes) -> Answer:
        """Returns the answer to one picture. Raises OSError, WorkerNotStarted, TimeoutError or WorkerEnded.

        After each of these errors the process has ended.
        """
        while True:
            worker = await self._ready_worker()
            is_fresh = worker.served == 0
            try:
                return await worker.ask(data, self._limits.seconds)
            except WorkerEnded:
                await self._end_worker()
                # A process that has served before may have died in between, not because of this picture.
                if is_fresh:
                    raise
            except TimeoutError:
                await self._end_worker()
                raise

    async def _ready_worker(self) -> _Worker:
        if self._worker is not None and (self._worker.has_ended or self._worker.served >= PICTURES_A_PROCESS):
            await self._end_worker()
        if self._worker is None:
            self._worker = await _Worker.start(self._limits)
        return self._worker

    async def _end_worker(self) -> None:
        worker, self._worker = self._worker, None
        if worker is not None:
            await worker.end()


def _sound(picture: ProcessedPicture) -> ProcessedPicture:
    """Returns the picture, without a likeness that only a taken-over decoder can have made."""
    likeness = picture.likeness
    return picture if likeness is None or is_sound(likeness) else replace(picture, likeness=None)


def _fail(job: Job, error: Exception) -> None:
    if not job.picture.done():
        job.picture.set_exception(error)


class _Worker:
    """One running `worker_process`."""

    def __init__(self, process: Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._process = process
        self._requests = process.stdin
        self._answers = process.stdout
        self.served = 0

    @classmethod
    async def start(cls, limits: WorkerLimits) -> _Worker:
        """Returns a process that is ready. Raises OSError or WorkerNotStarted."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "api.pictures.worker_process",
            msgspec.json.encode(limits).decode(),
            stdin=PIPE,
            stdout=PIPE,
            env=_environment(),
            # Ctrl-C at the terminal must reach only the API, which then ends its workers.
            start_new_session=True,
        )
        worker = cls(process)
        try:
            async with asyncio.timeout(START_SECONDS):
                missing = (await worker._read_frame()).decode(errors="replace")
        except (TimeoutError, WorkerEnded) as error:
            await worker.end()
            raise WorkerNotStarted(f"{type(error).__name__}: {error}") from None
        except BaseException:
            await worker.end()
            raise
        if missing:
            log.warning("picture worker not confined", missing=missing)
        return worker

    @property
    def has_ended(self) -> bool:
        return self._process.returncode is not None

    async def ask(self, data: bytes, seconds: float) -> Answer:
        """Returns the answer to one picture. Raises TimeoutError or WorkerEnded; end the worker after either."""
        self.served += 1
        async with asyncio.timeout(seconds):
            # If the process has ended, the read below shows it.
            with contextlib.suppress(OSError):
                self._requests.write(len(data).to_bytes(LENGTH_BYTES, "big"))
                self._requests.write(data)
                await self._requests.drain()
            reply = await self._read_frame()
        try:
            answer: Answer = _answer_decoder.decode(reply)
        except msgspec.DecodeError as error:
            raise WorkerEnded(f"its answer cannot be decoded: {error}") from None
        return answer

    async def end(self) -> None:
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
        self._requests.close()
        # The pipe must be read to its end, or the transport stays open.
        await self._answers.read()
        await self._process.wait()

    async def _read_frame(self) -> bytes:
        try:
            length = int.from_bytes(await self._answers.readexactly(LENGTH_BYTES), "big")
            if length > MAX_ANSWER_BYTES:
                raise WorkerEnded(f"its answer claims to have {length} bytes")
            return await self._answers.readexactly(length)
        except (asyncio.IncompleteReadError, OSError):
            status = await self._process.wait()
            raise (TookTooLong if status == -signal.SIGPROF else WorkerEnded)(f"exit status {status}") from None


def _environment() -> dict[str, str]:
    """Returns a worker's environment: what Python needs to find the project and its packages, and no secrets."""
    environment = {"PYTHONPATH": os.pathsep.join([str(_PROJECT), *filter(None, sys.path)])}
    if "LD_LIBRARY_PATH" in os.environ:
        environment["LD_LIBRARY_PATH"] = os.environ["LD_LIBRARY_PATH"]
    return environment
