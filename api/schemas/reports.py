"""The body of a report about a listing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from shared.domain.declared import Text
from shared.domain.reports import MAX_REPORT_LENGTH, ReportReason


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportBody:
    reason: ReportReason
    text: Annotated[str, Text(MAX_REPORT_LENGTH)] | None = None
