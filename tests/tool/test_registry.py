"""The registry: names and versions, who sees what, where tools are from."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from codin.agent.adapters import tool_of
from codin.errors import ConfigError, UnknownTool
from codin.tool import ToolRegistry, ToolSpec, tool
from codin.tool import _registry as registry_module
from codin.trust import Caller

pytestmark = pytest.mark.anyio

ADA, BOB = Caller("ada", scopes=frozenset({"read", "pay"})), Caller("bob", scopes=frozenset({"read"}))


class Named:
    """A tool of three members."""

    def __init__(self, name: str, **spec: Any) -> None:
        self.name = name
        self.spec = ToolSpec(spec.pop("description", "Does it."), **spec)

    async def invoke(self) -> str:
        return f"{self.name}@{self.spec.version}"


@tool(tags=["money"], scopes=["pay"])
async def pay(amount: float) -> str:
    """Move money to somebody."""
    return "paid"


@tool
async def search_books(words: str) -> list[str]:
    """Find titles in the library."""
    return []


async def test_the_newest_version_by_default() -> None:
    versions = ["1.9.0", "1.10.0", "2.0.0-rc.1", "0.9"]
    registry = ToolRegistry([Named("x", version=version) for version in versions])
    assert await registry.get("x").invoke() == "x@1.10.0", "a pre-release is for who asks for it"
    assert await registry.get("x@2.0.0-rc.1").invoke() == "x@2.0.0-rc.1"
    registry.add(Named("x", version="2.0.0"))
    assert await registry.get("x").invoke() == "x@2.0.0"
    assert await registry.get("x@1.9.0").invoke() == "x@1.9.0"
    assert [tool.spec.version for tool in registry] == ["2.0.0", "1.10.0", "1.9.0", "0.9", "2.0.0-rc.1"]
    assert [tool.spec.version for tool in registry.list()] == ["2.0.0"]


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("2.0.0-rc.9", "2.0.0-rc.10"),
        ("2.0.0rc9", "2.0.0rc10"),
        ("1.0.0rc1", "1.0.0"),
        ("1.0.0-rc.1", "1.0.0"),
        ("1.0.0", "1.0.0.post1"),
        ("1.0.0-alpha.1", "1.0.0-alpha.beta"),
        ("1.0.0-1", "1.0.0-alpha"),
        ("v1.9", "1.10"),
        ("2.0.0rc1", "1.10.0"),
        ("2.0.0.dev1", "1.10.0.post1"),
    ],
)
def test_versions_have_an_order(older: str, newer: str) -> None:
    for versions in ([older, newer], [newer, older]):
        assert ToolRegistry([Named("x", version=each) for each in versions]).get("x").spec.version == newer


def test_tools_go_by_version_or_as_a_whole() -> None:
    registry = ToolRegistry([Named("x", version="1"), Named("x", version="2"), pay])
    registry.remove("x@2")
    assert registry.get("x").spec.version == "1"
    registry.remove("x")
    assert len(registry) == 1
    for gone in ("x", "x@1", "pay@7"):
        with pytest.raises(UnknownTool):
            registry.remove(gone)
    registry.remove("pay")
    with pytest.raises(UnknownTool, match="there are no tools here"):
        registry.get("pay")


def test_who_lacks_a_scope_finds_nothing() -> None:
    registry = ToolRegistry([pay, search_books])
    assert [tool.name for tool in registry.list(ADA)] == ["pay", "search_books"]
    assert [tool.name for tool in registry.list(BOB)] == ["search_books"]
    assert [tool.name for tool in registry.list(ADA, BOB)] == ["search_books"], "each of them has to have the scopes"
    assert registry.get("pay", ADA) is pay
    assert registry.search("money", BOB) == []
    for asked in ("pay", "pay@1.0.0"):
        with pytest.raises(UnknownTool):
            registry.get(asked, BOB)


def test_a_tool_that_is_hidden_and_one_that_is_not_there_get_one_answer() -> None:
    hidden, without = ToolRegistry([pay, search_books]), ToolRegistry([search_books])
    for asked in ("pay", "pay@1.0.0", "pya"):
        answers: list[tuple[Any, ...]] = []
        for registry in (hidden, without):
            with pytest.raises(UnknownTool) as caught:
                registry.get(asked, BOB)
            answers.append((str(caught.value), caught.value.tool, caught.value.code))
        assert answers[0] == answers[1]


def test_a_newer_version_for_some_leaves_the_older_one_to_the_others() -> None:
    registry = ToolRegistry([Named("x", version="1"), Named("x", version="2", scopes="pay")])
    assert registry.get("x", ADA).spec.version == "2"
    assert registry.get("x", BOB).spec.version == "1"
    assert [tool.spec.version for tool in registry.list(BOB)] == ["1"]


def test_an_unknown_version_gets_those_that_there_are() -> None:
    registry = ToolRegistry([Named("x", version="1"), Named("x", version="2", scopes="pay"), Named("y", scopes="pay")])
    for callers, versions in (((), "2, 1"), ((ADA,), "2, 1"), ((BOB,), "1")):
        with pytest.raises(UnknownTool) as caught:
            registry.get("x@9", *callers)
        assert caught.value.hint == f"there is 'x' in {versions}"
    with pytest.raises(UnknownTool) as caught:
        registry.get("y@9", BOB)
    assert caught.value.hint == "there are x"


def test_an_unknown_name_gets_the_near_ones() -> None:
    registry = ToolRegistry([search_books, *(Named(f"other-{number}") for number in range(20))])
    with pytest.raises(UnknownTool, match="did you mean 'search_books'"):
        registry.get("serach_books")
    with pytest.raises(UnknownTool) as caught:
        registry.get("z" * 10_000)
    assert len(str(caught.value)) < 400
    assert str(caught.value).endswith("and others")


def test_search_looks_at_names_tags_and_descriptions() -> None:
    registry = ToolRegistry([pay, search_books, Named("library", description="Opening hours.")])
    names = [tool.name for tool in registry.search("library")]
    assert names == ["library", "search_books"], "a name says more than a description"
    assert [tool.name for tool in registry.search("MONEY transfers")] == ["pay"]
    assert [tool.name for tool in registry.search("book")] == ["search_books"]
    assert registry.search("zeppelin") == []
    assert len(registry.search("")) == 3


def test_a_search_is_bounded() -> None:
    registry = ToolRegistry([Named(f"thing-{number}", description="a thing") for number in range(150)])
    assert len(registry.search("thing")) == 10
    assert len(registry.search("thing", limit=10**9)) == 100
    assert registry.search("thing", limit=-1) == []


def test_two_of_one_name_and_version_are_named_and_nothing_is_added() -> None:
    registry = ToolRegistry([pay])
    with pytest.raises(ConfigError) as caught:
        registry.add(Named("new"), Named("pay"))
    assert "pay' of" in str(caught.value)
    assert "Named object" in str(caught.value)
    assert len(registry) == 1
    registry.add(pay)  # the same one again says nothing new
    assert len(registry) == 1


@pytest.mark.parametrize("thing", [Named, 3, Named(""), Named("a@b")])
def test_what_is_no_tool(thing: Any) -> None:
    with pytest.raises(ConfigError):
        ToolRegistry([thing])


def test_a_plain_function_and_an_unbound_method_get_a_hint() -> None:
    class Library:
        @tool
        async def find(self, words: str) -> str:
            return words

    async def plain(text: str) -> str:
        return text

    with pytest.raises(ConfigError, match="decorate it with @tool"):
        ToolRegistry([plain])  # pyright: ignore[reportArgumentType]
    with pytest.raises(ConfigError, match=r"instance\.method"):
        ToolRegistry([Library.find])
    assert ToolRegistry([Library().find]).get("find").name == "find"


# -- where they are from -----------------------------------------------------------------------------------------------

COUNT = '''
from codin.tool import tool

@tool
def count(text: str) -> int:
    """Count words."""
    return len(text.split())
'''


async def test_the_tools_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "count.py").write_text(COUNT)
    registry = ToolRegistry()
    registry.add_folder(tmp_path)
    assert await registry.get("count").invoke(text="two words") == 2
    with pytest.raises(ConfigError, match="no folder"):
        registry.add_folder(tmp_path / "gone")


def test_the_tools_of_the_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "agents").mkdir()
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "count.py").write_text(COUNT)
    monkeypatch.chdir(tmp_path / "agents")
    monkeypatch.delenv("CODIN_TOOLS", raising=False)
    registry = ToolRegistry()
    registry.add_folder()
    assert [tool.name for tool in registry.list()] == ["count"]


def test_two_origins_are_both_named(tmp_path: Path) -> None:
    (tmp_path / "count.py").write_text(COUNT)
    registry = ToolRegistry([Named("count")])
    with pytest.raises(ConfigError, match=r"'count' in version '1\.0\.0': .*Named.*count\.py"):
        registry.add_folder(tmp_path)


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> list[EntryPoint]:
    """The entry points of the group `codin.tools`."""
    points: list[EntryPoint] = []

    def entry_points(*, group: str) -> list[EntryPoint]:
        assert group == "codin.tools"
        return points

    monkeypatch.setattr(registry_module, "entry_points", entry_points)
    return points


SEVERAL = [Named("one"), Named("two")]
TAKEN = [Named("one")]


def test_the_tools_of_installed_packages(installed: list[EntryPoint]) -> None:
    installed += [
        EntryPoint("books", f"{__name__}:search_books", "codin.tools"),
        EntryPoint("several", f"{__name__}:SEVERAL", "codin.tools"),
    ]
    registry = ToolRegistry()
    registry.add_installed()
    assert [tool.name for tool in registry.list()] == ["one", "search_books", "two"]


@pytest.mark.parametrize("value", ["no.such.module:x", f"{__name__}:no_such_name", f"{__name__}:BOB"])
def test_an_installed_one_that_is_broken_is_named(installed: list[EntryPoint], value: str) -> None:
    installed.append(EntryPoint("broken", value, "codin.tools"))
    with pytest.raises(ConfigError, match="'broken'"):
        ToolRegistry().add_installed()


def test_what_is_broken_can_be_left_out(tmp_path: Path, installed: list[EntryPoint]) -> None:
    (tmp_path / "count.py").write_text(COUNT)
    (tmp_path / "hollow.py").write_text("import no_such_module")
    (tmp_path / "twice.py").write_text(COUNT)
    installed += [
        EntryPoint("broken", f"{__name__}:no_such_name", "codin.tools"),
        EntryPoint("several", f"{__name__}:SEVERAL", "codin.tools"),
        EntryPoint("taken", f"{__name__}:TAKEN", "codin.tools"),
    ]
    registry = ToolRegistry()
    broken: list[ConfigError] = []
    registry.add_folder(tmp_path, broken=broken.append)
    registry.add_installed(broken=broken.append)
    assert [tool.name for tool in registry.list()] == ["count", "one", "two"]
    for error, named in zip(broken, ["hollow.py", "twice.py", "'broken'", "'taken'"], strict=True):
        assert named in error.message
    fresh = ToolRegistry()
    with pytest.raises(ConfigError, match="'broken'"):
        fresh.add_installed()
    assert len(fresh) == 0


async def test_what_is_no_tool_is_named_without_what_it_holds() -> None:
    @dataclass
    class Client:
        key: str

    for make in (lambda: ToolRegistry([Client("hush")]), lambda: tool_of(Client("hush"))):  # type: ignore[list-item]
        with pytest.raises(ConfigError, match="an object of Client is no tool") as told:
            make()
        assert "hush" not in str(told.value)
