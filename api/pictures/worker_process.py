"""The process that decodes pictures: `python -m api.pictures.worker_process LIMITS`, started by `workers`.

It reads one picture after the other from standard input, and answers each on standard output. Both directions use
frames: a length of 4 bytes (big endian), then that many bytes. The first frame of the output says that the process is
ready; it is empty, or a sentence that says how this system cannot confine it. The process ends when its standard input
ends, so it never outlives the API. It knows no secret, and can reach none: `workers` gives it an environment without
secrets, and `confinement` takes files, network and other processes from it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from typing import BinaryIO

import msgspec

from api.pictures.confinement import confine
from api.pictures.errors import BrokenPicture, PictureRefused, PictureTooLarge, UnsupportedPicture
from api.pictures.processing import PictureLimits, ProcessedPicture, process_picture

LENGTH_BYTES = 4
REFUSALS: dict[str, type[PictureRefused]] = {
    refusal.__name__: refusal for refusal in (UnsupportedPicture, PictureTooLarge, BrokenPicture)
}

_BACKSTOP_SECONDS = 1


class WorkerLimits(msgspec.Struct, frozen=True, kw_only=True):
    """The limits of one worker process. One picture may take `seconds` of time and `cpu_seconds` of CPU time."""

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


def serve(limits: WorkerLimits, requests: BinaryIO, answers: BinaryIO, missing: str) -> None:
    """Write `missing`, what `confine` returned, as the first frame; then answer pictures until the input ends."""
    _write_frame(answers, missing.encode())
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


def main() -> None:
    """Run the worker process; its argument is a WorkerLimits as JSON."""
    limits = msgspec.json.decode(sys.argv[1], type=WorkerLimits)
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    # A library's output on stdout must not get between the frames.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    missing = confine(limits.memory_bytes)
    with answers, contextlib.suppress(BrokenPipeError):
        serve(limits, sys.stdin.buffer, answers, missing)


if __name__ == "__main__":
    main()
