"""The laws of adapters, for CrewAI: agents for what is said, crews for structure, flows for questions."""

from __future__ import annotations

from typing import Any

import pytest
from crewai import LLM, Flow
from crewai.flow import listen, start
from crewai.flow.human_feedback import human_feedback
from crewai.tools import tool
from pydantic import BaseModel

from codin.testing.adapter_laws import AdapterCase, Asked, Asking, Bench, Law, laws
from tests.agent.adapters.crewai.crews import crew_of, helper
from tests.agent.adapters.crewai.promises import CANNOT, NAME

pytestmark = pytest.mark.anyio


class Place(BaseModel):
    name: str
    people: int


class Publishing(Flow[dict[str, Any]]):
    @start()
    @human_feedback(message="Publish it?")
    def write(self) -> str:
        return "a draft"

    @listen(write)
    def publish(self, result: Any) -> str:
        return f"{result.output}: {result.feedback}"


def model_of(bench: Bench) -> Any:
    return LLM(model="openai/local", base_url=bench.url, api_key="x", max_retries=0)


def chat(bench: Bench) -> Any:
    return helper(model_of(bench), tools=[tool(function.__name__)(function) for function in bench.tools])


def structured(bench: Bench) -> Any:
    return crew_of(model_of(bench), output_pydantic=Place)


def asking(bench: Bench) -> Any:
    return Publishing()


def failing(bench: Bench) -> Any:
    class Failing(Flow[dict[str, Any]]):
        @start()
        def work(self) -> None:
            raise RuntimeError(bench.secret)

    return Failing()


CASE = AdapterCase(
    NAME,
    chat=chat,
    structured=structured,
    asking=Asking(asking, [Asked("Publish it?", "gladly")], "a draft: gladly"),
    failing=failing,
    cannot=CANNOT,
)


@pytest.mark.parametrize("law", laws(CASE), ids=str)
async def test_the_adapter_keeps(law: Law) -> None:
    await law.check(CASE)
