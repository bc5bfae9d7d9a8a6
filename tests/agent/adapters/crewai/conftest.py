"""CrewAI's model on a local port. Without CrewAI nothing here is collected."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from codin.testing import ModelServer
from tests.agent.adapters.crewai.words import by_task

if find_spec("crewai") is None:
    collect_ignore_glob = ["test_*.py"]
else:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # importing CrewAI warns, and here every warning is an error
        import_module("codin.agent.adapters.crewai")


@pytest.fixture(scope="session", autouse=True)
def storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """CrewAI makes databases in the user's home as soon as there is a crew."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CREWAI_STORAGE_DIR", str(tmp_path_factory.mktemp("crewai")))
        yield


@pytest.fixture
def llm(model: ModelServer) -> Any:
    """A model of CrewAI's own class that talks to the local server."""
    from crewai import LLM

    model.answer = by_task
    return LLM(model="openai/local", base_url=model.url, api_key="x")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            # CrewAI reads fields of its own that are deprecated, and does not like functions that are no module's.
            item.add_marker(pytest.mark.filterwarnings("ignore::DeprecationWarning:crewai.*"))
            item.add_marker(pytest.mark.filterwarnings("ignore:.*callbacks cannot be serialized:UserWarning"))
