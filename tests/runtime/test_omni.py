"""Which back-end a workload gets, and what is said when there is none."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import pytest

from codin.errors import ConfigError, NoRuntime
from codin.runtime import (
    Command,
    Container,
    Emit,
    Endpoint,
    Function,
    Kind,
    LocalRuntime,
    OmniRuntime,
    Outcome,
    Runtime,
    Workload,
    runtime_of,
    runtimes,
)
from codin.sandbox import Code

pytestmark = pytest.mark.anyio


class Elsewhere(Runtime):
    """A back-end of somebody else."""

    name: ClassVar[str] = "elsewhere"
    kinds: ClassVar[frozenset[Kind]] = frozenset({"command"})

    def __init__(self, reason: str = "") -> None:
        self.reason = reason
        self.ran: list[Workload] = []

    async def missing(self, workload: Workload, /) -> str:
        return self.reason

    async def _execute(self, workload: Workload, emit: Emit, /) -> Outcome:
        self.ran.append(workload)
        return Outcome(sandbox="elsewhere's own")


class Nowhere(Elsewhere):
    name: ClassVar[str] = "nowhere"


async def test_the_first_that_can_is_taken() -> None:
    nowhere, elsewhere = Nowhere("it is closed"), Elsewhere()
    done = await OmniRuntime([nowhere, elsewhere, "local"]).run(Command(["true"]))
    assert done.runtime == "elsewhere"
    assert not nowhere.ran


async def test_a_workload_may_name_its_back_end() -> None:
    done = await OmniRuntime([Elsewhere(), "local"]).run(Command(["echo", "here"], on="local", sandbox="off"))
    assert (done.runtime, done.text) == ("local", "here\n")


async def test_where_nothing_can_every_reason_is_told() -> None:
    with pytest.raises(NoRuntime) as told:
        await OmniRuntime([Nowhere("it is closed"), Elsewhere("it is full")]).run(Command(["true"]))
    assert "nowhere: it is closed; elsewhere: it is full" in str(told.value)
    assert "local" in told.value.able


async def test_an_impossible_cell_names_those_that_could() -> None:
    with pytest.raises(NoRuntime) as told:
        await OmniRuntime(["local"]).run(Container("busybox"))
    assert told.value.able == ("docker", "kubernetes", "daytona")
    with pytest.raises(NoRuntime, match="it does not run a container"):
        await OmniRuntime(["local"]).run(Container("busybox", on="local"))


@pytest.mark.parametrize(
    ("workload", "demand"),
    [
        (Command(Code("1")), "required"),
        (Command(Code("1"), sandbox="off"), "off"),
        (Command(["true"]), "preferred"),
        (Function(print), "preferred"),
    ],
)
def test_what_is_asked_of_a_sandbox_by_default(workload: Workload, demand: str) -> None:
    assert workload.demand == demand


async def test_the_door_may_ask_for_more_than_the_workload_does() -> None:
    elsewhere = Elsewhere()
    await OmniRuntime([elsewhere], sandbox="required").run(Command(["true"], sandbox="off"))
    assert elsewhere.ran[0].demand == "required"


async def test_without_a_sandbox_what_requires_one_does_not_run() -> None:
    with pytest.raises(NoRuntime, match="no kind of sandbox was named"):
        await OmniRuntime([LocalRuntime(sandboxes=())]).run(Command(Code("print(1)")))
    done = await OmniRuntime([LocalRuntime(sandboxes=())]).run(Command(["echo", "1"]))
    assert (done.sandbox, "files" in done.unenforced) == ("host", True)


def test_an_unknown_name_is_answered_with_those_there_are() -> None:
    with pytest.raises(ConfigError, match="local"):
        runtime_of("locall")
    assert runtimes()[:2] == ("local", "docker")


def test_without_an_event_loop() -> None:
    assert LocalRuntime().run_sync(Command(["echo", "1"], sandbox="off")).text == "1\n"


async def test_an_endpoint_is_called_by_the_local_runtime_first() -> None:
    assert (await OmniRuntime(["http", "local"]).choose(Endpoint("http://example.com"))).name == "http"


async def test_a_name_that_nobody_has_is_no_back_end() -> None:
    with pytest.raises(ConfigError, match=r"no runtime 'dokcer'.* one of: .*docker.*elsewhere"):
        await OmniRuntime([Elsewhere()]).run(Command(["true"], on="dokcer"))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Command(["ls"], network="some"), "network='some' is none of none, full"),  # type: ignore[arg-type]
        (lambda: Command(["ls"], sandbox="none"), "sandbox='none' is none of"),  # type: ignore[arg-type]
        (lambda: Command(["ls"], limits=5), "limits=5"),  # type: ignore[arg-type]
        (lambda: Command("ls -l"), "command='ls -l'"),
        (lambda: Command([]), r"command=\[\]"),
        (lambda: Function("x"), "function='x' cannot be called"),  # type: ignore[arg-type]
        (lambda: OmniRuntime(sandbox="none"), "sandbox='none' is none of"),  # type: ignore[arg-type]
        (lambda: OmniRuntime().run_sync(5), "5 is no workload"),  # type: ignore[arg-type]
        (lambda: LocalRuntime().run_sync(5), "5 is no workload"),  # type: ignore[arg-type]
    ],
)
def test_what_cannot_be_is_refused_with_its_name(make: Callable[[], object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        make()
