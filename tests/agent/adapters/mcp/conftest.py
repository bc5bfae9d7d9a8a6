"""Programs may take their time to begin."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    # Longer than a user would wait: an interpreter that imports the SDK, on a machine that is busy with other tests.
    monkeypatch.setattr("codin.agent.adapters.mcp._session._START", 100.0)
