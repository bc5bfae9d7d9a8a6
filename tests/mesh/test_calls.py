"""Whom a wish reaches."""

from __future__ import annotations

import anyio
import pytest

import codin
from codin import a2a
from codin.agent import agent
from codin.errors import CodinError, ConfigError, ConnectError, DeadlineExceeded, MeshError, NoAgent
from codin.mesh import Found, MeshLimits, Static
from codin.server import App
from tests.mesh.clock import ManualClock
from tests.mesh.net import Net, replica, served

pytestmark = pytest.mark.anyio


@agent(id="shout", tags=["volume"])
async def shout(text: str) -> str:
    """Say it louder."""
    return text.upper()


SUM = a2a.AgentSkill(id="sum", name="addition", description="Adds numbers.", tags=["arithmetic"])


@agent(id="calc", name="Calculator", skills=[SUM])
async def calculate(text: str) -> str:
    """Work with numbers."""
    return str(sum(map(int, text.split())))


@pytest.mark.parametrize(
    ("wish", "answer"),
    [
        ("calc", "3"),
        ("Calculator", "3"),
        ("calculator", "3"),
        ("sum", "3"),
        ("addition", "3"),
        ("arithmetic", "3"),
        ("adds numbers", "3"),
        ("shout", "1 2"),
        ("louder", "1 2"),
    ],
)
async def test_an_agent_is_called_by_name_skill_tag_or_words(wish: str, answer: str) -> None:
    async with codin.Mesh(App(shout, calculate)) as mesh:
        assert (await mesh.call(wish, "1 2")).text == answer
        assert (await mesh.find(wish))[0].name in {"shout", "Calculator"}


async def test_what_was_found_can_be_called_and_so_can_a_url() -> None:
    async with served(one=shout) as net, codin.Mesh(*net.urls, transport=net) as mesh:
        (found,) = await mesh.find(tag="volume")
        assert (await mesh.call(found, "hello")).text == "HELLO"
        assert (await mesh.call("http://one", "hello")).text == "HELLO"
    async with served(one=shout) as net, codin.Mesh(Static([]), transport=net) as mesh:
        assert (await mesh.call("http://one", "hello")).text == "HELLO"
        net.down.add("two")
        with pytest.raises(ConnectError):
            await mesh.call("http://two", "hello", timeout=0.05)


async def test_a_stream_has_the_events_of_the_peer() -> None:
    async with codin.Mesh(App(replica("echo"))) as mesh:
        events = [event async for event in mesh.stream("echo", "hello")]
        assert "".join(event.text for event in events) == "echo: hello"
        assert events[-1].state == a2a.TaskState.COMPLETED
        assert mesh.state[0].in_flight == 0


async def test_send_options_reach_the_peer() -> None:
    async with codin.Mesh(App(shout)) as mesh:
        reply = await mesh.call("shout", "hello", context_id="c-1", metadata={"a": 1}, history_length=5)
        assert reply.task is not None
        assert (reply.context_id, reply.task.history[0].metadata) == ("c-1", {"a": 1})


@pytest.mark.parametrize(
    ("wish", "hint"), [("shuot", "Is it 'shout'?"), ("zzzzzz", "There are 'Calculator', 'shout'.")]
)
async def test_nobody_by_that_name_says_who_there_is(wish: str, hint: str) -> None:
    async with codin.Mesh(App(shout, calculate)) as mesh:
        with pytest.raises(NoAgent) as caught:
            await mesh.call(wish, "hello")
        assert caught.value.hint == hint
        assert isinstance(caught.value, MeshError)


async def test_a_description_reaches_one_kind_of_agent_only() -> None:
    both = [replica("first", place="a"), replica("second", place="b")]
    async with codin.Mesh(App(*both)) as mesh:
        answers = {(await mesh.call("say it again", "x")).text for _ in range(20)}
        assert len(answers) == 1
        assert [answer.text for answer in await mesh.ask_many("say it again", "x")] == ["a: x", "b: x"]


async def test_a_source_may_be_a_list_a_card_or_a_directory() -> None:
    async with served(one=shout, two=calculate) as net:
        async with codin.Mesh([["http://one"], "http://two"], transport=net) as mesh:
            assert {found.name for found in await mesh.find()} == {"shout", "Calculator"}
            (found,) = await mesh.find(name="shout")
        assert found.card is not None
        async with codin.Mesh(found.card, Static(["http://two"], transport=net), transport=net) as mesh:
            assert {each.name for each in await mesh.find()} == {"shout", "Calculator"}
            assert (await mesh.call("shout", "hello")).text == "HELLO"


async def test_what_is_no_source_is_refused() -> None:
    for wrong in (7, App(shout)):
        with pytest.raises(ConfigError):
            async with codin.Mesh(wrong, transport="httpx"):  # pyright: ignore[reportArgumentType]
                pass


async def test_a_closed_mesh_says_how_it_is_used() -> None:
    with pytest.raises(ConfigError, match="async with"):
        await codin.Mesh().call("shout", "hello")


class Flaky:
    """A directory that may fail, or know somebody else by now."""

    def __init__(self, net: Net) -> None:
        self.inner = Static(net.urls, transport=net)
        self.asked = 0
        self.failure: CodinError | None = None
        self.forgotten: set[str] = set()
        self.hangs = False

    async def find(self, **conditions: str | int | None) -> list[Found]:
        self.asked += 1
        if self.hangs:
            await anyio.sleep_forever()
        if self.failure is not None:
            raise self.failure
        found = await self.inner.find(**conditions)  # pyright: ignore[reportArgumentType]
        return [each for each in found if each.name not in self.forgotten]

    async def aclose(self) -> None:
        await self.inner.aclose()


async def test_directories_are_asked_once_in_a_while_and_not_for_every_call() -> None:
    clock = ManualClock()
    async with served(one=shout) as net:
        directory = Flaky(net)
        async with codin.Mesh(directory, transport=net, clock=clock) as mesh:
            for _ in range(5):
                await mesh.call("shout", "hello")
            assert directory.asked == 1
            clock.time += MeshLimits().fresh + 1
            await mesh.call("shout", "hello")
            assert directory.asked == 2


async def test_the_mesh_goes_on_while_its_directory_is_down() -> None:
    clock = ManualClock()
    async with served(one=shout) as net:
        directory = Flaky(net)
        async with codin.Mesh(directory, transport=net, clock=clock) as mesh:
            await mesh.call("shout", "hello")
            directory.failure = ConnectError("the registry is down")
            for _ in range(3):
                clock.time += MeshLimits().fresh + 1
                assert (await mesh.call("shout", "hello")).text == "HELLO"
            assert (await mesh.find("shout"))[0].name == "shout"
            assert (await mesh.call("volume", "by another way")).text == "BY ANOTHER WAY"
            asked = directory.asked
            with pytest.raises(NoAgent):
                await mesh.call("nobody", "hello")
            assert directory.asked == asked  # it is left alone for a while
            directory.failure = None
            clock.time += MeshLimits().rest
            with pytest.raises(NoAgent):
                await mesh.call("nobody", "hello")
            assert directory.asked > asked


async def test_a_directory_that_hangs_costs_no_more_than_the_time_of_the_call_or_of_a_lookup() -> None:
    async with served(one=shout) as net:
        directory = Flaky(net)
        directory.hangs = True
        async with codin.Mesh(directory, transport=net) as mesh:
            with pytest.raises(DeadlineExceeded, match="'shout'"):
                await mesh.call("shout", "hello", timeout=0.02)
        async with codin.Mesh(directory, transport=net, limits=MeshLimits(lookup=0.02)) as mesh:
            with pytest.raises(MeshError, match="did not answer"):
                await mesh.call("shout", "hello")


async def test_a_directory_that_never_answered_is_an_error_that_says_so() -> None:
    async with served(one=shout) as net:
        directory = Flaky(net)
        directory.failure = ConnectError("the registry is down")
        async with codin.Mesh(directory, transport=net) as mesh:
            with pytest.raises(MeshError, match="the registry is down"):
                await mesh.call("shout", "hello")


async def test_an_agent_that_vanishes_from_the_directory_is_dropped() -> None:
    clock = ManualClock()
    async with served(one=shout, two=calculate) as net:
        directory = Flaky(net)
        async with codin.Mesh(directory, transport=net, clock=clock) as mesh:
            await mesh.call("shout", "hello")
            await mesh.call("calc", "1")
            directory.forgotten = {"shout"}
            clock.time += MeshLimits().fresh + 1
            with pytest.raises(NoAgent):
                await mesh.call("shout", "hello")
            assert [state.name for state in mesh.state] == ["Calculator"]


async def test_of_too_many_connections_the_one_used_longest_ago_goes() -> None:
    agents = {f"h{number}": replica(f"a{number}") for number in range(4)}
    async with served(**agents) as net, codin.Mesh(*net.urls, transport=net, limits=MeshLimits(peers=2)) as mesh:
        for name in ("a0", "a1", "a0", "a2", "a0"):
            assert (await mesh.call(name, "x")).text == f"{name}: x"
        assert {state.name for state in mesh.state if state.connected} == {"a0", "a2"}
        assert (await mesh.call("a1", "x")).text == "a1: x"


async def test_somebody_else_at_the_address_is_not_called() -> None:
    async with served(one=replica("echo", place="one"), two=replica("other")) as net:
        (found,) = await Static(["http://one"], transport=net).find()
        stale = Found("echo", "echo", "http://two/.well-known/agent-card.json", card=found.card)
        async with codin.Mesh(Static([]), transport=net) as mesh:
            with pytest.raises(CodinError, match="is 'other' by now, and not 'echo'"):
                await mesh.call(stale, "secret")
        assert net.posts["two"] == 0
