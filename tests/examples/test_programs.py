"""Every example runs by one command, ends by itself, and shows what it says."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import aiodocker
import pytest

from codin.sandbox.docker import DockerSandbox
from tests.servers.cloud import Cloud

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"

# What its output has, in this order.
SHOWN = {
    "runtime_daytona.py": ["needs an API key", "DAYTONA_API_KEY"],
    "sandbox_daytona.py": ["needs an API key", "DAYTONA_API_KEY"],
    "sandbox_docker.py": ["most: 3", "Read-only file system", "Operation not permitted", "memory"],
    "sandbox_e2b.py": ["needs an API key", "E2B_API_KEY"],
    "sandbox_local.py": [
        "sorted: ['1', '2', '3']",
        "No such file or directory: '/etc/shadow'",
        "ConnectionRefusedError",
        "temporarily unavailable",
        "memory,",
        "time,",
    ],
    "sandbox_wasm.py": ["sum: 6", "FileNotFoundError", "PermissionError", "pass: time", "memory, MemoryError"],
    "ask.py": ["For how many, Ada?", "That does not fit", "A table for 12 in the name of Ada."],
    "authenticated.py": [
        "front desk may see the books",
        "knows: 401",
        "No token: 401",
        "used before: 401",
        "another agent: 401",
        "without the scope: 403",
    ],
    "client_only.py": [
        "send: TASK_STATE_COMPLETED hello",
        "stream: hello again",
        "cancel: TASK_STATE_CANCELED",
        "list: ",
    ],
    "durable.py": [
        "1: 'hello' -> 'Who is the first?'",
        "2: 'Ada' -> 'And the second?'",
        "3: 'Charles' -> 'Ada, this is",
    ],
    "files.py": ["table.json application/json", "Saint-Malo", "does not take 'application/pdf'"],
    "hello.py": ["shout: Say it louder.", "HELLO TASK_STATE_COMPLETED"],
    "langgraph_chat.py": ["sees 1 messages", "Twice| |a| |day,| |mostly.|", "sees 3 messages", "The| |moon"],
    "langgraph_interrupt.py": ["INPUT_REQUIRED: barometer costs 27.", "'result': 'ordered'", "'left in the shop'"],
    "langgraph_memory.py": ["Ada is asked: Which", "a new server: 1 messages, and a cup in red", "Bob: 1", "0 blobs"],
    "limits.py": ["three is read, four is not (CALL_BUDGET_SPENT)", "'input_tokens': 950", "ping -> pong -> ping"],
    "memory_search.py": [
        "1 added",
        "Who bent the wick",
        "Aimé Argand",
        "[lighthouses.md, line",
        "1 unchanged",
        "1 changed",
        "The last keeper left in 1998.\n  [lighthouses.md, line 65]",
        "0 left",
    ],
    "mesh.py": [
        "BY NAME",
        "(in words)",
        "whisper says (by tag)",
        "HELLO HELLO",
        "Is it 'shout'?",
        "STILL HERE 2",
        "shout closed 0 under way",
    ],
    "mount_fastapi.py": ["/agents/shout/\n", "HELLO"],
    "native_tools.py": ["Really order 12 cups?", "12 cups are on their way", "tea of 3 leaves", "do not fit: leaves"],
    "over_grpc.py": ["GRPC at", "c o d i n", "come [5, 6, 7", "TASK_NOT_CANCELABLE", "JSONRPC knows"],
    "over_http_json.py": ["HELLO\n", "HELLO AGAIN", "2 tasks", "404 TASK_NOT_FOUND"],
    "push.py": ["asked, and gone: TASK_STATE_WORKING", "WORKING", "artifact", "COMPLETED", "signed by report"],
    "ray_agents.py": ["RAY_ADDRESS names no cluster"],  # with a cluster: tests/runtime/test_ray.py
    "routing.py": ["-> '42'", "-> 'LOUDER, PLEASE'", "There are: adder, shout."],
    "registry.py": [
        "count: healthy, verified: True",
        "translate: healthy, verified: True",
        "translate says: bonjour",
        "Mallory: the card of 'translate' is not trusted",
    ],
    "runtime_workloads.py": [
        "function: weaves.",
        "module: 5.0",
        "class: October 1843",
        "command: 6 words, in local",
        "endpoint: weaver",
        "container: 3 letter.txt on docker",
    ],
    "runtime_ray.py": ["RAY_ADDRESS names no cluster"],  # likewise
    "several.py": ["HELLO\n", "HELLO HELLO", "COMPLETED", "COMPLETED"],
    "runtime_kubernetes.py": ["no cluster is known"],
    "signed_card.py": [
        "signed by ES256 key: True",
        "changed after it was signed",
        "who knows the old key: ES256",
        "the new one: EdDSA",
        "CODIN-1601",
    ],
    "stream.py": ["'t-'", "'i-'", "'d-'", "'e-'", "'done'", "COMPLETED", "once more", "\n5 artifact", "\n9 status"],
    "tokens.py": ["Hello ada. Hello bob.", "TaskNotFound", "Unauthenticated"],
    "tool_agent.py": ["5.0 paid", "Really pay 80.0?", "was not approved", "quantity: Input should be greater than 0"],
    "tool_registry.py": [
        "ada finds ['find_books']",
        "bob finds ['find_books', 'remove_book']",
        "- Willow Patterns",
        "did you mean 'find_books'?",
        "word: there is no such field",
        "there is no tool 'remove_book'",
        "2 are left",
    ],
    "tools_mcp.py": [
        "there are: homes, hours\n",
        "hours {'result': 1.5}",
        "homes {'result': []}",
        "there is no tool 'pay'",
        "there are: homes, hours, pay",
        "pay 12.5 paid",
    ],
    "tools_openapi.py": [
        "Sketch of the Analytical Engine",
        "the API answered 404 Not Found",
        "there is no book 9",
        "number: should fit minimum: 1",
    ],
    "tools_shared.py": [
        "token-of-waiter sees order, stock",
        "3 of tea are left",
        "Really order cake?",
        "cake is ordered",
        "token-of-guest sees stock\n",
        "there is no tool 'order'",
    ],
    "traced.py": [
        "HELLO HELLO",
        "client SendMessage",
        "invoke_agent twice",
        "client SendMessage",
        "invoke_agent shout",
    ],
    "trust.py": ["nobody knows", "ada: 12 EUR (pinned)", "text, not called: desc", "key, not called: key", "revoked"],
    "typed.py": ["12.0", "TASK_STATE_REJECTED", "points[0].y"],
    "workspace.py": ["agents/hello/agent.py", "GOOD MORNING", "same address: True", "GOOD EVENING"],
}


NEEDED = {"runtime_workloads.py": "busybox", "sandbox_docker.py": "docker_host", "sandbox_wasm.py": "wasm_python"}
"""What has to run, or be built, for an example: a fixture."""

# What its output has where its vendor is there: one that stands in for it.
RENTED = {
    "runtime_daytona.py": ("daytona_cloud", ["Python 3.", "in daytona without disk, memory, syscalls"]),
    "sandbox_daytona.py": ("daytona_cloud", ["sorted: ['1', '2', '3']", "not kept: syscalls"]),
    "sandbox_e2b.py": ("e2b_cloud", ["sum: 6", "not kept: cpu, disk, memory"]),
}


@pytest.fixture
def busybox(docker_host: str) -> None:
    """An image of that name, which is made of codin's own: no registry is asked."""

    async def tag() -> None:
        async with DockerSandbox(), aiodocker.Docker() as client:
            docker: Any = client  # its listings are untyped
            tags = [tag for image in await docker.images.list() for tag in image["RepoTags"] or ()]
            own = next(tag for tag in tags if tag.startswith("codin-sandbox"))
            await docker.images.tag(own, "busybox", tag="latest")

    asyncio.run(tag())


def _run(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", *arguments],
        cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, encoding="utf-8", timeout=170, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def _programs() -> set[str]:
    return {file.name for file in EXAMPLES.glob("*.py")} - {"brief.py"}


@pytest.mark.parametrize("name", sorted(SHOWN))
def test_an_example_runs_and_ends(name: str, request: pytest.FixtureRequest) -> None:
    if name in NEEDED:
        request.getfixturevalue(NEEDED[name])
    _shows(_run(f"examples/{name}"), SHOWN[name])


@pytest.mark.parametrize("name", RENTED)
def test_an_example_at_a_vendors_runs_and_leaves_nothing(name: str, request: pytest.FixtureRequest) -> None:
    needed, shown = RENTED[name]
    cloud: Cloud = request.getfixturevalue(needed)
    _shows(_run(f"examples/{name}"), shown)
    assert not cloud.machines


def _shows(output: str, shown: Sequence[str]) -> None:
    place = 0
    for words in shown:
        found = output.find(words, place)
        assert found >= 0, f"{words!r} is not in\n{output[place:]}"
        place = found + len(words)


def test_every_example_is_run_listed_and_short() -> None:
    assert _programs() == set(SHOWN)
    listed = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    for name in _programs():
        assert f"[{name}]({name})" in listed
        source = (EXAMPLES / name).read_text(encoding="utf-8")
        assert len(source.splitlines()) < 60
        assert f"python examples/{name}" in source


def test_an_example_can_be_served_and_toured() -> None:
    command = [sys.executable, "-m", "codin.cli", "serve", "examples/hello.py", "--port", "0"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            found = re.search(r"shout serves A2A at (\S+)", server.stdout.readline())
            assert found is not None
            output = _run("examples/client_only.py", found[1])
        finally:
            server.terminate()
    assert "send: TASK_STATE_COMPLETED HELLO" in output
