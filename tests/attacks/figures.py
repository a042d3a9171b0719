"""What an attack cost: the bystander's waits before it and during it, refusals, memory and lines of logs. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tests.attacks.bystander import ELSEWHERE, NOTHING, Sample

FLOORS = {"beat": 0.1, "send": 0.15, "login": 0.75, "upload": 2.0}
FLOOR_SECONDS = 0.25
"""The floor of all other habits."""
MEBIBYTE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Waits:
    """Percentiles in seconds, and the number of samples."""

    p50: float
    p99: float
    count: int

    @classmethod
    def of(cls, seconds: Iterable[float]) -> Waits:
        ordered = sorted(seconds)
        count = len(ordered)
        return cls(ordered[count // 2], ordered[min(count - 1, count * 99 // 100)], count)

    def __str__(self) -> str:
        return f"{self.p50 * 1000:.1f}/{self.p99 * 1000:.1f}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long the bystander may wait during an attack."""

    times_quiet: float = 5.0
    """Its p99 stays below this many times its p99 before the attack, or its p99 elsewhere during the attack."""
    floors: Mapping[str, float] = field(default_factory=lambda: FLOORS)
    """A p99 of so many seconds is never too long, since two busy cores make such waits without any attack."""
    turns: int = 8
    """An answer needs about so many turns of processes, one after the other: nginx, an API, Postgres, Redis and so on.
    On a machine that has much else to do, each of them is as late as the bystander is when it asks for nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What an attack may cost beside the bystander's patience."""

    api_bytes: int = 300 * MEBIBYTE
    """Memory of the largest API, with its workers."""
    gateway_bytes: int = 300 * MEBIBYTE
    nginx_bytes: int = 150 * MEBIBYTE
    """Memory of nginx's processes together."""
    file_bytes: int = 8 * MEBIBYTE
    """nginx's temporary files, which are in memory too."""
    lines_per_second: float = 500.0
    """Of the logs of all processes together, the bystander's own requests included."""
    log_bytes_per_second: float = 200_000.0


@dataclass(kw_only=True)
class Usage:
    """The most that was seen of each at one moment."""

    api_bytes: int = 0
    gateway_bytes: int = 0
    nginx_bytes: int = 0
    file_bytes: int = 0


@dataclass(kw_only=True)
class Figures:
    """The figures of one attack."""

    quiet: Mapping[str, Waits]
    attacked: Mapping[str, Waits]
    faults: Counter[str]
    """What was wrong with the bystander's answers, with the habit."""
    answers: Counter[str]
    """What the attacker got."""
    seconds: float
    """How long the attack took."""
    usage: Usage
    lines: int
    log_bytes: int
    cpu_seconds: float
    """Of nginx, the APIs and the gateways, during the attack."""
    patience: Patience = Patience()
    notes: dict[str, object] = field(default_factory=dict)

    @property
    def slow(self) -> list[str]:
        """The habits whose answers took too long during the attack."""
        lateness, patience = self.attacked[NOTHING].p99, self.patience
        elsewhere = self.attacked[ELSEWHERE].p99 if ELSEWHERE in self.attacked else 0.0
        return [
            habit
            for habit, waits in self.attacked.items()
            if habit not in (NOTHING, ELSEWHERE)
            and waits.p99
            > max(
                patience.times_quiet * max(self.quiet[habit].p99, elsewhere),
                patience.floors.get(habit, FLOOR_SECONDS),
                patience.turns * lateness,
            )
        ]

    def beyond(self, bounds: Bounds) -> list[str]:
        """What went beyond its bound, besides waits."""
        found = [f"{name} {count} times" for name, count in self.faults.items()]
        for name in ("api_bytes", "gateway_bytes", "nginx_bytes", "file_bytes"):
            used, most = getattr(self.usage, name), getattr(bounds, name)
            if used > most:
                found.append(f"{name} {used:,} > {most:,}")
        if self.lines > bounds.lines_per_second * self.seconds:
            found.append(f"{self.lines} lines in {self.seconds:.1f} s")
        if self.log_bytes > bounds.log_bytes_per_second * self.seconds:
            found.append(f"{self.log_bytes:,} bytes of logs in {self.seconds:.1f} s")
        return found

    def line(self, name: str) -> str:
        """All figures in one line; times are p50/p99 in ms, before and during the attack."""
        waits = ", ".join(f"{habit} {self.quiet[habit]} -> {waits}" for habit, waits in self.attacked.items())
        used = self.usage
        return "; ".join(
            [
                f"{name}: {waits} ms",
                f"bystander refused {sum(self.faults.values())}{_listed(self.faults)}",
                f"attacker{_listed(self.answers) or ' -'}",
                *(f"{what} {value}" for what, value in self.notes.items()),
                f"api {used.api_bytes // MEBIBYTE} MiB, gateway {used.gateway_bytes // MEBIBYTE} MiB, "
                f"nginx {used.nginx_bytes // MEBIBYTE} + {used.file_bytes / MEBIBYTE:.0f} MiB",
                f"log {self.lines / self.seconds:.0f} lines/s, {self.log_bytes / self.seconds / 1000:.0f} KB/s",
                f"CPU {100 * self.cpu_seconds / self.seconds:.0f} % for {self.seconds:.1f} s",
            ]
        )


def waits_of(samples: Iterable[Sample], since: float, until: float) -> dict[str, Waits]:
    """The waits for the requests that began in this time, by habit."""
    seconds: dict[str, list[float]] = {}
    for sample in samples:
        if since <= sample.started < until:
            seconds.setdefault(sample.habit, []).append(sample.seconds)
    return {habit: Waits.of(found) for habit, found in seconds.items()}


def _listed(counts: Counter[str]) -> str:
    return "".join(f" {count}x{name}" for name, count in counts.most_common())
