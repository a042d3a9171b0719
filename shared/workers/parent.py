"""The parent of the workers: it starts them, replaces those that die, and stops them. It serves nobody itself.

One process more than needed has imported the program and waits: a worker that dies is replaced at once, and not after
the second that imports take. A worker that hangs gives no sign of life: it is killed, and replaced as well.

SIGTERM and SIGINT stop all workers, as they stop a single process. SIGHUP replaces the workers one after the other with
processes that import the program anew and read the files of secrets again.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import Coroutine
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from shared.faults import FAULTS
from shared.listening import cannot_listen
from shared.logs import configure_logs, log_of
from shared.settings import Settings
from shared.workers import incidents, sockets
from shared.workers.child import READY_SECONDS, Child
from shared.workers.files import make_folder
from shared.workers.worker import SIGN_SECONDS, assign

log = log_of(__name__)

FIRST_WAIT_SECONDS = 0.25
LONGEST_WAIT_SECONDS = 30.0
CLEANING_SECONDS = 15.0
"""How long a worker may take to end after its time to shut down; then it is killed."""
LONGEST_FOLDER = 60
"""Characters. The address of a Unix socket below the folder has at most 107."""


def seconds_to_wait(failures: int) -> float:
    """Returns how long the next worker waits, after this many in a row have ended at their start.

    After the first one it does not wait.
    """
    if failures < 2:
        return 0.0
    return min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2.0 ** min(failures - 2, 16))


@dataclass(eq=False)
class Place:
    """The place of one worker: its sockets outlive it."""

    number: int
    sockets: list[socket.socket]
    child: Child | None = None
    failures: int = 0
    """Workers in a row that have ended at their start."""
    wants_successor: asyncio.Event = field(default_factory=asyncio.Event)
    """Set from a reload on until the successor has become ready, or it is known that none will."""
    _answer: asyncio.Future[bool] | None = field(default=None, init=False)

    async def reload(self) -> bool:
        """Have its worker replaced. Returns whether a successor is there and the worker has ended."""
        self._answer = asyncio.get_running_loop().create_future()
        self.wants_successor.set()
        return await self._answer

    def answer(self, is_replaced: bool) -> None:
        """Say what has become of the successor that was wanted."""
        self.wants_successor.clear()
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(is_replaced)


class Parent:
    """`run` does everything."""

    def __init__(self, *command: str, name: str, host: str, port: int, workers: int, shutdown_seconds: float) -> None:
        """`python -m COMMAND --worker N` is a worker; `name` is the beginning of the address's variables."""
        self._command = command
        self._name, self._host, self._port = name, host, port
        self._count = workers
        self._end_seconds = shutdown_seconds + CLEANING_SECONDS
        self._children: set[Child] = set()
        self._spare: Child | None = None
        self._places: list[Place] = []
        self._incidents = incidents.Incidents([0] * workers, [0] * workers)
        self._shown: incidents.Incidents | None = None
        self._stop = asyncio.Event()
        self._reload = asyncio.Event()

    async def run(self) -> int:
        """Run until a signal stops it. Returns the exit status: 0, or that of the first worker if it did not start.

        Raises OSError, of one line, if the port cannot be bound.
        """
        try:
            bound = sockets.bind(self._host, self._port, self._count)
        except OSError as error:
            raise cannot_listen(self._name, self._host, self._port, error) from None
        self._places = [Place(number, each) for number, each in enumerate(bound, start=1)]
        self._folder = _private_folder()
        self._watch_signals()
        try:
            return await self._run()
        finally:
            for child in self._children:
                child.process.kill()
                child.process.wait()
                child.end()
            sockets.close(bound)
            shutil.rmtree(self._folder, ignore_errors=True)

    async def _run(self) -> int:
        # The first one alone: a fault that all would have is then reported once.
        first = self._begin(self._places[0])
        watching = asyncio.create_task(self._watch())
        await self._first_of(first.has_ended, first.is_listening, self._stop)
        if first.has_ended.is_set() or self._stop.is_set():
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
            if self._stop.is_set():
                return await self._end()
            if first.process.returncode < 0:
                # It could not say so itself.
                log.error("the first worker has ended at its start", pid=first.process.pid, ended=first.how_it_ended)
            return max(first.process.returncode, 1)
        sockets.are_listened_on([place.sockets for place in self._places])
        keeping = [asyncio.create_task(self._keep(place)) for place in self._places]
        reloading = asyncio.create_task(self._reload_when_asked())
        working = [reloading, watching, *keeping]
        stopping = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait([stopping, *working], return_when=asyncio.FIRST_COMPLETED)
            for task in working:
                if task.done():
                    task.result()  # Only a fault of this program ends one of them.
        finally:
            for each in (stopping, *working):
                each.cancel()
            await asyncio.gather(stopping, *working, return_exceptions=True)
        return await self._end()

    async def _end(self) -> int:
        """Stop all workers. Returns 0 if each of them ended well, else 1."""
        workers = [place.child for place in self._places if place.child is not None and place.child in self._children]
        log.info("stopping", workers=len(workers))
        # While a worker drains, it still accepts connections, and refuses new work. When it stops accepting, the
        # kernel refuses connections, because this process no longer holds the sockets open.
        for place in self._places:
            for each in place.sockets:
                each.close()
        leaving = list(self._children)
        for child in leaving:
            if child is self._spare:
                child.kill()
            else:
                child.process.send_signal(signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._end_seconds):
                await asyncio.gather(*(child.has_ended.wait() for child in leaving))
        late = [child.process.pid for child in leaving if not child.has_ended.is_set()]
        if late:
            log.error("workers did not end in time", pids=late)
        # A worker that had not begun to serve dies by the signal.
        ended_well = all(child.process.returncode in (0, -signal.SIGTERM) for child in workers)
        return 0 if ended_well and not late else 1

    # One worker

    async def _keep(self, place: Place) -> None:
        """Keep a worker in this place, until the task is cancelled."""
        child = place.child or await self._begun(place)
        async with asyncio.TaskGroup() as leaving:
            while True:
                await self._first_of(child.has_ended, child.is_listening)
                self._prepare_spare()
                await self._first_of(child.has_ended, place.wants_successor)
                if child.has_ended.is_set():
                    child = await self._after(place, child)
                else:
                    child = await self._replaced(place, child, leaving)

    async def _after(self, place: Place, child: Child) -> Child:
        """Returns the worker that takes the place of one that has ended by itself."""
        self._count_death(place, child)
        seconds = seconds_to_wait(place.failures)
        log.warning(
            "a worker has ended; another one takes its place",
            worker=place.number,
            pid=child.process.pid,
            ended=child.how_it_ended,
            wait_seconds=seconds,
        )
        if seconds:
            # Connections must not wait for a worker that may not come: other workers get them.
            sockets.pause(place.sockets)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await place.wants_successor.wait()
        successor = await self._begun(place)
        if place.wants_successor.is_set():
            place.answer(await self._becomes_ready(successor))
        return successor

    def _count_death(self, place: Place, child: Child) -> None:
        place.failures = place.failures + 1 if child.is_young else 0
        self._incidents.deaths[place.number - 1] += 1
        self._show_incidents()

    async def _begun(self, place: Place) -> Child:
        """Let a process be the worker in this place, as soon as one can be started."""
        failures = 1
        while True:
            try:
                return self._begin(place)
            except OSError as error:
                failures += 1
                seconds = seconds_to_wait(failures)
                log.error("a worker cannot be started", worker=place.number, error=str(error), wait_seconds=seconds)
            sockets.pause(place.sockets)
            await asyncio.sleep(seconds)

    async def _replaced(self, place: Place, child: Child, leaving: asyncio.TaskGroup) -> Child:
        """Returns the worker's successor; or the worker, if no successor becomes ready.

        The other one of the two may take long to end. A task of `leaving` waits for it, so that whoever has the place
        is watched meanwhile.
        """
        try:
            successor = self._begin(place, is_successor=True)
        except OSError as error:
            log.warning(
                "a worker's successor cannot be started; the worker stays", worker=place.number, error=str(error)
            )
            place.answer(False)
            return child
        is_ready = await self._becomes_ready(successor, child.has_ended)
        if child.has_ended.is_set():
            return await self._inherited(place, child, successor)
        if is_ready:
            log.info("a worker is replaced", worker=place.number, pid=child.process.pid, by=successor.process.pid)
            child.leave()
            place.wants_successor.clear()
            leaving.create_task(self._replaced_at_last(place, child, successor))
            return successor
        place.child = child
        log.warning("a worker's successor did not become ready; the worker stays", worker=place.number)
        successor.process.terminate()
        leaving.create_task(self._gone(successor))
        place.answer(False)
        return child

    async def _replaced_at_last(self, place: Place, child: Child, successor: Child) -> None:
        """Wait until the worker that was told to leave has ended. It is replaced if its successor still lives."""
        await self._gone(child)
        place.answer(not successor.has_ended.is_set())

    async def _inherited(self, place: Place, child: Child, successor: Child) -> Child:
        """Returns the successor of a worker that has died too early: it has the place, ready or not."""
        self._count_death(place, child)
        log.warning(
            "a worker has ended; its successor takes its place",
            worker=place.number,
            pid=child.process.pid,
            ended=child.how_it_ended,
            by=successor.process.pid,
        )
        successor.inherit()
        place.answer(await self._becomes_ready(successor))
        return successor

    async def _becomes_ready(self, child: Child, *or_until: asyncio.Event) -> bool:
        """Wait until the process can serve, or one of the events is set. Returns whether it can serve.

        It cannot if it ends, or takes too long.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(READY_SECONDS):
                await self._first_of(child.is_ready, child.has_ended, *or_until)
        return child.is_ready.is_set() and not child.has_ended.is_set()

    async def _gone(self, child: Child) -> None:
        """Wait until a process that was told to end has ended; kill it if it does not."""
        try:
            async with asyncio.timeout(self._end_seconds):
                await child.has_ended.wait()
        except TimeoutError:
            log.error("a worker did not end in time", pid=child.process.pid)
            child.process.kill()
            await child.has_ended.wait()

    async def _watch(self) -> None:
        """Kill workers that hang. Now and then, start another process in the place of one that waited and has ended.

        Show what has gone wrong meanwhile.
        """
        spare_after = 0.0
        while True:
            await asyncio.sleep(SIGN_SECONDS)
            self._show_incidents()
            for child in self._children:
                if child.number is None:
                    continue
                # A round counts for no more than its own time: if the machine stood still, nobody could give a sign.
                child.silent_for += SIGN_SECONDS
                if child.silent_for > child.may_be_silent_for:
                    log.warning(
                        "a worker gives no sign of life; it is killed", worker=child.number, pid=child.process.pid
                    )
                    child.process.kill()
            if self._spare is not None and self._spare.has_ended.is_set() and time.monotonic() > spare_after:
                spare_after = time.monotonic() + LONGEST_WAIT_SECONDS
                self._prepare_spare()

    async def _reload_when_asked(self) -> None:
        while True:
            await self._reload.wait()
            self._reload.clear()
            log.info("replacing the workers", workers=self._count)
            # It has imported the program as it was.
            self._give_up_spare()
            for place in self._places:
                if not await place.reload():
                    log.warning("the reload has ended early; the other workers stay", worker=place.number)
                    self._incidents.reload_failures[place.number - 1] += 1
                    self._show_incidents()
                    break
            else:
                log.info("the workers are replaced", workers=self._count)

    def _show_incidents(self) -> None:
        """Let the workers show what has been counted. If it cannot be written, the next call tries again.

        A folder or file that somebody has cleaned away is made anew.
        """
        self._incidents.faults = FAULTS.count
        with contextlib.suppress(OSError):
            make_folder(self._folder)
            if self._incidents != self._shown or not incidents.are_written(self._folder):
                incidents.write(self._folder, self._incidents)
                self._shown = deepcopy(self._incidents)

    # Processes

    def _begin(self, place: Place, *, is_successor: bool = False) -> Child:
        """Let a process be the worker in this place. Raises OSError if none can be started."""
        child, self._spare = self._spare, None
        if child is None or child.has_ended.is_set():
            child = self._spawn()
        self._show_incidents()
        with contextlib.suppress(OSError):  # It has just ended, and will be found.
            assign(
                child.link,
                number=place.number,
                count=self._count,
                folder=self._folder,
                sockets=place.sockets,
                is_successor=is_successor,
            )
        place.child, child.number, child.silent_for = child, place.number, 0.0
        log.info("a worker begins", worker=place.number, pid=child.process.pid)
        return child

    def _prepare_spare(self) -> None:
        if self._spare is None or self._spare.has_ended.is_set():
            try:
                self._spare = self._spawn()
            except OSError as error:
                log.warning("no process waits to replace a worker", error=str(error))

    def _give_up_spare(self) -> None:
        if self._spare is not None:
            self._spare.kill()
            self._spare = None

    def _spawn(self) -> Child:
        child = Child(self._command)
        self._children.add(child)
        return child

    def _watch_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        loop.add_signal_handler(signal.SIGHUP, self._reload.set)
        loop.add_signal_handler(signal.SIGCHLD, self._look)

    def _look(self) -> None:
        for child in tuple(self._children):
            child.look()
            if child.has_ended.is_set():
                self._children.discard(child)

    async def _first_of(self, *events: asyncio.Event) -> None:
        """Wait until one of these is set."""
        waits: list[Coroutine[Any, Any, Any]] = [event.wait() for event in events]
        tasks = [asyncio.create_task(wait) for wait in waits]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def _private_folder() -> Path:
    """Returns a new folder that only this user can enter, in the one that systemd gives the service, if it does."""
    [given, *_] = os.environ.get("RUNTIME_DIRECTORY", "").split(":")
    usual = given or tempfile.gettempdir()
    return Path(tempfile.mkdtemp(prefix="daveslist-", dir=usual if len(usual) <= LONGEST_FOLDER else "/tmp"))


def run(*command: str, name: str, host: str, port: int, workers: int, shutdown_seconds: float) -> int:
    """Run `workers` processes on one port until a signal stops them. Returns the exit status. Raises OSError."""

    async def work() -> int:
        parent = Parent(*command, name=name, host=host, port=port, workers=workers, shutdown_seconds=shutdown_seconds)
        return await parent.run()

    return asyncio.run(work())


def serve_by_several(module: str, settings: Settings, workers: int) -> int:
    """Serve the API or the gateway by this many processes. Returns the exit status. Raises OSError."""
    configure_logs(settings, f"{module} workers")
    return run(
        module,
        name=module.upper(),
        host=getattr(settings, f"{module}_host"),
        port=getattr(settings, f"{module}_port"),
        workers=workers,
        shutdown_seconds=settings.shutdown_seconds,
    )
