"""Where an app can live: at the root, mounted under any prefix with nothing else wired, several agents side by side."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import ASGIApp

from codin.agent import agent
from codin.errors import ConfigError
from codin.server import App
from codin.task import Task
from tests.server.exchange import call_body
from tests.server.rpc import HEADERS, Rpc, message

pytestmark = pytest.mark.anyio

WELL_KNOWN = "/.well-known/agent-card.json"


@agent
async def shout(text: str) -> str:
    """Say it louder."""
    return text.upper()


@agent
async def whisper(text: str, task: Task) -> str:
    """Say it softer."""
    if text == "ask":
        return (await task.ask("what?")).text
    return text.lower()


def in_starlette(prefix: str, app: App) -> ASGIApp:
    return Starlette(routes=[Mount(prefix, app)])


def in_fastapi(prefix: str, app: App) -> ASGIApp:
    host = FastAPI()
    host.mount(prefix, app)
    return host


def nested(prefix: str, app: App) -> ASGIApp:
    return Starlette(routes=[Mount("/outer", in_fastapi(prefix, app))])


def client(app: ASGIApp, **options: Any) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, **options)
    return httpx.AsyncClient(transport=transport, base_url="http://test", follow_redirects=True)


async def say(http: httpx.AsyncClient, url: str, text: str = "Hi") -> dict[str, Any]:
    response = await http.post(url, content=call_body("SendMessage", {"message": message(text)}), headers=HEADERS)
    return response.json()["result"]["task"]


def said(task: dict[str, Any]) -> str:
    return task["artifacts"][0]["parts"][0]["text"]


@pytest.mark.parametrize("host", [in_starlette, in_fastapi])
@pytest.mark.parametrize("prefix", ["/agents", "/agents/", "/deep/er"])
async def test_mounted_with_nothing_else_wired(host: Callable[[str, App], ASGIApp], prefix: str) -> None:
    http = client(host(prefix, App(shout)))
    place = prefix.rstrip("/")
    card = (await http.get(place + WELL_KNOWN)).json()
    assert card["supportedInterfaces"][0]["url"] == f"http://test{place}/"
    for url in (f"{place}/", place, card["supportedInterfaces"][0]["url"]):
        assert said(await say(http, url)) == "HI"
    assert (await http.get(f"{place}/healthz")).text == "ok\n"


@pytest.mark.parametrize("host", [in_starlette, in_fastapi])
async def test_several_agents_mounted(host: Callable[[str, App], ASGIApp]) -> None:
    http = client(host("/agents", App(shout, whisper)))
    for name, answer in (("shout", "HI"), ("whisper", "hi")):
        card = (await http.get(f"/agents/{name}{WELL_KNOWN}")).json()
        assert card["supportedInterfaces"][0]["url"] == f"http://test/agents/{name}/"
        for url in (f"/agents/{name}", f"/agents/{name}/"):
            assert said(await say(http, url)) == answer


async def test_mounted_in_something_mounted() -> None:
    http = client(nested("/inner", App(shout)))
    card = (await http.get(f"/outer/inner{WELL_KNOWN}")).json()
    assert card["supportedInterfaces"][0]["url"] == "http://test/outer/inner/"
    assert said(await say(http, "/outer/inner/")) == "HI"


@pytest.mark.parametrize("root_path", ["/api", "/api/v1"])
@pytest.mark.parametrize("included", [True, False])
async def test_a_root_path_of_the_server(root_path: str, included: bool) -> None:
    """ASGI says that `path` includes `root_path`; not every server does so."""
    http = client(App(shout), root_path=root_path)
    place = root_path if included else ""
    card = (await http.get(place + WELL_KNOWN)).json()
    assert card["supportedInterfaces"][0]["url"] == f"http://test{root_path}/"
    assert said(await say(http, f"{place}/")) == "HI"
    assert (await http.get(f"{place}/readyz")).status_code == 200


async def test_a_path_that_only_begins_like_the_root_path() -> None:
    http = client(App(shout, whisper), root_path="/sh")
    assert said(await say(http, "/shout")) == "HI"
    assert said(await say(http, "/sh/shout")) == "HI"


async def test_a_place_with_odd_letters_is_named_as_a_url() -> None:
    http = client(in_starlette("/my agents", App(shout)))
    url = (await http.get(f"/my agents{WELL_KNOWN}")).json()["supportedInterfaces"][0]["url"]
    assert url == "http://test/my%20agents/"
    assert said(await say(http, url)) == "HI"


async def test_an_app_beside_other_routes_leaves_them_alone() -> None:
    host = FastAPI()

    @host.get("/other")
    async def other() -> str:
        return "here"

    host.mount("/", App(shout))
    http = client(host)
    assert (await http.get("/other")).json() == "here"
    assert said(await say(http, "/")) == "HI"


# -- several agents ----------------------------------------------------------------------------------------------------


@pytest.mark.requirement("CARD-SERVED", "CARD-INTERFACES")
async def test_each_agent_has_its_own_card_and_the_root_has_none() -> None:
    app = App(shout, whisper)
    assert list(app.places) == ["/shout", "/whisper"]
    http = client(app)
    for name in ("shout", "whisper"):
        card = (await http.get(f"/{name}{WELL_KNOWN}")).json()
        assert card["name"] == name
        assert card["supportedInterfaces"][0]["url"] == f"http://test/{name}/"
    assert (await http.get(WELL_KNOWN)).status_code == 404
    assert (await http.post("/", content=b"{}", headers=HEADERS)).status_code == 404
    assert (await http.get("/healthz")).status_code == 200
    assert (await http.get("/shout/healthz")).status_code == 404


@pytest.mark.parametrize("prefix", ["", "/agents"])
async def test_the_root_lists_the_agents_and_their_cards(prefix: str) -> None:
    for agents in ((shout,), (shout, whisper)):
        app = App(*agents)
        http = client(in_starlette(prefix, app) if prefix else app)
        response = await http.get(f"{prefix}/")
        assert response.headers["content-type"] == "application/json"
        listed = response.json()["agents"]
        assert [(each["id"], each["name"]) for each in listed] == [(one.id, one.name) for one in agents]
        for each in listed:
            assert (await http.get(each["card"])).json()["name"] == each["name"]
            assert set(each) == {"id", "name", "card"}


async def test_what_may_be_done_at_the_root_is_said() -> None:
    response = await client(App(shout)).put("/")
    assert (response.status_code, response.headers["allow"]) == (405, "GET, HEAD, POST")
    response = await client(App(shout, whisper)).get("/shout")
    assert (response.status_code, response.headers["allow"]) == (405, "POST")


async def test_tasks_are_scoped_by_agent() -> None:
    app = App(shout, whisper)
    loud, soft = Rpc(app, "/shout"), Rpc(app, "/whisper")
    mine = await loud.send("Hi", contextId="c")
    asked = await soft.send("ask", contextId="c")
    assert [task["id"] for task in (await loud.result("ListTasks"))["tasks"]] == [mine["id"]]
    assert [task["id"] for task in (await soft.result("ListTasks"))["tasks"]] == [asked["id"]]
    for method, params in (
        ("GetTask", {"id": asked["id"]}),
        ("CancelTask", {"id": asked["id"]}),
        ("SubscribeToTask", {"id": asked["id"]}),
        ("SendMessage", {"message": message(taskId=asked["id"])}),
    ):
        assert (await loud.error(method, params))["reason"] == "TASK_NOT_FOUND"
    assert (await soft.send("done", taskId=asked["id"]))["status"]["state"] == "TASK_STATE_COMPLETED"


async def test_keys_are_scoped_by_agent() -> None:
    app = App(shout, whisper)
    answers = [
        await Rpc(app, path).result("SendMessage", {"message": message("Hi")}, Idempotency_Key="k")
        for path in ("/shout", "/whisper")
    ]
    assert [said(answer["task"]) for answer in answers] == ["HI", "hi"]


def test_two_agents_with_one_id() -> None:
    with pytest.raises(ConfigError, match="shout"):
        App(shout, shout)


def test_no_agent() -> None:
    with pytest.raises(ConfigError, match="no agent"):
        App()
    with pytest.raises(ConfigError):
        App(42)


async def test_a_plain_function_can_be_served() -> None:
    async def plain(text: str) -> str:
        return text

    assert said(await say(client(App(plain)), "/")) == "Hi"
