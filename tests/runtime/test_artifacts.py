"""Which files go in and come back, and what becomes of those that cannot, or are too many."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from codin.errors import FileRefused
from codin.runtime import Command, Function, LocalRuntime, SandboxDemand
from codin.runtime._host import HostFolder
from codin.sandbox import FileInfo, Limits, Policy, Sandbox

pytestmark = pytest.mark.anyio

KIB = 1024


class Watched(HostFolder):
    """A sandbox that notes which files are fetched from it.

    Args:
        grows: KIB that each file has more when it is fetched.
        says: the size that it tells of each; the true one when not given.
    """

    def __init__(self, policy: Policy | None, fetched: list[str], grows: int = 0, says: int | None = None) -> None:
        super().__init__(policy)
        self._fetched = fetched
        self._grows = grows
        self._says = says

    async def _read(self, path: str, /) -> AsyncIterator[bytes]:
        self._fetched.append(path)
        async for chunk in super()._read(path):
            yield chunk
        for _ in range(self._grows):
            yield bytes(KIB)

    async def _list(self, path: str, /) -> Sequence[FileInfo]:
        files = await super()._list(path)
        return [FileInfo(file.path, file.size if self._says is None else self._says, file.folder) for file in files]


def writing(**sizes: int) -> Command:
    """Writes files of these sizes, and asks for them."""
    lines = [f"head -c {size} /dev/zero > {name}.bin" for name, size in sizes.items()]
    command = ["sh", "-c", "\n".join(lines)]
    return Command(command, artifacts=["*.bin"], limits=Limits(disk=64 * KIB), sandbox="required")


def watched(monkeypatch: pytest.MonkeyPatch, grows: int = 0, says: int | None = None) -> tuple[LocalRuntime, list[str]]:
    """A runtime with such sandboxes, and what is fetched from them."""
    fetched: list[str] = []

    def sandbox_of(kind: str, policy: Policy | None = None, **options: Any) -> Sandbox:
        return Watched(policy, fetched, grows, says)

    monkeypatch.setattr("codin.runtime.local.sandbox_of", sandbox_of)
    return LocalRuntime(sandboxes=["watched"], demands=()), fetched


async def test_what_is_too_large_together_is_refused_before_any_of_it_is_fetched(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    runtime, fetched = watched(monkeypatch)
    with pytest.raises(FileRefused, match="65536 bytes") as told:
        await runtime.run(writing(a=40 * KIB, b=40 * KIB))
    assert told.value.path == "b.bin"
    assert "limits.disk" in (told.value.hint or "")
    assert fetched == []


async def test_what_fits_is_fetched_once(monkeypatch: pytest.MonkeyPatch) -> None:
    runtime, fetched = watched(monkeypatch)
    done = await runtime.run(writing(a=32 * KIB, b=32 * KIB))
    assert {path: len(content) for path, content in done.artifacts.items()} == {"a.bin": 32 * KIB, "b.bin": 32 * KIB}
    assert fetched == ["a.bin", "b.bin"]


async def test_files_that_grow_meanwhile_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    runtime, fetched = watched(monkeypatch, grows=40)
    with pytest.raises(FileRefused, match="65536 bytes"):
        await runtime.run(writing(a=2 * KIB, b=2 * KIB, c=2 * KIB))
    assert fetched == ["a.bin", "b.bin"]


async def test_what_a_sandbox_says_of_its_files_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    runtime, _ = watched(monkeypatch, says=-(1 << 40))
    with pytest.raises(FileRefused, match="65536 bytes"):
        await runtime.run(writing(a=40 * KIB, b=40 * KIB))


@pytest.mark.parametrize("sandbox", ["off", "required"])
@pytest.mark.parametrize(
    "files",
    [{"a": b"", "a/b": b""}, {"a/b": b"", "a": b""}, {"a" * 300: b""}, {".codin": b""}],
    ids=["below-a-file", "a-folder", "too-long", "ours"],
)
async def test_a_file_that_cannot_be_written_is_named(sandbox: SandboxDemand, files: dict[str, bytes]) -> None:
    async with LocalRuntime(sandboxes=["local"]) as runtime:
        with pytest.raises(FileRefused) as told:
            await runtime.run(Function(len, [""], files=files, sandbox=sandbox))
    assert told.value.path.startswith(("a", ".codin/"))
