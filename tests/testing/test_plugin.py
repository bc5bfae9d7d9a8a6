"""The pytest plugin, in projects of others: it is found, its fixtures work, and who does not use it does not notice."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from codin.agent import agent
from codin.testing import serving

pytestmark = pytest.mark.anyio

PROJECT = """
[pytest]
filterwarnings = error
addopts = -p no:cacheprovider -p no:xdist -p no:hypothesispytest -p no:langsmith_plugin
"""


def run(folder: Path, *arguments: str, **variables: str) -> str:
    """Run pytest in a folder; gives what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *arguments],
        cwd=folder, env={**os.environ, **variables}, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    return done.stdout + done.stderr


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "pytest.ini").write_text(PROJECT, encoding="utf-8")
    return tmp_path


def test_who_does_not_use_it_pays_for_nothing(project: Path) -> None:
    (project / "test_it.py").write_text(
        """
import sys

def test_nothing_is_loaded():
    assert "codin.testing.plugin" in sys.modules
    heavy = {"asyncio", "httpx", "pydantic", "starlette", "uvicorn", "codin.a2a", "codin.client", "codin.server"}
    assert not heavy & set(sys.modules)
""",
        encoding="utf-8",
    )
    assert "1 passed" in run(project, "-p", "no:anyio")  # whose own plugin brings asyncio


def test_a_model_for_sync_and_async_tests(project: Path) -> None:
    (project / "test_it.py").write_text(
        """
import json
from urllib.request import ProxyHandler, Request, build_opener

import pytest
from codin.testing import scripted

def ask(url):
    body = json.dumps({"messages": [{"role": "user", "content": "hello"}]}).encode()
    with build_opener(ProxyHandler({})).open(Request(f"{url}/chat/completions", body), timeout=20) as answer:
        return json.load(answer)["choices"][0]["message"]["content"]

def test_sync(model_server):
    assert ask(model_server.url) == "You said hello"
    assert len(model_server.requests) == 1

@pytest.mark.anyio
async def test_async(model_server):
    model_server.answer = scripted("tide")
    assert ask(model_server.url) == "tide"
""",
        encoding="utf-8",
    )
    assert "2 passed" in run(project, "-k", "sync and not trio")


def test_a_mesh(project: Path) -> None:
    (project / "test_it.py").write_text(
        """
import pytest
from codin.agent import agent

@agent
async def shout(text: str) -> str:
    "Say it louder."
    return text.upper()

@pytest.fixture
def anyio_backend():
    return "asyncio"

@pytest.mark.anyio
async def test_it(codin_mesh):
    async with codin_mesh(shout) as peers:
        assert (await peers["shout"].send("hello")).text == "HELLO"
""",
        encoding="utf-8",
    )
    assert "1 passed" in run(project)


async def test_a_cassette_is_made_by_an_option_and_played_without_a_peer(project: Path) -> None:
    (project / "test_it.py").write_text(
        """
import os

import pytest
from codin.client import connect

@pytest.fixture
def anyio_backend():
    return "asyncio"

@pytest.mark.anyio
@pytest.mark.parametrize("word", ["tide/1"])
async def test_it(cassette, word):
    async with cassette, connect(os.environ["PEER"], transport=cassette) as peer:
        assert (await peer.send(word)).text == word.upper()
""",
        encoding="utf-8",
    )

    @agent
    async def shout(text: str) -> str:
        """Say it louder."""
        return text.upper()

    async with serving(shout) as url:
        assert "there is no cassette" in await asyncio.to_thread(run, project, PEER=url)
        assert "1 passed" in await asyncio.to_thread(run, project, "--codin-record", PEER=url)
    assert _names(project / "cassettes" / "test_it") == ["test_it-tide-1.json"]
    assert "1 passed" in await asyncio.to_thread(run, project, PEER=url)


def _names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]
