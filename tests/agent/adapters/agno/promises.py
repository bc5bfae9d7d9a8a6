"""What Agno cannot keep; `test_laws.py` proves everything else."""

from __future__ import annotations

__all__ = ["CANNOT", "NAME"]

NAME = "Agno"
CANNOT = {"authorization": "it asks for no credentials"}
