"""What a message wants of the answer: its media types, and the tasks that it refers to. Spec 3.2.2, 3.4.3."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from codin.agent import agent
from codin.server import App, ServerLimits
from codin.task import Task
from codin.trust import BearerTokens
from tests.server.rpc import Rpc, message

pytestmark = pytest.mark.anyio


@agent
async def count(text: str) -> dict[str, int]:
    """Count the letters."""
    return {"letters": len(text)}


@agent(reply="message")
async def count_at_once(text: str) -> dict[str, int]:
    """Count the letters, in a message."""
    return {"letters": len(text)}


@agent
async def draw(task: Task) -> str:
    """Say which pictures are taken."""
    await task.ask("Sure?")
    takes = [name for name in ("image/png", "image/svg+xml", "text/plain") if task.accepts(name)]
    return f"{' '.join(takes)} of {' '.join(task.accepted_output_modes)}"


@agent
async def sum_up(task: Task) -> str:
    """Sum up what is referred to."""
    return " and ".join([each.artifacts[0].parts[0].text or "" for each in await task.references()]) or task.text


def asking(text: str, *modes: str, **fields: Any) -> dict[str, Any]:
    return {"message": message(text, **fields), "configuration": {"acceptedOutputModes": modes}}


@pytest.mark.parametrize("modes", [(), ("application/json",), ("text/plain", "application/*"), ("image/png",)])
async def test_data_stays_data_unless_only_text_is_taken(modes: tuple[str, ...]) -> None:
    task = (await Rpc(App(count)).result("SendMessage", asking("four", *modes)))["task"]
    assert task["artifacts"][0]["parts"][0]["data"] == {"letters": 4}


@pytest.mark.requirement("SEND-OUTPUT-MODES")
@pytest.mark.parametrize("mode", ["text/plain", "text", "Text/Plain; charset=utf-8"])
async def test_who_takes_only_text_gets_the_data_as_text(mode: str) -> None:
    task = (await Rpc(App(count)).result("SendMessage", asking("four", mode)))["task"]
    assert task["artifacts"][0]["parts"] == [{"text": '{"letters":4}'}]
    answer = (await Rpc(App(count_at_once)).result("SendMessage", asking("four", mode)))["message"]
    assert answer["parts"] == [{"text": '{"letters":4}'}]


@pytest.mark.requirement("SEND-OUTPUT-MODES")
async def test_an_agent_knows_what_is_taken_also_after_a_restart(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path}/tasks.db"
    first = App(draw, store=store)
    asked = (await Rpc(first).result("SendMessage", asking("a cat", "image/*", "application/pdf")))["task"]
    await first.close()
    second = App(draw, store=store)
    done = await Rpc(second).send("yes", taskId=asked["id"])
    assert done["artifacts"][0]["parts"][0]["text"] == "image/png image/svg+xml of image/* application/pdf"
    await second.close()


@pytest.mark.requirement("CONTEXT-REFERENCES")
async def test_the_tasks_a_message_refers_to_are_the_callers_own() -> None:
    tokens = BearerTokens({"ada": "ada", "bob": "bob"})
    rpc = Rpc(App(sum_up, authenticator=tokens))
    ids: list[str] = []
    for word in ("one", "two"):
        done = await rpc.result("SendMessage", {"message": message(word)}, Authorization="Bearer ada")
        ids.append(done["task"]["id"])
    for token, text in (("ada", "one and two"), ("bob", "nothing")):
        params = {"message": message("nothing", referenceTaskIds=[ids[0], "unknown", ids[1]])}
        done = await rpc.result("SendMessage", params, Authorization=f"Bearer {token}")
        assert done["task"]["artifacts"][0]["parts"][0]["text"] == text


async def test_they_are_bounded() -> None:
    rpc = Rpc(App(sum_up, server_limits=ServerLimits(max_references=2)))
    error = await rpc.error("SendMessage", {"message": message(referenceTaskIds=["a", "b", "c"])})
    assert (error["code"], error["fields"]) == (-32602, ["message.referenceTaskIds"])
