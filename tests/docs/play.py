"""Runs the code blocks of one page, as a reader would who types them in: `python -m tests.docs.play PAGE`.

It works in the current folder. A traceback names the page and the line in it.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import io
import re
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager, redirect_stdout
from pathlib import Path
from types import ModuleType

from tests.docs.pages import Block, blocks_of

_START = 60.0  # seconds; a cold disk is slow
_STOP = 20.0
_WRITTEN = "127.0.0.1:8000"  # where the servers of the documentation are
_ANNOUNCED = re.compile(r"serves A2A at http://([\d.]+):(\d+)")


def play(page: Path) -> None:
    """Run the blocks of a page in their order."""
    served: dict[str, str] = {}
    printed = ""
    sys.path.insert(0, str(Path.cwd()))
    with ExitStack() as stack:
        for block in blocks_of(page):
            if "title" in block.said:
                _write(block)
            elif block.language == "python":
                command = block.said.get("serve")
                if command is not None and command not in served:
                    served[command] = stack.enter_context(_serving(command))
                printed = _run(block, served.get(command or "", _WRITTEN))
                _check(block, printed)
            elif "output" in block.said and block.text != printed:
                raise SystemExit(f"{block.page}, block at line {block.line}: what was printed is\n{printed}")


def _write(block: Block) -> None:
    path = Path(block.said["title"])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(block.text, encoding="utf-8")
    if path.suffix == ".py":
        _execute(block, path.stem, _WRITTEN)


def _run(block: Block, address: str) -> str:
    printed = io.StringIO()
    with redirect_stdout(printed):
        _execute(block, f"block_{block.line}", address)
    sys.stdout.write(printed.getvalue())
    return printed.getvalue()


def _execute(block: Block, name: str, address: str) -> None:
    """The block as a module of its own, with the line numbers of the page."""
    source = "\n" * (block.line - 1) + block.text.replace(_WRITTEN, address)
    code = compile(source, str(block.page), "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    module = sys.modules[name] = ModuleType(name)
    if code.co_flags & inspect.CO_COROUTINE:
        asyncio.run(eval(code, module.__dict__))
    else:
        exec(code, module.__dict__)


def _check(block: Block, printed: str) -> None:
    lines = iter(printed.splitlines())
    for promised in block.printed:
        pattern = ".*".join(map(re.escape, promised.split("…")))
        if not any(re.fullmatch(pattern, line.strip()) for line in lines):
            raise SystemExit(f"{block.page}, block at line {block.line}: did not print {promised!r}, but\n{printed}")


@contextmanager
def _serving(command: str) -> Generator[str]:
    """`codin serve` on a free port while the page is played; gives host:port."""
    arguments = (sys.executable, "-m", "codin.cli", "serve", *shlex.split(command), "--port", "0")
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            found = _ANNOUNCED.search(server.stdout.readline())
            if found is None:
                raise SystemExit(f"codin serve {command}: did not start")
            _await_listener(found[1], int(found[2]))
            yield f"{found[1]}:{found[2]}"
        finally:
            server.terminate()
            server.wait(_STOP)


def _await_listener(host: str, port: int) -> None:
    """The server tells its address a moment before it listens there."""
    deadline = time.monotonic() + _START
    while True:
        try:
            socket.create_connection((host, port), _START).close()
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


if __name__ == "__main__":
    play(Path(sys.argv[1]))
