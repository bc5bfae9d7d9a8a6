"""The pytest plugin of codin: fixtures for tests of agents. It is found by itself wherever codin is installed.

    def test_it_speaks(model_server): …        # a `ModelServer` in a thread
    async def test_they_talk(codin_mesh):      # `codin.testing.mesh`: async with codin_mesh(one, other) as peers
    async def test_it_talks(cassette):         # a `Cassette` of this test's own; made by `pytest --codin-record`

Nothing is imported before a test asks for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from codin.testing._cassette import Cassette
    from codin.testing._model_server import ModelServer

__all__ = ["pytest_addoption", "pytest_configure"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--codin-record`."""
    parser.getgroup("codin").addoption(
        "--codin-record", action="store_true", help="record the cassettes of the chosen tests anew, from real peers"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Let a broken law show what it has seen."""
    pytest.register_assert_rewrite("codin.testing.adapter_laws")


@pytest.fixture(name="model_server")
def _model_server() -> Iterator[ModelServer]:
    """A model on a local port while the test runs, for sync and async tests alike."""
    from codin.testing._model_server import ModelServer

    with ModelServer() as model:
        yield model


@pytest.fixture(name="codin_mesh")
def _codin_mesh() -> Any:
    """`codin.testing.mesh`."""
    from codin.testing._mesh import mesh

    return mesh


@pytest.fixture(name="cassette")
def _cassette(request: pytest.FixtureRequest) -> Cassette:
    """The recorded conversation of this test, `cassettes/MODULE/TEST.json` beside its module: a transport.

    It is played; with `--codin-record` it is made.
    """
    from codin.testing._cassette import Cassette

    name = re.sub(r"[^\w.-]+", "-", request.node.name).strip("-")
    path = request.path.parent / "cassettes" / request.path.stem / f"{name}.json"
    return Cassette(path, record=bool(request.config.getoption("--codin-record")))
