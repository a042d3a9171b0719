"""Tests the verdict on an attack: what is told of a bystander that waits, is refused or gets no answer."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from tests.attacks.bystander import ELSEWHERE, NO_ANSWER, NOTHING, Sample
from tests.attacks.figures import MEBIBYTE, Bounds, Figures, Patience, Usage, waits_of


def samples(habit: str, since: float, *seconds: float) -> list[Sample]:
    return [Sample(habit, since + number / 100, one, "") for number, one in enumerate(seconds)]


def figures(*seconds: float, late: float = 0.001) -> Figures:
    """Figures of a bystander whose heartbeats were answered after 1 to 30 ms, and during the attack after `seconds`.

    During the attack, the machine lets the bystander run `late`.
    """
    found = samples("beat", 0.0, 0.001, 0.002, 0.03) + samples("beat", 10.0, *seconds)
    found += samples(NOTHING, 0.0, 0.001) + samples(NOTHING, 10.0, late)
    return Figures(
        quiet=waits_of(found, 0.0, 10.0),
        attacked=waits_of(found, 10.0, 20.0),
        faults=Counter(),
        answers=Counter({"200": 3}),
        seconds=10.0,
        usage=Usage(api_bytes=80 * MEBIBYTE),
        lines=20,
        log_bytes=2000,
        cpu_seconds=5.0,
    )


def test_a_bystander_may_wait_five_times_as_long_as_before() -> None:
    assert figures(0.002, 0.149).slow == []
    assert figures(0.002, 0.151).slow == ["beat"]


def test_a_short_wait_is_no_fault_however_short_it_was_before() -> None:
    quick = figures(0.09)
    quick = replace(quick, quiet=waits_of(samples("beat", 0.0, 0.0001), 0.0, 1.0))
    assert quick.slow == []


def test_waits_of_a_machine_that_lets_nobody_run_are_no_fault_of_the_service() -> None:
    assert figures(0.39, late=0.05).slow == []
    assert figures(0.41, late=0.05).slow == ["beat"]


def test_a_bystander_may_wait_as_much_longer_as_elsewhere_at_the_same_time() -> None:
    strict = replace(figures(0.0), patience=Patience(times_quiet=2.0, floors={"beat": 0.02}, turns=3))
    for wait, slow in ((0.059, []), (0.061, ["beat"]), (0.079, ["beat"])):
        attacked = waits_of(samples("beat", 0.0, wait) + samples(NOTHING, 0.0, 0.001), 0.0, 1.0)
        assert replace(strict, attacked=attacked).slow == slow
        elsewhere = waits_of(samples(ELSEWHERE, 0.0, 0.04), 0.0, 1.0)
        assert replace(strict, attacked={**attacked, **elsewhere}).slow == []


def test_a_pause_of_the_service_is_in_all_waits_that_fall_into_it() -> None:
    # Begun every 10 ms while nothing was answered for half a second.
    pause = [0.5 - number / 100 for number in range(50)]
    assert figures(*[0.001] * 350, *pause).slow == ["beat"]


def test_refusals_memory_and_logs_have_bounds() -> None:
    assert figures(0.001).beyond(Bounds()) == []
    refused = replace(figures(0.001), faults=Counter({f"beat: {NO_ANSWER}": 1}))
    assert refused.beyond(Bounds()) == ["beat: no answer 1 times"]
    assert figures(0.001).beyond(Bounds(api_bytes=79 * MEBIBYTE)) == ["api_bytes 83,886,080 > 82,837,504"]
    assert figures(0.001).beyond(Bounds(lines_per_second=1.9)) == ["20 lines in 10.0 s"]
    assert figures(0.001).beyond(Bounds(log_bytes_per_second=199)) == ["2,000 bytes of logs in 10.0 s"]


def test_one_line_has_all_figures() -> None:
    assert figures(0.002, 0.004).line("an attack") == (
        "an attack: beat 2.0/30.0 -> 4.0/4.0, nothing 1.0/1.0 -> 1.0/1.0 ms; bystander refused 0; attacker 3x200; "
        "api 80 MiB, gateway 0 MiB, nginx 0 + 0 MiB; log 2 lines/s, 0 KB/s; CPU 50 % for 10.0 s"
    )
