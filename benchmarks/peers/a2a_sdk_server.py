"""The official SDK's server: the same three agents as in `benchmarks/ours/server.py`, written its own way."""

# The SDK is in the peer's environment, which the type checker does not see.
# pyright: basic, reportMissingImports=false
from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

from a2a.helpers import new_task_from_user_message
from a2a.server.agent_execution import AgentExecutor, RequestContext
from a2a.server.events import EventQueue
from a2a.server.request_handlers import DefaultRequestHandler
from a2a.server.routes import create_agent_card_routes, create_jsonrpc_routes
from a2a.server.tasks import InMemoryTaskStore, TaskStore, TaskUpdater
from a2a.types import AgentCapabilities, AgentCard, AgentInterface, AgentSkill, Part
from starlette.applications import Starlette

Work = Callable[[TaskUpdater, str], Awaitable[None]]


def build(agent: str, store: str | None = None, port: int = 1) -> Starlette:
    """Make the app.

    Args:
        agent: `echo`, `stream` (as many chunks as the text says) or `idle` (one chunk, then it waits for ever).
        store: `sqlite:///file.db?synchronous=full`, with `&journal=wal` if wanted; None keeps tasks in memory.
    """
    card = _card(agent, port)
    tasks = _database(store) if store else InMemoryTaskStore()
    handler = DefaultRequestHandler(agent_executor=Executor(_WORK[agent]), task_store=tasks, agent_card=card)
    return Starlette(routes=[*create_jsonrpc_routes(handler, "/"), *create_agent_card_routes(card)])


class Executor(AgentExecutor):
    """Announces the task, starts it, does its work and completes it."""

    def __init__(self, work: Work) -> None:
        self._work = work

    async def execute(self, context: RequestContext, event_queue: EventQueue) -> None:
        task = context.current_task
        if task is None:
            task = new_task_from_user_message(context.message)
            task.id, task.context_id = context.task_id, context.context_id
            await event_queue.enqueue_event(task)
        updater = TaskUpdater(event_queue, task.id, task.context_id)
        await updater.start_work()
        await self._work(updater, context.get_user_input())
        await updater.complete()

    async def cancel(self, context: RequestContext, event_queue: EventQueue) -> None:
        raise NotImplementedError


async def _echo(updater: TaskUpdater, text: str) -> None:
    await updater.add_artifact([Part(text=text)], name="echo")


async def _stream(updater: TaskUpdater, text: str) -> None:
    chunks = int(text)
    for number in range(chunks):
        parts, last = [Part(text=f"chunk {number} ")], number == chunks - 1
        await updater.add_artifact(parts, artifact_id="echo", append=number > 0, last_chunk=last)
        await asyncio.sleep(0)


async def _idle(updater: TaskUpdater, text: str) -> None:
    await updater.add_artifact([Part(text=text)], artifact_id="echo")
    await asyncio.Event().wait()


_WORK: dict[str, Work] = {"echo": _echo, "stream": _stream, "idle": _idle}


def _database(url: str) -> TaskStore:
    from a2a.server.tasks import DatabaseTaskStore
    from sqlalchemy import event
    from sqlalchemy.ext.asyncio import create_async_engine

    parts = urlsplit(url)
    settings = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    engine = create_async_engine(f"sqlite+aiosqlite://{parts.path}")

    @event.listens_for(engine.sync_engine, "connect")
    def configure(connection: Any, record: Any) -> None:
        cursor = connection.cursor()
        if "journal" in settings:
            cursor.execute(f"PRAGMA journal_mode={settings['journal']}")
        cursor.execute(f"PRAGMA synchronous={settings['synchronous']}")
        cursor.close()

    return DatabaseTaskStore(engine)


def _card(agent: str, port: int) -> AgentCard:
    interface = AgentInterface(protocol_binding="JSONRPC", protocol_version="1.0", url=f"http://127.0.0.1:{port}/")
    return AgentCard(
        name=agent,
        description=agent,
        version="1",
        supported_interfaces=[interface],
        capabilities=AgentCapabilities(streaming=True),
        default_input_modes=["text/plain"],
        default_output_modes=["text/plain"],
        skills=[AgentSkill(id=agent, name=agent, description=agent, tags=[agent])],
    )
