"""Log lines for machines and for eyes."""

from __future__ import annotations

import json
import logging
import sys

from codin.telemetry import TRAIL, JsonLines, PlainLines, Trail

PARENT = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def _record(message: str, *args: object) -> logging.LogRecord:
    return logging.LogRecord("codin.task", logging.WARNING, __file__, 1, message, args, None)


def test_a_json_line_is_one_object_on_one_line() -> None:
    line = JsonLines().format(_record("a\nb %s", "ü"))
    assert "\n" not in line
    said = json.loads(line)
    assert said.pop("time").endswith("Z")
    assert said == {"level": "warning", "logger": "codin.task", "message": "a\nb ü"}


def test_lines_of_a_request_name_it() -> None:
    token = TRAIL.set(Trail({b"x-correlation-id": b"c-1", b"traceparent": PARENT}))
    try:
        said = json.loads(JsonLines().format(_record("x")))
        plain = PlainLines().format(_record("x"))
    finally:
        TRAIL.reset(token)
    assert said["correlation_id"] == "c-1"
    assert said["trace_id"] == "0af7651916cd43dd8448eb211c80319c"
    assert said["span_id"] == "b7ad6b7169203331"
    assert plain == "WARNING codin.task: x [c-1]"
    assert PlainLines().format(_record("x")) == "WARNING codin.task: x"


def test_an_exception_is_a_field() -> None:
    record = _record("x")
    try:
        raise ValueError("why")
    except ValueError:
        record.exc_info = sys.exc_info()
    said = json.loads(JsonLines(lambda: {"task_id": "t"}).format(record))
    assert said["task_id"] == "t"
    assert "ValueError: why" in said["exception"]
