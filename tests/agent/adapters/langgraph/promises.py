"""What LangGraph cannot keep; `test_laws.py` proves everything else."""

from __future__ import annotations

__all__ = ["CANNOT", "NAME"]

NAME = "LangGraph"
CANNOT = {"file_out": "a graph has no files of its own"}
