"""What a server with a durable store says of agents that do not keep what they have to."""

from __future__ import annotations

from pathlib import Path

import pytest

from codin.server import App

__all__ = ["warned"]


def warned(caplog: pytest.LogCaptureFixture, place: Path, agent: object) -> str:
    """The warning when the server is made, without its beginning; none is empty."""
    caplog.clear()
    App(agent, store=f"sqlite:///{place / 'tasks.db'}")
    said = [record.getMessage() for record in caplog.records if record.name == "codin.server"]
    assert all("the task store is durable, but " in each for each in said)
    return "\n".join(each.partition("keeps its own state in memory: ")[2] for each in said)
