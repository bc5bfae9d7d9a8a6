"""Log lines: JSON for machines, plain ones for eyes; both name the request they belong to."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from codin.telemetry._trail import TRAIL

__all__ = ["JsonLines", "PlainLines"]


class JsonLines(logging.Formatter):
    """One JSON object a line: `time`, `level`, `logger`, `message`, and what is known of `correlation_id`, `trace_id`,
    `span_id` and `exception`.

    Args:
        more: further fields of the moment a line is written.
    """

    def __init__(self, more: Callable[[], Mapping[str, str]] | None = None) -> None:
        super().__init__()
        self._more = more

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        at = datetime.fromtimestamp(record.created, UTC)
        line: dict[str, str] = {
            "time": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_whereabouts(),
        }
        if self._more is not None:
            line.update(self._more())
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


class PlainLines(logging.Formatter):
    """`LEVEL logger: message`, and behind it the correlation id where there is one."""

    def __init__(self) -> None:
        super().__init__("%(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (the name is the standard library's)
        """The line without a traceback."""
        trail = TRAIL.get()
        line = super().formatMessage(record)
        return line if trail is None else f"{line} [{trail.correlation_id}]"


def _whereabouts() -> dict[str, str]:
    from codin.telemetry._spans import current_ids  # OpenTelemetry is looked for when a line is written, not before

    trail = TRAIL.get()
    found: dict[str, str] = {} if trail is None else {"correlation_id": trail.correlation_id}
    ids = current_ids() or (trail.trace if trail is not None else None)
    if ids is not None:
        found["trace_id"], found["span_id"] = ids
    return found
