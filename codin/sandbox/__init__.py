"""Rooms of their own for commands and code that are not trusted."""

from codin.sandbox._execution import Execution
from codin.sandbox._kinds import sandbox_kinds, sandbox_of
from codin.sandbox._pool import Pool
from codin.sandbox._protocol import (
    Code,
    Ending,
    ExecResult,
    FileInfo,
    Guarantee,
    Limits,
    Mount,
    Output,
    Policy,
    Process,
    Snapshot,
    Stream,
)
from codin.sandbox._sandbox import Sandbox

__all__ = [
    "Code",
    "Ending",
    "ExecResult",
    "Execution",
    "FileInfo",
    "Guarantee",
    "Limits",
    "Mount",
    "Output",
    "Policy",
    "Pool",
    "Process",
    "Sandbox",
    "Snapshot",
    "Stream",
    "sandbox_kinds",
    "sandbox_of",
]
