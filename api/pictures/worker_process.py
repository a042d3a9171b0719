"""The process that decodes pictures: `python -m api.pictures.worker_process LIMITS`, started by `workers`.

It reads one picture after the other from standard input, and answers each on standard output. Both directions use
frames: a length of 4 bytes (big endian), then that many bytes. The first frame of the output is empty, and says that
the process is ready. The process ends when its standard input ends, so it never outlives the API. It knows no secret:
`workers` gives it an environment without secrets.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import sys
from typing import BinaryIO

import msgspec

from api.pictures.errors import BrokenPicture, PictureRefused, PictureTooLarge, UnsupportedPicture
from api.pictures.processing import PictureLimits, ProcessedPicture, process_picture

LENGTH_BYTES = 4
REFUSALS: dict[str, type[PictureRefused]] = {
    refusal.__name__: refusal for refusal in (UnsupportedPicture, PictureTooLarge, BrokenPicture)
}

_BACKSTOP_SECONDS = 1
_NICENESS = 5


class WorkerLimits(msgspec.Struct, frozen=True, kw_only=True):
    """The limits of one worker process. `seconds` is the time for one picture, `cpu_seconds` the CPU time of it."""

    picture: PictureLimits
    seconds: float
    cpu_seconds: float
    memory_bytes: int


class Processed(msgspec.Struct, frozen=True, tag=True):
    """The answer if the picture was accepted."""

    picture: ProcessedPicture


class Refused(msgspec.Struct, frozen=True, tag=True):
    """The answer if the picture was refused."""

    error: str
    """A key of REFUSALS."""
    reason: str


Answer = Processed | Refused


def answer(data: bytes, limits: PictureLimits) -> Answer:
    """Returns the processed picture, or why it was refused."""
    try:
        return Processed(process_picture(data, limits))
    except PictureRefused as refusal:
        return Refused(type(refusal).__name__, refusal.reason)
    except MemoryError:
        return Refused(PictureTooLarge.__name__, "the picture needs too much memory")


def serve(limits: WorkerLimits, requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer pictures until the input ends."""
    _write_frame(answers, b"")
    while (data := _read_frame(requests)) is not None:
        # The API kills a worker that takes too long. If the API has died by then, the alarm ends the worker.
        signal.setitimer(signal.ITIMER_REAL, limits.seconds + _BACKSTOP_SECONDS)
        # Nobody handles the signal, so it ends this process, whatever a decoder does.
        signal.setitimer(signal.ITIMER_PROF, limits.cpu_seconds)
        reply = msgspec.msgpack.encode(answer(data, limits.picture))
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        _write_frame(answers, reply)


def _read_frame(stream: BinaryIO) -> bytes | None:
    header = stream.read(LENGTH_BYTES)
    if len(header) < LENGTH_BYTES:
        return None
    length = int.from_bytes(header, "big")
    data = stream.read(length)
    return data if len(data) == length else None


def _write_frame(stream: BinaryIO, data: bytes) -> None:
    stream.write(len(data).to_bytes(LENGTH_BYTES, "big") + data)
    stream.flush()


def _confine(memory_bytes: int) -> None:
    # A low priority, so that requests and chat are served first.
    os.nice(_NICENESS)
    # Some systems cannot limit the address space. The limit of pixels holds on all.
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    # A core file would contain a user's picture.
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main() -> None:
    """Run the worker process; its argument is a WorkerLimits as JSON."""
    limits = msgspec.json.decode(sys.argv[1], type=WorkerLimits)
    _confine(limits.memory_bytes)
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    # A library's output on stdout must not get between the frames.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    with answers, contextlib.suppress(BrokenPipeError):
        serve(limits, sys.stdin.buffer, answers)


if __name__ == "__main__":
    main()
