"""Programs and Python code, in a sandbox."""

from __future__ import annotations

import base64
import posixpath
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from pydantic_core import to_json

from codin.errors import InvalidArguments, WorkloadFailed, WorkloadTimeout
from codin.tool._protocol import Sandboxing, ToolSpec

if TYPE_CHECKING:
    from codin.runtime import Command, RuntimeResult
    from codin.sandbox import Code, Limits, Stream

__all__ = ["Python", "Shell"]

_SHOWN = 20_000  # letters of what a program wrote, which a model reads; less than are kept of the end of much more
_FIRST = 5_000  # of them, where it is cut
_CUT = "\n[… left out …]\n"
_NOT_KEPT = "\n[… what may follow was not kept …]"
# What its files may take of the result, so that this stays below what an executor bears.
_MOST_FILES = 100
_MOST_BYTES = 700_000  # of their JSON
_NAMED = 20  # of the files that are left out
_NAME = 200  # letters of such a name
_FILES: Mapping[str, Any] = {
    "type": "object",
    "additionalProperties": {"type": "string"},
    "description": "Text files for its working folder, by relative path.",
}
_OUTPUT: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "ok": {"type": "boolean", "description": "It ended by itself, with exit code 0."},
        "exit_code": {"type": "integer"},
        "ended": {
            "enum": ["exited", "files", "killed", "memory", "output"],
            "description": "By itself, or what ended it: too many files, too much memory or output, or a signal.",
        },
        "stdout": {"type": "string"},
        "stderr": {"type": "string"},
        "files": {
            "type": "array",
            "description": "What it wrote or changed in its working folder: text, or base64 of what is no text.",
            "items": {
                "type": "object",
                "properties": {"path": {"type": "string"}, "text": {"type": "string"}, "base64": {"type": "string"}},
                "required": ["path"],
            },
        },
        "left_out": {
            "type": "array",
            "description": "Files that it wrote too, and that are too large or too many to be given here.",
            "items": {"type": "string"},
        },
    },
    "required": ["ok", "exit_code", "ended", "stdout", "stderr", "files", "left_out"],
}


class _Program(ABC):
    """A workload of one command. Files go in by its arguments; those that are new or changed come back."""

    name: str
    spec: ToolSpec

    def __init__(self, spec: ToolSpec, limits: Limits | None, network: bool) -> None:
        from codin.sandbox import Limits

        self.spec = spec
        self._limits = limits or Limits(disk=16 * 1024 * 1024)
        self._network = network

    @abstractmethod
    def command(self, arguments: Mapping[str, Any]) -> list[str] | Code:
        """What is run."""

    def workload(self, **arguments: Any) -> Command:
        """What is run, with its files and bounds."""
        from codin.runtime import Command

        files = {path: text.encode() for path, text in arguments.get("files", {}).items()}
        for path in files:
            if path.startswith("/") or ".." in path.split("/") or path.split("/")[0] == ".codin" or "\0" in path:
                raise InvalidArguments(f"{path!r} is no path in the working folder", tool=self.name, field="files")
        return Command(
            self.command(arguments),
            stdin=arguments.get("stdin", "").encode(),
            files=files,
            artifacts=["*"],
            limits=self._limits,
            network="full" if self._network else "none",
            sandbox=self.spec.sandbox,
        )

    def told(self, done: RuntimeResult, /, **arguments: Any) -> Mapping[str, Any]:
        """What came of it; a program that fails is a result too. Files that are as they were put are no part of it."""
        put = {posixpath.normpath(path): text.encode() for path, text in arguments.get("files", {}).items()}
        files, left_out = _shown({path: body for path, body in done.artifacts.items() if put.get(path) != body})
        return {
            "ok": done.exit_code == 0,
            "exit_code": done.exit_code,
            "ended": done.ended,
            "stdout": self._written(done, "stdout"),
            "stderr": self._written(done, "stderr"),
            "files": files,
            "left_out": left_out,
        }

    def _written(self, done: RuntimeResult, stream: Stream) -> str:
        """What it wrote; of much, the beginning and the end, where errors and answers are."""
        kept = done.stdout if stream == "stdout" else done.stderr
        last = done.last.get(stream, b"")
        text = (kept + last).decode(errors="replace")
        if len(text) > _SHOWN:
            text = f"{kept.decode(errors='replace')[:_FIRST]}{_CUT}{text[_FIRST - _SHOWN :]}"
        return text if last or len(kept) < self._limits.output else text + _NOT_KEPT

    async def invoke(self, **arguments: Any) -> Mapping[str, Any]:
        """Run it without an executor."""
        from codin.runtime import OmniRuntime

        workload = self.workload(**arguments)
        timeout = self.spec.timeout
        workload = replace(workload, limits=replace(workload.limits, time=timeout)) if timeout else workload
        async with OmniRuntime() as runtime:
            try:
                return self.told(await runtime.run(workload), **arguments)
            except WorkloadFailed as error:
                if error.result is None or isinstance(error, WorkloadTimeout):
                    raise
                return self.told(error.result, **arguments)


class Shell(_Program):
    """The tool `shell`: a program and its arguments, which no shell reads, in a sandbox.

    Args:
        timeout: seconds.
        limits: what it may use.
        network: whether it has the network of this machine.
        sandbox: `off` runs programs as you, on this machine.
    """

    name = "shell"

    def __init__(
        self,
        *,
        timeout: float = 30,
        limits: Limits | None = None,
        network: bool = False,
        sandbox: Sandboxing = "required",
    ) -> None:
        argv: dict[str, Any] = {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 1000}
        spec = ToolSpec(
            "Run a program with its arguments in a working folder of its own. No shell reads them: for pipes, run "
            '["sh", "-c", "..."].',
            {
                "type": "object",
                "properties": {"argv": argv, "stdin": {"type": "string"}, "files": _FILES},
                "required": ["argv"],
                "additionalProperties": False,
            },
            _OUTPUT,
            tags=["shell", "program", "command"],
            sandbox=sandbox,
            timeout=timeout,
        )
        super().__init__(spec, limits, network)

    def command(self, arguments: Mapping[str, Any]) -> list[str]:
        argv = cast("list[str]", arguments["argv"])
        if any("\0" in word for word in argv) or not argv[0]:
            raise InvalidArguments("a program has a name, and no word has a NUL", tool=self.name, field="argv")
        return argv


class Python(_Program):
    """The tool `python`: a program in Python, in a sandbox.

    Args:
        timeout: seconds.
        limits: what it may use.
        network: whether it has the network of this machine.
        sandbox: `off` runs the code as you, on this machine.
    """

    name = "python"

    def __init__(
        self,
        *,
        timeout: float = 30,
        limits: Limits | None = None,
        network: bool = False,
        sandbox: Sandboxing = "required",
    ) -> None:
        spec = ToolSpec(
            "Run a Python program in a working folder of its own. What it prints and the files it writes are the "
            "result; nothing is kept for the next call.",
            {
                "type": "object",
                "properties": {"code": {"type": "string", "minLength": 1}, "files": _FILES},
                "required": ["code"],
                "additionalProperties": False,
            },
            _OUTPUT,
            tags=["python", "code", "compute"],
            sandbox=sandbox,
            timeout=timeout,
        )
        super().__init__(spec, limits, network)

    def command(self, arguments: Mapping[str, Any]) -> Code:
        from codin.sandbox import Code

        return Code(arguments["code"])


def _shown(written: Mapping[str, bytes]) -> tuple[Sequence[Mapping[str, str]], Sequence[str]]:
    """The files that a result has room for, and words on the others."""
    files: list[Mapping[str, str]] = []
    left_out: list[str] = []
    room = _MOST_BYTES
    for path, body in sorted(written.items()):
        name = path.encode(errors="replace").decode()
        file = {"path": path, **_content(body)} if name == path and len(body) <= room else None
        size = len(to_json(file))
        if file is None or size > room or len(files) == _MOST_FILES:
            left_out.append(f"{name[:_NAME]} ({len(body):,} bytes)")
        else:
            files.append(file)
            room -= size
    more = len(left_out) - _NAMED
    return files, [*left_out[:_NAMED], f"and {more:,} more"] if more > 0 else left_out


def _content(body: bytes) -> Mapping[str, str]:
    try:
        return {"text": body.decode()}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(body).decode()}
