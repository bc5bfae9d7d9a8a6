"""Runs inside the sandbox, the container or the pod: calls what the job names, and tells by frames on stdout.

It is sent as text, so it uses nothing but the standard library of any Python from 3.9 on.
A frame is 0x1E, the job's nonce, a blank, the length of the JSON in bytes, a line feed, the JSON, a line feed.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import json
import os
import pickle
import runpy
import shutil
import sys
import traceback
from collections import deque
from contextlib import suppress
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from operator import attrgetter, methodcaller
from pathlib import Path
from typing import Any
from uuid import UUID

FOLDER = Path(".codin")
_AT_ONCE = 512  # bytes that a pipe takes as a whole: who is killed has written all of a frame's head, or nothing


def main() -> int:
    """Do the job of the working folder; 0 when it succeeded."""
    job = json.loads((FOLDER / "job.json").read_text(encoding="utf-8"))
    channel = os.dup(1)
    if (library := FOLDER / "lib.zip").exists():
        shutil.unpack_archive(library, FOLDER / "lib")
    sys.path[:0] = [str((FOLDER / "lib").resolve()), str(Path.cwd())]

    def tell(kind: str, value: Any, **more: Any) -> None:
        for stream in (sys.stdout, sys.stderr):
            with suppress(Exception):  # the workload may have closed it, or taken it away
                stream.flush()
        body = _json({kind: value, **more})
        frame = b"\x1e%s %d\n%s\n" % (job["nonce"].encode(), len(body), body)
        left = frame[os.write(channel, frame[:_AT_ONCE]) :]
        while left:
            left = left[os.write(channel, left) :]

    try:
        tell("value", _JOBS[job["kind"]](job, tell))
    except SystemExit as error:
        code, said, written = left_by(error, job["kind"])
        if code == 0:
            tell("value", None)
            return 0
        with suppress(Exception):
            sys.stderr.write(written)
        tell("error", said, raised=raised_by(error))
        return code
    except BaseException as error:
        with suppress(Exception):
            traceback.print_exc()
        error = _lone(error)
        tell("error", f"{type(error).__name__}: {str(error)[:2000]}", raised=raised_by(error))
        return 1
    return 0


def _lone(error: BaseException) -> BaseException:
    """What a task group raised, where that is one exception in a group."""
    if type(error).__name__ not in ("ExceptionGroup", "BaseExceptionGroup"):  # which 3.9 does not have
        return error
    inside: Any = getattr(error, "exceptions", ())
    return _lone(inside[0]) if len(inside) == 1 else error


def left_by(error: SystemExit, kind: str) -> tuple[int, str, str]:
    """How a program ended itself: the exit code, what there is to say of one that is not 0, and what Python writes."""
    code = 0 if error.code is None else error.code
    if not isinstance(code, int):
        said = str(code)[:2000]
        return 1, f"the program ended itself: {said}", f"{said}\n"
    said = f"the program ended itself: exit code {code}"
    return code or int(kind != "module"), said, ""  # a function has no other end than its result


def raised_by(error: BaseException) -> dict[str, Any]:
    """An exception by its kind and text, and what a ToolError of codin says beside them."""
    told: dict[str, Any] = {"kind": type(error).__name__, "message": str(error)[:2000]}
    if isinstance(error, NoJson):
        told["code"] = "CODIN-1903"  # InvalidResult
    elif any((kind.__module__, kind.__name__) == ("codin.errors", "ToolError") for kind in type(error).__mro__):
        said = {word: getattr(error, word, None) for word in ("message", "code", "hint", "retryable", "field")}
        told.update({word: text[:2000] if isinstance(text, str) else text is True for word, text in said.items()})
    return told


class NoJson(TypeError):
    """A result that JSON has no word for."""


def _json(told: Any) -> bytes:
    """What has no word in JSON, such as NaN, is null."""
    try:
        try:
            return json.dumps(told, default=plain, allow_nan=False).encode()
        except ValueError:
            said = json.loads(json.dumps(told, default=plain), parse_constant=lambda _: None)
            return json.dumps(said).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise NoJson(str(error)) from error


def _function(job: dict[str, Any], tell: Any) -> Any:
    here, there = sys.version_info[:2], tuple(job["python"])
    if here != there:
        raise RuntimeError(
            f"a function of Python {there[0]}.{there[1]} cannot run on Python {here[0]}.{here[1]}: "
            "name it by its module instead"
        )
    function, args, kwargs = pickle.loads((FOLDER / "call.pickle").read_bytes())
    return _result(function(*args, **kwargs), tell)


def _module(job: dict[str, Any], tell: Any) -> Any:
    return _result(named(job), tell)


def named(job: dict[str, Any]) -> Any:
    """Run a module, or call what a job names in one."""
    name, _, path = job["target"].partition(":")
    args, kwargs = job["args"], job["kwargs"]
    if not path:
        sys.argv = [name, *map(str, args)]
        runpy.run_module(name, run_name="__main__", alter_sys=True)
        return None
    found: Any = importlib.import_module(name)
    for part in path.split("."):
        found = getattr(found, part)
    if inspect.isclass(found) and job["method"]:
        found = getattr(found(**job["init"]), job["method"])
    return found(*args, **kwargs)


def _result(value: Any, tell: Any) -> Any:
    if inspect.isasyncgen(value):
        return asyncio.run(_items(value, tell))
    if inspect.isgenerator(value):
        while True:
            try:
                tell("item", next(value))
            except StopIteration as end:
                return end.value
    return asyncio.run(_awaited(value)) if inspect.isawaitable(value) else value


async def _items(values: Any, tell: Any) -> None:
    async for value in values:
        tell("item", value)


async def _awaited(value: Any) -> Any:
    return await value


def plain(value: Any) -> Any:
    """What JSON has no word for, in the words it has."""
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json", by_alias=True)
    if hasattr(value, "__dataclass_fields__"):
        return {name: getattr(value, name) for name in value.__dataclass_fields__}
    for kind, plain in _PLAIN.items():
        if isinstance(value, kind):
            return plain(value)
    raise TypeError(f"the result of a workload is JSON, and {type(value).__name__} is not; give files as artifacts")


def _duration(value: timedelta) -> str:
    """As ISO 8601 has it."""
    length = abs(value)
    sign = "-" if value < timedelta() else ""
    return f"{sign}P{length.days}DT{length.seconds}.{length.microseconds:06}S"


_PLAIN: dict[type, Any] = {
    set: list,
    frozenset: list,
    deque: list,
    date: methodcaller("isoformat"),  # which a datetime has of its own
    time: time.isoformat,
    timedelta: _duration,
    Decimal: str,
    UUID: str,
    Enum: attrgetter("value"),
    bytes: bytes.decode,
    os.PathLike: os.fspath,
}
_JOBS = {"function": _function, "module": _module}

if __name__ == "__main__":
    sys.exit(main())
