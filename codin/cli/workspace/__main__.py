"""The process of an agent in a workspace: `codin`, for as long as the supervisor holds the other end of stdin.

A supervisor that is killed cannot end its processes. The pipe ends with it, by the kernel's hand.
"""

from __future__ import annotations

import os
import signal
import sys
import threading

from codin.cli._exits import REFUSED, Unmendable, exit_of
from codin.cli._main import run
from codin.errors import CodinError


def _watch(leash: int, patience: float) -> None:
    os.read(leash, 1)  # nobody writes: this is the end
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait(patience)
    os._exit(1)


def _on_leash(patience: float) -> None:
    """Once it is let go, it has so many seconds, which are more than a server's own drain."""
    leash = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)  # what the agent starts has no use for the leash
    os.close(nothing)
    threading.Thread(target=_watch, args=[leash, patience], name="leash", daemon=True).start()


def _arrive(folder: str) -> None:
    """Work in this folder, and say everything in one stream: of two, lines would be mixed up."""
    os.chdir(folder)
    os.dup2(1, 2)


def _exit_of(error: CodinError) -> int:
    """For the supervisor, which else would start it again and again."""
    return REFUSED if isinstance(error, Unmendable) else exit_of(error)


if __name__ == "__main__":
    workspace: str = sys.argv.pop(1)
    _on_leash(float(sys.argv.pop(1)))
    _arrive(workspace)
    sys.exit(run(exit_of=_exit_of))
