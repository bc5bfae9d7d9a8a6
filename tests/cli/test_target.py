"""Which agents a target names, seen by the cards that would be published."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from textwrap import dedent

import pytest

import codin as library
from codin.agent._adapt import extras
from tests.cli.conftest import Done

Codin = Callable[..., Done]
Write = Callable[..., Path]

SHOUT = """
from codin.agent import agent

@agent
def shout(text: str) -> str:
    "Say it louder."
    return text.upper()
"""


installed = pytest.mark.skipif(
    not any(point.name == "langgraph" for point in entry_points(group="codin.adapters")),
    reason="codin is not installed with its entry points here: `make` does it",
)


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Writes a file of Python where the command is run."""
    monkeypatch.chdir(tmp_path)

    def write(name: str, *pieces: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(map(dedent, pieces)), encoding="utf-8")
        return path

    return write


@pytest.fixture
def framework(write: Write, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An installed framework «crews» and its adapter, as another distribution brings them."""
    write(
        "site/crews.py",
        """
        from codin.agent import FunctionAgent
        from codin.errors import ConfigError

        class Crew:
            def __init__(self, *members):
                self.members = members

        class Draft: ...
        class Spare(Crew): ...

        def parts(crew):
            return None if isinstance(crew, Spare) else getattr(crew, "members", ())

        def adapt(crew, *, name="crew"):
            if not isinstance(crew, Crew):
                raise ConfigError("a draft is no crew")
            return FunctionAgent(lambda text: text, name=name)
        """,
    )
    write("site/crews-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: crews\nVersion: 1\n")
    write("site/crews-1.dist-info/entry_points.txt", "[codin.adapters]\ncrews = crews:adapt\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path / "site"), *sys.path])


def refused(done: Done) -> str:
    """The one line of an error in what was typed."""
    assert (done.code, done.out) == (2, "")
    (line,) = done.err.splitlines()
    assert line.startswith("error: ")
    return line


def shown(done: Done) -> list[str]:
    """The names of the cards, from their titles."""
    assert done.code == 0, done.err
    return [line.removesuffix("  1.0.0") for line in done.out.splitlines() if line.endswith("  1.0.0")]


def test_the_agent_of_a_file(codin: Codin, write: Write) -> None:
    write("hello.py", SHOUT)
    assert shown(codin("card", "hello.py")) == ["shout"]


def test_the_main_guard_is_not_run_and_neighbours_can_be_imported(codin: Codin, write: Write) -> None:
    write("pack/words.py", "LOUD = str.upper\n")
    write("pack/hello.py", "from words import LOUD", SHOUT, "if __name__ == '__main__':\n    raise SystemExit(7)")
    assert shown(codin("card", "pack/hello.py")) == ["shout"]


def test_all_agents_of_all_targets_each_once(codin: Codin, write: Write) -> None:
    whisper = "@agent\ndef whisper(text: str) -> str:\n    return text.lower()"
    write("hello.py", SHOUT, whisper, "quiet = whisper\n_hidden = agent(whisper, name='hum')")
    write("other/hello.py", SHOUT.replace("shout", "yell"))
    assert shown(codin("card", "hello.py")) == ["shout", "whisper"]
    assert codin("card", "hello.py").out.count("http://127.0.0.1:8000/whisper/  (JSONRPC 1.0)") == 1
    assert shown(codin("card", "other/hello.py:yell")) == ["yell"]


def test_files_of_one_name_are_two_modules(codin: Codin, write: Write) -> None:
    write("a/agent.py", SHOUT)
    write("b/agent.py", SHOUT.replace("shout", "yell"))
    assert shown(codin("card", "a/agent.py")) == ["shout"]
    assert shown(codin("card", "b/agent.py")) == ["yell"]


def test_a_name_in_a_file_or_module(codin: Codin, write: Write) -> None:
    write("team/__init__.py", "")
    write("team/voices.py", SHOUT, "class Box:\n    inner = shout\ndef plain(text: str) -> str:\n    return text")
    assert shown(codin("card", "team/voices.py:shout")) == ["shout"]
    assert shown(codin("card", "team.voices:Box.inner")) == ["shout"]
    assert shown(codin("card", "team.voices:plain")) == ["plain"]
    assert shown(codin("card", "team.voices")) == ["shout"]


def test_what_is_imported_is_not_taken_but_offered(codin: Codin, write: Write) -> None:
    write("hello.py", SHOUT)
    write("desk.py", "from hello import shout")
    assert "there is desk.py:shout" in refused(codin("card", "desk.py"))
    assert shown(codin("card", "desk.py:shout")) == ["shout"]


def test_one_plain_function_serves(codin: Codin, write: Write) -> None:
    write("plain.py", "from os.path import join\ndef double(n: str) -> str:\n    return n * 2\ndef _private(): ...")
    done = codin("card", "plain.py")
    assert shown(done) == ["double"]
    assert (
        done.err
        == "the agent of plain.py is its only public function, double; @agent or plain.py:double makes that sure\n"
    )
    assert codin("card", "plain.py:double").err == ""


def test_of_several_plain_functions_none_is_guessed(codin: Codin, write: Write) -> None:
    write("plain.py", "def one(text: str) -> str: ...\ndef two(text: str) -> str: ...")
    line = refused(codin("card", "plain.py"))
    assert "2 functions that might be meant: one, two" in line
    assert "plain.py:one" in line


@pytest.mark.usefixtures("framework")
def test_objects_that_an_adapter_knows(codin: Codin, write: Write) -> None:
    write("crew.py", "from crews import Crew, Draft\ndef build(text: str): ...\ndraft = Draft()\nnight = Crew()")
    assert shown(codin("card", "crew.py")) == ["crew"]
    write("drafts.py", "from crews import Draft\ndraft = Draft()")
    assert "draft: a draft is no crew" in refused(codin("card", "drafts.py"))


@pytest.mark.usefixtures("framework")
def test_objects_without_names_of_their_own_get_those_of_the_file(codin: Codin, write: Write) -> None:
    write("crews_of_two.py", "from crews import Crew\nnight, day = Crew(), Crew()")
    assert shown(codin("card", "crews_of_two.py")) == ["night", "day"]


@pytest.mark.usefixtures("framework")
def test_parts_by_the_word_of_an_adapter_are_served_only_when_they_are_named(codin: Codin, write: Write) -> None:
    write(
        "crew_of_two.py",
        """
        from crews import Crew, Spare
        deep = Crew()
        night, day = Crew(deep), Crew()
        spare, both = Spare(), Crew(night, day)
        """,
    )
    assert codin("card", "crew_of_two.py").out == codin("card", "crew_of_two.py:both").out
    assert shown(codin("card", "crew_of_two.py:night")) == ["crew"]
    write("spares.py", "from crews import Spare\nspare = Spare()")
    assert "there is spares.py:spare" in refused(codin("card", "spares.py"))


@pytest.mark.usefixtures("framework")
def test_what_an_agent_is_made_of_is_not_served_beside_it(codin: Codin, write: Write) -> None:
    write("both.py", "from crews import Crew\ncrew = Crew()", SHOUT)
    done = codin("card", "both.py")
    assert shown(done) == ["shout"]
    assert done.err == "not served, because both.py has agents of its own: both.py:crew\n"


@installed
def test_a_compiled_graph(codin: Codin, write: Write) -> None:
    pytest.importorskip("langgraph", reason="pip install 'codin[langgraph]'")
    write(
        "graph.py",
        """
        from typing import TypedDict
        from langgraph.graph import END, START, StateGraph

        class State(TypedDict):
            text: str

        def work(state: State) -> State:
            return {"text": state["text"].upper()}

        builder = StateGraph(State)
        builder.add_node("work", work)
        builder.add_edge(START, "work")
        builder.add_edge("work", END)
        brief = builder.compile(name="brief")
        """,
    )
    assert shown(codin("card", "graph.py")) == ["brief"]


@pytest.mark.parametrize(
    ("source", "target", "words"),
    [
        ("", "nowhere.py", "there is no file 'nowhere.py'"),
        ("", "nowhere", "there is no module 'nowhere'"),
        ("", "bad", "'bad' has no agent"),
        ("", "bad.py", "'bad.py' has no agent"),
        ("", "bad.py:thing", "'bad.py' has no 'thing'"),
        ("", "bad.py:", "'bad.py:' is no target"),
        ("", "a/b", "'a/b' is no target"),
        ("", "localhost:8000", "a URL begins with http://"),
        ("x = (", "bad.py", "bad.py:1: '(' was never closed"),
        ("\nx = y", "bad.py", "bad.py:2: NameError: name 'y' is not defined"),
        ("import no_such_thing", "bad.py", "is 'no_such_thing' installed"),
        ("import codin\ncodin.serve(len)", "bad.py", "bad.py:2: codin.serve is called while the file is imported"),
        (
            "from codin import serve\nserve(len)",
            "bad",
            "serve is called while the file is imported. Hint: put the call",
        ),
        ("from codin.server import serve\nserve(len)", "bad.py", "bad.py:2: codin.serve is called while"),
        ("import no_such_thing", "bad", "is 'no_such_thing' installed"),
        ("from . import thing", "bad.py", "name it as package.module"),
        ("raise SystemExit(3)", "bad.py", "bad.py:1: SystemExit: 3"),
        ("from codin.agent import agent\nagent(len)", "bad.py", "bad.py:2: parameter 'obj' of 'len'"),
        ("class Thing: ...", "bad.py:Thing", "'Thing' is a class"),
        ("thing = 3", "bad.py:thing", "cannot be served"),
    ],
)
def test_what_cannot_be_served_is_one_line(codin: Codin, write: Write, source: str, target: str, words: str) -> None:
    write("bad.py", source)
    assert words in refused(codin("card", target))


@installed
@pytest.mark.parametrize(
    ("module", "package", "extra"),
    [
        ("agents", "agents", "openai-agents"),
        ("agno.agent", "agno", "agno"),
        ("crewai", "crewai", "crewai"),
        ("google.adk.agents", "google.adk", "adk"),
        ("langchain_core.runnables", "langchain_core", "langchain"),
        ("langgraph.graph", "langgraph", "langgraph"),
        ("mcp", "mcp", "mcp"),
        ("pydantic_ai", "pydantic_ai", "pydantic-ai"),
    ],
)
def test_a_missing_framework_is_named_with_its_extra(
    codin: Codin, write: Write, monkeypatch: pytest.MonkeyPatch, module: str, package: str, extra: str
) -> None:
    if module != package:
        monkeypatch.delitem(sys.modules, module, raising=False)  # another test may have imported it
    monkeypatch.setitem(sys.modules, package, None)
    write("bad.py", f"import {module}")
    assert f"pip install 'codin[{extra}]' brings {package}" in refused(codin("card", "bad.py"))


@pytest.mark.parametrize("text", ["from codin import agent\n@agent", "import codin\n@codin.agent(name='x')"])
def test_the_module_in_the_place_of_the_decorator_is_told(codin: Codin, write: Write, text: str) -> None:
    write("bad.py", f"{text}\ndef shout(text: str) -> str: ...")
    assert "the decorator in it: from codin.agent import agent" in refused(codin("card", "bad.py"))
    write("other.py", "import json\njson()")
    assert "decorator" not in refused(codin("card", "other.py"))


@installed
def test_every_adapter_has_its_extra() -> None:
    with (Path(__file__).parents[2] / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)["project"]
    frameworks = project["entry-points"]["codin.adapters"].keys() - {"codin"}
    assert extras().keys() == frameworks
    assert set(extras().values()) <= project["optional-dependencies"].keys()


@pytest.mark.parametrize("module", ["codin.no_such_thing", "google.cloud"])
def test_what_no_extra_brings_is_not_said_to_be_in_one(
    codin: Codin, write: Write, monkeypatch: pytest.MonkeyPatch, module: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    write("bad.py", f"import {module}")
    assert "codin[" not in refused(codin("card", "bad.py"))


def test_serving_is_possible_again_after_a_card(codin: Codin, write: Write) -> None:
    from codin.server import serve

    write("bad.py", "import codin\ncodin.serve(len)")
    refused(codin("card", "bad.py"))
    assert library.serve is serve


def test_an_import_that_fails_leaves_nothing_behind(codin: Codin, write: Write) -> None:
    write("half.py", "x = y")
    refused(codin("card", "half.py"))
    assert "half" not in sys.modules
    write("half.py", SHOUT)
    assert shown(codin("card", "half.py")) == ["shout"]
