"""A job in the Ray worker itself, without any sandbox: its working folder, its time, and what it says."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import io
import os
import pickle
import signal
import sys
import traceback
from collections.abc import Callable, Generator, Mapping
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

from codin.runtime._guest import left_by, named, raised_by
from codin.runtime._job import raised_of, wanted
from codin.runtime._protocol import Outcome
from codin.runtime._ray.wire import USUAL, RayJob, framed, item_frame, json_of, outcome_frame
from codin.runtime._ray.worker import import_from, left, working_folder
from codin.sandbox import Stream
from codin.sandbox._protocol import FLOOD

__all__ = ["at_desk"]

_T = TypeVar("_T")


class _TimeUp(BaseException):
    """Not an exception that a program would catch by accident."""


class _Flood(BaseException):
    """Likewise."""


def at_desk(job: RayJob, library: Mapping[str, bytes]) -> Generator[bytes, None, bytes]:
    """Do a job here; gives frames: what it says and what it yields, and at last how it ended."""
    # The runner goes with the job, also where nobody takes all that a generator yields.
    with _Desk(job) as desk, contextlib.closing(asyncio.Runner()) as runner:
        try:
            value = desk.at_work(_begun, job, library)
            step = _stepper(value, runner)
            while step is not None:
                try:
                    item = desk.at_work(_stepped, step, job.limits.output)
                except StopIteration as ended:
                    value, step = ended.value, None
                else:
                    yield desk.said() + item_frame(item)
            text = desk.at_work(_settled, value, job.limits.output)
            end = outcome_frame(replace(USUAL, artifacts=desk.artifacts()) if job.artifacts else USUAL, text)
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as error:
            end = outcome_frame(desk.failure(error), "null")
        return desk.said() + end


class _Desk:
    """What a job finds around it; put back as it was behind it, since the next job has the same process."""

    def __init__(self, job: RayJob) -> None:
        self._job = job
        self._said: list[tuple[Stream, bytes]] = []
        self._size = {"stdout": 0, "stderr": 0}
        self._working = False
        self._late = False
        self.folder = ""

    def __enter__(self) -> _Desk:
        job = self._job
        self.folder = working_folder()
        for path, content in job.files.items():
            file = Path(self.folder, path)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        here = os.getcwd()  # noqa: PTH109  # a path of its own takes ten times as long
        self._before = here, dict(os.environ) if job.env else None, sys.stdout, sys.stderr
        os.chdir(self.folder)
        if job.env:
            os.environ.update(job.env)
        sys.stdout, sys.stderr = self._ear("stdout"), self._ear("stderr")
        if job.limits.time is not None:
            self._alarm = signal.signal(signal.SIGALRM, self._time_is_up)
            signal.setitimer(signal.ITIMER_REAL, job.limits.time)
        return self

    def __exit__(self, *_: object) -> None:
        try:
            if self._job.limits.time is not None:
                signal.setitimer(signal.ITIMER_REAL, 0)
                signal.signal(signal.SIGALRM, self._alarm)
            folder, environment, sys.stdout, sys.stderr = self._before
            if environment is not None:
                _restore(environment)
            os.chdir(folder)
        finally:
            left(self.folder)

    def _ear(self, stream: Stream) -> io.TextIOWrapper:
        return io.TextIOWrapper(_Ear(self.hear, stream), "utf-8", "replace", write_through=True)

    def at_work(self, work: Callable[..., _T], *args: Any) -> _T:
        """Do what is the job's own: only there it is interrupted, and not in what Ray does between."""
        if self._late:
            raise _TimeUp
        self._working = True
        try:
            return work(*args)
        finally:
            self._working = False

    def hear(self, stream: Stream, data: bytes) -> None:
        """Keep what was written, within the bound."""
        before, limit = self._size[stream], self._job.limits.output
        self._size[stream] += len(data)
        if before < limit:
            self._said.append((stream, data[: limit - before]))
        if self._size[stream] > limit * FLOOD and self._working:
            raise _Flood

    def said(self) -> bytes:
        """Frames of what was written since the last time."""
        frames = b"".join(framed({"output": stream}, data) for stream, data in self._said)
        self._said.clear()
        return frames

    def artifacts(self) -> dict[str, bytes]:
        """The files that were asked for. Raises ValueError when they are too large."""
        found: dict[str, bytes] = {}
        left = self._job.limits.disk
        folder = Path(self.folder)
        for file in sorted(folder.rglob("*")):
            path = file.relative_to(folder).as_posix()
            if file.is_symlink() or not file.is_file() or not wanted(path, self._job.artifacts):
                continue
            left -= file.stat().st_size
            if left < 0:
                raise ValueError(f"the artifacts are larger than {self._job.limits.disk} bytes")
            found[path] = file.read_bytes()
        return found

    def failure(self, error: BaseException) -> Outcome:
        """How a job ended that raised."""
        if isinstance(error, _TimeUp):
            told = f"it did not end within {self._job.limits.time} s"
            return replace(USUAL, exit_code=-9, ended="time", error=told)
        if isinstance(error, _Flood):
            return replace(USUAL, exit_code=-9, ended="output", error="it wrote without end")
        if isinstance(error, SystemExit):
            return self._ended_itself(error)
        self.hear("stderr", "".join(traceback.format_exception(error)).encode(errors="replace"))
        told = f"{type(error).__name__}: {str(error)[:2000]}"
        return replace(USUAL, exit_code=1, error=told, raised=raised_of(raised_by(error)))

    def _ended_itself(self, error: SystemExit) -> Outcome:
        code, said, written = left_by(error, self._job.call.kind if self._job.call is not None else "module")
        if code == 0:
            return USUAL
        if written:
            self.hear("stderr", written.encode(errors="replace"))
        return replace(USUAL, exit_code=code, error=said, raised=raised_of(raised_by(error)))

    def _time_is_up(self, number: int, frame: FrameType | None) -> None:
        self._late = True
        if self._working:
            raise _TimeUp


class _Ear(io.RawIOBase):
    """Where print() goes. What is written to the file descriptors themselves goes to Ray's logs."""

    name = "print"

    def __init__(self, hear: Callable[[Stream, bytes], None], stream: Stream) -> None:
        self._hear = hear
        self._stream: Stream = stream

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        content = bytes(data)
        self._hear(self._stream, content)
        return len(content)


def _begun(job: RayJob, library: Mapping[str, bytes]) -> Any:
    call = job.call
    assert call is not None
    import_from(job.library, library)
    if call.pickle is None:
        return named({**call.told})
    function, args, kwargs = pickle.loads(call.pickle)
    return function(*args, **kwargs)


def _stepper(value: Any, runner: asyncio.Runner) -> Callable[[], Any] | None:
    """What gives the next item of a generator, and raises StopIteration when there is none."""
    if inspect.isgenerator(value):
        return lambda: next(value)
    if not inspect.isasyncgen(value):
        return None

    def step() -> Any:
        try:
            return runner.run(_awaited(anext(value)))
        except StopAsyncIteration:
            runner.close()
            raise StopIteration from None

    return step


def _stepped(step: Callable[[], Any], limit: int) -> str:
    return json_of(step(), limit)


def _settled(value: Any, limit: int) -> str:
    return json_of(asyncio.run(_awaited(value)) if inspect.isawaitable(value) else value, limit)


async def _awaited(value: Any) -> Any:
    return await value


def _restore(environment: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(environment)
