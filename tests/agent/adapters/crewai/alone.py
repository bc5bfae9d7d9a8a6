"""A process that serves a crew, a flow and an agent one message each, and says on stderr what it should not have done.

Usage: python -m tests.agent.adapters.crewai.alone MODEL_URL FIRST_IMPORT
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import os
import signal
import socket
import sys
import threading
import warnings
from pathlib import Path
from typing import Any

_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGTSTP", "SIGCONT")]
_called: list[Any] = []


def watch() -> None:
    """Note who is called outside this machine."""
    connect, lookup = socket.socket.connect, socket.getaddrinfo

    def noted_connect(self: socket.socket, address: Any) -> None:
        if str(address[0]) not in {"127.0.0.1", "::1"}:
            _called.append(address)
        connect(self, address)

    def noted_lookup(host: Any, *args: Any, **kwargs: Any) -> Any:
        if host not in {"127.0.0.1", "localhost", None}:
            _called.append(host)
        return lookup(host, *args, **kwargs)

    socket.socket.connect = noted_connect
    socket.getaddrinfo = noted_lookup


async def serve(url: str) -> None:
    from crewai import LLM, Flow
    from crewai.flow import start
    from crewai.flow.human_feedback import human_feedback

    from codin.agent.adapters.crewai import adapt
    from tests.agent.adapters.crewai.crews import crew_of, helper
    from tests.agent.adapters.desk import Desk

    llm = LLM(model="openai/local", base_url=url, api_key="x")

    class Ask(Flow[dict[str, Any]]):
        @start()
        @human_feedback(message="Well?")
        def work(self) -> str:
            return "draft"

    assert (await Desk(adapt(crew_of(llm))).send("hello")).text == "You said hello"
    assert (await Desk(adapt(helper(llm))).send("hello")).text == "You said hello"
    desk = Desk(adapt(Ask()))
    asked = await desk.send("hello")
    assert (await desk.send("fine", task=asked.task)).text == "draft"


def main(url: str, first: str) -> None:
    watch()
    warnings.simplefilter("ignore")
    before = [signal.getsignal(number) for number in _SIGNALS]
    importlib.import_module(first)
    logging.getLogger("crewai").addHandler(logging.NullHandler())
    asyncio.run(serve(url))
    if first != "crewai":  # by itself it has started its telemetry by now, which has nothing to send any more
        assert [signal.getsignal(number) for number in _SIGNALS] == before, "signal handlers were replaced"
        assert not [thread for thread in threading.enumerate() if "OtelBatch" in thread.name]
    assert logging.getLogger().handlers == [], "the root logger has a handler"
    assert "OTEL_SDK_DISABLED" not in os.environ
    assert not _called, _called
    assert not list(Path.home().rglob("flow_states.db*")), "a database of flows"


main(*sys.argv[1:])
