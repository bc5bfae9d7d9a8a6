"""What a sandbox is told is checked before it is believed: a misspelt word is no wall."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from anyio import to_thread

from codin.errors import ConfigError, SandboxUnavailable
from codin.sandbox import Code, Limits, Mount, Policy, Pool, Sandbox, sandbox_of
from tests.sandbox.conftest import Room

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("name", ["cpu", "memory", "processes", "disk", "files", "output", "time"])
@pytest.mark.parametrize("value", [0, -1, math.nan, math.inf, "1", True])
def test_a_limit_is_a_number_above_zero(name: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=f"{name}="):
        Limits(**{name: value})


def test_no_time_is_no_bound() -> None:
    assert Limits(time=None).time is None


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"network": "some"}, "network"),
        ({"network": "None"}, "network"),
        ({"network": ""}, "network"),
        ({"network": None}, "network"),
        ({"demands": {"netwrok"}}, "demands"),
        ({"demands": "network"}, "demands"),
        ({"limits": {"memory": 1}}, "limits"),
        ({"mounts": ["/tmp"]}, "mounts"),
        ({"env": {"A": 5}}, "env"),
        ({"env": {"A=B": "c"}}, "env"),
        ({"env": {"A": "b\0"}}, "env"),
        ({"env": ["A"]}, "env"),
    ],
)
def test_a_policy_says_what_there_is(wrong: Mapping[str, Any], field: str) -> None:
    with pytest.raises(ConfigError, match=field):
        Policy(**wrong)


def test_a_policy_takes_any_collection() -> None:
    mounts: Any = [Mount(source=Path("/usr"))]
    demands: Any = ["network", "files"]
    policy = Policy(mounts=mounts, demands=demands)
    assert policy.mounts == (Mount(source=Path("/usr")),)
    assert policy.demands == frozenset({"network", "files"})


def test_a_mount_is_of_a_path() -> None:
    source: Any = "/usr/share"
    assert Mount(source=source).source == Path("/usr/share")
    for wrong in ({"source": 5}, {"source": Path("/usr"), "target": "share"}):
        options: Any = wrong
        with pytest.raises(ConfigError, match="path"):
            Mount(**options)


@pytest.mark.parametrize(
    "place", ["/", "/box", "/box/", "//dev", "/etc", "/data/../proc", "/proc/self", "/run", "/var"]
)
def test_nothing_is_mounted_onto_what_is_the_sandboxs_own(place: str) -> None:
    with pytest.raises(ConfigError, match="own") as refused:
        Mount(source=Path("/usr"), target=place)
    assert refused.value.hint is not None
    assert "/box, /dev, /etc" in refused.value.hint
    with pytest.raises(ConfigError, match="own"):
        Mount(source=Path(place))


@pytest.mark.parametrize("place", ["/box/data", "/var/data", "/run/data.sock", "/etc/app.toml", "/tmp", "/processed"])
def test_below_what_is_the_sandboxs_own_there_is_room(place: str) -> None:
    assert Mount(source=Path("/usr"), target=place).place == place


async def test_it_belongs_to_the_loop_that_opened_it(room: Room) -> None:
    def elsewhere(use: Callable[[], Awaitable[object]]) -> None:
        async def used() -> None:
            await use()

        with pytest.raises(ConfigError, match=r"belongs to the event loop that opened it.+a sandbox of its own"):
            asyncio.run(used())

    async with asyncio.timeout(60), room() as sandbox:
        put, get = partial(sandbox.put, "file", b""), partial(sandbox.get, "file")
        for use in (partial(sandbox.exec, Code("")), put, get, sandbox.list):
            await to_thread.run_sync(elsewhere, use)
        assert (await sandbox.exec(Code("print(1)"))).check().text == "1\n"


async def test_a_command_is_words(room: Room) -> None:
    wrong: Any
    async with room() as sandbox:
        for wrong in ("ls", b"ls", [], [1, 2], ["ls", None]):
            with pytest.raises(TypeError, match="list of strings"):
                await sandbox.exec(wrong)
        wrong = {"A": 5}
        with pytest.raises(ConfigError, match="A=int is no text"):
            await sandbox.exec(["true"], env=wrong)
        wrong = "words"
        with pytest.raises(TypeError, match="stdin is bytes"):
            await sandbox.exec(["cat"], stdin=wrong)
        with pytest.raises(TypeError, match="content is bytes"):
            await sandbox.put("file", wrong)


async def test_a_pool_of_what_is_not_there_says_so() -> None:
    def none() -> Sandbox:
        return sandbox_of("docker", host="unix:///nowhere.sock")

    with pytest.raises(SandboxUnavailable):
        async with Pool(none):
            pass
