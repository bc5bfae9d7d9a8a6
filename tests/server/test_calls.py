"""`task.call`: an agent that calls another one over the network."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from codin import a2a
from codin.client import Event, connect
from codin.errors import (
    BadResponse,
    CardChanged,
    CardNotTrusted,
    CircuitOpen,
    CodinError,
    ConnectError,
    DeadlineExceeded,
    NoAgent,
)
from codin.mesh.registry import Registry, RegistryApp
from codin.server import App
from codin.server._neighbours import Neighbours
from codin.task import AgentResponse, Limits, MemoryStore, Owner, Task, current_task
from codin.trust import CallLimits
from tests.server.clock import still
from tests.server.puppet import Puppet
from tests.server.rpc import Rpc, message
from tests.server.sockets import listening, open_listener

pytestmark = pytest.mark.anyio

_WHILE = 60.0  # seconds of a clock that stands still


class Echo(Puppet):
    """Answers with its context and the text, or as the text says."""

    def __init__(self) -> None:
        super().__init__("echo")
        self.contexts: list[str] = []
        self.current: list[bool] = []
        self.hanging = asyncio.Event()
        self.stopped = asyncio.Event()

    async def handle(self, task: Task) -> AgentResponse:
        self.contexts.append(task.context_id)
        self.current.append(current_task() is task)
        if task.text == "hang":
            self.hanging.set()
            try:
                await asyncio.Event().wait()
            finally:
                self.stopped.set()
        if task.text == "fail":
            return AgentResponse.failed("could not")
        if task.text == "ask":
            return AgentResponse.input_required("what?")
        return AgentResponse.completed(f"echo: {task.text}")


class Clerk(Puppet):
    """Passes its text on to the agents at `urls`, one after the other."""

    def __init__(self, *urls: str) -> None:
        super().__init__("clerk")
        self.urls = urls
        self.options: dict[str, Any] = {}
        self.errors: list[CodinError] = []

    async def handle(self, task: Task) -> AgentResponse:
        answers: list[str] = []
        for url in self.urls:
            try:
                reply = await task.call(url, task.text, **self.options)
            except CodinError as error:
                self.errors.append(error)
                raise
            answers.append(f"{reply.state.name if reply.state else 'MESSAGE'} {reply.text}")
        return AgentResponse.completed("; ".join(answers))


async def ignore(event: Event) -> None:
    """Nothing is done with it."""


@pytest.fixture
def echo() -> Echo:
    return Echo()


@pytest.fixture
async def url(echo: Echo) -> AsyncIterator[str]:
    async with listening(App(echo, limits=Limits(drain=0.1))) as served:
        yield served.url


def text(task: dict[str, Any]) -> str:
    return task["artifacts"][0]["parts"][0]["text"]


async def sent(app: App, what: str = "hi", **fields: Any) -> dict[str, Any]:
    async with asyncio.timeout(20):
        return await Rpc(app).send(what, **fields)


async def test_a_call_from_one_server_to_another(url: str) -> None:
    async with listening(App(Clerk(url))) as served, connect(served.url) as peer:
        assert (await peer.send("hi")).text == "COMPLETED echo: hi"


async def test_the_callers_context_is_not_forwarded(url: str, echo: Echo) -> None:
    app = App(Clerk(url, url))
    await sent(app, contextId="mine")
    await sent(app, contextId="mine")
    first, *others = echo.contexts
    assert first != "mine"
    assert others == [first] * 3
    await sent(app, contextId="another")
    assert echo.contexts[-1] not in {"mine", "another", first}
    await app.close()


async def test_every_peer_has_a_context_of_its_own(url: str, echo: Echo) -> None:
    other = Echo()
    async with listening(App(other)) as served:
        app = App(Clerk(url, served.url))
        task = await sent(app, contextId="mine")
        assert text(task) == "COMPLETED echo: hi; COMPLETED echo: hi"
        assert len({"mine", echo.contexts[0], other.contexts[0]}) == 3
        await app.close()


async def test_a_context_that_the_agent_names_is_used(url: str, echo: Echo) -> None:
    clerk = Clerk(url)
    clerk.options = {"context_id": "chosen"}
    app = App(clerk)
    await sent(app)
    assert echo.contexts == ["chosen"]
    await app.close()


async def test_a_failure_and_a_question_of_the_peer_come_back(url: str) -> None:
    app = App(Clerk(url))
    assert text(await sent(app, "fail")).startswith("FAILED")
    assert text(await sent(app, "ask")).startswith("INPUT_REQUIRED")
    await app.close()


async def test_a_connected_peer_may_be_called(url: str) -> None:
    async with connect(url) as peer:
        app = App(Clerk(peer))  # type: ignore[arg-type]
        assert text(await sent(app)) == "COMPLETED echo: hi"
        await app.close()


async def test_a_peer_that_is_not_there_fails_the_task_and_names_no_details() -> None:
    clerk = Clerk("http://127.0.0.1:9/")
    app = App(clerk)
    task = await sent(app)
    assert task["status"]["state"] == "TASK_STATE_FAILED"
    assert len(clerk.errors) == 1
    await app.close()


async def test_a_call_ends_with_the_callers_time(url: str, echo: Echo) -> None:
    app = App(Clerk(url), limits=Limits(run_timeout=_WHILE))
    with still() as clock:
        sending = asyncio.ensure_future(Rpc(app).send("hang"))
        await echo.hanging.wait()
        await clock.advance(_WHILE)
        task = await sending
    assert task["status"]["state"] == "TASK_STATE_FAILED"
    await app.close()


@pytest.mark.parametrize("options", [{}, {"on_event": ignore}], ids=["send", "stream"])
async def test_a_canceled_caller_cancels_what_it_has_begun(url: str, echo: Echo, options: dict[str, Any]) -> None:
    clerk = Clerk(url)
    clerk.options = options
    async with listening(App(clerk)) as served, connect(served.url) as peer, connect(url) as callee:
        task = (await peer.send("hang", wait=False)).task
        assert task is not None
        async with asyncio.timeout(20):
            await echo.hanging.wait()
            assert (await peer.cancel(task.id)).status.state.name == "CANCELED"
            await echo.stopped.wait()
        assert [task.status.state.name async for task in callee.list()] == ["CANCELED"]


async def test_a_canceled_caller_cancels_what_waits_for_its_answer(url: str) -> None:
    class Asking(Clerk):
        async def handle(self, task: Task) -> AgentResponse:
            return AgentResponse.completed((await task.ask((await task.call(url, "ask")).text)).text)

    async with listening(App(Asking())) as served, connect(served.url) as peer, connect(url) as callee:
        asked = await peer.send("go")
        assert (asked.text, asked.task_id is None) == ("what?", False)
        (waiting,) = [task async for task in callee.list()]
        assert waiting.status.state is a2a.TaskState.INPUT_REQUIRED
        async with asyncio.timeout(20):
            assert (await peer.cancel(asked.task_id or "")).status.state is a2a.TaskState.CANCELED
            async for _ in callee.subscribe(waiting.id):
                """Until it has ended."""
        assert (await callee.get(waiting.id)).status.state is a2a.TaskState.CANCELED


@pytest.mark.parametrize("options", [{}, {"on_event": ignore}], ids=["send", "stream"])
async def test_a_caller_without_time_cancels_what_it_has_begun(url: str, echo: Echo, options: dict[str, Any]) -> None:
    clerk = Clerk(url)
    clerk.options = {"timeout": _WHILE, **options}
    async with listening(App(clerk)) as served, connect(served.url) as peer, connect(url) as callee:
        with still() as clock:
            sending = asyncio.ensure_future(peer.send("hang", timeout=2 * _WHILE))
            await echo.hanging.wait()
            await clock.advance(_WHILE)
            await echo.stopped.wait()
            assert (await sending).state is a2a.TaskState.FAILED
        assert isinstance(clerk.errors[0], DeadlineExceeded)
        assert [task.status.state.name async for task in callee.list()] == ["CANCELED"]


async def test_a_call_can_be_watched(url: str) -> None:
    seen: list[str] = []

    async def watch(event: Event) -> None:
        seen.append(event.text)

    clerk = Clerk(url)
    clerk.options = {"on_event": watch}
    async with listening(App(clerk)) as served, connect(served.url) as peer:
        assert (await peer.send("hi")).text == "COMPLETED echo: hi"
        assert (await peer.send("ask")).text == "INPUT_REQUIRED what?"
    assert "echo: hi" in seen


async def test_the_running_code_knows_its_task(url: str, echo: Echo) -> None:
    async with connect(url) as peer:
        await asyncio.gather(*(peer.send(str(number)) for number in range(10)))
    assert echo.current == [True] * 10
    assert current_task() is None


async def test_a_call_is_a_private_entry_behind_what_was_written(url: str) -> None:
    store = MemoryStore()
    app = App(Clerk(url), store=store)
    task = await sent(app)
    entries = await store.read(Owner("", "clerk", "anonymous"), task["id"])
    assert [entry.kind for entry in entries] == ["input", "status", "call", "artifact", "status"]
    call = next(entry for entry in entries if entry.kind == "call")
    assert not call.public
    assert url.encode() in call.body
    await app.close()


async def test_an_agent_can_call_its_own_server(echo: Echo) -> None:
    listener = open_listener()
    port = listener.getsockname()[1]
    app = App(Clerk(f"http://127.0.0.1:{port}/echo"), echo)
    async with listening(app, listener):
        task = (await Rpc(app, "/clerk").result("SendMessage", {"message": message("hi")}))["task"]
        assert text(task) == "COMPLETED echo: hi"


# -- what the caller and the log are told of a call that went wrong ----------------------------------------------------


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ConnectError("http://10.0.0.7:9001 could not be reached"), "Another agent that this one needs could not be"),
        (DeadlineExceeded("http://10.0.0.7:9001 did not answer"), "Another agent that this one needs did not answer"),
        (BadResponse("http://10.0.0.7:9001 said: hunter2"), "Another agent that this one needs did not answer as it"),
        (NoAgent("There is no agent 'ada' at 10.0.0.7"), "Another agent that this one needs is not to be found"),
        (CircuitOpen("10.0.0.7 is left alone"), "Another agent that this one needs could not be reached"),
        (CardNotTrusted("the card of http://10.0.0.7:9001"), "Another agent that this one needs is not one that it tr"),
        (CardChanged("the card of http://10.0.0.7:9001"), "Another agent that this one needs is not one that it tr"),
        (a2a.Overloaded("http://10.0.0.7:9001 is busy"), "A call that this agent made was refused"),
    ],
)
async def test_the_caller_learns_what_happened_and_not_where(
    error: CodinError, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(task: Task) -> AgentResponse:
        raise error from ValueError("from below")

    clerk = Clerk()
    clerk.handle = fail
    task = await sent(App(clerk))
    words = task["status"]["message"]["parts"][0]["text"]
    assert (task["status"]["state"], words.startswith(said)) == ("TASK_STATE_FAILED", True)
    assert type(error).__name__ in words
    assert "10.0.0.7" not in words
    (record,) = caplog.records
    assert record.exc_info is None
    assert record.getMessage() == f"task {task['id']}: the agent raised {type(error).__name__}: {error}"


async def test_a_name_that_nobody_has_is_one_line_with_where_it_was_looked_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("CODIN_RUNTIME", str(tmp_path))
    async with listening(RegistryApp()) as served, Registry(served.url) as known:
        for source, place in ((None, "this user's agents here"), (known, f"the registry at {known.url}")):
            caplog.clear()
            neighbours = Neighbours("clerk", None, None, source)
            task = await sent(app := App(Clerk("ada"), resolver=neighbours))
            assert "is not to be found (NoAgent)" in task["status"]["message"]["parts"][0]["text"]
            (record,) = [record for record in caplog.records if record.name == "codin.task"]
            assert record.getMessage().endswith(f"Looked for in {place}.")
            assert record.exc_info is None
            await app.close()
            await neighbours.aclose()


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("theirs", [False, True])
async def test_whose_time_was_up_is_in_the_log(
    url: str, echo: Echo, theirs: bool, streamed: bool, caplog: pytest.LogCaptureFixture
) -> None:
    clerk = Clerk(url)
    clerk.options = {"on_event": ignore} if streamed else {}
    clerk.options |= {} if theirs else {"timeout": _WHILE}
    app = App(clerk)
    with still() as clock:
        given = CallLimits(deadline=int((time.time() + _WHILE) * 1000) if theirs else None)
        asked = Rpc(app).result("SendMessage", {"message": message("hang")}, Codin_Call=given.to_header())
        sending = asyncio.ensure_future(asked)
        await echo.hanging.wait()
        await clock.advance(_WHILE)
        await sending
    (record,) = [record for record in caplog.records if record.name == "codin.task"]
    words = "Hint: the time of the task's turn was up, which its caller, or run_timeout, had set"
    assert "DeadlineExceeded" in record.getMessage()
    assert record.getMessage().endswith(words) is theirs
    await app.close()


async def test_an_agent_that_is_down_is_one_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with open_listener() as taken:  # and nobody listens there, as long as nobody else has it
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        task = await sent(app := App(Clerk(url)))
    assert "another agent" in task["status"]["message"]["parts"][0]["text"].lower()
    (record,) = [record for record in caplog.records if record.name.startswith("codin")]
    assert url in record.getMessage()
    assert record.exc_info is None
    await app.close()
