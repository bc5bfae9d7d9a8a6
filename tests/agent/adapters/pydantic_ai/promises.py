"""What Pydantic AI cannot keep; `test_laws.py` proves everything else."""

from __future__ import annotations

__all__ = ["CANNOT", "NAME"]

NAME = "Pydantic AI"
CANNOT = {"file_out": "its files have no names (they are passed on without)"}
