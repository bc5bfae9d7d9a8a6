"""Five agents at work on a document, each an A2A server in a process of its own, in a mesh that can be trusted.

    python -m examples.brief [FILE]        # or: make demo FILE=notes.md

The briefer (a function) asks the reader (a function) for the sentences of the document and the ranker (a LangGraph
graph) for the key ones among them, asks you how long the brief shall be, has the writer (a CrewAI crew) open it and the
critic (a Google ADK agent) say what it leaves out, and streams it with its sources. The frameworks are in environments
of their own, which `make frameworks` makes.

Nobody is told an address. The agents sign their cards, register with them, and find each other by name; every call
carries a token by the caller's key, and a card that was tampered with is refused, which you see.

The writer and the critic need a model. With OPENAI_API_KEY or OPENAI_BASE_URL set it is that one; else one is started
here that answers with sentences of the text it is given, and nothing needs a key or a network. Without a terminal the
question is answered by the same round trip, with 5.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
import tempfile
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from pathlib import Path

from rich.console import Console
from rich.text import Text
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

import codin
from codin import a2a
from codin.client import Event
from codin.errors import CardNotTrusted, CodinError
from codin.mesh import Found
from codin.mesh.registry import Registry
from codin.net import MemoryTransport
from codin.trust import AgentIdentity, KeyRing, TrustPolicy

ROOT = Path(__file__).resolve().parent.parent
DOCUMENT = ROOT / "examples" / "documents" / "lighthouses.md"
LENGTH = "5"

FRAMEWORKS = ROOT / ".frameworks"
AGENTS = ("reader", "ranker", "writer", "critic", "briefer")

_CODIN = (sys.executable, "-m", "codin.cli")
_REGISTRY = (*_CODIN, "registry", "--port", "0", "--store", "memory://")

_COLOURS = {
    "you": "bold", "briefer": "cyan", "reader": "green", "ranker": "magenta", "writer": "yellow", "critic": "red",
    "registry": "dim", "model": "dim",
}  # fmt: skip
_ANNOUNCED = re.compile(r"(https?://\S+)")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # a terminal obeys them, and a document is no order
_LARGEST = 10_000_000  # bytes; encoded they fit into what a server takes
_START = 60.0  # seconds; a cold disk is slow
_STOP = 15.0

out = Console(highlight=False, soft_wrap=not sys.stdout.isatty())  # in a file or pipe a quote stays on one line
errors = Console(stderr=True, highlight=False, soft_wrap=True)


class Refused(Exception):
    """The demo cannot go on; the text says why."""


async def main(file: Path) -> None:
    """Brief one document.

    Raises:
        Refused: the file cannot be read, an agent does not start, or the document is refused.
    """
    document = _attached(file)
    if not FRAMEWORKS.exists():
        raise Refused(f"The frameworks have no environments at {FRAMEWORKS}. `make frameworks` makes them.")
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="codin-demo-"))) / "keys"
        ring = KeyRing.create(folder)
        model = await _model(stack)
        registry = await stack.enter_async_context(_process("registry", _REGISTRY, {}))
        settings = {**model, "CODIN_KEYS": str(folder), "CODIN_REGISTRY": registry}
        await asyncio.gather(*(stack.enter_async_context(_serving(name, settings)) for name in AGENTS))
        policy = TrustPolicy("require", keys=ring.published, first_use=False)
        identity = AgentIdentity(ring, "you")
        mesh = await stack.enter_async_context(codin.Mesh(registry, trust=policy, credential=identity))
        found = await _gathered(registry)
        await _refuse_a_forgery(found["reader"], policy)
        out.print()
        await _converse(mesh, document)
        await _account(mesh)
    out.print(Text("All agents have stopped.", "dim"))


def _attached(file: Path) -> a2a.Part:
    try:
        with file.open("rb") as document:
            content = document.read(_LARGEST + 1)
    except OSError as error:
        raise Refused(f"{file} cannot be read: {error.strerror}") from error
    if len(content) > _LARGEST:
        raise Refused(f"{file} has more than {_LARGEST:,} bytes, which is too much for one message.")
    return a2a.Part(raw=content, filename=file.name)


# -- processes ---------------------------------------------------------------------------------------------------------


async def _model(stack: AsyncExitStack) -> Mapping[str, str]:
    """What tells the agents of their model: nothing when the environment does already."""
    if os.environ.get("OPENAI_API_KEY") or os.environ.get("OPENAI_BASE_URL"):
        return {}
    command = (sys.executable, "-m", "codin.testing.model", "--extractive", "--port", "0")
    url = await stack.enter_async_context(_process("model", command, {}))
    return {"OPENAI_BASE_URL": url, "OPENAI_API_KEY": "none", "OPENAI_MODEL": "extractive"}


@asynccontextmanager
async def _serving(name: str, where: Mapping[str, str]) -> AsyncGenerator[str]:
    """An agent of this repository in a process of its own, while the block runs; gives its URL."""
    command = (*_CODIN, "serve", str(ROOT / "agents" / name), "--port", "0", "--callers", "known")
    async with _process(name, command, where) as url:
        yield url


@asynccontextmanager
async def _process(name: str, command: Sequence[str], where: Mapping[str, str]) -> AsyncGenerator[str]:
    with tempfile.TemporaryFile() as log:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            env={**os.environ, **where},
            cwd=ROOT,
            start_new_session=True,  # Ctrl-C is for the demo, which then ends its agents
        )
        try:
            url = await _announced(process, name, log.fileno())
            what = "answers" if name in {"model", "registry"} else "A2A"
            out.print(Text.assemble(_name(name), f" {what} at {url} (process {process.pid})"))
            yield url
        finally:
            await _end(process)


async def _announced(process: asyncio.subprocess.Process, name: str, log: int) -> str:
    assert process.stdout is not None
    try:
        async with asyncio.timeout(_START):
            async for line in process.stdout:
                if found := _ANNOUNCED.search(line.decode()):
                    return found[1]
    except TimeoutError:
        raise Refused(f"The {name} was not up after {_START:.0f} seconds.") from None
    said = os.pread(log, 4000, 0).decode(errors="replace").strip()
    raise Refused(f"The {name} did not start. It said: {said or 'nothing'}")


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.terminate()
    try:
        async with asyncio.timeout(_STOP):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


# -- the mesh ----------------------------------------------------------------------------------------------------------


async def _gathered(url: str) -> Mapping[str, Found]:
    """The agents by name, as soon as all of them have registered."""
    found: dict[str, Found] = {}
    async with Registry(url) as registry:
        try:
            async with asyncio.timeout(_START), aclosing(registry.watch()) as changes:
                async for change in changes:  # the first one says: look what is there already
                    known = [change.agent] if change.agent is not None else await registry.find(limit=len(AGENTS))
                    found.update((agent.name, agent) for agent in known)
                    if found.keys() >= set(AGENTS):
                        break
        except TimeoutError:
            raise Refused(f"Only {', '.join(found) or 'nobody'} registered.") from None
    out.print()
    for name in AGENTS:
        _, _, kid = (found[name].identity or "").rpartition("@")
        words = f" is in the registry, signed by the key {kid[:12]}…" if found[name].verified else " is not signed"
        out.print(Text.assemble(_name(name), words))
    return found


async def _refuse_a_forgery(reader: Found, policy: TrustPolicy) -> None:
    """Somebody shows the reader's signed card with an address of their own in it. Raises Refused when that works."""
    assert reader.card is not None
    forged = reader.card.model_copy(deep=True)
    forged.supported_interfaces[0].url = "http://forger.example/"

    async def forger(scope: Scope, receive: Receive, send: Send) -> None:
        await JSONResponse(forged.to_dict())(scope, receive, send)

    out.print()
    out.print(
        Text.assemble(("forger ", "bold red"), " → ", _name("you"), " the reader's card, with another address in it")
    )
    transport = MemoryTransport({"forger.example": forger})
    try:
        async with codin.connect("http://forger.example", transport=transport, trust=policy):
            raise Refused("A forged card was taken for the reader's.")
    except CardNotTrusted as error:
        out.print(Text.assemble(_name("you"), " → ", ("forger ", "bold red"), f" {error}"))


# -- the conversation --------------------------------------------------------------------------------------------------


async def _converse(mesh: codin.Mesh, document: a2a.Part) -> None:
    """Send the document, answer what is asked, print what comes. Raises Refused."""
    _arrow("you", "briefer", f"{document.filename} ({len(document.raw or b''):,} bytes)")
    last = await _show(mesh.stream("briefer", document))
    while last.state is a2a.TaskState.INPUT_REQUIRED and last.task is not None:
        _arrow("briefer", "you", _said(last.task.status))
        answer = await _answer()
        _arrow("you", "briefer", answer)
        answered = mesh.stream("briefer", answer, task_id=last.task.id, context_id=last.task.context_id)
        last = await _show(answered)
    out.print()
    if last.state is not a2a.TaskState.COMPLETED or last.task is None:
        raise Refused(_said(last.task.status) if last.task else "The briefer broke off.")
    quotes = [part.data["quotes"] for artifact in last.task.artifacts for part in artifact.parts if part.kind == "data"]
    _arrow("briefer", "you", f"{len(quotes[0])} quotes, letter for letter, as data")
    out.print()


async def _show(events: AsyncGenerator[Event]) -> Event:
    """Print a stream as it comes; gives its last event."""
    last: Event | None = None
    async for event in events:
        if isinstance(event.value, a2a.TaskStatusUpdateEvent):
            call = (event.value.metadata or {}).get("call")
            if isinstance(call, dict):
                _arrow(str(call.get("from", "briefer")), str(call.get("to", "briefer")), _said(event.value.status))
        elif event.text:
            if last is not None and not isinstance(last.value, a2a.TaskArtifactUpdateEvent):
                out.print()
            out.print(Text(_CONTROLS.sub("", event.text)), end="")
        last = event
    if last is None:
        raise Refused("The briefer said nothing.")
    return last


async def _answer() -> str:
    if not sys.stdin.isatty():
        return LENGTH
    out.print(Text(f"  your answer [{LENGTH}]: ", "bold"), end="")
    loop = asyncio.get_running_loop()
    line: asyncio.Future[str] = loop.create_future()
    loop.add_reader(sys.stdin, lambda: line.done() or line.set_result(sys.stdin.readline()))
    try:
        return (await line).strip() or LENGTH
    finally:
        loop.remove_reader(sys.stdin)


async def _account(mesh: codin.Mesh) -> None:
    """What each agent shows of its tasks: to every caller its own, and the others' are the briefer's."""
    for name in AGENTS:
        peer = await mesh.resolve(name)
        tasks = [task async for task in peer.list()]
        for task in tasks:
            state = task.status.state.removeprefix("TASK_STATE_").lower()
            out.print(Text.assemble(_name(name), f" task {task.id} {state}"))
        if not tasks:
            out.print(Text.assemble(_name(name), " shows you no task: what it did, it did for the briefer"))


def _said(status: a2a.TaskStatus) -> str:
    return _CONTROLS.sub("", a2a.text_of(status.message.parts)) if status.message is not None else ""


def _arrow(caller: str, called: str, words: str) -> None:
    out.print(Text.assemble(_name(caller), " → ", _name(called), f" {words}"))


def _name(name: str) -> Text:
    return Text(f"{name:<8}", _COLOURS.get(name, ""))


def run(arguments: Sequence[str]) -> int:
    """The program: 0 when the brief is written, 1 when it could not be, 2 for wrong usage, 130 when interrupted."""
    if len(arguments) > 1 or (arguments and arguments[0].startswith("-")):
        errors.print("usage: python -m examples.brief [FILE]")
        return 2
    try:
        asyncio.run(_until_stopped(Path(arguments[0]) if arguments else DOCUMENT))
    except (Refused, CodinError) as error:
        errors.print(Text.assemble(("error: ", "bold red"), str(error)))
        return 1
    except (KeyboardInterrupt, asyncio.CancelledError):
        return 130
    return 0


async def _until_stopped(file: Path) -> None:
    """Run; a SIGTERM ends it in the way of Ctrl-C, so that no agent is left behind."""
    work = asyncio.current_task()
    if work is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, work.cancel)
    await main(file)


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
