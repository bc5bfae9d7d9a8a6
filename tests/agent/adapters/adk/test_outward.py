"""What every framework does with a remote agent, for ADK's tool and ADK's agent; both also of a URL."""

from __future__ import annotations

import pytest
from google.adk.agents import LlmAgent
from google.adk.integrations.openai import OpenAILlm

from codin.agent.adapters.adk import adapt, agent, tool
from codin.client import Peer
from codin.testing import ModelServer
from tests.agent.adapters.desk import Desk
from tests.agent.adapters.outward import Outward, Scenario, a_refusal_is_the_result_in_words, made_of, scenarios
from tests.agent.adapters.translator import Translator

pytestmark = pytest.mark.anyio


@scenarios()
async def test_a_tool(
    scenario: Scenario, model: ModelServer, llm: OpenAILlm, peer: Peer, target: Peer | str, translator: Translator
) -> None:
    boss = LlmAgent(name="boss", model=llm, tools=[await made_of(target, tool)])
    await scenario(Outward(adapt(boss), peer, translator, model, tells='The tool said {{"result": "{}"}}'))


@scenarios(but=[a_refusal_is_the_result_in_words])
async def test_an_agent(
    scenario: Scenario, model: ModelServer, peer: Peer, target: Peer | str, translator: Translator
) -> None:
    served = adapt(await made_of(target, agent))
    await scenario(Outward(served, peer, translator, model, "{}", "{}"))


async def test_an_agent_that_refuses_fails_the_task(target: Peer | str) -> None:
    async with Desk(adapt(await made_of(target, agent))) as desk:
        assert (await desk.send("refuse")).state == "FAILED"
