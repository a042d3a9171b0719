"""What is wrong with a listing, as its reader says."""

from __future__ import annotations

from marshmallow import Schema, fields

from api.schemas.fields import Text
from shared.domain.reports import MAX_REPORT_LENGTH, ReportReason


class ReportBody(Schema):
    reason = fields.Enum(ReportReason, by_value=True, required=True)
    text = Text(load_default=None, allow_none=True, longest=MAX_REPORT_LENGTH)
