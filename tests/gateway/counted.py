"""What a Counter has counted, as Prometheus would read it."""

from __future__ import annotations

from prometheus_client import Counter


def counted(counter: Counter) -> dict[str, float]:
    """By the value of its label, which is empty where it has none; without what never happened."""
    return {
        "".join(sample.labels.values()): sample.value
        for family in counter.collect()
        for sample in family.samples
        if sample.name.endswith("_total") and sample.value
    }
