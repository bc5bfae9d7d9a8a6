"""How a function is sent."""

from __future__ import annotations

from collections.abc import AsyncIterator

import cloudpickle
import pytest

from codin.runtime import Function
from codin.runtime.local import LocalRuntime
from tests.runtime import chores

pytestmark = pytest.mark.anyio


@pytest.fixture
async def runtime() -> AsyncIterator[LocalRuntime]:
    async with LocalRuntime() as runtime:
        yield runtime


async def test_a_module_that_the_program_sends_by_value_goes_by_value(
    runtime: LocalRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    def only_here(number: int) -> int:
        return 3 * number

    only_here.__module__, only_here.__qualname__ = chores.__name__, "only_here"
    monkeypatch.setattr(chores, "only_here", only_here, raising=False)
    cloudpickle.register_pickle_by_value(chores)  # pyright: ignore[reportUnknownMemberType]
    try:
        done = await runtime.run(Function(only_here, [2], sandbox="off"))
    finally:
        cloudpickle.unregister_pickle_by_value(chores)  # pyright: ignore[reportUnknownMemberType]
    assert done.value == 6
