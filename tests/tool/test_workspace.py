"""The tools of a workspace."""

from __future__ import annotations

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


def test_where_there_is_no_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CODIN_TOOLS", raising=False)
    monkeypatch.chdir(tmp_path)
    assert workspace_tools() == {}
