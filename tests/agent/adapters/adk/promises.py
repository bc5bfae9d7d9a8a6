"""What Google ADK cannot keep; `test_laws.py` proves everything else."""

from __future__ import annotations

__all__ = ["CANNOT", "NAME"]

NAME = "Google ADK"
CANNOT: dict[str, str] = {}
