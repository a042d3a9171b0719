"""The metrics of all workers on one page, whichever of them is asked.

Each worker answers the others on a Unix socket in the folder of its parent. Whoever is asked for the page asks them
all, and adds the label `worker` to every metric: the number of the worker's place, which its successor keeps.

Counters never go backwards while the parent runs. A worker writes its counts into a file before it shows them to
anybody, and when it ends. The counts of a worker that has ended are added to those of its successor.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import math
import os
import time
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import msgspec
from prometheus_client.core import Metric

from shared.faults import faults_metric
from shared.logs import log_of
from shared.workers import incidents
from shared.workers.files import check_folder, replace_file
from shared.workers.worker import Worker

log = log_of(__name__)

ASK_SECONDS = 2.0
"""A worker that does not answer within this time is missing on the page, except for its counts."""
LOOK_SECONDS = 1.0
"""How often a worker looks whether the others still find its socket: a cleaner of old files may remove the folder."""
KEPT_SECONDS = 60.0
"""The counts of a worker that has ended have a file of their own for this long: much longer than a page takes."""

_CUMULATIVE = frozenset({"counter", "histogram", "summary"})
_SOCKET, _COUNTS, _DEPARTED = ".socket", ".counts", "departed"
_PARENT = "parent"
"""Stands in the label `worker` of what the parent itself has counted."""

Labels = tuple[tuple[str, str], ...]


class Family(msgspec.Struct, array_like=True):
    """One metric. `samples` maps the name and labels of each sample to its value."""

    name: str
    text: str
    kind: str
    samples: list[tuple[str, Labels, float]]

    @property
    def is_cumulative(self) -> bool:
        return self.kind in _CUMULATIVE


class Answer(msgspec.Struct, array_like=True):
    """What a worker says of itself."""

    node_id: str
    number: int
    is_leaving: bool
    families: list[Family]


class Departed(msgspec.Struct, array_like=True):
    """The counts of workers that ended long ago, by the number of their place."""

    counts: dict[int, list[Family]]
    nodes: list[str]
    """Those of them whose own files may still be there."""


def page(answers: Iterable[Answer], counts: Iterable[tuple[int | str, list[Family]]], places: int) -> list[Metric]:
    """Returns the metrics of all workers.

    `answers` are those of running workers; their counts are taken from `counts`, which has also those of workers that
    have ended, each with the number of its place, and those of the parent.
    """
    metrics: dict[str, Metric] = {}
    parts: dict[tuple[str, str, Labels], list[float]] = {}
    seen = [0.0] * places

    def metric_of(family: Family) -> Metric:
        if family.name not in metrics:
            metrics[family.name] = Metric(family.name, family.text, family.kind)
        return metrics[family.name]

    for answer in answers:
        place = str(answer.number)
        if answer.is_leaving:
            # Its successor has the place already.
            place += "-leaving"
        elif answer.number <= places:
            seen[answer.number - 1] = 1.0
        for family in answer.families:
            if not family.is_cumulative:
                metric = metric_of(family)
                for name, labels, value in family.samples:
                    metric.add_sample(name, {"worker": place, **dict(labels)}, value)
    for number, families in counts:
        for family in families:
            metric_of(family)
            for name, labels, value in family.samples:
                key = (family.name, name, (("worker", str(number)), *labels))
                parts.setdefault(key, []).append(value)
    for (family_name, name, labels), values in parts.items():
        # In whichever order the values come, their sum is the same.
        metrics[family_name].add_sample(name, dict(labels), math.fsum(values))
    up = Metric("daveslist_worker_up", "Whether the worker in this place has answered", "gauge")
    for number, value in enumerate(seen, start=1):
        up.add_sample("daveslist_worker_up", {"worker": str(number)}, value)
    return [*metrics.values(), up]


class Pages:
    """One worker's part of the page, and its view of the others."""

    def __init__(self, worker: Worker, node_id: str, collect: Callable[[], Iterable[Metric]]) -> None:
        """`collect` returns the worker's own metrics."""
        self._worker = worker
        self._node_id = node_id
        self._collect = collect
        self._folder = worker.folder
        self._socket = self._folder / f"{node_id}{_SOCKET}"
        self._server: asyncio.Server | None = None
        self._listening: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Answer the other workers, as soon as the folder is there."""
        await self._listen()
        self._listening = asyncio.create_task(self._keep_listening())

    async def stop(self) -> None:
        """Leave the final counts behind. Nothing may be counted after this."""
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.gather(self._listening, return_exceptions=True)
        with contextlib.suppress(OSError):  # The folder is gone if the parent has died.
            self._write(self._own())
        if self._server is not None:
            self._server.close()
        with contextlib.suppress(OSError):
            self._socket.unlink()

    async def _keep_listening(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            # False also if the folder is somebody else's by now.
            if not os.path.exists(self._socket):
                await self._listen()

    async def _listen(self) -> None:
        if self._server is not None:
            self._server.close()
        # Without a folder the metrics are missing, but the worker serves. The parent makes it anew.
        with contextlib.suppress(OSError):
            check_folder(self._folder)
            # In two steps: whoever ends this in between knows what to close.
            self._server = await asyncio.start_unix_server(self._answer, self._socket, start_serving=False)
            await self._server.start_serving()

    async def collect(self) -> list[Metric]:
        """Returns the metrics of all workers."""
        try:
            of_parent = incidents.read(self._folder)
            with self._lock():
                counts = self._counts()
            others = [path for path in self._folder.glob(f"*{_SOCKET}") if path.stem != self._node_id]
            answers = [each for each in await asyncio.gather(*map(self._ask, others)) if each is not None]
        except (OSError, msgspec.MsgspecError) as error:
            log.warning("the other workers' metrics are not there", error=str(error))
            # Without any count: less than before would look as if all of it had been counted anew.
            return page([self._own()], [], self._worker.count)
        answers.append(self._own())
        try:
            self._write(answers[-1])
        except OSError as error:
            log.warning("the worker's counts cannot be written", error=str(error))
        for answer in answers:
            counts[answer.node_id] = (answer.number, _cumulative(answer.families))
        if of_parent is None:
            return page(answers, [*counts.values()], self._worker.count)
        faults = (_PARENT, _families([faults_metric(of_parent.faults)]))
        return [*page(answers, [*counts.values(), faults], self._worker.count), *incidents.metrics(of_parent)]

    def _own(self) -> Answer:
        families = _families(self._collect())
        if not self._worker.shows_all:
            # Its predecessor, which still serves, has gauges of the same names in the same place.
            families = _cumulative(families)
        return Answer(self._node_id, self._worker.number, self._worker.is_replaced, families)

    async def _answer(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        own = self._own()
        with contextlib.suppress(OSError):
            self._write(own)
            writer.write(msgspec.msgpack.encode(own))
            await writer.drain()
        writer.close()

    async def _ask(self, path: Path) -> Answer | None:
        """Returns the answer of another worker; None if it has ended or does not answer."""
        writer: asyncio.StreamWriter | None = None
        try:
            async with asyncio.timeout(ASK_SECONDS):
                reader, writer = await asyncio.open_unix_connection(path)
                return msgspec.msgpack.decode(await reader.read(), type=Answer)
        except (ConnectionRefusedError, FileNotFoundError):
            # It died without removing its socket.
            path.unlink(missing_ok=True)
            return None
        except (OSError, TimeoutError, msgspec.MsgspecError):
            return None
        finally:
            if writer is not None:
                writer.close()

    # Files

    def _write(self, own: Answer) -> None:
        replace_file(
            self._folder / f"{self._node_id}{_COUNTS}",
            msgspec.msgpack.encode(Answer(own.node_id, own.number, own.is_leaving, _cumulative(own.families))),
        )

    def _counts(self) -> dict[str, tuple[int, list[Family]]]:
        """Returns the counts in all files, by node; those of workers that ended long ago have no node's name."""
        departed = self._departed()
        old = time.time() - KEPT_SECONDS
        found: dict[str, tuple[int, list[Family]]] = {}
        is_changed = False
        for path in self._folder.glob(f"*{_COUNTS}"):
            node_id = path.stem
            if node_id in departed.nodes:
                # Whoever moved it died before its file was removed.
                path.unlink(missing_ok=True)
                continue
            kept = msgspec.msgpack.decode(path.read_bytes(), type=Answer)
            if path.stat().st_mtime < old and not (self._folder / f"{node_id}{_SOCKET}").exists():
                departed.counts[kept.number] = _sum(departed.counts.get(kept.number, []), kept.families)
                departed.nodes.append(node_id)
                is_changed = True
            else:
                found[node_id] = (kept.number, kept.families)
        if is_changed:
            replace_file(self._folder / _DEPARTED, msgspec.msgpack.encode(departed))
            for node_id in departed.nodes:
                (self._folder / f"{node_id}{_COUNTS}").unlink(missing_ok=True)
        return {**found, **{f"departed {number}": (number, sums) for number, sums in departed.counts.items()}}

    def _departed(self) -> Departed:
        try:
            departed = msgspec.msgpack.decode((self._folder / _DEPARTED).read_bytes(), type=Departed)
        except FileNotFoundError:
            return Departed({}, [])
        departed.nodes = [each for each in departed.nodes if (self._folder / f"{each}{_COUNTS}").exists()]
        return departed

    @contextlib.contextmanager
    def _lock(self) -> Iterator[None]:
        """Only one worker at a time moves files. It takes a few milliseconds and does not await anything."""
        check_folder(self._folder)
        descriptor = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def _families(metrics: Iterable[Metric]) -> list[Family]:
    return [
        Family(
            metric.name,
            metric.documentation,
            metric.type,
            [(sample.name, tuple(sample.labels.items()), float(sample.value)) for sample in metric.samples],
        )
        for metric in metrics
    ]


def _cumulative(families: Iterable[Family]) -> list[Family]:
    return [family for family in families if family.is_cumulative]


def _sum(ones: list[Family], others: list[Family]) -> list[Family]:
    sums: dict[str, Family] = {}
    for family in (*ones, *others):
        if family.name not in sums:
            sums[family.name] = Family(family.name, family.text, family.kind, [])
        own = sums[family.name]
        values = {(name, labels): value for name, labels, value in own.samples}
        for name, labels, value in family.samples:
            values[(name, labels)] = _sum_or_more(values.get((name, labels), 0.0), value)
        own.samples = [(name, labels, value) for (name, labels), value in values.items()]
    return list(sums.values())


def _sum_or_more(one: float, other: float) -> float:
    """Returns the sum, or the next float above it if it has no float: a later sum is never below an earlier one."""
    total = one + other
    is_less = Fraction(total) < Fraction(one) + Fraction(other)
    return math.nextafter(total, math.inf) if is_less else total
