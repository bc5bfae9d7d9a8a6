"""Log lines of a server."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from typing import Literal, TextIO

from codin.task import current_task
from codin.telemetry import JsonLines, PlainLines

__all__ = ["LogFormat", "log_lines"]

LogFormat = Literal["plain", "json"]


def log_lines(format: LogFormat = "plain", level: str = "warning", stream: TextIO | None = None) -> None:
    """Send all log lines of this process to a stream, instead of where they went before.

    Args:
        format: "json", one object a line, with the ids of correlation, trace, task and context; or "plain", for eyes.
        level: "debug", "info" (a line for each request as well), "warning" or "error".
        stream: standard error by default.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines(_task) if format == "json" else PlainLines())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)


def _task() -> Mapping[str, str]:
    task = current_task()
    return {} if task is None else {"task_id": task.id, "context_id": task.context_id}
