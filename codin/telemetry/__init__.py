"""What happened, told to others: correlation ids, trace context, spans, log lines."""

from codin.telemetry._lines import JsonLines, PlainLines
from codin.telemetry._spans import Spans, failed, open_spans, spent
from codin.telemetry._trail import TRAIL, Trail, correlation_id, onward

__all__ = [
    "TRAIL",
    "JsonLines",
    "PlainLines",
    "Spans",
    "Trail",
    "correlation_id",
    "failed",
    "onward",
    "open_spans",
    "spent",
]
