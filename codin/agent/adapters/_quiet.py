"""Keeps a framework quiet: what it would send or print unless the environment says otherwise."""

from __future__ import annotations

import os

__all__ = ["quiet"]


def quiet(**variables: str) -> None:
    """Set environment variables before a framework is imported; what the user has set stays."""
    for name, value in variables.items():
        os.environ.setdefault(name, value)
