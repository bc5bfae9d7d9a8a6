"""Runs inside the sandbox, the container or the pod: calls what the job names, and tells by frames on stdout.

It is sent as text, so it uses nothing but the standard library of any Python from 3.9 on.
A frame is 0x1E, the job's nonce, a blank, the length of the JSON in bytes, a line feed, the JSON, a line feed.
"""

from __future__ import annotations

import asyncio
import base64
import importlib
import inspect
import json
import os
import pickle
import runpy
import shutil
import sys
import traceback
import urllib.request
from datetime import date
from pathlib import Path
from typing import Any

FOLDER = Path(".codin")


def main() -> int:
    """Do the job of the working folder; 0 when it succeeded."""
    job = json.loads((FOLDER / "job.json").read_text(encoding="utf-8"))
    channel = os.dup(1)
    if (library := FOLDER / "lib.zip").exists():
        shutil.unpack_archive(library, FOLDER / "lib")
    sys.path[:0] = [str((FOLDER / "lib").resolve()), str(Path.cwd())]

    def tell(kind: str, value: Any) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        body = json.dumps({kind: value}, default=plain, allow_nan=False).encode()
        frame = b"\x1e%s %d\n%s\n" % (job["nonce"].encode(), len(body), body)
        while frame:
            frame = frame[os.write(channel, frame) :]

    try:
        tell("value", _JOBS[job["kind"]](job, tell))
    except SystemExit as error:
        code = error.code
        if code is None or code == 0:
            tell("value", None)
            return 0
        tell("error", f"the program ended itself: exit code {code}")
        return code if isinstance(code, int) else 1
    except BaseException as error:
        traceback.print_exc()
        tell("error", f"{type(error).__name__}: {str(error)[:2000]}")
        return 1
    return 0


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


def _endpoint(job: dict[str, Any], tell: Any) -> Any:
    body = None if job["body"] is None else base64.b64decode(job["body"])
    request = urllib.request.Request(job["url"], data=body, headers=job["headers"], method=job["method"])
    opener = urllib.request.build_opener(_NoRedirect, urllib.request.ProxyHandler({}))
    pieces: list[bytes] = []
    with opener.open(request) as answer:
        while piece := answer.read1(65536):
            pieces.append(piece)
            tell("item", piece.decode(errors="replace"))
        text = b"".join(pieces).decode(errors="replace")
        return json.loads(text) if "json" in answer.headers.get("content-type", "") and text else text


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """An answer like any other: it may lead where nobody meant to go."""

    def redirect_request(self, req: Any, fp: Any, code: Any, msg: Any, headers: Any, newurl: Any) -> None:
        return None


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
        return value.model_dump(mode="json")
    if hasattr(value, "__dataclass_fields__"):
        return {name: getattr(value, name) for name in value.__dataclass_fields__}
    for kind, plain in _PLAIN.items():
        if isinstance(value, kind):
            return plain(value)
    raise TypeError(f"the result of a workload is JSON, and {type(value).__name__} is not; give files as artifacts")


_PLAIN: dict[type, Any] = {set: list, frozenset: list, date: date.isoformat, os.PathLike: os.fspath}
_JOBS = {"function": _function, "module": _module, "endpoint": _endpoint}

if __name__ == "__main__":
    sys.exit(main())
