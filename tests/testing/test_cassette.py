"""Recorded conversations: recorded from a real server, played without one, and without the secrets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from codin import a2a
from codin.agent import agent
from codin.client import Peer, connect
from codin.errors import ConfigError, ConnectError, DeadlineExceeded, TransportError
from codin.task import Task
from codin.testing import Cassette, CassetteMiss, MemoryTransport, mesh, serving
from codin.trust import BearerTokens

pytestmark = pytest.mark.anyio

NOWHERE = "http://shout.test/"


@agent
async def spell(text: str) -> AsyncGenerator[str]:
    """Spell a word."""
    for letter in text:
        yield f"{letter}-"


@agent
async def book(text: str, task: Task) -> str:
    """Book a table."""
    guests = await task.ask("For how many?", schema=int)
    return f"A table for {guests}, {text}."


@agent
async def vault(text: str, task: Task) -> str:
    """Open with a key."""
    key = await task.authorize("Your key?")
    return f"{len(key.text)} letters"


async def record(path: Path, served: object, talk: Any, **options: Any) -> Any:
    """What a conversation gives while it is recorded."""
    async with mesh(served) as peers, Cassette(path, record=True, transport=peers.transport, **options) as cassette:
        (url,) = peers.urls.values()
        async with connect(url, transport=cassette) as peer:
            return await talk(peer)


async def play(path: Path, talk: Any, url: str = NOWHERE, **options: Any) -> Any:
    """What it gives when nobody is there."""
    async with Cassette(path, record=False) as cassette, connect(url, transport=cassette, **options) as peer:
        return await talk(peer)


async def test_an_answer_is_given_again(tmp_path: Path) -> None:
    async def talk(peer: Peer) -> Any:
        return (await peer.send("tide")).text, peer.card.name

    path = tmp_path / "spell.json"
    assert await record(path, spell, talk) == await play(path, talk) == ("t-i-d-e-", "spell")


async def test_a_stream_is_given_again_event_by_event(tmp_path: Path) -> None:
    async def talk(peer: Peer) -> Any:
        return [(event.number, event.kind, event.text, event.state) async for event in peer.stream("tide")]

    path = tmp_path / "spell.json"
    recorded = await record(path, spell, talk)
    assert await play(path, talk) == recorded
    assert [text for _, _, text, _ in recorded if text] == ["t-", "i-", "d-", "e-"]


async def test_a_conversation_goes_on_with_the_task_that_was_recorded(tmp_path: Path) -> None:
    async def talk(peer: Peer) -> Any:
        asked = await peer.send("Ada")
        done = await peer.send("4", task_id=asked.task_id, context_id=asked.context_id)
        return asked.text, done.text, [task.id async for task in peer.list()] == [done.task_id]

    path = tmp_path / "book.json"
    assert await record(path, book, talk) == await play(path, talk) == ("For how many?", "A table for 4, Ada.", True)


async def test_an_error_is_given_again(tmp_path: Path) -> None:
    async def talk(peer: Peer) -> Any:
        with pytest.raises(a2a.TaskNotFound) as caught:
            await peer.get("no-such-task")
        return caught.value.message

    path = tmp_path / "spell.json"
    assert await record(path, spell, talk) == await play(path, talk)


async def test_it_records_when_there_is_no_file_and_plays_when_there_is(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "spell.json"
    async with serving(spell) as url, Cassette(path) as cassette, connect(url, transport=cassette) as peer:
        assert cassette.records
        await peer.send("tide")
    async with Cassette(path) as cassette, connect(url, transport=cassette) as peer:
        assert not cassette.records
        assert (await peer.send("tide")).text == "t-i-d-e-"


async def test_the_same_request_gives_the_recorded_answers_in_their_order(tmp_path: Path) -> None:
    answers = iter("ab")

    @agent
    async def turns(text: str) -> str:
        """Say something else each time."""
        return next(answers)

    async def talk(peer: Peer) -> Any:
        return [(await peer.send("go")).text for _ in range(2)]

    path = tmp_path / "turns.json"
    assert await record(path, turns, talk) == await play(path, talk) == ["a", "b"]

    async def once_more(peer: Peer) -> None:
        await talk(peer)
        await peer.send("go")

    with pytest.raises(CassetteMiss, match="has this request 2×, and it is asked once more"):
        await play(path, once_more)


async def test_what_only_reads_may_be_asked_more_often(tmp_path: Path) -> None:
    async def talk(peer: Peer) -> str:
        reply = await peer.send("tide")
        assert reply.task_id is not None
        return (await peer.get(reply.task_id)).id

    async def insist(peer: Peer) -> list[str]:
        task_id = await talk(peer)
        return [(await peer.get(task_id)).id for _ in range(3)]

    path = tmp_path / "spell.json"
    task_id = await record(path, spell, talk)
    assert await play(path, insist) == [task_id] * 3


async def test_a_miss_shows_how_the_nearest_recorded_request_differs(tmp_path: Path) -> None:
    async def talk(peer: Peer) -> None:
        await peer.send("high tide")
        await peer.send("bread")

    path = tmp_path / "spell.json"
    await record(path, spell, talk)

    async def differ(peer: Peer) -> None:
        await peer.send("low tide")

    with pytest.raises(CassetteMiss) as caught:
        await play(path, differ)
    lines = str(caught.value).splitlines()
    assert any(line.startswith("-") and "high tide" in line for line in lines)
    assert any(line.startswith("+") and "low tide" in line for line in lines)
    assert "bread" not in str(caught.value)


async def test_two_servers_on_one_cassette_are_told_apart(tmp_path: Path) -> None:
    @agent
    async def shout(text: str) -> str:
        """Say it louder."""
        return text.upper()

    async def talk(cassette: Cassette, urls: Any) -> list[str]:
        answers: list[str] = []
        for url in urls:
            async with connect(url, transport=cassette) as peer:
                answers.append((await peer.send("tide")).text)
        return answers

    path = tmp_path / "two.json"
    async with mesh(spell, shout) as peers, Cassette(path, transport=peers.transport) as cassette:
        urls = list(peers.urls.values())
        assert await talk(cassette, urls) == ["t-i-d-e-", "TIDE"]
    async with Cassette(path) as cassette:
        assert await talk(cassette, reversed(urls)) == ["TIDE", "t-i-d-e-"]


async def test_nothing_to_play_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no cassette"):
        Cassette(tmp_path / "none.json", record=False)
    (tmp_path / "other.json").write_text('{"format": "something else"}', encoding="utf-8")
    with pytest.raises(ConfigError, match="no cassette that can be read"):
        Cassette(tmp_path / "other.json")


async def test_who_cannot_be_reached_is_not_recorded(tmp_path: Path) -> None:
    path = tmp_path / "nobody.json"
    async with mesh(spell) as peers, Cassette(path, transport=peers.transport) as cassette:
        with pytest.raises(ConnectError):
            async with connect("http://nobody.test/", transport=cassette):
                pass
    assert json.loads(path.read_text(encoding="utf-8"))["exchanges"] == []


# -- streams that do not end as they should ----------------------------------------------------------------------------


async def test_a_reader_who_left_finds_the_stream_as_silent_as_it_was(tmp_path: Path) -> None:
    @agent
    async def hang(text: str, task: Task) -> None:
        """Begin, and never end."""
        await task.write("begun")
        await asyncio.Event().wait()

    async def begin(peer: Peer) -> str:
        stream = peer.stream("tide")
        async for event in stream:
            if event.text:
                await stream.aclose()
                return event.text
        return ""

    async def wait(peer: Peer) -> None:
        async for _ in peer.stream("tide", timeout=0.05):
            pass

    path = tmp_path / "hang.json"
    assert await record(path, hang, begin) == await play(path, begin) == "begun"
    with pytest.raises((DeadlineExceeded, CassetteMiss)):  # it subscribes again, and that was not recorded
        await play(path, wait)


async def test_a_stream_that_was_cut_is_cut_again(tmp_path: Path) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        fields = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": fields})
        await send({"type": "http.response.body", "body": b'id: 1\ndata: {"a": 1}\n\n: late\n\n', "more_body": True})

    async def read(cassette: Cassette, heard: bytearray) -> None:
        async with cassette.stream("GET", "http://there.test/", headers={}, timeout=5.0) as answer:
            async for chunk in answer.chunks:
                heard += chunk

    path = tmp_path / "cut.json"
    async with Cassette(path, transport=MemoryTransport({"there.test": app})) as cassette:
        with pytest.raises(TransportError, match="lost"):
            await read(cassette, bytearray())
    heard = bytearray()
    async with Cassette(path) as cassette:
        with pytest.raises(TransportError, match="lost"):
            await read(cassette, heard)
    assert heard == b'id: 1\ndata: {"a": 1}\n\n'


# -- secrets -----------------------------------------------------------------------------------------------------------


async def test_a_token_is_never_written(tmp_path: Path) -> None:
    @agent
    async def leak(text: str) -> str:
        """Tell what nobody should tell."""
        return "your token is s3cret-token, and the word is s3same"

    path = tmp_path / "leak.json"
    callers = BearerTokens({"s3cret-token": "ann"})
    async with mesh(leak, authenticator=callers) as peers:
        cassette = Cassette(path, transport=peers.transport, secrets=["s3same"])
        async with cassette, connect(peers.urls["leak"], transport=cassette, token="s3cret-token") as peer:
            await peer.send("tide, s3same")
    written = path.read_text(encoding="utf-8")
    assert "s3cret" not in written
    assert "s3same" not in written
    assert "authorization" not in written.lower()
    cassette = Cassette(path, secrets=["s3same"])
    async with cassette, connect("http://leak.test/", transport=cassette, token="s3cret-token") as peer:
        assert (await peer.send("tide, s3same")).text == "your token is [redacted], and the word is [redacted]"


@pytest.mark.parametrize("credential", ["k3y", "a-much-longer-k3y"])
async def test_the_answer_to_auth_required_is_never_written(tmp_path: Path, credential: str) -> None:
    async def talk(peer: Peer) -> str:
        asked = await peer.send("open")
        assert asked.state is a2a.TaskState.AUTH_REQUIRED
        return (await peer.send(credential, task_id=asked.task_id, context_id=asked.context_id)).text

    path = tmp_path / "vault.json"
    assert await record(path, vault, talk) == await play(path, talk) == f"{len(credential)} letters"
    assert credential not in path.read_text(encoding="utf-8")


async def test_the_credentials_of_a_push_configuration_are_never_written(tmp_path: Path) -> None:
    push = {"url": "http://me.test/", "token": "s3cret-token", "authentication": {"credentials": "s3cret-word"}}
    message = {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": "tide"}]}
    params = {"message": message, "configuration": {"taskPushNotificationConfig": push}}
    path = tmp_path / "push.json"
    async with mesh(spell) as peers, Cassette(path, transport=peers.transport) as cassette:
        call = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "SendMessage", "params": params}).encode()
        fields = {"A2A-Version": "1.0", "Content-Type": "application/json"}
        answer = await cassette.request("POST", peers.urls["spell"], headers=fields, content=call, timeout=5.0)
        assert answer.status == 200
    written = path.read_text(encoding="utf-8")
    assert "http://me.test/" in written
    assert "s3cret" not in written


async def test_a_key_in_the_address_is_never_written(tmp_path: Path) -> None:
    path = tmp_path / "spell.json"
    async with mesh(spell) as peers, Cassette(path, transport=peers.transport) as cassette:
        url = f"{peers.urls['spell']}.well-known/agent-card.json?key=s3cret"
        await cassette.request("GET", url, headers={"X-Api-Key": "s3cret"}, timeout=5.0)
    assert "s3cret" not in path.read_text(encoding="utf-8")
