"""The `codin` command: serve agents, read their cards, call them, look after their tasks."""

from codin.cli._main import main

__all__ = ["main"]
