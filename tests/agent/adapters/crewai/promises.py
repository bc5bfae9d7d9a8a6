"""What CrewAI cannot keep; `test_laws.py` proves everything else."""

from __future__ import annotations

__all__ = ["CANNOT", "NAME"]

NAME = "CrewAI"
CANNOT = {
    "authorization": "it asks for feedback, never for a credential (a remote agent that is its tool may)",
    "file_in": "it takes files with a package of its own only (text files are passed on)",
    "file_out": "its tasks write files where it runs, and hand out none",
    "several": "it asks one question at a time",
}
