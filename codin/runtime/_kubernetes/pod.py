"""Runs in the pod, as its first process: lays out what was sent, runs the command, and marks every line of the log.

It is sent as text, so it uses nothing but the standard library of any Python from 3.9 on. The log of a pod is one
stream of text: a line is the mark, a blank, a word and base64. `o` and `e` are pieces of stdout and stderr, `t` is
a piece of a tar archive of the artifacts, and `end` says how the command ended.
"""

from __future__ import annotations

import base64
import fnmatch
import io
import json
import os
import selectors
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import Any

SENT = Path("/codin")
_PIECE = 45_000


def main() -> int:
    """Do what job.json says; the exit code is that of the command."""
    job: dict[str, Any] = json.loads((SENT / "job.json").read_text(encoding="utf-8"))
    _lay_out()
    signal.signal(signal.SIGTERM, _stop)
    stdin = Path(".codin/stdin")
    try:
        command = subprocess.Popen(
            [sys.executable if part is None else part for part in job["command"]],
            stdin=stdin.open("rb") if stdin.exists() else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **job["env"]},
            start_new_session=True,
        )
    except OSError as error:
        code = 127 if isinstance(error, FileNotFoundError) else 126
        _tell(job, "e", f"{job['command'][0]}: {error.strerror}\n".encode())
        _tell(job, "end", json.dumps({"code": code, "ended": "exited"}).encode())
        return code
    ended = _follow(job, command)
    code = command.wait()
    _end_all(command)
    told: dict[str, Any] = {"code": code, "ended": ended or ("killed" if code < 0 else "exited")}
    if job["artifacts"] and (refused := _give_back(job)):
        told["refused"] = refused
    _tell(job, "end", json.dumps(told).encode())
    return code if code >= 0 else 128 - code


def _stop(number: int, frame: Any) -> None:
    os._exit(128 + number)


def _lay_out() -> None:
    sent = b"".join(part.read_bytes() for part in sorted(SENT.glob("files.*")))
    if sent:
        with tarfile.open(fileobj=io.BytesIO(sent)) as files:
            if hasattr(tarfile, "data_filter"):
                files.extractall(filter="data")
            else:
                files.extractall()


def _follow(job: dict[str, Any], command: Any) -> str:
    """Pass on what it writes until it ends; why it was ended, if it was."""
    ended = ""
    kept = {"o": 0, "e": 0}
    seen = 0
    deadline = None if job["time"] is None else time.monotonic() + job["time"]
    with selectors.DefaultSelector() as pipes:
        pipes.register(command.stdout, selectors.EVENT_READ, "o")
        pipes.register(command.stderr, selectors.EVENT_READ, "e")
        while pipes.get_map():
            ready = pipes.select(0.2)
            for key, _ in ready:
                data = os.read(key.fd, 65536)
                if not data:
                    pipes.unregister(key.fileobj)
                    continue
                seen += len(data)
                piece = data[: max(0, job["output"] - kept[key.data])]
                kept[key.data] += len(piece)
                if piece:
                    _tell(job, key.data, piece)
            if not ended and seen > job["flood"]:
                ended = "output"
                _end_all(command)
            if not ended and deadline is not None and time.monotonic() > deadline:
                ended = "time"
                _end_all(command)
            if not ready and command.poll() is not None:
                _end_all(command)  # what it left behind would hold the pipes open
    while not ended and command.poll() is None and deadline is not None:
        # It closed its output and goes on.
        try:
            command.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            ended = "time"
            _end_all(command)
    return ended


def _end_all(command: Any) -> None:
    """End the command and what it began: all that is in here, where this is the first process."""
    try:
        if os.getpid() == 1:
            os.kill(-1, signal.SIGKILL)
        else:
            os.killpg(command.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass


def _give_back(job: dict[str, Any]) -> str:
    """Write the artifacts to the log; the name of the first that is too much for it."""
    packed = io.BytesIO()
    left = job["disk"]
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for path in sorted(Path().rglob("*")):
            name = path.as_posix()
            if path.is_symlink() or not path.is_file() or name.startswith(".codin/"):
                continue
            if not any(fnmatch.fnmatchcase(name, pattern) for pattern in job["artifacts"]):
                continue
            left -= path.stat().st_size
            if left < 0:
                return name
            archive.add(name)
            if packed.tell() > job["most"]:
                return name
    if packed.tell() > job["most"]:
        return "all of them together"
    for start in range(0, packed.tell(), _PIECE):
        _tell(job, "t", packed.getvalue()[start : start + _PIECE])
    return ""


def _tell(job: dict[str, Any], word: str, data: bytes) -> None:
    line = job["mark"].encode() + b" " + word.encode() + b" " + base64.b64encode(data) + b"\n"
    while line:
        line = line[os.write(1, line) :]


if __name__ == "__main__":
    sys.exit(main())
