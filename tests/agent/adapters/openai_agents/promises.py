"""What the OpenAI Agents SDK cannot keep; `test_laws.py` proves everything else."""

from __future__ import annotations

__all__ = ["CANNOT", "NAME"]

NAME = "OpenAI Agents"
CANNOT = {
    "authorization": "it asks for approval, never for a credential (a remote agent that is its tool may)",
    "file_out": "its only files are the images of a hosted tool, which have no names (they are passed on without)",
}
