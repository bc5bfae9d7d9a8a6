"""Tools in a task: guards, approval, the record in the log, cancellation, and `task.tool`."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr

import codin
from codin import a2a
from codin.agent import agent
from codin.errors import (
    ConfigError,
    InvalidArguments,
    InvalidResult,
    ToolError,
    ToolFailed,
    ToolRefused,
    ToolTimeout,
    UnknownTool,
)
from codin.runtime import Command, OmniRuntime
from codin.task import AgentResponse, Decision, Entry, Limits, MemoryStore, NeedInput, Task
from codin.testing import serving
from codin.tool import ToolExecutor, ToolSpec, in_runtime, tool
from codin.trust import Caller
from tests.task.desk import Desk, entries_of, message_of, state_of, text_of

pytestmark = pytest.mark.anyio


@tool(version="1.2.0")
async def shout(text: str) -> str:
    """Say it louder."""
    return text.upper()


def desk_of(
    executor: ToolExecutor,
    work: Callable[[Task], Awaitable[Any]],
    store: MemoryStore | None = None,
    **options: Any,
) -> Desk:
    """A desk for an agent that answers with what `work` gives, or with the code of the tool error that it raises."""

    async def use(task: Task, name: str, arguments: Mapping[str, Any]) -> Any:
        return await executor.call(name, arguments, task=task)

    async def handle(task: Task) -> AgentResponse:
        try:
            return AgentResponse.completed(str(await work(task)))
        except ToolError as error:
            return AgentResponse.completed(f"{type(error).__name__}: {error.message}")

    return Desk(handle, store, use=use, **options)


def uses(log: list[Entry] | Any) -> list[dict[str, Any]]:
    """The records of tools in a log, without their times."""
    records = [json.loads(entry.body) for entry in log if entry.kind == "tool"]
    for record in records:
        assert record.pop("ms", 0) >= 0
    return records


# -- the record --------------------------------------------------------------------------------------------------------


async def test_a_use_is_two_private_entries() -> None:
    desk = desk_of(ToolExecutor([shout]), lambda task: task.tool("shout", text=task.text))
    task = await desk.send("hi")
    assert text_of(task) == "HI"
    log = await desk.log(task["id"])
    assert entries_of(log)[:4] == ["input", "WORKING", "tool", "tool"]
    assert not any(entry.public for entry in log if entry.kind == "tool")
    assert uses(log) == [
        {"name": "shout", "version": "1.2.0", "arguments": {"text": "hi"}},
        {"name": "shout", "version": "1.2.0", "outcome": "done", "began": 3, "backend": "inline"},
    ]


@pytest.mark.skipif(shutil.which("bwrap") is None, reason="no bubblewrap")
async def test_the_record_says_where_it_ran() -> None:
    @tool(sandbox="required")
    def double(number: int) -> int:
        return 2 * number

    @tool(sandbox="required")
    def fail() -> str:
        raise ValueError("x")

    @tool(sandbox="required")
    async def wait() -> AsyncIterator[int]:
        yield 1
        await asyncio.Event().wait()

    here = ToolExecutor([double, fail, wait], run=in_runtime())
    nowhere = ToolExecutor([double], run=in_runtime(OmniRuntime(["http"])))

    async def work(task: Task) -> list[Any]:
        given = await here.call("double", {"number": 21}, task=task)
        pieces = [piece async for piece in here.stream("double", {"number": 4}, task=task)]
        for executor, name in ((here, "fail"), (nowhere, "double")):
            with pytest.raises(ToolError):
                await executor.call(name, {} if name == "fail" else {"number": 1}, task=task)
        async with aclosing(here.stream("wait", task=task)) as stream:
            await anext(stream)
        return [given, *pieces]

    desk = desk_of(here, work)
    task = await desk.send()
    assert text_of(task) == "[42, 8]"
    ends = [record for record in uses(await desk.log(task["id"])) if "outcome" in record]
    *whole, left = [(record["name"], record["outcome"], record["backend"]) for record in ends]
    missing = await _unenforced()
    assert whole == [
        ("double", "done", f"local: local{missing}"),
        ("double", "done", f"local: local{missing}"),
        ("fail", ToolFailed.code, f"local: local{missing}"),
        ("double", ToolRefused.code, ""),
    ]
    assert left == ("wait", "canceled", "local")  # it was stopped before it could say more


async def _unenforced() -> str:
    """What the sandboxes of this machine do not keep, in the words of a record."""
    async with OmniRuntime() as runtime:
        done = await runtime.run(Command(["true"], sandbox="required"))
    return f" without {', '.join(sorted(done.unenforced))}" if done.unenforced else ""


async def test_it_begins_when_its_record_is_committed() -> None:
    seen: list[list[str]] = []

    @tool
    async def look(task: Task) -> None:
        stored = await desk.log(task.id)
        seen.append(entries_of(stored))

    desk = desk_of(ToolExecutor([look]), lambda task: task.tool("look"))
    await desk.send()
    assert seen == [["input", "WORKING", "tool"]]


class Login(BaseModel):
    user: str
    password: SecretStr


async def test_secrets_are_in_no_record() -> None:
    @tool(secrets=["pin"])
    async def enter(login: Login, pin: int, keys: dict[str, SecretStr], more: list[Login] | None = None) -> str:
        return f"{login.password.get_secret_value()} {pin}"

    class Theirs:
        name = "theirs"
        spec = ToolSpec(
            "A tool of anybody's.",
            {
                "$defs": {"key": {"type": "string", "writeOnly": True}, "same": {"$ref": "#/$defs/same"}},
                "properties": {
                    "a": {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/key"}]},
                    "b": {
                        "type": "array",
                        "prefixItems": [{}, {"format": "password"}],
                        "items": {"$ref": "#/$defs/key"},
                    },
                    "c": {"additionalProperties": {"$ref": "#/$defs/key"}, "patternProperties": {"^x": {}}},
                },
            },
        )

        async def invoke(self, **arguments: Any) -> str:
            return "ok"

    async def work(task: Task) -> str:
        login = {"user": "ada", "password": "hunter2"}
        said = await task.tool("enter", login=login, pin=4711, keys={"k": "hunter3"}, more=[login])
        await task.tool("theirs", a="hunter4", b=["plain", "hunter5", "hunter6"], c={"x1": "hunter7", "y": "hunter8"})
        return said

    desk = desk_of(ToolExecutor([enter, Theirs()]), work)
    task = await desk.send()
    assert text_of(task) == "hunter2 4711", "the tool gets them"
    log = await desk.log(task["id"])
    begun = [record["arguments"] for record in uses(log) if "arguments" in record]
    hidden = {"user": "ada", "password": "***"}
    assert begun == [
        {"login": hidden, "pin": "***", "keys": {"k": "***"}, "more": [hidden]},
        {"a": "***", "b": ["plain", "***", "***"], "c": {"x1": "***", "y": "***"}},
    ]


@pytest.mark.parametrize(
    ("name", "arguments", "error", "begun"),
    [
        ("shuot", {"text": "secret"}, UnknownTool, False),
        ("shout", {"text": ["secret"]}, InvalidArguments, False),
        ("fail", {}, ToolFailed, True),
        ("hang", {}, ToolTimeout, True),
        ("wrong", {}, InvalidResult, True),
    ],
)
async def test_a_failure_is_recorded_by_its_code(
    name: str, arguments: dict[str, Any], error: type[ToolError], begun: bool
) -> None:
    @tool
    async def fail() -> None:
        raise OSError("secret")

    @tool(timeout=0.01)
    async def hang() -> None:
        await asyncio.Event().wait()

    @tool
    async def wrong() -> int:
        return "secret"  # pyright: ignore[reportReturnType]

    desk = desk_of(ToolExecutor([shout, fail, hang, wrong]), lambda task: task.tool(name, **arguments))
    log = await desk.log((await desk.send())["id"])
    records = uses(log)
    assert (records[-1]["name"], records[-1]["outcome"]) == (name, error.code)
    assert len(records) == 1 + begun
    assert b"secret" not in b"".join(entry.body for entry in log if entry.kind == "tool")


async def test_a_name_that_a_model_made_up_is_bounded() -> None:
    desk = desk_of(ToolExecutor([shout]), lambda task: task.tool("x" * 100_000))
    log = await desk.log((await desk.send())["id"])
    assert len(uses(log)[0]["name"]) == 200


# -- who may, and what guards say --------------------------------------------------------------------------------------


async def test_the_callers_scopes_count() -> None:
    @tool(scopes=["pay"])
    async def pay() -> str:
        return "paid"

    desk = desk_of(ToolExecutor([pay]), lambda task: task.tool("pay"))
    rich = Caller("alice", scopes=frozenset({"pay"}))
    assert text_of(await desk.send(caller=rich)) == "paid"
    assert text_of(await desk.send()) == "UnknownTool: there is no tool 'pay'"


class OnTools:
    """Decides on calls by a script; lets everything else pass."""

    def __init__(self, *decisions: Decision | None) -> None:
        self.decisions = list(decisions)
        self.asked: list[tuple[str, Any]] = []

    async def submit(self, caller: Caller, message: a2a.Message) -> Decision | None:
        return None

    async def outcome(self, task: Task, response: AgentResponse) -> Decision | None:
        return None

    async def call(self, task: Task, target: str, content: Any) -> Decision | None:
        self.asked.append((target, content))
        return self.decisions.pop(0)


async def test_a_guard_may_refuse_or_hold_a_tool() -> None:
    guard = OnTools(None, Decision("refuse", "not today", "policy"), Decision("hold", "may I?", "gate"), None)
    desk = desk_of(ToolExecutor([shout]), lambda task: task.tool("shout", text=task.text), guards=[guard])
    assert text_of(await desk.send("one")) == "ONE"
    task = await desk.send("two")
    assert text_of(task) == "ToolRefused: 'shout' may not be called: not today"
    log = await desk.log(task["id"])
    assert entries_of(log)[2:4] == ["decision", "tool"]
    assert uses(log) == [{"name": "shout", "outcome": ToolRefused.code}]
    task = await desk.send("three")
    assert (state_of(task), message_of(task)) == ("INPUT_REQUIRED", "may I?")
    assert text_of(await desk.send("yes", task_id=task["id"])) == "THREE"
    assert guard.asked == [("shout", {"text": text}) for text in ("one", "two", "three", "three")]


async def test_what_does_not_fit_reaches_no_guard() -> None:
    guard = OnTools()
    desk = desk_of(ToolExecutor([shout]), lambda task: task.tool("shout", text=5), guards=[guard])
    assert text_of(await desk.send()).startswith("InvalidArguments")
    assert guard.asked == []


# -- approval ----------------------------------------------------------------------------------------------------------


def paying(paid: list[float], **options: Any) -> ToolExecutor:
    async def pay(amount: float, pin: SecretStr = SecretStr("none")) -> str:  # noqa: B008 - no secret
        paid.append(amount)
        return "paid"

    return ToolExecutor([tool(**options)(pay)])


@pytest.mark.parametrize(
    ("answer", "said"), [("yes", "paid"), ("no", "ToolRefused: the call of 'pay' was not approved")]
)
async def test_somebody_is_asked_for_approval(answer: str, said: str) -> None:
    paid: list[float] = []
    desk = desk_of(paying(paid, approval=True), lambda task: task.tool("pay", amount=5, pin="hunter2"))
    task = await desk.send()
    assert (state_of(task), message_of(task)) == ("INPUT_REQUIRED", 'May pay be called with {"amount":5,"pin":"***"}?')
    assert paid == []
    assert text_of(await desk.send(answer, task_id=task["id"])) == said
    assert paid == ([5] if answer == "yes" else [])
    assert "hunter2" not in json.dumps(await desk.get(task["id"]))


async def test_a_function_says_whether_and_what_is_asked() -> None:
    async def above(arguments: Mapping[str, Any]) -> bool | str:
        return arguments["amount"] > 10 and f"Really {arguments['amount']}?"

    paid: list[float] = []
    desk = desk_of(paying(paid, approval=above), lambda task: task.tool("pay", amount=int(task.text)))
    assert text_of(await desk.send("5")) == "paid"
    task = await desk.send("50")
    assert message_of(task) == "Really 50?"
    again = await desk.send("what?", task_id=task["id"])
    assert message_of(again).startswith("That does not fit")
    assert text_of(await desk.send("yes", task_id=task["id"])) == "paid"
    assert paid == [5, 50]


@pytest.mark.parametrize("said", ["", " \n", 0, [], False, None])
async def test_only_a_plain_no_lets_a_tool_run_unasked(said: Any) -> None:
    def answer(arguments: Mapping[str, Any]) -> Any:
        return said

    paid: list[float] = []
    desk = desk_of(paying(paid, approval=answer), lambda task: task.tool("pay", amount=5, pin="hunter2"))
    task = await desk.send()
    if said is False or said is None:
        assert (text_of(task), paid) == ("paid", [5])
    else:
        assert message_of(task) == 'May pay be called with {"amount":5,"pin":"***"}?'
        assert paid == []


async def test_of_tools_that_are_used_at_once_one_asks_after_the_other() -> None:
    paid: list[float] = []

    async def work(task: Task) -> str:
        done = await asyncio.gather(
            task.tool("pay", amount=5),
            task.tool("pay", amount=6),
            task.tool("shout", text="meanwhile"),
            return_exceptions=True,
        )
        return " ".join(map(str, done))

    executor = paying(paid, approval=True)
    executor.registry.add(shout)
    desk = desk_of(executor, work)
    task = await desk.send()
    assert "5" in message_of(task)
    task = await desk.send("yes", task_id=task["id"])
    assert "6" in message_of(task)
    task = await desk.send("no", task_id=task["id"])
    assert text_of(task) == "paid the call of 'pay' was not approved MEANWHILE"
    assert paid == [5]


async def test_an_approval_outlives_the_process() -> None:
    paid: list[float] = []
    executor, store = paying(paid, approval=True), MemoryStore()

    async def work(task: Task) -> str:
        return await task.tool("pay", amount=5)

    task = await (desk := desk_of(executor, work, store)).send()
    await desk.crash()
    desk = desk_of(executor, work, store)
    done = await desk.send("yes", task_id=task["id"])
    assert (text_of(done), paid) == ("paid", [5])
    assert [record.get("outcome") for record in uses(await desk.log(task["id"]))] == [None, "done"]


async def test_what_is_used_before_a_question_is_used_again_and_recorded_once() -> None:
    used: list[str] = []

    @tool
    async def note(text: str) -> None:
        used.append(text)

    async def work(task: Task) -> str:
        await task.tool("note", text="before")
        answer = await task.ask("go on?")
        await task.tool("note", text="after")
        return answer.text

    store = MemoryStore()
    executor = ToolExecutor([note])
    task = await (desk := desk_of(executor, work, store)).send()
    await desk.crash()
    desk = desk_of(executor, work, store)
    assert text_of(await desk.send("yes", task_id=task["id"])) == "yes"
    assert used == ["before", "before", "after"]
    begun = [record["arguments"]["text"] for record in uses(await desk.log(task["id"])) if "arguments" in record]
    assert begun == ["before", "after"]


# -- stopped -----------------------------------------------------------------------------------------------------------


async def test_cancelling_the_task_cancels_the_tool_and_waits_for_it() -> None:
    entered, tidied = asyncio.Event(), asyncio.Event()

    @tool
    async def slow() -> None:
        entered.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            tidied.set()

    desk = desk_of(ToolExecutor([slow]), lambda task: task.tool("slow"))
    turn = await desk.submit()
    await entered.wait()
    assert state_of(await desk.cancel(turn.log.task_id)) == "CANCELED"
    assert tidied.is_set()
    log = await desk.log(turn.log.task_id)
    assert entries_of(log) == ["input", "WORKING", "tool", "cancel", "tool", "CANCELED"]
    assert uses(log)[-1]["outcome"] == "canceled"


async def test_cancelling_while_it_waits_for_approval() -> None:
    paid: list[float] = []
    desk = desk_of(paying(paid, approval=True), lambda task: task.tool("pay", amount=5))
    task = await desk.send()
    assert state_of(await desk.cancel(task["id"])) == "CANCELED"
    assert paid == []


async def test_cancelling_while_it_waits_for_a_place() -> None:
    entered, go = asyncio.Event(), asyncio.Event()

    @tool(concurrency=1)
    async def hold() -> None:
        entered.set()
        await go.wait()

    desk = desk_of(ToolExecutor([hold]), lambda task: task.tool("hold"))
    first = await desk.submit(context_id="one")
    await entered.wait()
    second = await desk.submit(context_id="two")
    await asyncio.sleep(0)
    assert state_of(await desk.cancel(second.log.task_id)) == "CANCELED"
    go.set()
    assert b"COMPLETED" in await first.outcome()
    assert uses(await desk.log(second.log.task_id)) == [{"name": "hold", "outcome": "canceled"}]


async def test_a_stream_that_is_left_is_recorded_too() -> None:
    @tool
    async def count() -> AsyncIterator[int]:
        yield 1
        yield 2

    executor = ToolExecutor([count])

    async def work(task: Task) -> str:
        async with aclosing(executor.stream("count", task=task)) as pieces:
            first = await anext(pieces)
        return f"{first} of {[piece async for piece in executor.stream('count', task=task)]}"

    task = await (desk := desk_of(executor, work)).send()
    assert text_of(task) == "1 of [1, 2]"
    outcomes = [record["outcome"] for record in uses(await desk.log(task["id"])) if "outcome" in record]
    assert outcomes == ["canceled", "done"]


async def test_what_belongs_to_the_run_is_no_failure_of_the_tool() -> None:
    @tool
    async def ask(task: Task) -> str:
        if task.resume is None:
            raise NeedInput("which?", token=1)
        return f"{task.text} {(await task.ask('sure?')).text}"

    @tool
    async def flood(task: Task) -> None:
        while True:
            await task.write("x")

    desk = desk_of(ToolExecutor([ask, flood]), lambda task: task.tool("ask"))
    task = await desk.send()
    assert message_of(task) == "which?"
    assert message_of(await desk.send("this", task_id=task["id"])) == "sure?"
    assert text_of(await desk.send("yes", task_id=task["id"])) == "this yes"
    desk = desk_of(ToolExecutor([flood]), lambda task: task.tool("flood"), limits=Limits(max_entries=20))
    task = await desk.send()
    assert state_of(task) == "FAILED"
    assert "has written more than 20 entries" in message_of(task)


async def test_a_tool_that_cancels_the_task_it_runs_in_stops_its_own_run_only() -> None:
    @tool
    async def hasty() -> None:
        mine = asyncio.current_task()
        assert mine is not None
        mine.cancel()
        await asyncio.sleep(0)

    async def work(task: Task) -> Any:
        return await task.tool("hasty") if task.text == "stop" else "fine"

    desk = desk_of(ToolExecutor([hasty]), work)
    task = await desk.send("stop", context_id="c")
    assert (state_of(task), message_of(task)) == ("FAILED", "The agent stopped itself.")
    assert [use["outcome"] for use in uses(await desk.log(task["id"])) if "outcome" in use] == ["canceled"]
    assert text_of(await desk.send(context_id="c")) == "fine"


# -- how an agent uses them --------------------------------------------------------------------------------------------


async def test_a_served_agent_uses_its_tools() -> None:
    @agent(tools=[shout])
    async def twice(text: str, task: Task) -> str:
        """Say it louder, twice."""
        return " ".join([await task.tool("shout", text=text), await task.tool("shout", text=text)])

    async with serving(twice) as url, codin.connect(url) as peer:
        assert (await peer.send("hi")).text == "HI HI"


async def test_so_does_any_agent_with_tools() -> None:
    class Loud:
        id = name = "loud"
        description = "Louder."
        tools = (shout,)

        async def handle(self, task: Task) -> AgentResponse:
            return AgentResponse.completed(await task.tool("shout", text=task.text))

    async with serving(Loud()) as url, codin.connect(url) as peer:
        assert (await peer.send("hi")).text == "HI"


async def test_a_task_without_tools_says_how_to_get_them() -> None:
    async def work(task: Task) -> AgentResponse:
        with pytest.raises(ConfigError, match="tools="):
            await task.tool("shout", text="x")
        return AgentResponse.completed("said")

    assert text_of(await Desk(work).send()) == "said"


async def test_a_tool_that_the_agent_gets_later_is_one() -> None:
    @tool
    async def whisper(text: str) -> str:
        return text.lower()

    tools = [shout]

    @agent(tools=tools)
    async def grows(text: str, task: Task) -> str:
        said = [await task.tool(each.name, text=text) for each in tools]
        tools.append(whisper)
        return " ".join(said)

    async with serving(grows) as url, codin.connect(url) as peer:
        assert [(await peer.send("Tea")).text for _ in range(2)] == ["TEA", "TEA tea"]
