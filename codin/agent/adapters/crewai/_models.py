"""Calls of models that can be dropped.

CrewAI calls a model with the blocking method, in a worker thread, where nothing can stop it. In a run of codin the same
call is made with the model's async method, on an event loop of its own, where a cancel closes the connection.
"""

from __future__ import annotations

import asyncio
import copy
import threading
from contextlib import suppress
from typing import Any, cast
from weakref import WeakKeyDictionary

from crewai import BaseLLM
from crewai.llms.base_llm import call_stop_override, call_stream_override

from codin.agent.adapters.crewai._running import running

__all__ = ["MODELS", "stand_in"]


class _Loop:
    """An event loop in a daemon thread, for all model calls of the process: so they share connections."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    def runs_this(self) -> bool:
        """Whether the present code runs on it."""
        try:
            return asyncio.get_running_loop() is self._loop
        except RuntimeError:
            return False

    def get(self) -> asyncio.AbstractEventLoop:
        """The loop, started when it is first needed."""
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=self._loop.run_forever, name="codin-crewai-models", daemon=True).start()
            return self._loop


MODELS = _Loop()

_NATIVE = "crewai.llms.providers."

# An async client belongs to the event loop that it is first used on; that of the user's model may be used elsewhere.
_OWN_CLIENTS: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()
_CLIENTS_LOCK = threading.Lock()


def stand_in(llm: Any) -> Any:
    """A copy of the model that streams, and whose calls end with the run they belong to.

    Through LiteLLM a model is called as CrewAI would: its async method changes the warning filters of the process, and
    two calls at once leave them changed. A model of the user's own class stays itself.
    """
    kind = cast("Any", type(llm))
    if not isinstance(llm, BaseLLM) or "call" in vars(llm) or not kind.call.__module__.startswith("crewai."):
        return llm
    native = kind.acall.__module__.startswith(_NATIVE)
    copied: Any = copy.copy(llm)
    if native:
        _give_own_client(copied)

    def call(*args: Any, **kwargs: Any) -> Any:
        run = running()
        if run is None:
            return llm.call(*args, **kwargs)
        # The async methods of CrewAI 1.15 forget the schema of a structured answer when they stream.
        streams = kwargs.get("response_model") is None
        with call_stop_override(copied, llm.stop_sequences), call_stream_override(copied, streams):
            if native and not kwargs.get("available_functions"):  # which would be called on the loop, and block it
                with suppress(NotImplementedError):  # e.g. Bedrock without aiobotocore
                    return run.wait(copied.acall(*args, **kwargs), MODELS.get())
            return kind.call(copied, *args, **kwargs)

    vars(copied)["call"] = call
    return copied


def _give_own_client(copied: Any) -> None:
    client = getattr(copied, "_async_client", None)
    if client is None:
        return
    with _CLIENTS_LOCK:
        if client not in _OWN_CLIENTS:
            copied._async_client = None
            _OWN_CLIENTS[client] = copied._get_async_client()
        copied._async_client = _OWN_CLIENTS[client]
