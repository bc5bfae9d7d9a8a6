"""The ready-made router: where it looks for agents."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import aclosing
from typing import Any

import pytest

from codin import connect
from codin.mesh import Nearby, Static
from codin.mesh.registry import Registry
from codin.server import App
from codin.testing import serving
from tests.examples.shipped import shipped

pytestmark = pytest.mark.anyio


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """The module, read in the environment of the test."""
    monkeypatch.delenv("CODIN_REGISTRY", raising=False)
    monkeypatch.delenv("ROUTER_AGENTS", raising=False)

    def load(**variables: str) -> Any:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        monkeypatch.delitem(sys.modules, "shipped_router", raising=False)
        return shipped("router")

    yield load
    sys.modules.pop("shipped_router", None)


def test_it_looks_where_the_environment_says(loaded: Callable[..., Any]) -> None:
    module = loaded()
    assert isinstance(module.directory(), Nearby)
    loaded(CODIN_REGISTRY="http://127.0.0.1:1")
    assert isinstance(module.directory(), Registry)
    loaded(ROUTER_AGENTS="http://127.0.0.1:1 http://127.0.0.1:2")
    assert isinstance(module.directory(), Static)


async def test_it_hands_a_wish_to_who_fits(loaded: Callable[..., Any]) -> None:
    others = App(shipped("echo").echo, shipped("summarizer").summarize)
    async with serving(others) as url:
        module = loaded(ROUTER_AGENTS=f"{url}/echo {url}/summarizer")
        async with aclosing(module.known), serving(module.router) as asked, connect(asked) as router:
            assert (await router.send("echo this back")).text == "echo this back"
            reply = await router.send("a summary, please", data={"sentences": 1})
            assert reply.text == "a summary, please"
