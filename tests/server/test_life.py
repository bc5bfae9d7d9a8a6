"""How an app starts, what it says of its health, and how it drains."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import ASGIApp

from codin.agent import AgentResponse, agent
from codin.errors import StoreInUse
from codin.server import App
from codin.task import Limits, Task
from tests.server.exchange import Exchange, state_of
from tests.server.puppet import Puppet
from tests.server.rpc import Rpc, message

pytestmark = pytest.mark.anyio


@agent
async def shout(text: str) -> str:
    """Say it louder."""
    return text.upper()


@agent
async def whisper(text: str) -> str:
    """Say it softer."""
    return text.lower()


@agent
async def clerk(text: str, task: Task) -> str:
    """Asks something."""
    return (await task.ask("what?")).text


def sent(app: App, text: str = "a", **fields: Any) -> Exchange:
    return Exchange(app, "SendStreamingMessage", {"message": message(text, **fields)})


class Lifespan:
    """The server's side of the ASGI lifespan."""

    def __init__(self, app: ASGIApp) -> None:
        self._in: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._out: asyncio.Queue[Any] = asyncio.Queue()
        self.running = asyncio.ensure_future(app({"type": "lifespan"}, self._in.get, self._out.put))

    async def say(self, what: str) -> dict[str, Any]:
        self._in.put_nowait({"type": f"lifespan.{what}"})
        async with asyncio.timeout(10):
            return await self._out.get()


async def test_its_own_lifespan(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'tasks.db'}"
    for _ in range(2):  # the second one finds the file free
        app = App(shout, store=url)
        lifespan = Lifespan(app)
        assert (await lifespan.say("startup"))["type"] == "lifespan.startup.complete"
        await Rpc(app).send("x")
        assert (await lifespan.say("shutdown"))["type"] == "lifespan.shutdown.complete"
        await lifespan.running
    app = App(shout, store=url)
    assert (await Rpc(app).result("ListTasks"))["totalSize"] == 2
    await app.close()


async def test_a_start_that_fails_is_told(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'tasks.db'}"
    first = App(shout, store=url)
    await first.start()
    lifespan = Lifespan(App(shout, store=url))
    failed = await lifespan.say("startup")
    assert failed["type"] == "lifespan.startup.failed"
    assert "tasks.db" in failed["message"]
    with pytest.raises(StoreInUse):
        await lifespan.running
    await first.close()


async def test_the_lifespan_of_a_host(tmp_path: Path) -> None:
    app = App(shout, store=f"sqlite:///{tmp_path / 'tasks.db'}")
    host = Starlette(routes=[Mount("/agents", app)], lifespan=app.lifespan)
    lifespan = Lifespan(host)
    assert (await lifespan.say("startup"))["type"] == "lifespan.startup.complete"
    assert (await Rpc(app).send("x"))["status"]["state"] == "TASK_STATE_COMPLETED"
    assert (await lifespan.say("shutdown"))["type"] == "lifespan.shutdown.complete"
    await lifespan.running
    assert (await Rpc(app).error("SendMessage", {"message": message()}))["reason"] == "OVERLOADED"


async def test_no_lifespan_at_all(tmp_path: Path) -> None:
    app = App(shout, store=f"sqlite:///{tmp_path / 'tasks.db'}")
    tasks = await asyncio.gather(*(Rpc(app).send(str(number)) for number in range(20)))
    assert len({task["id"] for task in tasks}) == 20
    await app.close()


@pytest.mark.parametrize("method", ["GetTask", "ListTasks", "CancelTask"])
async def test_any_method_may_be_the_first(tmp_path: Path, method: str) -> None:
    url = f"sqlite:///{tmp_path / 'tasks.db'}"
    before = App(clerk, store=url)
    task = await Rpc(before).send("x")
    await before.close()
    after = App(clerk, store=url)
    answer = await Rpc(after).call(method, {"id": task["id"]} if method != "ListTasks" else {})
    after_all = await Rpc(after).result("GetTask", {"id": task["id"]})
    if method == "CancelTask":
        assert answer["result"]["status"]["state"] == after_all["status"]["state"] == "TASK_STATE_CANCELED"
    elif method == "ListTasks":
        assert answer["result"]["tasks"] == [task]
    else:
        assert answer["result"] == after_all == task
    await after.close()


async def test_several_agents_let_their_store_go(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'tasks.db'}"
    for _ in range(2):
        app = App(shout, whisper, store=url)
        await app.start()
        await app.close()
        await app.close()


async def test_health() -> None:
    app = App(shout)
    http = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")
    for path in ("/healthz", "/readyz", "/healthz/"):
        for method in ("GET", "HEAD"):
            assert (await http.request(method, path)).status_code == 200
    await app.drain()
    assert (await http.get("/healthz")).status_code == 200
    assert (await http.get("/readyz")).status_code == 503
    assert (await http.get("/.well-known/agent-card.json")).status_code == 200


async def test_a_drain_refuses_sends_and_lets_running_work_finish() -> None:
    puppet = Puppet()
    app = App(puppet)
    rpc = Rpc(app)
    unary = Exchange(app, "SendMessage", {"message": message("u")})
    running, parked = sent(app), sent(app, "b")
    puppet.strings["b"].ask("what?")
    await parked.end()
    watching = Exchange(app, "SubscribeToTask", {"id": parked.task_id})
    await asyncio.gather(running.seen(1), watching.seen(1))
    draining = asyncio.ensure_future(app.drain())
    await puppet.strings["a"].write("x")
    assert (await rpc.http.get("/readyz")).status_code == 503
    for method in ("SendMessage", "SendStreamingMessage"):
        refused = Exchange(app, method, {"message": message("late")})
        assert (await refused.json())["error"]["code"] == -32050
        assert refused.status == 200
        assert int(refused.headers["retry-after"]) >= 1
    assert (await rpc.result("GetTask", {"id": running.task_id}))["artifacts"][0]["parts"] == [{"text": "x"}]
    assert not draining.done()
    puppet.strings["a"].end()
    puppet.strings["u"].end()
    await asyncio.gather(running.end(), watching.end(), unary.end(), draining)
    assert state_of(running.events[-1][1]) == "TASK_STATE_COMPLETED"
    assert len(watching.events) == 1
    assert (await rpc.error("SubscribeToTask", {"id": parked.task_id}))["reason"] == "OVERLOADED"
    assert (await rpc.result("ListTasks"))["totalSize"] == 3


async def test_what_does_not_finish_in_time_fails_and_its_streams_end() -> None:
    puppet = Puppet()
    app = App(puppet, limits=Limits(drain=0.05))
    stream = sent(app)
    await puppet.strings["a"].write("x")
    await app.drain()
    await stream.end()
    assert state_of(stream.events[-1][1]) == "TASK_STATE_FAILED"
    assert puppet.strings["a"].stopped.is_set()


async def test_the_next_process_goes_on(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'tasks.db'}"
    limits = Limits(drain=0.05)
    puppet = Puppet()
    app = App(puppet, store=url, limits=limits)
    running = sent(app, contextId="c")
    await running.seen(1)
    queued = sent(app, "queued", contextId="c")
    await queued.seen(1)
    parked = sent(app, "parked")
    question = puppet.strings["parked"].ask("what?")
    await parked.end()
    await app.close()
    await asyncio.gather(running.end(), queued.end())
    assert not question.done()

    puppet = Puppet()
    app = App(puppet, store=url, limits=limits)
    rpc = Rpc(app)
    answered = sent(app, "blue", taskId=parked.task_id)
    await answered.seen(1)
    string = puppet.strings["parked"]
    again = string.ask("what?")
    assert (await again).text == "blue"
    string.end()
    puppet.strings["queued"].end()
    await answered.end()
    watching = Exchange(app, "SubscribeToTask", {"id": queued.task_id}, headers={"Last-Event-ID": "1"})
    await watching.end()
    states = {
        stream.task_id: (await rpc.result("GetTask", {"id": stream.task_id}))["status"]["state"]
        for stream in (running, queued, parked)
    }
    assert [states[stream.task_id] for stream in (running, queued, parked)] == [
        "TASK_STATE_FAILED",
        "TASK_STATE_COMPLETED",
        "TASK_STATE_COMPLETED",
    ]
    await app.close()


class Forgetful:
    id = "forgetful"
    name = "Forgetful"
    description = "Keeps what it has asked in memory."
    tools = ()
    durable = False

    async def handle(self, task: Task) -> AgentResponse:
        return AgentResponse.completed()


async def test_a_durable_store_before_an_agent_that_forgets_is_warned_about(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    App(Forgetful())
    App(shout, clerk, store=f"sqlite:///{tmp_path}/tasks.db")
    assert not caplog.records
    App(Forgetful(), shout, store=f"sqlite:///{tmp_path}/tasks.db")
    (record,) = caplog.records
    assert (record.levelname, record.name) == ("WARNING", "codin.server")
    assert "'Forgetful'" in record.getMessage()
