"""What a mesh makes of what it is given: a registry, a catalog, an agent; and what those may name."""

from __future__ import annotations

from pathlib import Path

import pytest

import codin
from codin import a2a
from codin.errors import AddressRefused, BadResponse, CardNotTrusted, ConfigError, MeshError
from codin.mesh import Found, MeshLimits, Nearby
from codin.mesh.registry import Registry, RegistryApp
from codin.server import App
from codin.testing import serving
from codin.trust import BearerTokens, Caller, Outbound
from tests.mesh.net import Net, replica, served
from tests.mesh.publishing import Web, card, place

pytestmark = pytest.mark.anyio


async def register(net: Net, *hosts: str) -> None:
    async with Registry("http://registry", transport=net) as registry:
        for host in hosts:
            async with codin.connect(f"http://{host}", transport=net) as peer:
                await registry.register(peer.card, f"http://{host}/.well-known/agent-card.json")


async def test_a_url_may_be_a_registry_a_host_an_agent_or_a_card() -> None:
    agents = {"one": replica("one"), "two": replica("two"), "three": replica("three")}
    async with served(registry=RegistryApp(allow_unsigned=True), **agents) as net:
        await register(net, "one")
        sources = ["http://registry", "http://two", "http://three/.well-known/agent-card.json"]
        async with codin.Mesh(*sources, transport=net) as mesh:
            assert sorted(found.name for found in await mesh.find()) == ["one", "three", "two"]
            for name in agents:
                assert (await mesh.call(name, "x")).text == f"{name}: x"


async def test_a_host_that_refuses_a_question_is_no_registry() -> None:
    refused = {"http://echo.test/v1/agents?limit=1": 401}
    web = Web({place("echo"): card("echo").to_dict(), **refused})
    async with codin.Mesh("http://echo.test", transport=web) as mesh:
        assert [found.id for found in await mesh.find()] == ["echo"]


@pytest.mark.parametrize("source", ["http://registry", "http://registry/.well-known/ai-catalog.json"])
async def test_a_closed_registry_is_known_by_its_catalog_and_gets_its_own_token(
    source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = RegistryApp(allow_unsigned=True, authenticator=BearerTokens({"secret": Caller("ada")}))
    async with served(registry=app, one=replica("one")) as net:
        async with codin.Mesh(source, transport=net) as mesh:
            with pytest.raises(BadResponse, match="wants a credential"):
                await mesh.find()
        registry = Registry("http://registry", token="secret", transport=net)
        async with registry, codin.connect("http://one", transport=net) as peer:
            await registry.register(peer.card, "http://one/.well-known/agent-card.json")
        monkeypatch.setenv("CODIN_REGISTRY", "http://registry")
        monkeypatch.setenv("CODIN_REGISTRY_TOKEN", "secret")
        async with codin.Mesh(source, transport=net) as mesh:
            assert [found.name for found in await mesh.find()] == ["one"]


async def test_replicas_in_a_registry_stand_for_each_other_while_it_is_down() -> None:
    agents = {host: replica("echo", place=host) for host in ("one", "two")}
    async with served(registry=RegistryApp(allow_unsigned=True), **agents) as net:
        await register(net, "one", "two")
        async with codin.Mesh("http://registry", transport=net, limits=MeshLimits(fresh=0.0)) as mesh:
            await mesh.call("echo", "x")
            net.down |= {"registry", "one"}
            for _ in range(3):
                assert (await mesh.call("echo", "x")).text == "two: x"


async def test_a_registry_in_memory_is_a_source_too() -> None:
    async with codin.Mesh(RegistryApp(), App(replica("echo"))) as mesh:
        assert [found.name for found in await mesh.find()] == ["echo"]


async def test_without_a_source_it_is_what_is_on_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CODIN_REGISTRY", raising=False)
    monkeypatch.setenv("CODIN_RUNTIME", str(tmp_path))
    async with codin.Mesh() as mesh:
        assert await mesh.find() == []


async def test_what_a_source_elsewhere_names_may_not_be_on_this_machine() -> None:
    class Liar:
        """Says that it is in the internet, and names an agent that is not."""

        url = "https://192.0.2.1"

        def __init__(self, named: str) -> None:
            self.named = named

        async def find(self, **conditions: object) -> list[Found]:
            return [Found("echo", "echo", f"{self.named}/.well-known/agent-card.json")]

        async def aclose(self) -> None: ...

    async with serving(replica("echo")) as url:
        async with codin.Mesh(Liar(url)) as mesh:
            with pytest.raises(AddressRefused):
                await mesh.call("echo", "x")
        async with codin.Mesh(Liar(url), url) as mesh:  # somebody who may name it does
            assert (await mesh.call("echo", "x")).text == "echo: x"


async def test_real_sockets_by_the_url_of_a_server() -> None:
    async with serving(replica("a"), replica("b")) as url, codin.Mesh(url) as mesh:
        assert {answer.text for answer in await mesh.ask_many("echo", "x")} == {"a: x", "b: x"}
        events = [event async for event in mesh.stream("a", "x")]
        assert events[-1].state == a2a.TaskState.COMPLETED


async def test_nobody_at_a_source_is_said() -> None:
    async with served() as net:
        net.down.add("nobody")
        async with codin.Mesh("http://nobody", transport=net) as mesh:
            with pytest.raises(MeshError, match="Nobody is at nobody"):
                await mesh.call("echo", "x")


async def test_a_token_goes_to_the_peers_and_a_wrong_one_is_refused_early() -> None:
    async with codin.Mesh(App(replica("echo")), token="secret") as mesh:
        assert (await mesh.call("echo", "x")).text == "echo: x"
    async with codin.Mesh(App(replica("echo")), token="se\ncret") as mesh:
        with pytest.raises(ConfigError):
            await mesh.call("echo", "x")


async def test_a_card_that_is_not_trusted_is_not_called_and_is_no_failure_of_the_peer() -> None:
    async with served(one=replica("echo")) as net, codin.Mesh("http://one", transport=net, trust="require") as mesh:
        with pytest.raises(CardNotTrusted):
            await mesh.call("echo", "x")
        assert (net.posts["one"], mesh.state[0].failures) == (0, 0)


async def test_a_credential_is_asked_for_every_message() -> None:
    class Counted:
        """Numbers its requests."""

        number = 0

        async def headers(self, card: a2a.AgentCard | None, request: Outbound, /) -> dict[str, str]:
            self.number += 1
            return {"X-Number": str(self.number)}

    credential = Counted()
    async with codin.Mesh(App(replica("echo")), credential=credential) as mesh:
        await mesh.call("echo", "x")
        before = credential.number
        await mesh.call("echo", "x")
        assert credential.number == before + 1


async def test_a_directory_is_a_source(tmp_path: Path) -> None:
    async with codin.Mesh(Nearby(tmp_path), App(replica("echo"))) as mesh:
        assert (await mesh.call("echo", "x")).text == "echo: x"
