"""Every test of this folder whose peer follows a script runs once for each binding."""

from __future__ import annotations

import pytest

from tests.client import scripted


@pytest.fixture(params=scripted.BINDINGS)
def spoken(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The binding that scripted peers speak."""
    monkeypatch.setattr(scripted, "spoken", request.param)
    return request.param
