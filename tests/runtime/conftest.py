"""One suite for all runtimes: a test that asks for `place` runs on every one of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace

import pytest

from codin.runtime import LocalRuntime, Runtime, RuntimeResult, SandboxDemand, Workload


@dataclass(frozen=True)
class Place:
    """A runtime, and what the tests ask of a sandbox there."""

    name: str
    runtime: Runtime
    sandbox: SandboxDemand | None = None

    async def run(self, workload: Workload, *, stream: bool = False) -> RuntimeResult:
        if self.sandbox is not None and workload.sandbox is None:
            workload = replace(workload, sandbox=self.sandbox)
        return await self.runtime.run(workload, stream=stream)

    def runs(self, kind: str) -> bool:
        return kind in self.runtime.kinds


PLACES: dict[str, Callable[[], Place]] = {
    "host": lambda: Place("host", LocalRuntime(), "off"),
    "local": lambda: Place("local", LocalRuntime(sandboxes=("local",)), "required"),
}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(params=PLACES)
async def place(request: pytest.FixtureRequest) -> AsyncIterator[Place]:
    place = PLACES[request.param]()
    async with place.runtime:
        yield place
