"""One run of a crew, flow or agent: in a thread of its own, heard as it goes, stopped when the task is canceled."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from functools import partial
from typing import Any, TypeAlias, TypeVar, cast

from crewai.agents.agent_executor import AgentExecutor
from crewai.core.providers.human_input import HumanInputProvider, set_provider
from crewai.events import FlowStartedEvent, LLMStreamChunkEvent
from crewai.events.stream_context import add_stream_sink
from crewai_core.printer import set_suppress_console_output

from codin.agent.adapters.crewai._models import MODELS, stand_in
from codin.agent.adapters.crewai._relay import Relay
from codin.agent.adapters.crewai._running import RUNNING, Halt
from codin.task import Answer, Task
from codin.tool._threads import Threads

__all__ = ["Run"]

T = TypeVar("T")

_Deed: TypeAlias = Callable[[], Coroutine[Any, Any, None]]


class Run:
    """Runs something of CrewAI for a task.

    Args:
        relay: is given every event of the run, and writes.
        threads: CrewAI blocks the event loop it runs on, so each run has a thread, and a loop, of its own.
        human: asked when a task of a crew has `human_input=True`.
        console: let CrewAI print.
    """

    def __init__(self, task: Task, relay: Relay, threads: Threads, *, human: HumanInputProvider, console: bool) -> None:
        self.relay = relay
        self._task = task
        self._threads = threads
        self._human = human
        self._console = console
        self._loop = asyncio.get_running_loop()
        self._deeds: asyncio.Queue[_Deed | None] = asyncio.Queue()
        self._lock = threading.Lock()
        self._stopped = False
        self._broke_off = False
        self._waiting: set[Future[Any]] = set()
        self._main: asyncio.Task[Any] | None = None

    # -- on the server's event loop ------------------------------------------------------------------------------------

    async def execute(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """What `work` gives. It is called in a thread, and awaited on an event loop of that thread.

        When the run ends early, the thread is told to stop and keeps its slot until it has.
        """
        thread = self._threads.submit(partial(self._live, work))
        thread.add_done_callback(lambda _: self._post(None))
        try:
            while (deed := await self._deeds.get()) is not None:
                await deed()
            return thread.result()
        except BaseException:
            self._stop()
            thread.cancel()
            raise
        finally:
            self._task.usage(**self.relay.usage())

    def _stop(self) -> None:
        with self._lock:
            self._stopped = True
            waiting, main = list(self._waiting), self._main
        for future in waiting:
            future.cancel()
        if main is not None:
            with suppress(RuntimeError):  # its loop is closed: it has ended meanwhile
                main.get_loop().call_soon_threadsafe(main.cancel)

    async def _ask(self, question: str, data: Any, answer: Future[Answer]) -> None:
        answer.set_result(await self._task.ask(question, data=data))

    # -- in the threads of the run -------------------------------------------------------------------------------------

    def _live(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        # The thread has a context of its own, which CrewAI hands on to the threads it starts.
        RUNNING.set(self)
        add_stream_sink(self._heard)
        set_provider(self._human)
        set_suppress_console_output(not self._console)
        try:
            with asyncio.Runner() as runner:
                return runner.run(self._work(work))
        finally:
            if self._broke_off:
                gc.collect()  # a stream of OpenAI's client refers to itself, and has its connection open until then

    async def _work(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        with self._lock:
            if self._stopped:
                raise Halt
            self._main = asyncio.current_task()
        return await work()

    def _heard(self, source: Any, event: Any) -> None:
        """Called by CrewAI, where an event of this run happens, before it goes on."""
        if self._stopped and not MODELS.runs_this():  # what runs there is canceled
            self._broke_off |= isinstance(event, LLMStreamChunkEvent)
            raise Halt
        if isinstance(event, FlowStartedEvent) and isinstance(source, AgentExecutor):
            executor = cast("Any", source)  # an agent is about to work
            executor.llm = stand_in(executor.llm)
        deed = self.relay.deed(source, event)
        if deed is not None:
            self._post(deed)

    def _post(self, deed: _Deed | None) -> None:
        with suppress(RuntimeError):  # the server's loop is closed, and nobody waits for this any more
            self._loop.call_soon_threadsafe(self._deeds.put_nowait, deed)

    def ask(self, question: str, data: Any = None) -> Answer:
        """Put a question to the caller, after everything that came before it, and block until it is answered."""
        answer: Future[Answer] = Future()
        self._post(partial(self._ask, question, data, answer))
        return self._result(answer)

    def wait(self, work: Coroutine[Any, Any, T], loop: asyncio.AbstractEventLoop | None) -> T:
        """What `work` gives on another event loop, the server's by default; canceled when the run is stopped."""
        return self._result(asyncio.run_coroutine_threadsafe(work, loop or self._loop))

    def _result(self, future: Future[T]) -> T:
        with self._lock:
            self._waiting.add(future)
            stopped = self._stopped
        if stopped:
            future.cancel()
        try:
            return future.result()
        except CancelledError:
            raise Halt from None
        finally:
            with self._lock:
                self._waiting.discard(future)
