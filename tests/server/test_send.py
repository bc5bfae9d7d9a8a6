"""SendMessage and GetTask at the wire: what is waited for, how much history comes back. Spec 3.1.1, 3.1.3, 3.2.4."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from codin.agent import agent
from codin.server import App
from codin.task import AgentResponse, Reject, Task
from tests.server.exchange import Exchange
from tests.server.puppet import Puppet
from tests.server.rpc import Rpc, message

pytestmark = pytest.mark.anyio


@agent
async def clerk(text: str, task: Task) -> str:
    """Asks for a name, and greets it."""
    await task.write("Hello, ")
    name = (await task.ask("Who?")).text
    await task.write(name)
    return f"Hello, {name}"


@pytest.fixture
async def rpc() -> AsyncIterator[Rpc]:
    caller = Rpc(App(clerk))
    async with caller.http:
        yield caller


@pytest.fixture
def puppet() -> Puppet:
    return Puppet()


def texts(task: dict[str, Any]) -> list[str]:
    return [entry["parts"][0]["text"] for entry in task.get("history", ())]


async def greeted(rpc: Rpc) -> dict[str, Any]:
    """A task with three messages behind it."""
    asked = await rpc.send("hi")
    assert asked["status"]["state"] == "TASK_STATE_INPUT_REQUIRED"
    return await rpc.send("Ada", taskId=asked["id"])


async def by_get(rpc: Rpc, task: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return await rpc.result("GetTask", {"id": task["id"], **fields})


async def by_list(rpc: Rpc, task: dict[str, Any], **fields: Any) -> dict[str, Any]:
    [found] = (await rpc.result("ListTasks", {"contextId": task["contextId"], "includeArtifacts": True, **fields}))[
        "tasks"
    ]
    return found


Read = Callable[..., Awaitable[dict[str, Any]]]


@pytest.mark.parametrize("read", [by_get, by_list])
async def test_the_same_task_comes_back_whoever_reads_it(rpc: Rpc, read: Read) -> None:
    task = await greeted(rpc)
    assert task["artifacts"][0]["parts"] == [{"text": "Hello, Ada"}]
    assert await read(rpc, task) == task


@pytest.mark.parametrize("read", [by_get, by_list])
@pytest.mark.parametrize("length", [0, 1, 2, 3, 99, None])
async def test_history_length(rpc: Rpc, read: Read, length: int | None) -> None:
    task = await greeted(rpc)
    assert texts(task) == ["hi", "Who?", "Ada"]
    fields = {} if length is None else {"historyLength": length}
    answer = await read(rpc, task, **fields)
    assert texts(answer) == (texts(task) if length is None else texts(task)[3 - min(length, 3) :])
    assert ("history" in answer) is (length != 0)
    assert answer["artifacts"] == task["artifacts"]


@pytest.mark.parametrize("length", [0, 1, 2, None])
@pytest.mark.parametrize("at_once", [True, False])
async def test_history_length_of_a_send(rpc: Rpc, length: int | None, at_once: bool) -> None:
    asked = await rpc.send("hi")
    configuration: dict[str, Any] = {"returnImmediately": at_once}
    if length is not None:
        configuration["historyLength"] = length
    params = {"message": message("Ada", taskId=asked["id"]), "configuration": configuration}
    task = (await rpc.result("SendMessage", params))["task"]
    everything = ["hi", "Who?", "Ada"]
    assert texts(task) == (everything if length is None else everything[3 - length :])
    assert ("history" in task) is (length != 0)


async def test_a_status_message_is_in_the_status_and_not_yet_in_the_history(rpc: Rpc) -> None:
    task = await rpc.send("hi")
    assert texts(task) == ["hi"]
    assert task["status"]["message"]["parts"] == [{"text": "Who?"}]
    assert task["status"]["message"]["role"] == "ROLE_AGENT"
    assert task["status"]["message"]["taskId"] == task["id"]


async def test_return_immediately_answers_before_the_agent_does(puppet: Puppet) -> None:
    rpc = Rpc(App(puppet))
    params = {"message": message("a"), "configuration": {"returnImmediately": True}}
    task = (await rpc.result("SendMessage", params))["task"]
    assert task["status"]["state"] == "TASK_STATE_WORKING"
    assert texts(task) == ["a"]
    await puppet.strings["a"].write("x")
    assert (await by_get(rpc, task))["artifacts"][0]["parts"] == [{"text": "x"}]
    puppet.strings["a"].end()
    watched = Exchange(rpc.app, "SubscribeToTask", {"id": task["id"]})
    await watched.end()
    assert (await by_get(rpc, task))["status"]["state"] == "TASK_STATE_COMPLETED"


async def test_a_send_waits_until_the_agent_rests(puppet: Puppet) -> None:
    app = App(puppet)
    string = puppet.strings["a"]
    sending = Exchange(app, "SendMessage", {"message": message("a")})
    await string.write("x")
    assert not sending.running.done()
    string.authorize("a key, please")
    asked = (await sending.json())["result"]["task"]
    assert asked["status"]["state"] == "TASK_STATE_AUTH_REQUIRED"
    answering = Exchange(app, "SendMessage", {"message": message("s3cret", taskId=asked["id"])})
    await string.write("y")
    assert not answering.running.done()
    string.end()
    task = (await answering.json())["result"]["task"]
    assert task["status"]["state"] == "TASK_STATE_COMPLETED"
    assert task["artifacts"][0]["parts"] == [{"text": "xy"}]
    assert b"s3cret" not in answering.body
    assert texts(task) == ["a", "a key, please", "[redacted]"]


@pytest.mark.parametrize(
    ("response", "state"),
    [
        (AgentResponse.completed("done"), "COMPLETED"),
        (AgentResponse.input_required("what?"), "INPUT_REQUIRED"),
        (AgentResponse.auth_required("who?"), "AUTH_REQUIRED"),
        (AgentResponse.rejected("no"), "REJECTED"),
        (AgentResponse.failed("broke"), "FAILED"),
    ],
)
async def test_every_outcome_answers_the_send(puppet: Puppet, response: AgentResponse, state: str) -> None:
    puppet.strings["a"].end(response)
    task = await Rpc(App(puppet)).send("a")
    assert task["status"]["state"] == f"TASK_STATE_{state}"


async def test_a_context_is_kept_and_one_is_made_where_none_is_named(rpc: Rpc) -> None:
    assert (await rpc.send(contextId="mine"))["contextId"] == "mine"
    one, two = await rpc.send(), await rpc.send()
    assert one["contextId"] != two["contextId"]
    assert one["id"] != two["id"]


# -- agents that answer with messages ----------------------------------------------------------------------------------


@agent(reply="message")
async def parrot(text: str) -> str:
    """Says it again, and keeps nothing."""
    if text == "no":
        raise Reject("I will not")
    if text == "raise":
        raise RuntimeError("secret detail")
    return text


@pytest.fixture
async def direct() -> AsyncIterator[Rpc]:
    caller = Rpc(App(parrot))
    async with caller.http:
        yield caller


async def test_a_message_agent_answers_a_message_and_keeps_no_task(direct: Rpc) -> None:
    result = await direct.result("SendMessage", {"message": message("hi", contextId="c")})
    assert list(result) == ["message"]
    answer = result["message"]
    assert (answer["role"], answer["parts"], answer["contextId"]) == ("ROLE_AGENT", [{"text": "hi"}], "c")
    assert "taskId" not in answer
    assert (await direct.result("ListTasks"))["totalSize"] == 0


async def test_a_message_agent_streams_exactly_one_message(direct: Rpc) -> None:
    [(number, event)] = await direct.stream("SendStreamingMessage", {"message": message("hi")})
    assert event["message"]["parts"] == [{"text": "hi"}]
    assert number == 0


async def test_a_message_agent_ignores_return_immediately(direct: Rpc) -> None:
    params = {"message": message("hi"), "configuration": {"returnImmediately": True}}
    assert (await direct.result("SendMessage", params))["message"]["parts"] == [{"text": "hi"}]


async def test_a_message_agent_takes_no_task_id(direct: Rpc) -> None:
    for method in ("SendMessage", "SendStreamingMessage"):
        assert (await direct.error(method, {"message": message(taskId="t")}))["code"] == -32001


async def test_what_a_message_agent_does_wrong_has_no_details(direct: Rpc) -> None:
    refused = await direct.result("SendMessage", {"message": message("no")})
    assert refused["message"]["parts"] == [{"text": "I will not"}]
    error = await direct.error("SendMessage", {"message": message("raise")})
    assert error["code"] == -32006
    assert "secret" not in str(error)
