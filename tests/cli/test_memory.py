"""`codin memory`: texts are put into a memory, found, and erased."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from time import monotonic

import pytest

from codin.memory import Memories
from tests.cli.command import PATIENCE, Running, Terminal, run
from tests.cli.conftest import Done

Codin = Callable[..., Done]

TIDES = "# The harbour\n\n## Tides\n\nLow water is at six.\n\n## Lights\n\nGreen is starboard.\n"


@pytest.fixture
def texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to read, in a working folder of its own, with a memory in its `.codin`."""
    for name in ("CODIN_MEMORY", "CODIN_EMBEDDER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    Path(".codin").mkdir()
    folder = tmp_path / "texts"
    folder.mkdir()
    (folder / "harbour.md").write_text(TIDES)
    (folder / "other.txt").write_text("Salt is dear.")
    (folder / "picture.png").write_bytes(b"\x89PNG")
    return folder


def test_a_folder_is_read_and_found(codin: Codin, texts: Path) -> None:
    done = codin("memory", "ingest", texts)
    assert done == Done(0, "2 added, 1 skipped; 3 chunks written\n", "picture.png: no reader for .png\n")
    assert Path(".codin/memory.db").is_file()
    assert codin("memory", "ingest", texts).out == "2 unchanged, 1 skipped\n"
    (texts / "other.txt").unlink()
    (texts / "harbour.md").write_text(TIDES.replace("six", "seven"))
    assert codin("memory", "ingest", texts).out == "1 changed, 1 removed, 1 skipped; 2 chunks written\n"
    found = codin("memory", "search", "when", "is", "low", "water", "-k", 1)
    assert found.code == 0
    place, quote = found.out.splitlines()
    assert place.startswith("1.  harbour.md, line 5  ")
    assert place.endswith("  The harbour > Tides")
    assert quote == "    Low water is at seven."


def test_a_search_for_programs(codin: Codin, texts: Path) -> None:
    done = json.loads(codin("memory", "ingest", texts, "--json", "--agent", "lib").out)
    assert (done["added"], done["skipped"]) == (2, [["picture.png", "no reader for .png"]])
    found = codin("memory", "search", "water salt green", "--agent", "lib", "--json", "--how", "words")
    hits = [json.loads(line) for line in found.out.splitlines()]
    assert {hit["citation"] for hit in hits} == {"harbour.md, line 5", "harbour.md, line 9", "other.txt, line 1"}
    assert [hit["text"] for hit in hits if hit["citation"].startswith("other")] == ["Salt is dear."]
    for where in ("source=other.txt", "line_from=1"):
        (line,) = codin("memory", "search", "water salt", "--agent", "lib", "--json", "--where", where).out.splitlines()
        assert json.loads(line)["citation"] == "other.txt, line 1"
    done = codin("memory", "search", "salt", "--agent", "lib", "--json", "--where", 'line_from="1"')
    assert done == Done(1, "", "nothing was found\n")


def test_whose_it_is(codin: Codin, texts: Path) -> None:
    codin("memory", "ingest", texts, "--agent", "lib", "--caller", "ada")
    codin("memory", "ingest", texts / "other.txt", "--agent", "lib")
    assert codin("memory", "search", "low water", "--agent", "lib", "--caller", "ada", "--how", "words").code == 0
    assert codin("memory", "search", "low water", "--agent", "lib", "--caller", "bob", "--how", "words").code == 1
    assert codin("memory", "search", "salt", "--agent", "lib", "--caller", "bob", "--how", "words").code == 0
    assert codin("memory", "search", "salt", "--agent", "lib", "--tenant", "acme").code == 1
    stats = [json.loads(codin("memory", "stats", "--json", *whose).out)["records"] for whose in _WHOSE]
    assert stats == [4, 4, 3, 1, 0]
    assert codin("memory", "forget", "--caller", "ada", "--yes") == Done(0, "3 things were erased\n", "")
    assert codin("memory", "forget", "--all", "--yes", "--json").out == '{"erased": 1}\n'
    assert codin("memory", "forget", "--agent", "lib", "--yes") == Done(1, "0 things were erased\n", "")
    assert codin("memory", "forget", "--all", "--yes", "--json") == Done(1, '{"erased": 0}\n', "")


_WHOSE = [[], ["--agent", "lib"], ["--caller", "ada"], ["--caller", ""], ["--agent", "other"]]


def test_the_numbers_are_shown(codin: Codin, texts: Path) -> None:
    codin("memory", "ingest", texts, "--agent", "lib", "--embedder", "none")
    head, row = codin("memory", "stats", "--agent", "lib").out.splitlines()
    assert head.split() == ["OF", "CONVERSATIONS", "MESSAGES", "NOTES", "RECORDS", "BLOBS", "VECTORS"]
    assert row.split() == ["agent", "lib", "0", "0", "0", "3", "0", "none:", "3"]


def test_whom_it_knows_is_listed(codin: Codin, texts: Path) -> None:
    codin("memory", "ingest", texts, "--agent", "lib", "--embedder", "none")
    codin("memory", "ingest", texts / "other.txt", "--agent", "lib", "--caller", "ada\nlib  bob")
    head, *rows = codin("memory", "stats", "--by-caller").out.splitlines()
    assert head.split()[:3] == ["AGENT", "CALLER", "CONVERSATIONS"]
    assert [row.split()[:5] for row in rows] == [
        ["lib", "(shared)", "0", "0", "0"],
        ["lib", "ada␊lib", "bob", "0", "0"],
    ]
    codin("memory", "ingest", texts / "other.txt", "--agent", "lib", "--caller", "ada", "--tenant", "acme")
    lines = codin("memory", "stats", "--by-caller", "--json").out.splitlines()
    whose = [(one["tenant"], one["agent"], one["caller"], one["records"]) for one in map(json.loads, lines)]
    assert whose == [("", "lib", "", 3), ("", "lib", "ada\nlib  bob", 1), ("acme", "lib", "ada", 1)]
    assert codin("memory", "stats", "--by-caller", "--tenant", "acme").out.splitlines()[1].split()[:3] == [
        "acme", "lib", "ada",
    ]  # fmt: skip
    assert codin("memory", "forget", "--tenant", "acme", "--caller", "ada", "--yes").code == 0
    assert codin("memory", "stats", "--by-caller", "--caller", "ada") == Done(1, "", "nobody is known\n")


def test_more_callers_than_one_page_are_listed(codin: Codin, texts: Path) -> None:
    async def fill() -> None:
        async with Memories("sqlite:///.codin/memory.db") as memories:
            for number in range(230):
                await memories.of(agent="clerk", caller=f"{number}").notes.set("a", 1)

    asyncio.run(fill())
    lines = codin("memory", "stats", "--by-caller", "--json").out.splitlines()
    assert {json.loads(line)["caller"] for line in lines} == {f"{number}" for number in range(230)}
    assert len(lines) == 230


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["stats"], 2, "there is no memory in"),
        (["search", "x", "--memory", "sqlite:///no.db"], 2, "codin memory ingest PATH makes one"),
        (["search", "x", "--memory", "memory://", "--where", "page"], 2, "'page' is no condition"),
        (["search", "x", "--memory", "memory://", "--where", "a b=1"], 2, "'a b' is no name of a field"),
        (["search", "x", "--memory", "nothing://"], 2, "no memory is known for 'nothing'"),
        (["search", "x", "--memory", "memory://", "--embedder", "nothing"], 2, "nothing"),
        (["ingest", "nowhere"], 2, "'nowhere' does not exist"),
        (["forget", "--memory", "memory://"], 2, "say what: --agent, --caller, or --all"),
        (["forget", "--memory", "memory://", "--all"], 2, "there is nobody to ask: --yes"),
        (["forget", "--memory", "memory://", "--all", "--agent", "x", "--yes"], 2, "--all is everything"),
        (["forget", "--memory", "memory://", "--all", "--caller", "x", "--yes"], 2, "--all is everything"),
        (["stats", "--memory", "postgresql://ada:hunter2/x@127.0.0.1:1/db"], 2, "percent-encode"),
        (["stats", "--memory", "redis://ada:hunter2#@127.0.0.1:1/0"], 2, "percent-encode"),
        (["stats", "--memory", "sqlite://[bad/db"], 2, "the host in the URL of the memory"),
        (["search", "x", "--memory", "redis://127.0.0.1:1/0"], 5, "127.0.0.1"),
    ],
    ids=str,
)
def test_what_goes_wrong_is_one_line(codin: Codin, texts: Path, words: list[str], code: int, said: str) -> None:
    done = codin("memory", *words)
    (line,) = done.err.splitlines()
    assert (done.code, done.out) == (code, "")
    assert line.startswith("error: ")
    assert said in line
    assert "hunter2" not in line


def test_a_file_cannot_give_orders_to_the_terminal(texts: Path) -> None:
    (texts / "a\x1b[2J.txt").write_text("Salt \x1b]0;title\x07 and [bold]water[/bold].")
    url = f"sqlite:///{texts.parent}/m.db"
    with Terminal("memory", "ingest", str(texts), "--memory", url) as terminal:
        terminal.expect("3 added, 1 skipped; 4 chunks written\n")
        assert terminal.wait() == 0
    with Terminal("memory", "search", "title", "--how", "words", "--memory", url) as terminal:
        terminal.expect("a␛[2J.txt, line 1")
        terminal.expect("Salt ␛]0;title␇ and [bold]water[/bold].\n")
        assert terminal.wait() == 0


def test_somebody_is_asked_before_it_is_erased(texts: Path) -> None:
    url = f"sqlite:///{texts.parent}/m.db"
    assert run("memory", "ingest", str(texts), "--memory", url, "--caller", "ada").returncode == 0
    for answer, code, said in (("n", 1, "nothing was erased"), ("y", 0, "3 things were erased")):
        with Terminal("memory", "forget", "--caller", "ada", "--memory", url) as terminal:
            terminal.expect("caller ada")
            terminal.expect("Erase it? [y/N]: ")
            terminal.type(f"{answer}\n")
            terminal.expect(said)
            assert terminal.wait() == code


def test_the_memory_may_be_named_by_the_environment(texts: Path) -> None:
    env = {"CODIN_MEMORY": "sqlite:///named.db", "CODIN_EMBEDDER": "hashing:64"}
    assert run("memory", "ingest", str(texts), env=env, cwd=texts.parent).returncode == 0
    assert '"hashing/64": 3' in run("memory", "stats", "--json", env=env, cwd=texts.parent).stdout
    assert (texts.parent / "named.db").is_file()


def test_a_run_that_is_killed_goes_on(texts: Path) -> None:
    for number in range(300):
        (texts / f"{number}.md").write_text(f"# {number}\n\ntext {number}")
    command = ("memory", "ingest", str(texts), "--memory", "sqlite:///m.db")
    with Running(*command, cwd=texts.parent) as running:
        deadline = monotonic() + PATIENCE
        while not _some(texts.parent):
            assert monotonic() < deadline
        running.kill()
    done = run(*command, "--json", cwd=texts.parent)
    told = json.loads(done.stdout)
    assert told["added"] + told["unchanged"] == 302
    assert told["unchanged"] > 0
    stats = run("memory", "stats", "--json", "--memory", "sqlite:///m.db", cwd=texts.parent)
    assert json.loads(stats.stdout)["records"] == 303


def _some(folder: Path) -> bool:
    done = run("memory", "stats", "--json", "--memory", "sqlite:///m.db", cwd=folder)
    return done.returncode == 0 and json.loads(done.stdout)["records"] > 0
