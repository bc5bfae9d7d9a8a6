"""What MCP servers cannot keep; `test_laws.py` proves everything else."""

from __future__ import annotations

__all__ = ["CANNOT", "NAME"]

NAME = "MCP"
CANNOT = {
    "blocking_tool": "a tool that blocks holds up the other calls of its server (and nobody else)",
    "callers": "a server keeps no conversations; what it keeps by session, all callers share",
    "failure": "what a tool says of its failure is public in MCP, and is passed on",
    "file_in": "its tools take text and data",
    "memory": "a server keeps no conversations; what it keeps by session, all callers share",
    "model_failure": "what a tool says of its failure is public in MCP, and is passed on",
    "private_tools": "its tools are its skills",
    "several": "it asks one question at a time",
    "streams": "a tool gives its result as a whole",
    "tool_activity": "the caller calls its tools (the call is told when that is asked for)",
    "tools": "a server has no model: the caller calls its tools",
    "usage": "a tool does not tell what a model has cost it",
}
