"""The clients of the official SDKs against agents on codin, which is served with its default settings."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import httpx
import pytest

from codin import a2a
from codin.agent import agent
from codin.server import App
from codin.task import AgentResponse, Task
from codin.trust import BearerTokens
from tests.interop.line import Refused
from tests.interop.official_client import OfficialClient
from tests.server.puppet import Puppet
from tests.server.sockets import listening

pytestmark = pytest.mark.anyio

PATIENT = 30.0
PIECES = [f"piece {number} " for number in range(20)]
ALICE, BOB = "a1ice-t0ken", "b0b-t0ken"
UNAUTHENTICATED = "401|no valid credential"  # one SDK tells the status, the other the message


@agent(examples=["hello"])
async def shout(text: str) -> str:
    """Say it louder."""
    return text.upper()


@agent
async def pieces(text: str) -> AsyncIterator[str]:
    """Says many things, one after the other."""
    for piece in PIECES:
        yield piece


@agent
async def ask(text: str, task: Task) -> str:
    """Asks back."""
    answer = await task.ask(f"Which {text}?")
    return f"You chose {answer.text}."


@agent
async def show(text: str, task: Task) -> AgentResponse:
    """Shows things that are not text."""
    await task.artifact(b"a,b\n1,2\n", name="table", filename="table.csv", media_type="text/csv")
    return AgentResponse.completed(data={"total": 2, "name": "ä", "parts": [None, 1.5, True]})


@agent
async def fail(text: str) -> AgentResponse:
    """Fails."""
    return AgentResponse.failed(text)


AGENTS = [shout, pieces, ask, show, fail]


class Host:
    """Agents on a port of this process, and an official client that may call them."""

    def __init__(self, url: str, client: OfficialClient, puppet: Puppet) -> None:
        self.url = url
        self.client = client
        self.puppet = puppet

    def to(self, agent_id: str, token: str = ALICE) -> OfficialClient:
        """The client, calling one of the agents."""
        return self.client.to(f"{self.url}/{agent_id}/", token)


@pytest.fixture(params=["JSONRPC", "HTTP+JSON"])
def speaker(request: pytest.FixtureRequest, official_client: OfficialClient) -> OfficialClient:
    """An official client with the binding it speaks."""
    return replace(official_client, binding=request.param)


@pytest.fixture
async def host(speaker: OfficialClient) -> AsyncIterator[Host]:
    puppet = Puppet()
    authenticator = BearerTokens({ALICE: "alice", BOB: "bob"})
    async with asyncio.timeout(PATIENT), listening(App(*AGENTS, puppet, authenticator=authenticator)) as served:
        yield Host(served.url, speaker, puppet)


async def sent(
    client: OfficialClient, text: str, configuration: Mapping[str, Any] | None = None, **fields: Any
) -> a2a.Task:
    """Send, and get a task."""
    answer = await client.send(text, configuration, **fields)
    assert isinstance(answer, a2a.Task)
    return answer


def told(events: Sequence[a2a.StreamResponse]) -> str:
    """The text of the one artifact that a stream builds, by the rules of spec 4.2.2."""
    text = ""
    for event in events:
        update = event.artifact_update
        if update is not None:
            said = a2a.text_of(update.artifact.parts)
            text = text + said if update.append else said
    return text


def last_state(events: Sequence[a2a.StreamResponse]) -> a2a.TaskState:
    update = events[-1].status_update
    assert update is not None
    return update.status.state


async def test_the_card(host: Host) -> None:
    async with httpx.AsyncClient() as http:
        for served in (*AGENTS, host.puppet):
            client = host.to(served.id)
            card = await client.card()
            now = [each for each in card.supported_interfaces if each.protocol_version == "1.0"]
            assert [(each.url, each.protocol_binding) for each in now] == [
                (client.url, "JSONRPC"), (client.url, "HTTP+JSON"),
            ]  # fmt: skip
            assert card.capabilities.streaming
            document = (await http.get(f"{client.url}.well-known/agent-card.json")).content
            assert card == a2a.AgentCard.from_json(document)  # nothing of it was lost on them


async def test_files_and_data(host: Host) -> None:
    task = await sent(host.to("show"), "please")
    contents = [part for artifact in task.artifacts for part in artifact.parts]
    (table,) = [part for part in contents if part.raw is not None]
    assert (table.raw, table.filename, table.media_type) == (b"a,b\n1,2\n", "table.csv", "text/csv")
    (numbers,) = [part for part in contents if part.raw is None]
    assert numbers.data == {"total": 2, "name": "ä", "parts": [None, 1.5, True]}


@pytest.mark.requirement("STREAM-TASK-FIRST", "STREAM-ENDS")
async def test_stream(host: Host) -> None:
    client = host.to("pieces")
    events = [event async for event in client.stream("go")]
    first, *updates, last = events
    assert first.task is not None
    assert first.task.status.state == a2a.TaskState.WORKING
    chunks = [update.artifact_update for update in updates]
    texts = [a2a.text_of(chunk.artifact.parts) for chunk in chunks if chunk is not None]
    assert texts == [*PIECES, "".join(PIECES)]  # the last one repeats all of it, for readers that missed some
    assert told(events) == "".join(PIECES)
    assert last_state([last]) == a2a.TaskState.COMPLETED
    stored = await client.get(first.task.id)
    assert a2a.text_of(stored.artifacts[0].parts) == told(events)


async def test_get(host: Host) -> None:
    client = host.to("shout")
    task = await sent(client, "hello")
    stored = await client.get(task.id)
    assert (stored.id, stored.status, stored.artifacts) == (task.id, task.status, task.artifacts)
    assert a2a.text_of(stored.history[0].parts) == "hello"
    assert (await client.get(task.id, historyLength=0)).history == []


@pytest.mark.requirement("LIST-CURSOR", "LIST-TOTAL", "LIST-NO-ARTIFACTS")
async def test_list(host: Host) -> None:
    client = host.to("shout")
    context = (await sent(client, "first")).context_id
    expected = [(await sent(client, str(number), contextId=context)).id for number in range(4)]
    await sent(client, "elsewhere")
    listed: list[str] = []
    token = ""
    while True:
        page = await client.list(contextId=context, pageSize=2, pageToken=token)
        assert page.total_size == 5
        listed += [task.id for task in page.tasks]
        assert all(task.artifacts == [] for task in page.tasks)
        token = page.next_page_token
        if not token:
            break
    assert len(listed) == len(set(listed)) == 5
    assert set(expected) < set(listed)
    whole = await client.list(contextId=context, includeArtifacts=True, status="TASK_STATE_COMPLETED")
    assert all(task.artifacts for task in whole.tasks)
    assert len(whole.tasks) == 5


@pytest.mark.requirement("SUBSCRIBE-TASK-FIRST", "STREAM-SEVERAL")
async def test_a_late_joiner_of_a_running_task(host: Host) -> None:
    client, string = host.to("puppet"), host.puppet.strings["x"]
    first = client.stream("x")
    opening = await anext(first)
    assert opening.task is not None
    await string.write("one ", "two ")
    late = client.subscribe(opening.task.id)
    snapshot = (await anext(late)).task
    assert snapshot is not None
    assert snapshot.status.state == a2a.TaskState.WORKING
    known = a2a.text_of(snapshot.artifacts[0].parts)
    assert known == "one two "
    await string.write("three ", "four")
    string.end()
    early_events = [event async for event in first]
    late_events = [event async for event in late]
    assert told(early_events) == told(late_events) == "one two three four"
    appended = [event.artifact_update for event in late_events]
    assert known + "".join(a2a.text_of(each.artifact.parts) for each in appended if each and each.append) == told(
        late_events
    )
    assert last_state(early_events) == last_state(late_events) == a2a.TaskState.COMPLETED


def question_of(task: a2a.Task) -> str:
    assert task.status.state == a2a.TaskState.INPUT_REQUIRED
    assert task.status.message is not None
    return a2a.text_of(task.status.message.parts)


@pytest.mark.requirement("STATE-INPUT", "CONTEXT-INFERRED")
@pytest.mark.parametrize("names_context", [True, False])
async def test_a_question_is_answered_with_plain_text(host: Host, names_context: bool) -> None:
    client = host.to("ask")
    asked = await sent(client, "size")
    assert question_of(asked) == "Which size?"
    ids = {"taskId": asked.id, "contextId": asked.context_id} if names_context else {"taskId": asked.id}
    answered = await sent(client, "large", None, **ids)
    assert answered.id == asked.id
    assert answered.context_id == asked.context_id
    assert answered.status.state == a2a.TaskState.COMPLETED
    assert a2a.text_of(answered.artifacts[0].parts) == "You chose large."


async def test_a_question_in_a_stream_is_answered_in_a_stream(host: Host) -> None:
    client = host.to("ask")
    asked = [event async for event in client.stream("colour")]
    assert last_state(asked) == a2a.TaskState.INPUT_REQUIRED
    assert asked[0].task is not None
    task_id = asked[0].task.id
    assert question_of(await client.get(task_id)) == "Which colour?"
    answered = [event async for event in client.stream("green", taskId=task_id)]
    assert last_state(answered) == a2a.TaskState.COMPLETED
    assert told(answered) == "You chose green."


@pytest.mark.requirement("ERROR-MAPPING")
async def test_failures_have_the_right_class(host: Host) -> None:
    client = host.to("shout")
    done = (await sent(client, "done")).id
    assert (await sent(host.to("fail"), "no paper")).status.state == a2a.TaskState.FAILED

    async def name(call: Any) -> str:
        with pytest.raises(Refused) as refusal:
            await call
        return refusal.value.name

    async def all_of(events: AsyncGenerator[a2a.StreamResponse]) -> None:
        async for _ in events:
            pass

    assert await name(client.get("no such task")) == "TaskNotFoundError"
    assert await name(client.cancel("no such task")) == "TaskNotFoundError"
    assert await name(client.send("more", taskId="no such task")) == "TaskNotFoundError"
    assert await name(all_of(client.stream("more", taskId="no such task"))) == "TaskNotFoundError"
    assert await name(all_of(client.subscribe("no such task"))) == "TaskNotFoundError"
    assert await name(client.cancel(done)) == "TaskNotCancelableError"
    assert await name(client.send("more", taskId=done)) == "UnsupportedOperationError"
    assert await name(all_of(client.stream("more", taskId=done))) == "UnsupportedOperationError"
    assert await name(all_of(client.subscribe(done))) == "UnsupportedOperationError"
    assert await name(client.list(pageSize=101)) in {"InvalidParamsError", "RequestMalformedError"}
    assert await name(host.to("ask").get(done)) == "TaskNotFoundError"  # another agent's task


async def test_one_agent_at_the_root(official_client: OfficialClient) -> None:
    async with asyncio.timeout(PATIENT), listening(App(pieces)) as served:
        client = official_client.to(f"{served.url}/")
        assert (await client.card()).name == "pieces"
        assert a2a.text_of((await sent(client, "go")).artifacts[0].parts) == "".join(PIECES)
        assert told([event async for event in client.stream("go")]) == "".join(PIECES)


@pytest.mark.requirement("AUTH-EVERY-REQUEST", "AUTH-SCOPED")
async def test_tokens_tell_callers_apart(host: Host) -> None:
    task = await sent(host.to("shout"), "mine")
    assert (await host.to("shout", ALICE).get(task.id)).id == task.id
    with pytest.raises(Refused, match="TaskNotFoundError"):
        await host.to("shout", BOB).get(task.id)
    assert (await host.to("shout", BOB).list()).tasks == []
    for token in (None, "wr0ng-t0ken"):
        stranger = host.client.to(f"{host.url}/shout/", token)
        with pytest.raises(Refused, match=UNAUTHENTICATED):
            await stranger.send("hello")
        with pytest.raises(Refused, match=UNAUTHENTICATED):
            await anext(stranger.stream("hello"))
