"""The tools of a workspace."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from codin.errors import ConfigError
from codin.tool import Tool, workspace_tools

pytestmark = pytest.mark.anyio

COUNT = """
from codin.tool import ToolSpec

class Count:
    name = "count"
    spec = ToolSpec("Count words.")

    async def invoke(self, text):
        return len(text.split())

count = Count()
_hidden = Count()

def no_tool(text):
    return text
"""


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a workspace's tools; the test is somewhere in the workspace."""
    (tmp_path / "agents" / "shout").mkdir(parents=True)
    (tmp_path / "tools").mkdir()
    monkeypatch.chdir(tmp_path / "agents" / "shout")
    monkeypatch.delenv("CODIN_TOOLS", raising=False)
    return tmp_path / "tools"


async def test_what_the_files_make_is_there(tools: Path) -> None:
    (tools / "count.py").write_text(COUNT)
    (tools / "_private.py").write_text("raise RuntimeError")
    found = workspace_tools()
    assert found.keys() == {"count"}
    assert isinstance(found["count"], Tool)
    assert await found["count"].invoke("two words") == 2
    assert workspace_tools()["count"] is found["count"]


def test_the_environment_says_where(tools: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "count.py").write_text(COUNT.replace('"count"', '"counter"'))
    monkeypatch.setenv("CODIN_TOOLS", str(tmp_path / "elsewhere"))
    assert workspace_tools().keys() == {"counter"}
    monkeypatch.setenv("CODIN_TOOLS", str(tmp_path / "gone"))
    assert workspace_tools() == {}


def test_two_tools_of_one_name(tools: Path) -> None:
    (tools / "a.py").write_text(COUNT)
    (tools / "b.py").write_text(COUNT)
    with pytest.raises(ConfigError, match=r"b\.py and .*a\.py both make a tool 'count'"):
        workspace_tools()


def test_a_file_that_is_broken_is_named(tools: Path) -> None:
    (tools / "a.py").write_text("import no_such_module")
    with pytest.raises(ConfigError, match=r"a\.py cannot be imported: ModuleNotFoundError: No module"):
        workspace_tools()


async def test_files_import_each_other(tools: Path) -> None:
    """A tool that another file imports is the same one there, and no name of a file gets in anybody's way."""
    count = COUNT.replace("count", "siblings")
    (tools / "sibling_counts.py").write_text(count + "from _sibling_rates import RATE\n")
    (tools / "_sibling_rates.py").write_text("RATE = 2\n")
    (tools / "a_pay.py").write_text("from sibling_counts import RATE, siblings\n" + COUNT.replace("count", "pay"))
    (tools / "colorsys.py").write_text("raise RuntimeError\n")
    with pytest.raises(ConfigError, match=r"colorsys\.py cannot be imported: RuntimeError"):
        workspace_tools()
    assert importlib.import_module("colorsys").rgb_to_hsv(0, 0, 0) == (0.0, 0.0, 0)
    (tools / "colorsys.py").unlink()
    found = workspace_tools()
    assert found.keys() == {"pay", "siblings"}
    assert await found["siblings"].invoke("two words") == 2


def test_where_there_is_no_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CODIN_TOOLS", raising=False)
    monkeypatch.chdir(tmp_path)
    assert workspace_tools() == {}
