"""How a function is sent."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import cloudpickle
import pytest

from codin.runtime import Function, Module
from codin.runtime.local import LocalRuntime
from tests.runtime import chores

pytestmark = pytest.mark.anyio


@pytest.fixture
async def runtime() -> AsyncIterator[LocalRuntime]:
    async with LocalRuntime() as runtime:
        yield runtime


async def test_a_module_that_the_program_sends_by_value_goes_by_value(
    runtime: LocalRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    def only_here(number: int) -> int:
        return 3 * number

    only_here.__module__, only_here.__qualname__ = chores.__name__, "only_here"
    monkeypatch.setattr(chores, "only_here", only_here, raising=False)
    cloudpickle.register_pickle_by_value(chores)  # pyright: ignore[reportUnknownMemberType]
    try:
        done = await runtime.run(Function(only_here, [2], sandbox="off"))
    finally:
        cloudpickle.unregister_pickle_by_value(chores)  # pyright: ignore[reportUnknownMemberType]
    assert done.value == 6


SOURCE = """
from pathlib import Path

def files():
    here = Path(__file__).parent
    return sorted(path.relative_to(here).as_posix() for path in here.rglob("*") if path.is_file())
"""


async def test_secrets_beside_a_packages_sources_stay_here(
    runtime: LocalRuntime, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    package = tmp_path / "sent_along"
    (package / "data").mkdir(parents=True)
    (package / ".git").mkdir()
    (package / "__init__.py").write_text(SOURCE)
    for name in (".env", ".git/config", "data/words.txt"):
        (package / name).write_text("content")
    tmp_path.joinpath("token").write_text("secret")
    (package / "token.pem").symlink_to(tmp_path / "token")
    (package / "same.txt").symlink_to("data/words.txt")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    done = await runtime.run(Module("sent_along:files", sandbox="off"))
    assert [file for file in done.value if "__pycache__" not in file] == ["__init__.py", "data/words.txt", "same.txt"]
