"""The executor outside a task: what it lets through, what it refuses, and in what words."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import math
import threading
import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping
from contextlib import aclosing
from functools import partial
from typing import Annotated, Any, Literal
from urllib.parse import quote, quote_plus

import pytest
from pydantic import AfterValidator, BaseModel, SecretStr

from codin.client import Backoff
from codin.errors import (
    ConfigError,
    InvalidArguments,
    InvalidResult,
    NoRuntime,
    ToolBusy,
    ToolError,
    ToolFailed,
    ToolRefused,
    ToolTimeout,
    UnknownTool,
    WorkloadTimeout,
)
from codin.tool import FunctionTool, Sandboxing, ToolCall, ToolExecutor, ToolLimits, ToolSpec, tool
from codin.trust import Caller
from tests.server.clock import pass_time, turns

pytestmark = pytest.mark.anyio

AT_ONCE = ToolLimits(wait=0.01, backoff=Backoff(first=0.0))
OBJECT: Mapping[str, Any] = {"type": "object"}


class Plain:
    """A tool of three members, whose schemas are anybody's; it notes what reaches it."""

    name = "plain"

    def __init__(
        self,
        schema: Mapping[str, Any] = OBJECT,
        output: Mapping[str, Any] | None = None,
        gives: Any = "ok",
        **spec: Any,
    ) -> None:
        self.spec = ToolSpec("Does it.", schema, output, **spec)
        self.gives = gives
        self.got: list[Any] = []

    async def invoke(self, **arguments: Any) -> Any:
        self.got.append(arguments)
        return self.gives


@tool
async def shout(text: str) -> str:
    """Say it louder."""
    return text.upper()


async def test_a_tool_is_used_by_name() -> None:
    executor = ToolExecutor([shout, Plain()])
    assert await executor.call("shout", {"text": "x"}) == "X"
    assert await executor.call("shout@1.0.0", {"text": "x"}) == "X"
    assert await executor.call("plain") == "ok"
    executor.registry.remove("plain")
    with pytest.raises(UnknownTool, match=r"no tool 'plain'\. Hint: there are shout"):
        await executor.call("plain")


# -- who may -----------------------------------------------------------------------------------------------------------


async def test_a_tool_is_there_for_who_has_its_scopes() -> None:
    @tool(scopes=["pay", "read"])
    async def pay() -> str:
        return "paid"

    ada, bob = Caller("ada", scopes=frozenset({"pay", "read", "more"})), Caller("bob", scopes=frozenset({"read"}))
    executor = ToolExecutor([pay])
    assert await executor.call("pay", caller=ada) == "paid"
    for caller in (bob, None):
        with pytest.raises(UnknownTool, match="there are no tools here"):
            await executor.call("pay", caller=caller)
    with pytest.raises(UnknownTool):
        await ToolExecutor([pay], agent=bob).call("pay", caller=ada)
    assert await ToolExecutor([pay], agent=ada).call("pay", caller=ada) == "paid"
    with pytest.raises(UnknownTool):
        await anext(executor.stream("pay", caller=bob))


# -- what goes in ------------------------------------------------------------------------------------------------------

NESTED: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "order": {"$ref": "#/$defs/order"},
        "tone": {"enum": ["plain", "friendly"]},
        "codes": {"type": "array", "items": {"type": "integer", "maximum": 9}},
    },
    "required": ["order"],
    "additionalProperties": False,
    "$defs": {"order": {"type": "object", "required": ["item"], "properties": {"item": {"type": "string"}}}},
}


@pytest.mark.parametrize(
    ("arguments", "field", "said"),
    [
        ({}, "order", "is missing"),
        ({"order": {}}, "order.item", "is missing"),
        ({"order": {"item": 5}}, "order.item", 'should be of type "string"'),
        ({"order": {"item": "x"}, "tone": "rude"}, "tone", 'should be one of ["plain","friendly"]'),
        ({"order": {"item": "x"}, "codes": [1, 12]}, "codes.1", "should fit maximum: 9"),
        ({"order": {"item": "x"}, "more": 1}, "more", "there is no such field"),
    ],
)
async def test_arguments_are_held_to_any_schema(arguments: Any, field: str, said: str) -> None:
    plain = Plain(NESTED)
    with pytest.raises(InvalidArguments) as caught:
        await ToolExecutor([plain]).call("plain", arguments)
    assert (caught.value.field, caught.value.message.partition(f"{field}: ")[2]) == (field, said)
    assert caught.value.hint == "it takes order, tone, codes"
    assert "rude" not in str(caught.value)
    assert plain.got == []
    assert await ToolExecutor([plain]).call("plain", {"order": {"item": "x"}}) == "ok"


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "http://127.0.0.1:9/schema.json"},
        {"$ref": "#/$defs/gone"},
        {"$dynamicRef": "#"},
    ],
)
async def test_a_schema_that_is_of_no_use_fails_the_tool(schema: Mapping[str, Any]) -> None:
    plain = Plain(schema)
    with pytest.raises(ToolFailed, match="the input schema of 'plain' is of no use"):
        await ToolExecutor([plain]).call("plain", {"a": "b"})
    with pytest.raises(ToolFailed, match="the output schema of 'plain' is of no use"):
        await ToolExecutor([Plain(output=schema)]).call("plain")
    assert plain.got == []


async def test_a_schema_may_hold_what_no_message_can_say() -> None:
    plain = Plain({"type": "object", "properties": {"a": {"enum": ["\ud800"]}}, "description": "\ud800"})
    with pytest.raises(InvalidArguments, match="a: should be one of"):
        await ToolExecutor([plain]).call("plain", {"a": "b"})
    assert await ToolExecutor([plain]).call("plain") == "ok"


async def test_arguments_that_are_not_json_or_too_many() -> None:
    plain = Plain()
    executor = ToolExecutor([plain], limits=ToolLimits(max_arguments=100))
    circle: list[Any] = []
    circle.append(circle)
    for wrong in (object(), circle, "\ud800", b"\xff"):
        with pytest.raises(InvalidArguments, match="not JSON"):
            await executor.call("plain", {"x": wrong})
    with pytest.raises(InvalidArguments, match="cannot be read: number out of range"):
        await ToolExecutor([plain]).call("plain", {"x": 10**5000})
    with pytest.raises(InvalidArguments, match="100 are allowed"):
        await executor.call("plain", {"x": "y" * 100})
    assert plain.got == []


async def test_the_tool_gets_a_copy() -> None:
    plain, given = Plain(), {"list": [1]}
    await ToolExecutor([plain]).call("plain", given)
    plain.got[0]["list"].append(2)
    assert given == {"list": [1]}


async def test_a_secret_of_a_program_arrives_as_it_is() -> None:
    plain = Plain()
    await ToolExecutor([plain]).call("plain", {"key": SecretStr("hunter2")})
    assert plain.got == [{"key": "hunter2"}]


# -- what comes out ----------------------------------------------------------------------------------------------------


async def test_a_result_is_held_to_its_schema() -> None:
    output = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    assert await ToolExecutor([Plain(output=output, gives={"n": 1})]).call("plain") == {"n": 1}
    for wrong in ({}, {"n": "1"}, None, "n"):
        with pytest.raises(InvalidResult, match="does not fit its schema"):
            await ToolExecutor([Plain(output=output, gives=wrong)]).call("plain")
    with pytest.raises(InvalidResult, match="not JSON but 'object'"):
        await ToolExecutor([Plain(gives=object())]).call("plain")


def longest() -> int:
    """Give a number of more digits than Python reads."""
    return 10**5000


def anything() -> Any:
    return longest()


async def pieces() -> AsyncIterator[int]:
    yield longest()


@pytest.mark.parametrize("function", [longest, anything, pieces])
async def test_a_number_that_nobody_can_read_is_no_result(function: Callable[..., Any]) -> None:
    made = tool(function)
    executor = ToolExecutor([made])
    told = "cannot be read: number out of range"
    with pytest.raises(InvalidResult, match=told):
        await executor.call(made.name)
    with pytest.raises(InvalidResult, match=told):
        await anext(executor.stream(made.name))
    with pytest.raises(InvalidResult, match=told):
        await made.invoke()
    with pytest.raises(InvalidResult, match=told):
        await ToolExecutor([Plain(output={"type": "integer"}, gives=longest())]).call("plain")


async def test_a_flood_is_an_error() -> None:
    @tool
    async def flood(size: int) -> str:
        return "x" * size

    executor = ToolExecutor([flood], limits=ToolLimits(max_result=1000))
    assert len(await executor.call("flood", {"size": 998})) == 998
    with pytest.raises(InvalidResult, match=r"more than 1000 bytes\. Hint: ask for less"):
        await executor.call("flood", {"size": 999})


async def test_a_stream_that_floods_is_stopped() -> None:
    closed = asyncio.Event()

    @tool
    async def endless() -> AsyncIterator[str]:
        try:
            while True:
                yield "x" * 100
        finally:
            closed.set()

    executor = ToolExecutor([endless], limits=ToolLimits(max_result=1000))
    with pytest.raises(InvalidResult, match="more than 1000 bytes"):
        await executor.call("endless")
    assert closed.is_set()
    assert len("".join(await _until_error(executor, "endless", InvalidResult))) == 900


async def test_a_stream_that_never_waits_has_its_time_and_lets_others_go_on() -> None:
    beats = 0

    @tool(timeout=0.3)
    async def spinning() -> AsyncIterator[str]:
        while True:
            yield ""

    async def beat() -> None:
        nonlocal beats
        while True:
            await asyncio.sleep(0)
            beats += 1

    beating = asyncio.create_task(beat())
    with pytest.raises(ToolTimeout):
        await ToolExecutor([spinning], limits=ToolLimits(max_result=1 << 40)).call("spinning")
    beating.cancel()
    assert beats > 1


async def _until_error(executor: ToolExecutor, name: str, error: type[Exception]) -> list[Any]:
    """The pieces before the error that ends a stream."""
    pieces: list[Any] = []
    stream = executor.stream(name)
    while True:
        try:
            pieces.append(await anext(stream))
        except error:
            return pieces


# -- how it fails ------------------------------------------------------------------------------------------------------


class Odd(Exception):
    def __str__(self) -> str:
        return "first line\nsecond line"


@pytest.mark.parametrize(
    ("raised", "said"),
    [
        (Odd(), "'broken' failed: Odd: first line"),
        (ValueError(), "'broken' failed: ValueError"),
        (ValueError("x" * 10_000), f"'broken' failed: ValueError: {'x' * 300}"),
        (SystemExit(3), "'broken' failed: SystemExit: 3"),
        (ExceptionGroup("of a task group", [ValueError("inner")]), "'broken' failed: ValueError: inner"),
        (TimeoutError("of its own"), "'broken' failed: TimeoutError: of its own"),
        (asyncio.CancelledError(), "'broken' stopped itself"),
    ],
)
async def test_what_a_tool_raises_is_told_by_kind_and_first_line(raised: BaseException, said: str) -> None:
    @tool
    async def broken() -> str:
        raise raised

    with pytest.raises(ToolFailed) as caught:
        await ToolExecutor([broken]).call("broken")
    assert caught.value.message == said
    assert not caught.value.retryable


async def test_a_tools_own_tool_error_comes_as_it_is() -> None:
    @tool
    async def picky() -> str:
        raise ToolError("only on Tuesdays", tool="picky", hint="come back on Tuesday")

    with pytest.raises(ToolError, match=r"only on Tuesdays\. Hint: come back on Tuesday") as caught:
        await ToolExecutor([picky]).call("picky")
    assert type(caught.value) is ToolError


async def test_no_secret_leaves_by_an_error_or_a_log(caplog: pytest.LogCaptureFixture) -> None:
    @tool(secrets=["pin"])
    async def login(key: SecretStr, pin: int, nested: dict[str, Any]) -> str:
        raise ValueError(f"{key.get_secret_value()} and {pin} and {nested['pin']} are wrong")

    caplog.set_level(logging.DEBUG)
    arguments = {"key": "hunter2", "pin": 4711, "nested": {"pin": ["deep", 12]}}
    with pytest.raises(ToolFailed) as caught:
        await ToolExecutor([login]).call("login", arguments)
    assert caught.value.message == "'login' failed: ValueError: *** and *** and ['***', ***] are wrong"
    assert caught.value.__cause__ is None
    assert "ValueError" in caplog.text
    assert not any(secret in caplog.text for secret in ("hunter2", "4711", "deep"))


SPELLINGS: list[Callable[[str], str]] = [
    *(str, repr, json.dumps),
    *(lambda key: repr([f'"{key}"']), lambda key: key.strip()),
    *(partial(quote, safe=""), quote_plus),
]


@pytest.mark.parametrize("key", ["hunter2\nsecond", "--BEGIN--\nMIIEsecret\n", "back\\slash", 'it\'s\n"é"', " pad\t"])
@pytest.mark.parametrize("say", SPELLINGS)
async def test_no_secret_leaves_however_it_is_spelt(
    caplog: pytest.LogCaptureFixture, key: str, say: Callable[[str], str]
) -> None:
    @tool(secrets=["key"])
    async def login(key: str) -> str:
        raise ValueError(f"cannot use {say(key)}")

    with pytest.raises(ToolFailed) as caught:
        await ToolExecutor([login]).call("login", {"key": key})
    said = caught.value.message.removeprefix("'login' failed: ValueError: cannot use ")
    assert said.strip("[]'\" ") == "***"
    assert caught.value.message in f"{caplog.messages[-1].replace('tool login', repr('login'))}"


async def test_no_secret_leaves_by_an_error_of_the_tools_own() -> None:
    @tool(secrets=["key"])
    async def login(key: str) -> str:
        raise ToolRefused(f"{key} is no key", hint=f"nobody has {key}")

    with pytest.raises(ToolRefused) as caught:
        await ToolExecutor([login]).call("login", {"key": "hunter2"})
    assert str(caught.value) == "*** is no key. Hint: nobody has ***"
    assert caught.value.args == ("*** is no key",)


async def test_more_secrets_than_can_be_looked_for_hide_the_text() -> None:
    @tool(secrets=["keys"])
    async def login(keys: list[str]) -> str:
        raise ValueError(" ".join(keys))

    with pytest.raises(ToolFailed) as caught:
        await ToolExecutor([login]).call("login", {"keys": [f"key {number}" for number in range(20_000)]})
    assert caught.value.message == "'login' failed: ValueError: ***"


async def test_a_line_of_a_secret_is_one() -> None:
    @tool(secrets=["key"])
    async def login(key: str) -> str:
        raise ValueError(f"line 2 is {key.splitlines()[1]}")

    with pytest.raises(ToolFailed) as caught:
        await ToolExecutor([login]).call("login", {"key": "--BEGIN--\nMIIEsecret\n--END--"})
    assert caught.value.message == "'login' failed: ValueError: line 2 is ***"


def known(key: str) -> str:
    if key != "ok":
        raise ValueError(f"unknown key {key}")
    return key


def priced(key: str) -> str:
    return key if {"ok": 1}[key] else ""


async def test_no_secret_leaves_by_a_validator_or_who_decides(caplog: pytest.LogCaptureFixture) -> None:
    @tool(name="known", secrets=["key"])
    async def first(key: Annotated[str, AfterValidator(known)]) -> str:
        return key

    @tool(name="priced", secrets=["key"])
    async def second(key: Annotated[str, AfterValidator(priced)]) -> str:
        return key

    @tool(secrets=["key"])
    async def given(key: str) -> Annotated[str, AfterValidator(known)]:
        return key

    @tool(secrets=["key"], approval=lambda arguments: {"k": True}[arguments["key"]])
    async def asked(key: str) -> str:
        return key

    executor = ToolExecutor([first, second, given, asked])
    said: list[str] = []
    for name in ("known", "priced", "given", "asked"):
        with pytest.raises(ToolError) as caught:
            await executor.call(name, {"key": "hunter2"})
        assert caught.value.__cause__ is None
        said.append(caught.value.message)
    assert said == [
        "the arguments of 'known' do not fit: key: Value error, unknown key ***",
        "the arguments of 'priced' do not fit: KeyError: '***'",
        "the result of 'given' does not fit its type: Value error, unknown key ***",
        "'asked' is not called: nobody can tell whether it has to be approved",
    ]
    assert "whether asked has to be approved cannot be told: KeyError: '***'" in caplog.text
    assert "hunter2" not in caplog.text


PASSWORD = {"type": "string", "format": "password"}


@pytest.mark.parametrize(
    ("place", "rest"),
    [
        ({"anyOf": [PASSWORD, *({"type": "object", "title": str(number)} for number in range(100))]}, {}),
        ({"$ref": "#/$defs/all/anyOf/0"}, {"$defs": {"all": {"anyOf": [PASSWORD]}}}),
        ({"$ref": "#/$defs/My%20Key"}, {"$defs": {"My Key": PASSWORD}}),
        ({"$ref": "#key"}, {"$defs": {"key": {"$anchor": "key", **PASSWORD}}}),
        ({}, {"dependentSchemas": {"name": {"properties": {"key": PASSWORD}}}}),
        ({}, {"patternProperties": {"^k": PASSWORD}}),
        ({"type": "string"}, {"unevaluatedProperties": PASSWORD}),
        ({"$ref": "#/$defs/ring"}, {"$defs": {"ring": {"anyOf": [{"items": {"$ref": "#/$defs/ring"}}, PASSWORD]}}}),
    ],
)
async def test_a_schema_hides_what_it_says_is_secret_wherever_it_says_so(
    place: dict[str, Any], rest: dict[str, Any]
) -> None:
    class Broken(Plain):
        async def invoke(self, **arguments: Any) -> Any:
            raise ValueError(f"{arguments['key']} is no key, and {arguments['name']} no name")

    properties: dict[str, Any] = {"key": place, "name": {"type": "string"}} if place else {"key": {}, "name": {}}
    broken = Broken({"type": "object", "properties": properties, **rest})
    with pytest.raises(ToolFailed) as caught:
        await ToolExecutor([broken]).call("plain", {"key": "s3cret", "name": "Ada"})
    assert "s3cret" not in caught.value.message


async def test_what_would_take_too_long_to_tell_is_hidden() -> None:
    class Broken(Plain):
        async def invoke(self, **arguments: Any) -> Any:
            raise ValueError(f"{arguments['keys'][-1]['key']} is no key")

    ways = [{"title": str(number)} for number in range(1000)]
    key = {"allOf": [{"properties": {"key": {"anyOf": [PASSWORD, *ways]}}}]}
    broken = Broken({"type": "object", "properties": {"keys": {"type": "array", "items": key}}})
    with pytest.raises(ToolFailed, match=r"ValueError: \*\*\* is no key"):
        await ToolExecutor([broken]).call("plain", {"keys": [{"key": "s3cret"}] * 300})


class Node(BaseModel):
    kind: Literal[1]
    child: Node | None = None


async def test_every_failure_of_a_check_is_a_tool_error(caplog: pytest.LogCaptureFixture) -> None:
    @tool
    async def walk(node: Node) -> str:
        return "done"

    @tool(name="priced")
    async def given(key: Annotated[str, AfterValidator(priced)]) -> Annotated[str, AfterValidator(priced)]:
        return "no"

    @tool
    async def pieces() -> AsyncIterator[Annotated[str, AfterValidator(priced)]]:
        yield "no"

    deep: dict[str, Any] = {"kind": 1}
    for _ in range(150):
        deep = {"kind": 1, "child": deep}
    executor = ToolExecutor([walk, given, pieces])
    with pytest.raises(InvalidArguments, match="the arguments of 'walk' cannot be checked"):
        await executor.call("walk", {"node": deep})
    with pytest.raises(InvalidArguments, match="the arguments of 'walk' cannot be checked"):
        await walk.invoke(node=deep)
    with pytest.raises(InvalidArguments, match="the arguments of 'priced' do not fit: KeyError: 'no'") as caught:
        await executor.call("priced", {"key": "no"})
    assert isinstance(caught.value.__cause__, KeyError)
    with pytest.raises(InvalidResult, match="the result of 'priced' does not fit: KeyError: 'no'"):
        await executor.call("priced", {"key": "ok"})
    with pytest.raises(InvalidResult, match="the result of 'pieces' does not fit: KeyError: 'no'"):
        await executor.call("pieces")
    assert "Traceback" in caplog.text


async def test_a_tool_that_hangs_is_stopped() -> None:
    stopped = asyncio.Event()

    @tool(timeout=0.01)
    async def hang() -> str:
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()
        return ""

    async def drip() -> AsyncIterator[int]:
        yield 1
        await asyncio.Event().wait()

    timeout = 0.01
    async with asyncio.timeout(60):
        with pytest.raises(ToolTimeout, match=r"'hang' took longer than 0\.01 s"):
            await ToolExecutor([hang]).call("hang")
        assert stopped.is_set()
        while True:  # until a busy machine lets the first piece come in its time
            executor = ToolExecutor([tool(timeout=timeout)(drip)])
            if came := await _until_error(executor, "drip", ToolTimeout):
                break
            timeout *= 2
        assert came == [1]
        with pytest.raises(ToolTimeout):
            await executor.call("drip")


async def test_a_thread_that_hangs_is_let_go() -> None:
    begun, go, ended = asyncio.Event(), threading.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    @tool
    def hang() -> None:
        loop.call_soon_threadsafe(begun.set)
        go.wait(60)
        ended.set()

    call = asyncio.ensure_future(ToolExecutor([hang]).call("hang"))
    await begun.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert not ended.is_set()
    go.set()
    assert ended.wait(60), "it goes on until its function returns"


class Letter(BaseModel):
    text: str


LETTERS: list[weakref.ref[Letter]] = []


def noted(letter: Letter) -> Letter:
    LETTERS.append(weakref.ref(letter))
    return letter


async def test_what_is_given_up_before_it_has_a_thread_is_not_kept() -> None:
    begun, go = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    @tool(concurrency=1)
    def hang(letter: Annotated[Letter, AfterValidator(noted)]) -> str:
        loop.call_soon_threadsafe(begun.set)
        go.wait(60)
        return letter.text

    call = asyncio.ensure_future(ToolExecutor([hang]).call("hang", {"letter": {"text": "the first"}}))
    await begun.wait()
    for number in range(3):
        impatient = ToolExecutor([hang], limits=AT_ONCE)
        with pytest.raises(ToolBusy):
            await impatient.call("hang", {"letter": {"text": str(number)}})
    gc.collect()
    kept = [letter() is not None for letter in LETTERS]
    assert kept[:-1] == [True, False, False]  # the error of the last call may have it still
    go.set()
    assert await call == "the first"


@pytest.mark.parametrize("streams", [False, True])
async def test_what_has_no_thread_has_not_begun(streams: bool) -> None:
    called: list[str] = []
    begun, go = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def enter(who: str) -> str:
        called.append(who)
        loop.call_soon_threadsafe(begun.set)
        go.wait(60)
        return who

    @tool(concurrency=1)
    def hang(who: str) -> str:
        return enter(who)

    @tool(concurrency=1)
    def drip(who: str) -> Iterator[str]:
        yield enter(who)

    name = "drip" if streams else "hang"
    first = asyncio.ensure_future(ToolExecutor([hang, drip]).call(name, {"who": "the first"}))
    await begun.wait()
    executor = ToolExecutor([hang, drip], limits=ToolLimits(timeout=0.01, wait=0.01))
    for _ in range(2):
        with pytest.raises(
            ToolBusy, match=f"'{name}' has not begun: all threads that it may have are at work"
        ) as caught:
            await executor.call(name, {"who": "nobody"})
        assert caught.value.retryable
    patient = ToolExecutor([hang, drip], limits=ToolLimits(timeout=10, wait=60))
    last = asyncio.ensure_future(patient.call(name, {"who": "the last"}))
    await turns()
    pass_time(30)  # which the last one spends without a thread, and so none of it is the tool's
    await turns()
    go.set()
    assert [await first, await last] == ["the first", "the last"]
    assert called == ["the first", "the last"]


async def test_a_failure_is_told_although_it_cannot_be_tried_again() -> None:
    go = threading.Event()

    @tool(idempotent=True, retries=2, rate=(1, 3600))
    async def down() -> str:
        raise OSError("the reason")

    @tool(idempotent=True, retries=1, concurrency=1, timeout=0.01)
    def hang() -> None:
        go.wait(60)

    executor = ToolExecutor([down, hang], limits=AT_ONCE)
    with pytest.raises(ToolFailed, match="'down' failed: OSError: the reason") as caught:
        await executor.call("down")
    assert caught.value.retryable
    assert isinstance(caught.value.__cause__, OSError)
    assert isinstance(caught.value.__context__, ToolBusy)
    with pytest.raises(ToolBusy, match="1 times in 3600 s"):
        await executor.call("down")
    with pytest.raises(ToolTimeout, match="may go on"):
        await executor.call("hang")
    go.set()


async def test_what_is_idempotent_is_tried_again() -> None:
    tries: list[str] = []

    @tool(idempotent=True, retries=2, timeout=0.01)
    async def flaky() -> str:
        tries.append("try")
        if len(tries) == 1:
            raise OSError("gone")
        if len(tries) == 2:
            await asyncio.Event().wait()
        return "there"

    executor = ToolExecutor([flaky], limits=AT_ONCE)
    assert await executor.call("flaky") == "there"
    assert len(tries) == 3


async def test_what_cannot_do_better_is_not_tried_again() -> None:
    tries: list[str] = []

    @tool(idempotent=True, retries=3)
    async def wrong(how: str) -> int:
        tries.append(how)
        if how == "always":
            raise ToolError("no", tool="wrong")
        if how == "down":
            raise ToolError("not now", tool="wrong", retryable=True)
        return how  # pyright: ignore[reportReturnType]

    executor = ToolExecutor([wrong], limits=AT_ONCE)
    for how, error in (("always", ToolError), ("result", InvalidResult), ("down", ToolError)):
        with pytest.raises(error):
            await executor.call("wrong", {"how": how})
    assert tries == ["always", "result", *["down"] * 4]


# -- bounds ------------------------------------------------------------------------------------------------------------


class Held:
    """A tool whose calls wait until they are let go."""

    name = "held"

    def __init__(self, **spec: Any) -> None:
        self.spec = ToolSpec("Waits.", **spec)
        self.inside = asyncio.Semaphore(0)
        self.go = asyncio.Event()
        self.most = self.now = 0

    async def invoke(self) -> str:
        self.now += 1
        self.most = max(self.most, self.now)
        self.inside.release()
        try:
            await self.go.wait()
        finally:
            self.now -= 1
        return "done"


async def test_no_more_than_so_many_at_once() -> None:
    held = Held(concurrency=2)
    patient = ToolExecutor([held])
    calls = [asyncio.ensure_future(patient.call("held")) for _ in range(5)]
    async with asyncio.timeout(10):
        await held.inside.acquire()
        await held.inside.acquire()
        held.go.set()
        assert await asyncio.gather(*calls) == ["done"] * 5
    assert held.most == 2


async def test_who_waits_too_long_for_a_place_is_told_so() -> None:
    held = Held(concurrency=1)
    executor = ToolExecutor([held], limits=AT_ONCE)
    first = asyncio.ensure_future(executor.call("held"))
    await held.inside.acquire()
    with pytest.raises(ToolBusy, match="as often as it may be at once") as caught:
        await executor.call("held")
    assert caught.value.retryable
    held.go.set()
    assert await first == "done"
    assert await executor.call("held") == "done", "the place is free again"


def test_an_executor_outlives_its_event_loop() -> None:
    @tool(concurrency=1)
    async def slow(text: str) -> str:
        await asyncio.sleep(0)
        return text

    executor = ToolExecutor([slow])

    async def both() -> list[str]:
        return [*await asyncio.gather(executor.call("slow", {"text": "a"}), executor.call("slow", {"text": "b"}))]

    assert [asyncio.run(both()) for _ in range(2)] == [["a", "b"]] * 2


async def test_no_more_than_so_many_in_a_time() -> None:
    executor = ToolExecutor([Plain(rate=(2, 3600))])
    loop = asyncio.get_running_loop()
    began = loop.time()
    assert [await executor.call("plain"), await executor.call("plain")] == ["ok", "ok"]
    with pytest.raises(ToolBusy, match=r"2 times in 3600 s\. Hint: call it again in \d+ s") as caught:
        await executor.call("plain")
    assert caught.value.hint is not None
    rest = int(caught.value.hint.split()[-2])
    assert 3599 - (loop.time() - began) <= rest <= 3600


async def test_a_short_wait_for_the_rate_is_waited() -> None:
    plain = Plain(rate=(1, 0.02))
    executor = ToolExecutor([plain])
    loop = asyncio.get_running_loop()
    begun = loop.time()
    await asyncio.gather(*(executor.call("plain") for _ in range(4)))
    assert loop.time() - begun >= 0.059
    assert len(plain.got) == 4


async def test_who_leaves_the_line_gives_its_place_back() -> None:
    plain = Plain(rate=(1, 100))
    executor = ToolExecutor([plain], limits=ToolLimits(wait=250))
    await executor.call("plain", {"who": "first"})
    line = [asyncio.ensure_future(executor.call("plain", {"who": who})) for who in ("leaves", "second", "third")]
    await turns()
    assert line[-1].done(), "it would wait for 300 s"
    with pytest.raises(ToolBusy):
        await line.pop()
    line[0].cancel()
    await turns()
    line.append(asyncio.ensure_future(executor.call("plain", {"who": "third"})))
    for came in (["first"], ["first", "second"], ["first", "second", "third"]):
        await turns()
        assert [each["who"] for each in plain.got] == came
        pass_time(100)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("timeout", -1, "a number of seconds above 0"),
        ("timeout", "3", "a number of seconds above 0"),
        ("timeout", math.inf, "a number of seconds above 0"),
        ("grace", math.nan, "a number of seconds"),
        ("wait", -0.1, "a number of seconds"),
        ("wait", True, "a number of seconds"),
        ("max_arguments", 1.5, "a number of bytes above 0"),
        ("max_result", 0, "a number of bytes above 0"),
        ("backoff", 2, "a Backoff"),
    ],
)
def test_a_limit_that_cannot_be_kept_is_refused(field: str, value: Any, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        ToolLimits(**{field: value})
    assert caught.value.message == f"ToolLimits.{field}={value!r} is not {said}"
    assert ToolLimits(grace=0, wait=0)


# -- cancelled ---------------------------------------------------------------------------------------------------------


async def test_cancelled_while_it_runs_waits_for_the_tool() -> None:
    entered, tidy, tidied = asyncio.Event(), asyncio.Event(), asyncio.Event()

    @tool(concurrency=1, idempotent=True, retries=5)
    async def slow() -> str:
        entered.set()
        try:
            await tidy.wait()
        except asyncio.CancelledError:
            await tidy.wait()
            tidied.set()
            raise
        return "done"

    executor = ToolExecutor([slow], limits=AT_ONCE)
    call = asyncio.ensure_future(executor.call("slow"))
    await entered.wait()
    call.cancel()
    await asyncio.sleep(0)
    assert not call.done(), "it waits until the tool has tidied up"
    tidy.set()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert tidied.is_set()
    assert await executor.call("slow") == "done", "its place is free, and it was not tried again"


async def test_cancelled_while_it_waits_for_a_place_or_its_turn() -> None:
    held = Held(concurrency=1)
    executor = ToolExecutor([held, Plain(rate=(1, 60))], limits=ToolLimits(wait=120))
    first = asyncio.ensure_future(executor.call("held"))
    await held.inside.acquire()
    await executor.call("plain")
    for name in ("held", "plain"):
        waiting = asyncio.ensure_future(executor.call(name))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    held.go.set()
    assert await first == "done"
    assert await executor.call("held") == "done"


async def test_cancelled_between_two_tries() -> None:
    failed = asyncio.Event()

    @tool(idempotent=True, retries=1)
    async def down() -> str:
        failed.set()
        raise OSError

    call = asyncio.ensure_future(
        ToolExecutor([down], limits=ToolLimits(backoff=Backoff(first=60, longest=60))).call("down")
    )
    await failed.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call


async def test_a_stream_that_is_left_stops_the_tool_and_frees_its_place() -> None:
    closed: list[int] = []

    @tool(concurrency=1)
    async def count() -> AsyncIterator[int]:
        try:
            for number in range(100):
                yield number
        finally:
            closed.append(1)

    executor = ToolExecutor([count], limits=AT_ONCE)
    for _ in range(2):
        async with aclosing(executor.stream("count")) as pieces:
            assert [await anext(pieces), await anext(pieces)] == [0, 1]
            with pytest.raises(ToolBusy):
                await executor.call("count")
    assert len(closed) == 2


async def test_an_outer_deadline_is_not_the_tools() -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await ToolExecutor([Held()]).call("held")


# -- streams -----------------------------------------------------------------------------------------------------------


class Steps:
    """A streaming tool of anybody's."""

    name = "steps"
    spec = ToolSpec("Counts.", output_schema={"type": "array", "maxItems": 2}, streams=True)

    async def invoke(self) -> list[int]:
        raise AssertionError

    async def stream(self, number: int = 2) -> AsyncIterator[int]:
        for each in range(number):
            yield each


async def test_streams_of_functions_and_of_anybody() -> None:
    @tool
    async def letters(text: str) -> AsyncIterator[str]:
        for letter in text:
            yield letter

    executor = ToolExecutor([letters, Steps(), shout])
    assert [piece async for piece in executor.stream("letters", {"text": "abc"})] == ["a", "b", "c"]
    assert await executor.call("letters", {"text": "abc"}) == "abc"
    assert [piece async for piece in executor.stream("steps")] == [0, 1]
    assert await executor.call("steps") == [0, 1]
    with pytest.raises(InvalidResult):
        await executor.call("steps", {"number": 3})
    assert [piece async for piece in executor.stream("shout", {"text": "x"})] == ["X"]
    with pytest.raises(InvalidArguments):
        await anext(executor.stream("letters", {"text": 5}))


# -- sandboxes ---------------------------------------------------------------------------------------------------------


class Elsewhere:
    """Runs what it is given, or says that it cannot."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.calls: list[ToolCall] = []

    async def __call__(self, call: ToolCall) -> Any:
        self.calls.append(call)
        if self.error is not None:
            raise self.error
        call.backend = "elsewhere"
        return f"{call.name} {call.arguments['text']} elsewhere"


def _tools() -> list[Any]:
    async def say(text: str) -> str:
        return f"{text} here"

    return [
        tool(name="off")(say),
        tool(name="preferred", sandbox="preferred")(say),
        tool(name="required", sandbox="required")(say),
    ]


async def test_a_sandbox_is_used_where_it_is_asked_for() -> None:
    elsewhere = Elsewhere()
    executor = ToolExecutor(_tools(), run=elsewhere)
    assert await executor.call("off", {"text": "x"}) == "x here"
    assert await executor.call("preferred", {"text": "x"}) == "preferred x elsewhere"
    assert await executor.call("required", {"text": "x"}) == "required x elsewhere"
    assert [call.timeout for call in elsewhere.calls] == [60, 60]
    with pytest.raises(InvalidArguments):
        await executor.call("required", {"text": 5})
    assert len(elsewhere.calls) == 2


@pytest.mark.parametrize("run", [None, Elsewhere(NoRuntime("nothing here can"))])
async def test_where_there_is_no_sandbox(run: Elsewhere | None) -> None:
    executor = ToolExecutor(_tools(), run=run)
    assert await executor.call("preferred", {"text": "x"}) == "x here"
    with pytest.raises(ToolRefused, match="in a sandbox only"):
        await executor.call("required", {"text": "x"})
    with pytest.raises(ToolRefused, match="in a sandbox only"):
        await anext(executor.stream("required", {"text": "x"}))


async def test_what_a_sandbox_gives_is_checked() -> None:
    @tool(sandbox="required")
    async def count() -> int: ...  # pyright: ignore[reportReturnType]

    async def lies(call: ToolCall) -> Any:
        return "many"

    async def late(call: ToolCall) -> Any:
        raise WorkloadTimeout("late")

    with pytest.raises(InvalidResult):
        await ToolExecutor([count], run=lies).call("count")
    with pytest.raises(ToolTimeout):
        await ToolExecutor([count], run=late).call("count")


class Streaming(Elsewhere):
    """Has the pieces as they come."""

    async def stream(self, call: ToolCall) -> AsyncGenerator[Any, None]:
        self.calls.append(call)
        if self.error is not None:
            raise self.error
        for letter in call.arguments["text"]:
            yield f"{letter}!"


def _spelling(sandbox: Sandboxing) -> FunctionTool[..., Any]:
    @tool(sandbox=sandbox)
    async def spell(text: str) -> AsyncIterator[str]:
        for letter in text:
            yield letter

    return spell


async def test_pieces_from_elsewhere() -> None:
    spell, asked = _spelling("required"), {"text": "tea"}
    streaming = ToolExecutor([spell], run=Streaming())
    assert [piece async for piece in streaming.stream("spell", asked)] == ["t!", "e!", "a!"]
    assert await streaming.call("spell", asked) == "t!e!a!"

    async def at_once(call: ToolCall) -> Any:
        return [1, 2]

    @tool(sandbox="required")
    async def numbers() -> AsyncIterator[int]:
        yield 0

    whole = ToolExecutor([spell, numbers], run=at_once)
    assert [piece async for piece in whole.stream("numbers")] == [1, 2]
    assert await whole.call("numbers") == [1, 2]
    said = ToolExecutor([spell], run=Elsewhere())
    assert [piece async for piece in said.stream("spell", asked)] == ["spell tea elsewhere"]


async def test_pieces_where_there_is_no_sandbox() -> None:
    run, asked = Streaming(NoRuntime("nothing here can")), {"text": "tea"}
    preferred, required = (ToolExecutor([_spelling(word)], run=run) for word in ("preferred", "required"))
    assert [piece async for piece in preferred.stream("spell", asked)] == ["t", "e", "a"]
    with pytest.raises(ToolRefused, match="in a sandbox only, and there is none here: nothing here can"):
        await anext(required.stream("spell", asked))
    lost = ToolExecutor([_spelling("preferred")], run=Streaming(WorkloadTimeout("late")))
    with pytest.raises(ToolTimeout):
        await anext(lost.stream("spell", asked))


async def _at_once() -> AsyncIterator[int]:
    for each in range(4):
        yield each


def _at_once_in_a_thread() -> Iterator[int]:
    yield from range(4)


class StreamingAtOnce(Elsewhere):
    async def stream(self, call: ToolCall) -> AsyncGenerator[Any, None]:
        for each in range(4):
            yield each


@pytest.mark.parametrize("function", [_at_once, _at_once_in_a_thread])
@pytest.mark.parametrize("sandbox", ["off", "required"])
async def test_the_time_of_a_reader_is_not_the_tools(function: Callable[..., Any], sandbox: Sandboxing) -> None:
    executor = ToolExecutor([tool(name="quick", timeout=30, sandbox=sandbox)(function)], run=StreamingAtOnce())
    came: list[int] = []
    async for piece in executor.stream("quick"):
        came.append(piece)
        pass_time(100)
        await turns()
    assert came == [0, 1, 2, 3]


async def test_the_time_of_a_stream_is_that_of_all_its_pieces() -> None:
    @tool(timeout=100)
    async def slow() -> AsyncIterator[int]:
        for each in range(4):
            pass_time(40)
            await turns()
            yield each

    assert await _until_error(ToolExecutor([slow]), "slow", ToolTimeout) == [0, 1]


# -- approval, where there is nobody to ask ----------------------------------------------------------------------------


async def test_what_has_to_be_approved_needs_a_task() -> None:
    def above(arguments: Mapping[str, Any]) -> bool:
        return arguments["amount"] > 10

    async def broken(arguments: Mapping[str, Any]) -> bool:
        raise OSError

    async def pay(amount: float) -> str:
        return "paid"

    executor = ToolExecutor([tool(approval=True)(pay), tool(name="some", approval=above)(pay)])
    assert await executor.call("some", {"amount": 5}) == "paid"
    for name in ("pay", "some"):
        with pytest.raises(ToolRefused, match="no task to ask in"):
            await executor.call(name, {"amount": 50})
    with pytest.raises(ToolRefused, match="nobody can tell"):
        await ToolExecutor([tool(approval=broken)(pay)]).call("pay", {"amount": 1})


# -- what a model, or a tool, should not have said ---------------------------------------------------------------------


@pytest.mark.parametrize("said", ["tea", [("text", "tea")], 5])
async def test_arguments_that_are_no_object(said: Any) -> None:
    with pytest.raises(InvalidArguments, match="are no object"):
        await ToolExecutor([_spelling("off")]).call("spell", said)


async def test_a_name_that_is_none() -> None:
    nobody: Any = None
    with pytest.raises(UnknownTool):
        await ToolExecutor([_spelling("off")]).call(nobody)


async def test_an_exception_that_has_no_words() -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no words")

    @tool
    async def hush() -> str:
        """Says nothing."""
        raise Mute

    with pytest.raises(ToolFailed, match="'hush' failed: Mute"):
        await ToolExecutor([hush]).call("hush")
