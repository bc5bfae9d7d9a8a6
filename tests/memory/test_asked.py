"""What is no text, list or record is refused by a memory, and the argument named, wherever it is kept."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from codin.errors import ConfigError, NotKept
from codin.memory import Memories, Memory, Record, Stats, Utterance

pytestmark = pytest.mark.anyio

WRONG: list[Any] = [None, 5, b"x", ["x"], {"x": 1}]

ASKED: dict[str, Callable[[Memory, Any], Awaitable[object]]] = {
    "query": lambda memory, wrong: memory.records.search(wrong),
    "after": lambda memory, wrong: memory.records.list(after=wrong),
    "ids": lambda memory, wrong: memory.records.delete("a", wrong),
    "prefix": lambda memory, wrong: memory.notes.list(wrong),
    "after of notes": lambda memory, wrong: memory.notes.list(after=wrong),
    "keys": lambda memory, wrong: memory.blobs.get("s", "k", wrong),
    "keys to remove": lambda memory, wrong: memory.blobs.delete("s", ["k", wrong]),
    "prefix of keys": lambda memory, wrong: memory.blobs.keys("s", wrong),
    "before": lambda memory, wrong: memory.blobs.keys("s", before=cast(Any, wrong or 0)),
    "after of shelves": lambda memory, wrong: memory.blobs.shelves(after=wrong),
}

UTTERANCES: list[dict[str, Any]] = [
    {"role": "robot"},
    {"role": None},
    {"text": None},
    {"text": b"x"},
    {"parts": "x"},
    {"parts": [{}, 5]},
    {"metadata": ["x"]},
    {"at": "1"},
    {"task_id": None},
    {"number": "1"},
    {"index": 1.5},
]


@pytest.fixture(params=["memory://", "sqlite"])
async def memory(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    place = request.param if request.param != "sqlite" else f"sqlite:///{tmp_path}/memory.db"
    async with Memories(place) as memories:
        yield memories.of(agent="clerk", caller="ada", context_id="c")


@pytest.mark.parametrize("wrong", WRONG, ids=repr)
@pytest.mark.parametrize("argument", ASKED)
async def test_what_is_asked_for_is_a_text(memory: Memory, argument: str, wrong: Any) -> None:
    with pytest.raises(ConfigError, match=rf"^{argument.split()[0]}=.* is no text$"):
        await ASKED[argument](memory, wrong)


@pytest.mark.parametrize("field", UTTERANCES, ids=repr)
async def test_what_is_said_has_its_form(memory: Memory, field: dict[str, Any]) -> None:
    (name,) = field
    with pytest.raises(NotKept, match="part" if name == "parts" else name):
        await memory.history.append(replace(Utterance(role="user", text="a"), **field))
    assert (await memory.stats()).utterances == 0


@pytest.mark.parametrize("wrong", WRONG, ids=repr)
async def test_what_is_kept_has_its_form(memory: Memory, wrong: Any) -> None:
    with pytest.raises(NotKept, match="no text, and no Utterance"):
        await memory.history.append(wrong)
    with pytest.raises(NotKept, match=r"no list of records|no record"):
        await memory.records.add_all(wrong)
    with pytest.raises(NotKept, match="no record"):
        await memory.records.add_all([wrong])
    with pytest.raises(NotKept, match=r"no mapping of keys|no bytes"):
        await memory.blobs.put("s", wrong)
    with pytest.raises(NotKept, match="time of the record 'a'"):
        await memory.records.add_all([Record("a", "a", at=str(wrong))])  # type: ignore[arg-type]
    assert await memory.stats() == Stats()


async def test_one_key_is_not_several_of_one_letter(memory: Memory) -> None:
    await memory.blobs.put("s", {"k": b"1"})
    with pytest.raises(ConfigError, match="keys='k' is no list of texts"):
        await memory.blobs.delete("s", "k")
    assert await memory.blobs.keys("s") == ["k"]


@pytest.mark.parametrize("name", ["tenant", "agent", "caller", "context_id"])
async def test_whose_a_memory_is_are_texts(name: str) -> None:
    async with Memories("memory://") as memories:
        with pytest.raises(ConfigError, match=f"{name}=None is no text"):
            memories.of(**{name: None})  # type: ignore[arg-type]
