"""A remote agent that is known by a URL or a name."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

import codin
from codin.agent.adapters import Remote
from codin.errors import ConfigError, TransportError
from codin.server import App
from codin.task import Limits
from tests.agent.adapters.translator import Translator
from tests.server.sockets import listening, open_listener

pytestmark = pytest.mark.anyio


async def test_its_card_says_what_it_is(url: str) -> None:
    remote = await asyncio.to_thread(Remote, url)
    assert remote.name == "translator"
    assert "Says it in French." in remote.description
    renamed = await asyncio.to_thread(lambda: Remote(url, name="french"))
    assert (renamed.name, renamed.description) == ("french", remote.description)


async def test_it_need_not_be_up_when_it_is_named_and_described(translator: Translator) -> None:
    with open_listener() as later:
        later.listen()
        remote = Remote(f"http://127.0.0.1:{later.getsockname()[1]}", name="french", description="Translate.")
        assert (remote.name, remote.description, remote.takes_data) == ("french", "Translate.", False)
        async with listening(App(translator), later):
            assert (await remote.call("you")).text == "bonjour you"


def test_nobody_there_is_said_with_the_way_out() -> None:
    with open_listener() as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(ConfigError, match=rf"the card of '{url}' is needed: .*name= and description="):
            Remote(url)


def test_so_is_a_name_that_nobody_has(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CODIN_RUNTIME", str(tmp_path))
    monkeypatch.delenv("CODIN_REGISTRY", raising=False)
    with pytest.raises(ConfigError, match=r"the card of 'nobody' is needed: .*name= and description="):
        Remote("nobody")


def test_what_is_no_url_is_said_at_once() -> None:
    with pytest.raises(ConfigError):
        Remote("ftp://127.0.0.1", name="files", description="Keeps files.")


def test_a_peer_that_nobody_has_entered_could_be_a_url() -> None:
    with pytest.raises(ConfigError, match="give the URL itself"):
        Remote(codin.connect("http://127.0.0.1:8000"))


async def test_outside_of_a_task_all_calls_share_a_connection_that_ends_with_the_loop(translator: Translator) -> None:
    async with listening(App(translator, limits=Limits(drain=0.1))) as served:
        remote = Remote(served.url, name="french", description="Translate.")

        async def work() -> list[str]:
            return [reply.text for reply in await asyncio.gather(remote.call("you"), remote.call("me"))]

        for _ in range(2):  # each time another event loop
            assert await asyncio.to_thread(asyncio.run, work()) == ["bonjour you", "bonjour me"]
    # That none is left open, every test knows: a connection that is not closed warns, and a warning is an error.


async def test_who_was_not_there_is_tried_again(translator: Translator) -> None:
    listener = open_listener()
    remote = Remote(f"http://127.0.0.1:{listener.getsockname()[1]}", name="french", description="Translate.")
    with pytest.raises(TransportError):
        await remote.call("you")
    async with listening(App(translator), listener):
        assert (await remote.call("you")).text == "bonjour you"
