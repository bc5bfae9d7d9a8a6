"""Programs and Python code, in a sandbox."""

from __future__ import annotations

import base64
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from codin.errors import InvalidArguments, WorkloadFailed, WorkloadTimeout
from codin.tool._protocol import Sandboxing, ToolSpec

if TYPE_CHECKING:
    from codin.runtime import Command, RuntimeResult
    from codin.sandbox import Code, Limits

__all__ = ["Python", "Shell"]

_SHOWN = 20_000  # letters of what a program wrote, which a model reads
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
        "stdout": {"type": "string"},
        "stderr": {"type": "string"},
        "files": {
            "type": "array",
            "description": "What it wrote into its working folder: text, or base64 of what is no text.",
            "items": {
                "type": "object",
                "properties": {"path": {"type": "string"}, "text": {"type": "string"}, "base64": {"type": "string"}},
                "required": ["path"],
            },
        },
    },
    "required": ["ok", "exit_code", "stdout", "stderr", "files"],
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

    def told(self, done: RuntimeResult) -> Mapping[str, Any]:
        """What came of it; a program that fails is a result too."""
        return {
            "ok": done.exit_code == 0,
            "exit_code": done.exit_code,
            "stdout": _tail(done.stdout),
            "stderr": _tail(done.stderr),
            "files": [{"path": path, **_content(body)} for path, body in sorted(done.artifacts.items())],
        }

    async def invoke(self, **arguments: Any) -> Mapping[str, Any]:
        """Run it without an executor."""
        from codin.runtime import OmniRuntime

        workload = self.workload(**arguments)
        timeout = self.spec.timeout
        workload = replace(workload, limits=replace(workload.limits, time=timeout)) if timeout else workload
        async with OmniRuntime() as runtime:
            try:
                return self.told(await runtime.run(workload))
            except WorkloadFailed as error:
                if error.result is None or isinstance(error, WorkloadTimeout):
                    raise
                return self.told(error.result)


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


def _tail(written: bytes) -> str:
    """The end of it, where errors are."""
    text = written.decode(errors="replace")
    return text if len(text) <= _SHOWN else f"…{text[-_SHOWN:]}"


def _content(body: bytes) -> Mapping[str, str]:
    try:
        return {"text": body.decode()}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(body).decode()}
