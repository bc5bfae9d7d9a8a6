"""Mistakes with stores, and what is no store."""

# What is unknown after a mistake is not reported again.
# pyright: reportUnknownArgumentType=false, reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

from pathlib import Path

from codin.server import App
from codin.task import Commit, ListQuery, MemoryStore, Owner, Page, TaskStore, open_store
from codin.task.stores import SQLiteStore


def opens(agent: object) -> None:
    open_store(Path("tasks.db"))  # error: reportArgumentType
    open_store("sqlite:///tasks.db", synchronous="full")  # error: reportCallIssue
    MemoryStore("100")  # error: reportArgumentType
    MemoryStore(max_tasks=100)  # error: reportCallIssue
    SQLiteStore()  # error: reportCallIssue
    SQLiteStore("tasks.db", synchronous=True)  # error: reportArgumentType
    App(agent, store=MemoryStore)  # error: reportArgumentType
    App(agent, store=Path("tasks.db"))  # error: reportArgumentType


async def reads(store: TaskStore, owner: Owner) -> None:
    await store.load("1")  # error: reportCallIssue
    await store.load("ada", "1")  # error: reportArgumentType
    await store.list(owner)  # error: reportCallIssue
    await store.list(owner, page_size=10)  # error: reportCallIssue
    print((await store.load(owner, "1")).fold)  # error: reportOptionalMemberAccess
    store.read(owner, "1")  # error: reportUnusedCoroutine
    for entry in store.read(owner, "1"):  # error: reportGeneralTypeIssues
        print(entry)
    Owner("shout", "ada")  # error: reportCallIssue
    owner.caller = "grace"  # error: reportAttributeAccessIssue
    query = ListQuery(state="completed")  # error: reportArgumentType
    query.page_size = 10  # error: reportAttributeAccessIssue


async def writes(store: TaskStore, owner: Owner, commit: Commit) -> int:
    await store.append(commit)  # error: reportGeneralTypeIssues
    await store.release(owner, await store.lease(owner, "context", "holder"))  # error: reportGeneralTypeIssues
    return store.append(commit)  # error: reportReturnType


class AppendsLater(MemoryStore):
    async def append(self, commit: Commit) -> int:  # error: reportIncompatibleMethodOverride
        return len(commit.entries)


class ListsByContext(MemoryStore):
    async def list(self, owner: Owner, context_id: str) -> Page:  # error: reportIncompatibleMethodOverride
        return Page([], 0, False)


class Dictionary:
    """A store of tasks, and not of their logs."""

    durable = False

    def __init__(self) -> None:
        self.tasks: dict[str, object] = {}

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def save(self, task_id: str, task: object) -> None:
        self.tasks[task_id] = task

    async def load(self, task_id: str) -> object:
        return self.tasks[task_id]


appends_later: TaskStore = AppendsLater()  # error: reportAssignmentType
dictionary: TaskStore = Dictionary()  # error: reportAssignmentType
