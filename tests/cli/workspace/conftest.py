"""Workspaces to run: real processes, ended with the test."""

from __future__ import annotations

import json
import os
import select
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from tests.cli.command import PATIENCE, run

SHOUT = """
from codin.agent import agent

@agent
def shout(text: str) -> str:
    return text.upper()
"""


class Place:
    """A workspace on disk."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def agent(self, name: str, code: str = SHOUT, manifest: str | None = None) -> Path:
        """Write an agent."""
        folder = self.folder / "agents" / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "agent.py").write_text(code)
        if manifest is not None:
            (folder / "agent.toml").write_text(manifest)
        return folder

    def change(self, path: Path, text: str) -> None:
        """Write a file anew in one step: who watches it never sees it empty, and sees one change."""
        fresh = self.folder.with_name("fresh")
        fresh.write_text(text)
        fresh.replace(path)

    def up(self, *options: str, env: Mapping[str, str] | None = None) -> Mapping[str, Any]:
        """Bring it up in the background. Gives its processes by name."""
        done = run("up", str(self.folder), "-d", *options, env=env)
        assert done.returncode in {0, 1}, done.stderr
        return self.processes()

    def processes(self) -> Mapping[str, Any]:
        """What `codin ps` knows, by name, without the registry that comes with it."""
        done = run("ps", str(self.folder), "--json")
        return {row["name"]: row for row in json.loads(done.stdout)["processes"] if row["name"] != "registry"}

    def written(self) -> Mapping[str, Any]:
        """The record of the supervisor."""
        return json.loads((self.folder / ".codin" / "up.json").read_text())

    def await_process(
        self, name: str, fits: Callable[[Mapping[str, Any]], bool], patience: float = PATIENCE
    ) -> Mapping[str, Any]:
        """Wait until what is written of a process fits."""
        deadline = monotonic() + patience
        while True:
            rows = {row["name"]: row for row in self.written()["processes"]}
            if name in rows and fits(rows[name]):
                return rows[name]
            assert monotonic() < deadline, f"it did not come so far: {rows}"
            select.select([], [], [], 0.02)  # the record is a file, and nobody tells when it changes

    def call(self, name: str, text: str) -> str:
        """What an agent answers."""
        done = run("call", self.processes()[name]["url"], text)
        assert done.returncode == 0, done.stderr
        return done.stdout.rstrip("\n")

    def log(self, name: str) -> str:
        """What is in a log."""
        return (self.folder / ".codin" / "logs" / f"{name}.log").read_text()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    folder = tmp_path / "shop"
    (folder / "agents").mkdir(parents=True)
    yield Place(folder)
    run("down", str(folder))


def await_end(pid: int) -> None:
    """Wait until a process has ended; it need not be a child of this one."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        ready, _, _ = select.select([handle], [], [], PATIENCE)
        assert ready, f"process {pid} is still there"
    finally:
        os.close(handle)
