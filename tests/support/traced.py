"""Makes traces in the test's own process, and keeps their spans in memory."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import shared.tracing
from shared.tracing.spans import Tracing


class Traced:
    """`tracing` is what the process uses; `spans` ends it, and returns the spans that have ended, in this order."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self.tracing = Tracing(self._exporter, "test", "node")

    def spans(self) -> list[ReadableSpan]:
        self.tracing.close()
        return list(self._exporter.get_finished_spans())


@pytest.fixture
def traced(monkeypatch: pytest.MonkeyPatch) -> Iterator[Traced]:
    """What is put together in this test makes traces."""
    made = Traced()
    monkeypatch.setattr(shared.tracing, "_active", made.tracing)
    yield made
    made.tracing.close()


def ids(span: ReadableSpan) -> tuple[int, int, int | None]:
    """The ids of the span's trace, of the span, and of its parent."""
    context = span.get_span_context()
    assert context is not None
    return context.trace_id, context.span_id, span.parent.span_id if span.parent else None
