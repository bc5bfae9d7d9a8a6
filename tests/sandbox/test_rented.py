"""Sandboxes at a vendor's: its refusals, its failures, its bill. The vendors are stand-ins that speak their API."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import subprocess
import sys
import traceback
from base64 import b64encode
from dataclasses import dataclass
from typing import Any

import anyio
import pytest

from codin.errors import PolicyNotEnforced, SandboxClosed, SandboxError, SandboxUnavailable
from codin.sandbox import Code, Guarantee, Limits, Policy, Sandbox, sandbox_of
from codin.sandbox._cloud.machine import CloudSandbox
from codin.sandbox._cloud.talk import Line, Talk
from tests.sandbox.test_contract import ENDLESS
from tests.servers.cloud import KEY, Cloud

pytestmark = pytest.mark.anyio

GIB = 1024**3


@dataclass(frozen=True)
class Vendor:
    """A vendor, and where its API does what."""

    kind: str
    cloud: Cloud
    variable: str
    check: str
    create: str
    start: str
    delete: str
    renew: str

    def sandbox(self, policy: Policy | None = None, **options: Any) -> Sandbox:
        return sandbox_of(self.kind, policy or Policy(demands=frozenset()), **options)


@pytest.fixture(params=["e2b", "daytona"])
def vendor(request: pytest.FixtureRequest) -> Vendor:
    cloud: Cloud = request.getfixturevalue(f"{request.param}_cloud")
    if request.param == "e2b":
        where = ("E2B_API_KEY", "GET /v2/sandboxes", "POST /v2/sandboxes", "/Start", "DELETE /", "/timeout")
    else:
        where = (
            "DAYTONA_API_KEY",
            "GET /api/sandbox",
            "POST /api/sandbox",
            "/create-connect",
            "DELETE /",
            "/last-activity",
        )
    return Vendor(request.param, cloud, *where)


def seen(error: BaseException) -> str:
    """Everything that anybody could be shown of an error."""
    parts = [repr(error), *traceback.format_exception(error)]
    rest: list[BaseException | None] = [error.__cause__, error.__context__]
    while rest:
        if (inner := rest.pop()) is not None:
            parts.append(repr(inner))
            rest += [inner.__cause__, inner.__context__]
    return "".join(parts)


# Keys


_LOOK = """
import asyncio, sys
from codin.errors import SandboxUnavailable
from codin.runtime import Command, runtime_of, runtimes
from codin.sandbox import sandbox_of

async def look(kind):
    try:
        await sandbox_of(kind).check()
    except SandboxUnavailable as error:
        print(error)
    if kind in runtimes():
        print(await runtime_of(kind).missing(Command(["ls"])))

asyncio.run(look(sys.argv[1]))
print([name for name in sys.modules if name.partition(".")[0] == sys.argv[1]])
"""


@pytest.mark.parametrize("kind", ["e2b", "daytona"])
def test_without_a_key_the_vendors_client_is_not_even_imported(kind: str) -> None:
    variable = f"{kind.upper()}_API_KEY"
    env = {name: value for name, value in os.environ.items() if name != variable}
    done = subprocess.run([sys.executable, "-c", _LOOK, kind], env=env, capture_output=True, text=True, check=True)
    *told, imported = done.stdout.splitlines()
    assert imported == "[]"
    assert told
    assert all(variable in line for line in told)


async def test_without_a_key(vendor: Vendor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(vendor.variable)
    with pytest.raises(SandboxUnavailable) as refused:
        await vendor.sandbox().check()
    assert vendor.variable in (refused.value.hint or "")
    assert vendor.cloud.log == []


async def test_a_key_that_is_given(vendor: Vendor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(vendor.variable, "another")
    async with vendor.sandbox(api_key=KEY) as sandbox:
        assert (await sandbox.exec(["true"])).ok


async def test_a_key_that_is_refused_is_not_shown(
    vendor: Vendor, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv(vendor.variable, "wrong-and-secret")
    sandbox = vendor.sandbox()
    with pytest.raises(SandboxUnavailable, match="does not take the API key") as refused:
        await sandbox.__aenter__()
    for shown in (seen(refused.value), repr(sandbox), caplog.text):
        assert "wrong-and-secret" not in shown


# Refusals, failures


async def test_a_template_that_is_not_there(vendor: Vendor) -> None:
    with pytest.raises(SandboxUnavailable, match=r"no-such.* not found|Snapshot not found"):
        await vendor.sandbox(template="no-such").__aenter__()
    assert not vendor.cloud.machines


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_the_vendor_refuses(vendor: Vendor, status: int) -> None:
    # Its client repeats what may be repeated.
    fault = vendor.cloud.fail(vendor.create, status=status, headers={"Retry-After": "0"}, times=99)
    with pytest.raises(SandboxUnavailable) as refused:
        await vendor.sandbox().__aenter__()
    assert fault.seen.is_set()
    if status == 429:
        assert "wait" in (refused.value.hint or "")
    assert not vendor.cloud.machines


async def test_nobody_listens(vendor: Vendor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("E2B_CONNECTION_RETRIES", "0")
    async with asyncio.timeout(60):
        with pytest.raises(SandboxUnavailable):
            await vendor.sandbox(api_url="http://127.0.0.1:9").__aenter__()


async def test_a_machine_whose_coming_nobody_heard_of_is_deleted(vendor: Vendor) -> None:
    fault = vendor.cloud.fail(vendor.create, after=True)
    with pytest.raises(SandboxUnavailable):
        await vendor.sandbox().__aenter__()
    assert fault.seen.is_set()
    assert not vendor.cloud.machines


async def test_a_machine_in_which_nothing_runs_is_deleted(vendor: Vendor) -> None:
    vendor.cloud.fail(vendor.start, status=500, times=9)
    with pytest.raises(SandboxUnavailable):
        await vendor.sandbox().__aenter__()
    assert not vendor.cloud.machines


async def test_a_command_that_is_refused_leaves_the_sandbox(vendor: Vendor) -> None:
    async with vendor.sandbox() as sandbox:
        vendor.cloud.fail(vendor.start, status=429)
        with pytest.raises(SandboxUnavailable, match="asked too much"):
            await sandbox.exec(["true"])
        assert (await sandbox.exec(["true"])).ok


async def test_the_connection_breaks(vendor: Vendor) -> None:
    async with asyncio.timeout(60):
        async with vendor.sandbox() as sandbox:
            running = asyncio.create_task(run_for_ever(sandbox, begun := asyncio.Event()))
            await begun.wait()
            await asyncio.to_thread(vendor.cloud.cut)
            with pytest.raises(SandboxClosed, match="open another"):
                await running
            with pytest.raises(SandboxClosed, match="is gone"):
                await sandbox.exec(["true"])
        assert not vendor.cloud.machines


async def test_the_machine_expires(vendor: Vendor) -> None:
    async with asyncio.timeout(60), vendor.sandbox() as sandbox:
        running = asyncio.create_task(run_for_ever(sandbox, begun := asyncio.Event()))
        await begun.wait()
        await asyncio.to_thread(vendor.cloud.expire)
        with pytest.raises(SandboxClosed, match="open another"):
            await running
        with pytest.raises(SandboxClosed, match="open another"):
            await sandbox.exec(["true"])


async def test_an_idle_machine_expires(vendor: Vendor) -> None:
    async with asyncio.timeout(60), vendor.sandbox() as sandbox:
        await asyncio.to_thread(vendor.cloud.expire)
        for _ in range(2):
            with pytest.raises(SandboxClosed, match="open another"):
                await sandbox.put("file", b"")


async def run_for_ever(sandbox: Sandbox, begun: asyncio.Event) -> None:
    async def note(_: object) -> None:
        begun.set()

    await sandbox.exec(ENDLESS, on_output=note)


async def test_the_guest_falls_silent(vendor: Vendor, monkeypatch: pytest.MonkeyPatch) -> None:
    async with asyncio.timeout(60), vendor.sandbox() as sandbox:
        monkeypatch.setattr("codin.sandbox._cloud.talk._SILENCE", 2.0)  # a machine may take longer to begin
        with pytest.raises(SandboxClosed, match="said nothing"):
            # It stops who looks after it, which can be done where the guest is not root.
            await sandbox.exec(Code("import os, signal\nos.kill(os.getppid(), signal.SIGSTOP)\nwhile True: pass"))
    assert not vendor.cloud.machines


# Its time, its bill


async def test_its_time_is_extended(vendor: Vendor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CloudSandbox, "pace", 0.05)
    vendor.cloud.fail(vendor.renew, status=500)  # one that fails is not the end
    async with asyncio.timeout(60), vendor.sandbox() as sandbox:
        for _ in range(2):
            vendor.cloud.renewals.clear()
            assert await asyncio.to_thread(vendor.cloud.renewals.wait, 30)
        assert (await sandbox.exec(["true"])).ok


async def test_that_it_expired_is_found_out(vendor: Vendor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CloudSandbox, "pace", 0.05)
    async with asyncio.timeout(60), vendor.sandbox() as sandbox:
        vendor.cloud.fail(vendor.renew, status=404)
        with pytest.raises(SandboxClosed, match="is no more"):
            await run_for_ever(sandbox, asyncio.Event())


async def test_deleting_is_tried_again(vendor: Vendor) -> None:
    async with vendor.sandbox():
        fault = vendor.cloud.fail(vendor.delete, status=500)
    assert fault.seen.is_set()
    assert not vendor.cloud.machines


async def test_what_cannot_be_deleted_is_named(vendor: Vendor, caplog: pytest.LogCaptureFixture) -> None:
    async with asyncio.timeout(60), vendor.sandbox():
        vendor.cloud.fail("DELETE /", status=500, times=99)
    (machine,) = vendor.cloud.machines
    assert machine in caplog.text
    assert "could not be deleted" in caplog.text
    assert KEY not in caplog.text


@pytest.mark.parametrize("where", ["check", "create", "start", "delete"])
@pytest.mark.parametrize("again", [False, True], ids=["once", "ever-again"])
async def test_cancelled_anywhere_nothing_is_left(vendor: Vendor, where: str, again: bool) -> None:
    fault = vendor.cloud.fail(getattr(vendor, where), hold=True)

    async def use() -> None:
        async with vendor.sandbox() as sandbox:
            await sandbox.exec(["true"])

    async with asyncio.timeout(60):
        using = asyncio.create_task(use())
        assert await asyncio.to_thread(fault.seen.wait, 30)
        using.cancel()
        await asyncio.sleep(0)
        fault.go.set()
        while again and not using.done():
            using.cancel()
            await asyncio.sleep(0)
        with pytest.raises(asyncio.CancelledError):
            await using
    assert not vendor.cloud.machines


async def test_cancelled_while_a_command_begins(vendor: Vendor) -> None:
    async with asyncio.timeout(60), vendor.sandbox() as sandbox:
        fault = vendor.cloud.fail(vendor.start, hold=True)
        running = asyncio.create_task(sandbox.exec(ENDLESS))
        assert await asyncio.to_thread(fault.seen.wait, 30)
        running.cancel()
        fault.go.set()
        with pytest.raises(asyncio.CancelledError):
            await running
        seen = await sandbox.exec(["sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '"])
        assert "begun" not in seen.check().text


# What it is asked for, and what it is


async def test_it_is_closed_to_the_network(vendor: Vendor) -> None:
    async with vendor.sandbox():
        (machine,) = vendor.cloud.machines.values()
        if vendor.kind == "e2b":
            assert machine.asked["allow_internet_access"] is False
            assert machine.asked["network"] == {"allowPublicTraffic": False}
            assert machine.asked["timeout"] == 300
        else:
            assert machine.asked["networkBlockAll"] is True
            assert (machine.asked["autoStopInterval"], machine.asked["autoDeleteInterval"]) == (5, 0)


async def test_what_it_does_not_keep(vendor: Vendor) -> None:
    with pytest.raises(PolicyNotEnforced) as refused:
        await vendor.sandbox(Policy(network="full")).__aenter__()
    assert refused.value.missing >= {"memory", "cpu", "disk", "network"}
    assert vendor.create not in vendor.cloud.log
    assert not vendor.cloud.machines


async def test_a_daytona_machine_of_an_image_has_the_size_it_is_asked_for(daytona_cloud: Cloud) -> None:
    limits = Limits(cpu=2.0, memory=2 * GIB + 1, disk=3 * GIB)
    policy = Policy(limits=limits, demands=Policy().demands - {"syscalls"})
    async with sandbox_of("daytona", policy, image="python:3.11-slim") as sandbox:
        (machine,) = daytona_cloud.machines.values()
        assert [machine.asked[what] for what in ("cpu", "memory", "disk")] == [2, 2, 3]
        assert "FROM python:3.11-slim" in machine.asked["buildInfo"]["dockerfileContent"]
        assert sandbox.unenforced == {"syscalls"}


@pytest.mark.parametrize(("template", "short"), [("mine", set[str]()), ("large", {"memory", "cpu", "disk"})])
async def test_a_daytona_snapshot_has_its_own_size(daytona_cloud: Cloud, template: str, short: set[str]) -> None:
    policy = Policy(limits=Limits(memory=2 * GIB, disk=2 * GIB), demands=frozenset())
    sandbox = sandbox_of("daytona", policy, template=template)
    await sandbox.check()
    assert sandbox.unenforced == short | {"syscalls"}
    assert not daytona_cloud.machines


async def test_a_pool_of_them_is_emptied(vendor: Vendor) -> None:
    sandboxes = [vendor.sandbox() for _ in range(2)]
    async with anyio.create_task_group() as group:
        for sandbox in sandboxes:
            group.start_soon(sandbox.__aenter__)
    assert len(vendor.cloud.machines) == 2
    for sandbox in sandboxes:
        await sandbox.__aexit__(None, None, None)
    assert not vendor.cloud.machines


async def test_its_errors_are_of_one_family(vendor: Vendor) -> None:
    vendor.cloud.fail(vendor.check, status=418)
    with pytest.raises(SandboxError):
        await vendor.sandbox().check()


_ENDS_AT_ONCE = """
import asyncio, sys, threading, time
from codin.sandbox import Policy, sandbox_of

def lasting(*told, **options):
    handle = tell(*told, **options)
    end = time.monotonic() + 0.3
    while threading.get_ident() != main and time.monotonic() < end:
        pass
    return handle

async def once(kind):
    global tell
    loop = asyncio.get_running_loop()
    tell, loop.call_soon_threadsafe = loop.call_soon_threadsafe, lasting
    async with sandbox_of(kind, Policy(demands=frozenset())):
        print("open")

main = threading.get_ident()
asyncio.run(once(sys.argv[1]))
"""


async def test_a_program_may_end_while_the_vendors_client_still_tells_its_answer(vendor: Vendor) -> None:
    program = [sys.executable, "-W", "error", "-c", _ENDS_AT_ONCE, vendor.kind]
    done = await anyio.run_process(program, stdin=subprocess.DEVNULL, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"open\n", b"")


# A guest that somebody has taken over


class TakenOver(CloudSandbox):
    """A machine whose guest names a file by what it is told to."""

    kind = "taken-over"
    vendor = "nobody"
    names: bytes = b""

    async def _shortfall(self) -> frozenset[Guarantee]:
        return frozenset()

    async def _rent(self) -> None: ...

    async def _give_back(self) -> None: ...

    async def _hang_up(self) -> None: ...

    async def _renew(self) -> None: ...

    async def _connect(self, talk: Talk) -> Line:
        talk.feed(b"codin-guest-is-here\n")
        return _Says(talk, self.names)

    def _id(self) -> str:
        return "one"

    def meant(self, error: Exception) -> SandboxError:
        return SandboxError(str(error))


class _Says:
    """The line to such a guest."""

    def __init__(self, talk: Talk, names: bytes) -> None:
        self._talk = talk
        self._names = names

    async def send(self, data: bytes, /) -> None:
        asked = json.loads(data)
        told = b'{"root": true, "since": 0}' if asked["do"] == "begin" else self._names
        for kind, content in (("d", told), ("x", b"")):
            self._talk.feed(f"{asked['word']}{kind}{b64encode(content).decode()}\n".encode())

    async def close(self) -> None:
        self._talk.over("")


@pytest.mark.parametrize("names", [b"no JSON", b"5", b"[" * 50_000], ids=["no-json", "number", "deep"])
async def test_a_list_of_files_that_is_none_ends_the_sandbox(names: bytes) -> None:
    async with TakenOver(Policy(demands=frozenset())) as sandbox:
        sandbox.names = names
        with pytest.raises(SandboxClosed, match="what no guest says"):
            await sandbox.list()
