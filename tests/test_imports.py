"""What an import brings along, by names of modules in a fresh process; the seconds are a benchmark's business."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

FRAMEWORKS = {"agents", "agno", "crewai", "google", "langchain_core", "langgraph", "langsmith", "mcp", "pydantic_ai"}
SERVING = {"jsonrpcserver", "jsonschema", "sse_starlette", "starlette", "uvicorn"}
TRANSPORTS = {"httptools", "httpx"}
PROGRAMS = {"click", "rich", "watchfiles"}
SIGNING = {"cryptography", "jwt"}

_PROGRAM = """
import json, sys
before = set(sys.modules)
{statement}
print(json.dumps(sorted({{name.split(".")[0] for name in set(sys.modules) - before}})))
"""


def _brought_by(statement: str) -> set[str]:
    """The top-level packages that a statement loads in a process that did nothing else."""
    program = _PROGRAM.format(statement=statement)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    return set(json.loads(done.stdout))


@pytest.mark.parametrize(
    ("statement", "unwanted"),
    [
        ("import codin", FRAMEWORKS | SERVING | TRANSPORTS | PROGRAMS | SIGNING | {"anyio", "asyncio", "pydantic"}),
        ("from codin import a2a", FRAMEWORKS | SERVING | TRANSPORTS | PROGRAMS | SIGNING | {"anyio", "asyncio"}),
        ("from codin import Tool", FRAMEWORKS | SERVING | TRANSPORTS | PROGRAMS),
        ("from codin import connect", FRAMEWORKS | SERVING | TRANSPORTS | PROGRAMS),
        ("from codin import Mesh", FRAMEWORKS | SERVING | TRANSPORTS | PROGRAMS),
        ("from codin.agent import agent", FRAMEWORKS | SERVING | TRANSPORTS | PROGRAMS),
        ("from codin import serve", FRAMEWORKS | {"jsonrpcserver", "jsonschema", "rich", "sse_starlette"}),
        ("import codin.cli", FRAMEWORKS | SERVING | TRANSPORTS),
    ],
)
def test_an_import_brings_only_what_it_needs(statement: str, unwanted: set[str]) -> None:
    brought = _brought_by(statement)
    assert "codin" in brought
    assert brought & unwanted == set()
