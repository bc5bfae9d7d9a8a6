"""The local model in a thread, in a process, and at its end."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import httpx
import pytest

from codin.testing import ModelServer, model_server, scripted

HELLO = {"messages": [{"role": "user", "content": "hello"}]}


def ask(url: str, body: object = HELLO) -> str:
    answer = httpx.post(f"{url}/chat/completions", json=body, trust_env=False, timeout=20)
    return answer.json()["choices"][0]["message"]["content"]


def test_it_runs_in_a_thread_for_programs_without_a_loop() -> None:
    with ModelServer(scripted("one", "two")) as model:
        assert [ask(model.url), ask(model.url)] == ["one", "two"]
    assert "codin-model" not in [thread.name for thread in threading.enumerate()]
    with pytest.raises(httpx.ConnectError):
        ask(model.url)


def test_it_may_be_run_again() -> None:
    model = ModelServer()
    for _ in range(2):
        with model:
            assert ask(model.url) == "You said hello"
    assert len(model.requests) == 2


def test_a_port_that_is_taken_is_said_where_it_is_asked_for() -> None:
    with ModelServer() as model, pytest.raises(OSError, match="address already in use"), ModelServer(port=model.port):
        pass


@pytest.mark.anyio
async def test_a_loop_hears_of_what_happens_in_the_thread() -> None:
    with ModelServer() as model:
        async with httpx.AsyncClient(trust_env=False) as client, asyncio.timeout(20):
            body = {"messages": [{"role": "user", "content": "hang"}]}
            calling = asyncio.create_task(client.post(f"{model.url}/chat/completions", json=body))
            assert await model.stuck.wait()
            calling.cancel()
            assert await model.drop.wait()
        assert model.dropped == 1


@pytest.mark.anyio
async def test_its_end_ends_calls_that_hang() -> None:
    async with httpx.AsyncClient(trust_env=False) as client, asyncio.timeout(20):
        async with model_server() as model:
            body = {"messages": [{"role": "user", "content": "hang"}]}
            calling = asyncio.create_task(client.post(f"{model.url}/chat/completions", json=body))
            await model.stuck.wait()
        with pytest.raises(httpx.HTTPError):
            await calling


@pytest.mark.anyio
async def test_who_says_nothing_is_no_call() -> None:
    async with model_server() as model:
        _, writer = await asyncio.open_connection("127.0.0.1", model.port)
        writer.close()
        await writer.wait_closed()
        async with httpx.AsyncClient(trust_env=False) as client:
            await client.post(f"{model.url}/chat/completions", json=HELLO)
        assert (model.dropped, len(model.requests)) == (0, 1)


# -- a process ---------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def process(*options: str) -> AsyncGenerator[tuple[asyncio.subprocess.Process, dict[str, str]]]:
    """`python -m codin.testing.model`, and what it prints about itself."""
    running = await asyncio.create_subprocess_exec(
        sys.executable, "-W", "error", "-m", "codin.testing.model", *options, stdout=subprocess.PIPE
    )
    try:
        assert running.stdout is not None
        async with asyncio.timeout(30):
            lines = [(await running.stdout.readline()).decode().strip() for _ in range(4)]
        yield running, dict(line.split("=", 1) for line in lines)
    finally:
        if running.returncode is None:
            running.kill()
        await running.wait()


@pytest.mark.anyio
async def test_it_is_a_program_that_says_where_it_is() -> None:
    async with process("--extractive") as (program, said):
        body = {"messages": [{"role": "user", "content": "In one sentence:\n\nThe tide is low. It is one o'clock."}]}
        assert await asyncio.to_thread(ask, said["OPENAI_BASE_URL"], body) in {"The tide is low.", "It is one o'clock."}
        assert said["OPENAI_BASE_URL"] == f"{said['GOOGLE_GEMINI_BASE_URL']}/v1"
        assert said["OPENAI_API_KEY"] == said["GOOGLE_API_KEY"] == "x"
        program.terminate()
        assert await asyncio.wait_for(program.wait(), 20) == 0


@pytest.mark.anyio
async def test_a_program_whose_port_is_taken_says_so() -> None:
    async with model_server() as model:
        program = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "codin.testing.model", "--port", str(model.port), stderr=subprocess.PIPE
        )
        _, errors = await asyncio.wait_for(program.communicate(), 30)
    assert program.returncode == 1
    assert f"port {model.port} cannot be used" in errors.decode()
