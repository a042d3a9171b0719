"""Reads the values of a Counter as Prometheus reads them."""

from __future__ import annotations

from prometheus_client import Counter


def counted(counter: Counter) -> dict[str, float]:
    """The counter's value for each value of its label ("" if it has no label). Zeros are left out."""
    return {
        "".join(sample.labels.values()): sample.value
        for family in counter.collect()
        for sample in family.samples
        if sample.name.endswith("_total") and sample.value
    }
