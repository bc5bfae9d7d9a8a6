"""Push notifications over HTTP: what is posted, in which order, and what happens when it does not arrive."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest

import codin
from codin.net import AddressGuard
from codin.server import App
from codin.task import AgentResponse
from codin.trust import BearerTokens
from tests.server.exchange import eventually
from tests.server.hook import Hook, hooked, patient
from tests.server.puppet import Puppet
from tests.server.rpc import Rpc, message
from tests.server.sockets import listening

pytestmark = pytest.mark.anyio

CREATE, GET = "CreateTaskPushNotificationConfig", "GetTaskPushNotificationConfig"
LIST, DELETE = "ListTaskPushNotificationConfigs", "DeleteTaskPushNotificationConfig"


class Pushing:
    """A puppet that pushes, and a hook that takes it."""

    def __init__(self, hook: Hook, **options: Any) -> None:
        self.hook = hook
        self.puppet = Puppet()
        options.setdefault("push", patient())
        self.app = App(self.puppet, **options)
        self.rpc = Rpc(self.app)

    async def begin(self, text: str = "a", **config: Any) -> str:
        """A task that runs; with a configuration when one is given. Gives its id."""
        configuration: dict[str, Any] = {"returnImmediately": True}
        if config:
            configuration["taskPushNotificationConfig"] = config
        params = {"message": message(text), "configuration": configuration}
        return (await self.rpc.result("SendMessage", params))["task"]["id"]

    async def create(self, task_id: str, **fields: Any) -> dict[str, Any]:
        return await self.rpc.result(CREATE, {"taskId": task_id, "url": self.hook.url, **fields})

    async def dead(self, count: int = 1) -> list[Any]:
        """Wait for that many dead letters."""
        async with asyncio.timeout(60):
            while len(letters := await self.app.dead_letters()) < count:  # noqa: ASYNC110
                await asyncio.sleep(0)
        return letters


@asynccontextmanager
async def pushing(**options: Any) -> AsyncGenerator[Pushing]:
    async with hooked() as hook:
        pushing = Pushing(hook, **options)
        try:
            yield pushing
        finally:
            hook.gate.set()
            await pushing.app.close()


@pytest.mark.requirement("PUSH-PAYLOAD", "PUSH-CREDENTIALS")
async def test_a_message_brings_its_configuration_along() -> None:
    async with pushing() as it:
        task_id = await it.begin(
            url=it.hook.url, token="t0ken", authentication={"scheme": "Bearer", "credentials": "s3cret"}
        )
        await it.puppet.strings["a"].write("x", "y")
        it.puppet.strings["a"].end()
        deliveries = await it.hook.state("COMPLETED")
        assert it.hook.words == ["WORKING", "x", "y", "xy", "COMPLETED"]
        streamed = await it.rpc.stream("SubscribeToTask", {"id": task_id}, Last_Event_ID="1")
        assert [delivery.event for delivery in deliveries] == [event for _, event in streamed]
        numbers = [delivery.headers["idempotency-key"] for delivery in deliveries]
        assert numbers == [f"{task_id}/{number}" for number, _ in streamed]
        for delivery in deliveries:
            assert delivery.headers["content-type"] == "application/a2a+json"
            assert delivery.headers["x-a2a-notification-token"] == "t0ken"
            assert delivery.headers["authorization"] == "Bearer s3cret"
            assert "codin-notification" not in delivery.headers
        await eventually(lambda: it.hook.under_way == 0)


async def test_the_four_operations() -> None:
    async with pushing() as it:
        task_id = await it.begin()
        await it.puppet.strings["a"].write("before")
        made = [await it.create(task_id, token=f"t{number}") for number in range(3)]
        assert len({config["id"] for config in made}) == 3
        assert made[0] == {"url": it.hook.url, "taskId": task_id, "id": made[0]["id"], "token": "t0"}
        assert await it.rpc.result(GET, {"taskId": task_id, "id": made[1]["id"]}) == made[1]
        assert (await it.rpc.result(LIST, {"taskId": task_id})) == {"configs": made, "nextPageToken": ""}

        first = await it.rpc.result(LIST, {"taskId": task_id, "pageSize": 2})
        assert first["configs"] == made[:2]
        rest = await it.rpc.result(LIST, {"taskId": task_id, "pageSize": 2, "pageToken": first["nextPageToken"]})
        assert rest == {"configs": made[2:], "nextPageToken": ""}
        other = await it.begin("b")
        wrong = await it.rpc.error(LIST, {"taskId": other, "pageToken": first["nextPageToken"]})
        assert wrong["fields"] == ["pageToken"]

        for _ in range(2):  # it may be said more than once
            assert await it.rpc.result(DELETE, {"taskId": task_id, "id": made[0]["id"]}) == {}
        assert (await it.rpc.error(GET, {"taskId": task_id, "id": made[0]["id"]}))["reason"] == "TASK_NOT_FOUND"
        again = await it.create(task_id, id=made[1]["id"], token="new")
        assert (await it.rpc.result(LIST, {"taskId": task_id}))["configs"] == [again, made[2]]

        await it.puppet.strings["a"].write("after")
        for name in "ab":
            it.puppet.strings[name].end()
        await it.hook.seen(6)
        tokens = {delivery.headers["x-a2a-notification-token"] for delivery in it.hook.deliveries}
        assert tokens == {"new", "t2"}
        for token in tokens:
            got = [each.word for each in it.hook.deliveries if each.headers["x-a2a-notification-token"] == token]
            assert got == ["after", "beforeafter", "COMPLETED"]


async def test_a_configuration_for_a_task_that_has_ended_gets_the_task() -> None:
    async with pushing() as it:
        it.puppet.strings["a"].end(AgentResponse.completed("done"))
        task = await it.rpc.send("a")
        config = await it.create(task["id"])
        [delivery] = await it.hook.seen(1)
        assert delivery.event == {"task": await it.rpc.result("GetTask", {"id": task["id"]})}
        assert (await it.rpc.result(LIST, {"taskId": task["id"]}))["configs"] == [config]
        again = await it.create(task["id"])  # behind the first one, in the log of a task that has ended
        await it.hook.seen(2)
        assert (await it.rpc.result(LIST, {"taskId": task["id"]}))["configs"] == [config, again]
        last = int(it.hook.deliveries[0].headers["idempotency-key"].rpartition("/")[2]) - 1
        for after in (str(last), str(last + 1)):
            assert await it.rpc.stream("SubscribeToTask", {"id": task["id"]}, Last_Event_ID=after) == []


@pytest.mark.requirement("PUSH-KEPT")
async def test_a_question_is_pushed_and_the_next_turn_goes_on() -> None:
    async with pushing() as it:
        string = it.puppet.strings["a"]
        task_id = await it.begin(url=it.hook.url)
        asked = string.ask("which?")
        await it.hook.state("INPUT_REQUIRED")
        await it.create(task_id, id="second")  # to a task that waits
        await it.rpc.result(
            "SendMessage", {"message": message("blue", taskId=task_id), "configuration": {"returnImmediately": True}}
        )
        assert (await asked).text == "blue"
        string.end()
        await it.hook.seen(6)
        assert it.hook.words[:2] == ["WORKING", "INPUT_REQUIRED"]  # what was before is not for the second one
        assert sorted(it.hook.words[2:]) == ["COMPLETED", "COMPLETED", "WORKING", "WORKING"]


@pytest.mark.requirement("PUSH-SCOPE", "PUSH-CREATE-UNKNOWN")
async def test_who_owns_the_task_owns_its_configurations() -> None:
    async with hooked() as hook:
        tokens = BearerTokens({"token-of-ada": "ada", "token-of-bob": "bob"})
        it = Pushing(hook, authenticator=tokens)
        ada, bob = {"authorization": "Bearer token-of-ada"}, {"authorization": "Bearer token-of-bob"}
        params = {"message": message("a"), "configuration": {"returnImmediately": True}}
        task_id = (await it.rpc.result("SendMessage", params, **ada))["task"]["id"]
        config = await it.rpc.result(CREATE, {"taskId": task_id, "url": hook.url, "id": "c", "token": "t"}, **ada)
        for method, fields in ((CREATE, {"url": hook.url}), (GET, {"id": "c"}), (LIST, {}), (DELETE, {"id": "c"})):
            theirs = await it.rpc.error(method, {"taskId": task_id, **fields}, **bob)
            unknown = await it.rpc.error(method, {"taskId": "nobody", **fields}, **bob)
            assert theirs["reason"] == "TASK_NOT_FOUND"
            assert str(theirs).replace(task_id, "nobody") == str(unknown)
        assert await it.rpc.result(GET, {"taskId": task_id, "id": "c"}, **ada) == config
        it.puppet.strings["a"].end()
        await hook.state("COMPLETED")
        await it.app.close()


@pytest.mark.requirement("PUSH-UNDECLARED", "PUSH-INLINE-UNDECLARED")
async def test_push_that_is_off_is_refused_and_not_declared() -> None:
    it = Pushing(Hook(), push=False)
    task_id = await it.begin()
    for method in (CREATE, GET, LIST, DELETE):
        for params in ({"taskId": task_id, "url": "https://example.com", "id": "c"}, {}):
            assert (await it.rpc.error(method, params))["reason"] == "PUSH_NOTIFICATION_NOT_SUPPORTED"
    inline = {"message": message(), "configuration": {"taskPushNotificationConfig": {"url": "https://example.com"}}}
    for method in ("SendMessage", "SendStreamingMessage"):
        assert (await it.rpc.error(method, inline))["code"] == -32003
    card = (await it.rpc.http.get("/.well-known/agent-card.json")).json()
    assert card["capabilities"]["pushNotifications"] is False
    assert await it.app.dead_letters() == []
    it.puppet.strings["a"].end()
    await it.app.close()


async def test_push_is_declared_and_an_agent_without_tasks_has_none() -> None:
    it = Pushing(Hook(), push=True)
    card = (await it.rpc.http.get("/.well-known/agent-card.json")).json()
    assert card["capabilities"]["pushNotifications"] is True
    puppet = Puppet()
    puppet.reply = "message"  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    rpc = Rpc(App(puppet))
    assert (await rpc.error(LIST, {"taskId": "t"}))["reason"] == "PUSH_NOTIFICATION_NOT_SUPPORTED"


async def test_a_task_has_so_many_configurations_and_no_more() -> None:
    async with pushing(push=patient(max_configs=2)) as it:
        task_id = await it.begin(url=it.hook.url)
        await it.create(task_id, id="c")
        refused = await it.rpc.error(CREATE, {"taskId": task_id, "url": it.hook.url})
        assert refused["reason"] == "TOO_MANY_PUSH_CONFIGS"
        await it.create(task_id, id="c", token="new")
        await it.rpc.result(DELETE, {"taskId": task_id, "id": "c"})
        await it.create(task_id)
        it.puppet.strings["a"].end()


@pytest.mark.requirement("PUSH-ADDRESS")
@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"url": "ftp://example.com/"}, "url"),
        ({"url": "no url"}, "url"),
        ({"url": "http://[::1"}, "url"),
        ({"url": "https://exa mple.com/"}, "url"),
        ({"url": "https://example.com/" + "x" * 2048}, "url"),
        ({"url": "https://ada:s3cret@example.com/"}, "url"),
        ({"url": "https://example.com/", "id": "two words"}, "id"),
        ({"url": "https://example.com/", "id": "x" * 129}, "id"),
        ({"url": "https://example.com/", "token": "a\r\nHost: b"}, "token"),
        ({"url": "https://example.com/", "token": "ä"}, "token"),
        ({"url": "https://example.com/", "authentication": {"scheme": "Be arer"}}, "authentication.scheme"),
        (
            {"url": "https://example.com/", "authentication": {"scheme": "Bearer", "credentials": "a\nb"}},
            "authentication.credentials",
        ),
        ({"url": "http://127.0.0.1/"}, "url"),
        ({"url": "http://localhost:8000/"}, "url"),
        ({"url": "http://[::1]/"}, "url"),
        ({"url": "http://0x7f000001/"}, "url"),
        ({"url": "http://10.0.0.1/"}, "url"),
        ({"url": "http://169.254.169.254/latest/meta-data/"}, "url"),
        ({"url": "http://[::ffff:169.254.169.254]/"}, "url"),
    ],
)
async def test_what_cannot_be_posted_to_is_refused_by_its_field(fields: dict[str, Any], field: str) -> None:
    it = Pushing(Hook(), push=True)
    task_id = await it.begin()
    refused = await it.rpc.error(CREATE, {"taskId": task_id, **fields})
    assert (refused["code"], refused["fields"]) == (-32602, [field])
    assert "s3cret" not in str(refused)
    params = {"message": message("b"), "configuration": {"taskPushNotificationConfig": fields}}
    refused = await it.rpc.error("SendMessage", params)
    assert refused["fields"] == [f"configuration.taskPushNotificationConfig.{field}"]
    assert (await it.rpc.result("ListTasks"))["totalSize"] == 1
    it.puppet.strings["a"].end()
    await it.app.close()


async def test_the_task_of_a_configuration_is_that_of_the_message() -> None:
    it = Pushing(Hook())
    config = {"url": "https://example.com/", "taskId": "another"}
    params = {"message": message(), "configuration": {"taskPushNotificationConfig": config}}
    assert (await it.rpc.error("SendMessage", params))["fields"] == ["configuration.taskPushNotificationConfig.taskId"]
    assert (await it.rpc.error(CREATE, {"url": "https://example.com/"}))["fields"] == ["taskId"]


# -- what does not arrive ----------------------------------------------------------------------------------------------


@pytest.mark.requirement("PUSH-RETRY")
async def test_a_receiver_that_is_busy_gets_everything_in_order() -> None:
    async with pushing() as it:
        it.hook.answers = [(503, {}), (429, {"retry-after": "0"}), (500, {}), (200, {}), (408, {}), (425, {})]
        await it.begin(url=it.hook.url)
        await it.puppet.strings["a"].write("x")
        it.puppet.strings["a"].end()
        await it.hook.state("COMPLETED")
        assert it.hook.words == ["WORKING"] * 4 + ["x"] * 3 + ["x", "COMPLETED"]
        keys = [delivery.headers["idempotency-key"] for delivery in it.hook.deliveries]
        assert len(set(keys)) == 4


@pytest.mark.parametrize("status", [400, 401, 404, 410, 302])
async def test_a_receiver_that_refuses_is_not_asked_again(status: int) -> None:
    async with pushing() as it:
        it.hook.answers = [(200, {}), (status, {"location": it.hook.url})]
        task_id = await it.begin(url=f"{it.hook.url}?secret=1")
        await it.puppet.strings["a"].write("x")
        it.puppet.strings["a"].end()
        [letter] = await it.dead()
        assert (letter.agent, letter.task_id, letter.why) == ("puppet", task_id, f"HTTP {status}")
        assert it.hook.url.startswith(letter.url)
        assert "secret" not in str(letter)
        assert letter.number == int(it.hook.deliveries[1].headers["idempotency-key"].rpartition("/")[2])
        assert it.hook.words == ["WORKING", "x"]

        assert await it.app.revive_dead_letters("another") == 0
        assert await it.app.revive_dead_letters(task_id) == 1
        await it.hook.state("COMPLETED")
        assert it.hook.words == ["WORKING", "x", "x", "x", "COMPLETED"]
        assert await it.app.dead_letters() == []


@pytest.mark.requirement("PUSH-GIVE-UP")
async def test_tries_come_to_an_end() -> None:
    async with pushing(push=patient(tries=3)) as it:
        it.hook.answers = [(500, {})] * 3
        await it.begin(url=it.hook.url)
        [letter] = await it.dead()
        assert (letter.why, len(it.hook.deliveries)) == ("HTTP 500", 3)
        it.puppet.strings["a"].end()


async def test_a_dead_letter_that_is_set_anew_goes_on() -> None:
    async with pushing() as it:
        it.hook.answers = [(200, {}), (404, {})]
        task_id = await it.begin(url=it.hook.url, id="c")
        await it.puppet.strings["a"].write("x", "y")
        await it.dead()
        await it.create(task_id, id="c", token="new")
        await it.hook.seen(4)
        assert it.hook.words == ["WORKING", "x", "x", "y"]
        assert await it.app.dead_letters() == []
        it.puppet.strings["a"].end()


@pytest.mark.requirement("PUSH-ADDRESS")
async def test_a_redirect_is_not_followed() -> None:
    async with hooked() as elsewhere, pushing() as it:
        it.hook.answers = [(307, {"location": elsewhere.url})]
        await it.begin(url=it.hook.url)
        await it.dead()
        assert elsewhere.deliveries == []
        it.puppet.strings["a"].end()


@pytest.mark.requirement("PUSH-ADDRESS")
async def test_a_name_that_leads_elsewhere_by_the_time_of_the_delivery() -> None:
    """DNS rebinding: what was public when it was looked at is this machine when it is connected to."""
    answers = ["93.184.216.34"]

    async def resolve(host: str, port: int) -> list[str]:
        return [answers.pop(0) if answers else "127.0.0.1"]

    async with pushing(push=patient(guard=AddressGuard(resolve=resolve))) as it:
        port = it.hook.url.partition("//")[2].partition("/")[0].rpartition(":")[2]
        await it.begin(url=f"http://rebinding.example:{port}/hook")
        [letter] = await it.dead()
        assert letter.why == "the address may not be called from here"
        assert it.hook.deliveries == []
        it.puppet.strings["a"].end()


async def test_what_was_looked_at_is_what_is_connected_to() -> None:
    async def resolve(host: str, port: int) -> list[str]:
        return ["127.0.0.1"]

    guard = AddressGuard(allow_loopback=True, resolve=resolve)
    async with pushing(push=patient(guard=guard)) as it:
        port = it.hook.url.partition("//")[2].partition("/")[0].rpartition(":")[2]
        await it.begin(url=f"http://pinned.example:{port}/hook")
        [delivery] = await it.hook.seen(1)
        assert delivery.headers["host"] == f"pinned.example:{port}"
        it.puppet.strings["a"].end()


@pytest.mark.requirement("PUSH-TIMEOUT")
async def test_a_receiver_that_hangs_up_or_is_silent() -> None:
    async with pushing(push=patient(timeout=0.05, tries=2)) as it:
        it.hook.gate.clear()
        await it.begin(url=it.hook.url)
        [letter] = await it.dead()
        assert letter.why == "DeadlineExceeded"
        it.puppet.strings["a"].end()
    async with pushing(push=patient(tries=2)) as it:
        await it.begin(url="http://127.0.0.1:1/")
        [letter] = await it.dead()
        assert letter.why == "ConnectError"
        it.puppet.strings["a"].end()


async def test_one_receiver_that_is_stuck_holds_up_no_other_task() -> None:
    async with hooked() as stuck, pushing(push=patient(max_deliveries=2)) as it:
        stuck.gate.clear()
        await it.begin("a", url=stuck.url)
        await stuck.seen(1)
        await it.begin("b", url=it.hook.url)
        await it.hook.state("WORKING")
        stuck.gate.set()
        for name in "ab":
            it.puppet.strings[name].end()
        await stuck.state("COMPLETED")


async def test_so_many_deliveries_are_under_way_at_once() -> None:
    async with pushing(push=patient(max_deliveries=3)) as it:
        it.hook.gate.clear()
        for name in "abcdefgh":
            await it.begin(name, url=it.hook.url)
            it.puppet.strings[name].end()
        await it.hook.seen(3)
        it.hook.gate.set()
        await it.hook.seen(16)
        assert it.hook.most_under_way == 3


async def test_a_shutdown_delivers_what_there_is_and_waits_for_nobody_long() -> None:
    async with hooked() as hook:
        it = Pushing(hook, push=patient(drain=60.0))
        await it.begin(url=hook.url)
        it.puppet.strings["a"].end()
        await it.app.close()
        assert hook.words == ["WORKING", "COMPLETED"]
    async with hooked() as hook:
        it = Pushing(hook, push=patient(drain=0.05))
        hook.gate.clear()
        await it.begin(url=hook.url)
        it.puppet.strings["a"].end()
        async with asyncio.timeout(5):
            await it.app.close()
        hook.gate.set()


async def test_a_shutdown_does_not_wait_for_the_next_try() -> None:
    async with hooked() as hook:
        it = Pushing(hook, push=patient(drain=60.0))
        hook.answers = [(503, {"retry-after": "600"})]
        await it.begin(url=hook.url)
        await hook.seen(1)
        await eventually(lambda: hook.under_way == 0)
        it.puppet.strings["a"].end()
        async with asyncio.timeout(10):
            await it.app.close()


# -- secrets -----------------------------------------------------------------------------------------------------------


@pytest.mark.requirement("PUSH-SECRETS")
async def test_no_secret_is_in_a_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with pushing(push=patient(tries=2)) as it:
        it.hook.answers = [(500, {})] * 2
        url = f"{it.hook.url}?key=hush1"
        secrets: dict[str, Any] = {"token": "hush2", "authentication": {"scheme": "Bearer", "credentials": "hush3"}}
        task_id = await it.begin(url=url, **secrets)
        await it.dead()
        await it.rpc.error(CREATE, {"taskId": task_id, "url": "http://10.0.0.1/?key=hush1", **secrets})
        it.puppet.strings["a"].end()
    assert "could not be delivered" in caplog.text
    assert "hush" not in caplog.text


async def test_over_a_socket() -> None:
    async with pushing() as it, listening(it.app) as served, codin.connect(served.url) as peer:
        reply = await peer.send("a", wait=False, push=it.hook.url)
        assert reply.task_id is not None
        config = await peer.create_push_config(reply.task_id, it.hook.url)
        assert await peer.get_push_config(reply.task_id, config.id or "") == config
        listed = [each async for each in peer.list_push_configs(reply.task_id, page_size=1)]
        assert [each.id for each in listed][1:] == [config.id]
        await peer.delete_push_config(reply.task_id, config.id or "")
        await peer.delete_push_config(reply.task_id, config.id or "")
        it.puppet.strings["a"].end()
        await it.hook.state("COMPLETED")
