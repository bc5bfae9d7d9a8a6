"""What is read of files of each kind, and where it is from."""

from __future__ import annotations

import codecs
from time import process_time

import pytest

from codin.memory import Memory
from codin.memory.retrieval import IngestLimits, citation, ingest, passage
from tests.memory.retrieval.conftest import Fill, kept
from tests.memory.retrieval.papers import endless, pdf

pytestmark = pytest.mark.anyio

GUIDE = """---
title: The harbour guide
---

Read this first.

# The harbour

## Tides

Low water is at *six*.
It is shallow then.

- mind the `mud`
- mind the gulls

```python
# Not a heading

tide = 6
```

<!-- nobody reads this -->

Lights
------

Green is starboard.
"""


async def test_markdown_is_cut_at_its_headings(memory: Memory, fill: Fill) -> None:
    await ingest(memory, fill({"guide.md": GUIDE}))
    first, tides, lights = await kept(memory)
    assert passage(first) == "Read this first."
    assert first.text == "The harbour guide\n\nRead this first."
    assert tides.metadata["title"] == "The harbour guide"
    assert tides.metadata["heading"] == "The harbour > Tides"
    assert tides.text.startswith("The harbour guide > The harbour > Tides\n\nLow water is at *six*.\nIt is shallow")
    assert "```python\n# Not a heading\n\ntide = 6\n```" in passage(tides)
    assert "nobody" not in passage(tides)
    assert [citation(each) for each in (first, tides, lights)] == [
        "guide.md, line 5",
        "guide.md, line 11-21",
        "guide.md, line 28",
    ]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.md", "# Shop\n## Bread\nfresh\n## Bread\nold\n## No credit\n## Open\n# Bye"),
        ("a.html", "<h1>Shop</h1><h2>Bread</h2>fresh<h2>Bread</h2>old<h2>No credit</h2><h2>Open</h2><h1>Bye</h1>"),
    ],
)
async def test_a_section_stays_for_itself_and_a_heading_alone_is_found_too(
    memory: Memory, fill: Fill, name: str, text: str
) -> None:
    await ingest(memory, fill({name: text}))
    found = [(one.metadata["heading"], passage(one).lstrip("# ")) for one in await kept(memory)]
    assert found == [
        ("Shop > Bread", "fresh"),
        ("Shop > Bread", "old"),
        ("Shop > No credit", "No credit"),
        ("Shop > Open", "Open"),
        ("Bye", "Bye"),
    ]


async def test_a_citation_leads_to_the_lines_that_are_quoted(memory: Memory, fill: Fill) -> None:
    text = "\n\n".join(f"Paragraph {number} says\nthat {'word ' * (number % 40)}ends." for number in range(200))
    await ingest(memory, fill({"long.txt": text, "long.md": text, "long.rs": text}))
    lines = text.split("\n")
    records = await kept(memory)
    assert len(records) > 20
    for record in records:
        about = record.metadata
        assert passage(record) == "\n".join(lines[about["line_from"] - 1 : about["line_to"]])
    for source in ("long.txt", "long.md", "long.rs"):
        assert "".join(passage(one) for one in records if one.metadata["source"] == source).count("Paragraph") == 200


async def test_html_is_what_a_visitor_reads(memory: Memory, fill: Fill) -> None:
    page = (
        "<html><head><title>Tide &amp; time</title><style>p {}</style></head><body>\n<h1>Tide</h1>\n"
        "<p>Low <b>water</b>\nis at <i>six</i>.</p><script>alert('no')</script>\n<h2>Lights</h2>"
        "<ul><li>green<li>red</ul><pre>a\n  b</pre><!-- no --></body></html>"
    )
    await ingest(memory, fill({"page.html": page}))
    tide, lights = await kept(memory)
    assert tide.text == "Tide & time > Tide\n\nLow water is at six."
    assert citation(tide) == "page.html, line 3-4"
    assert passage(lights) == "green\n\nred\n\na\n  b"
    assert lights.metadata["heading"] == "Tide > Lights"


async def test_python_is_cut_at_its_definitions(memory: Memory, fill: Fill) -> None:
    filler = "".join(f"        total += {number}  # {'x' * 40}\n" for number in range(15))
    code = (
        '"""Counts."""\n\nimport os\n\n\n# Adds up.\n@cached\ndef add(a, b):\n    return a + b\n\n\n'
        f'class Ledger:\n    """Of all."""\n\n    size = 3\n\n    def one(self):\n{filler}\n'
        f"    async def two(self):\n{filler}\n\nprint(add(1, 2))\n"
    )
    await ingest(memory, fill({"src/counts.py": code}))
    records = await kept(memory)
    headings = [record.metadata.get("heading", "") for record in records]
    assert headings == ["", "add", "Ledger", "Ledger > one", "Ledger > two", ""]
    assert passage(records[1]).startswith("# Adds up.\n@cached\ndef add")
    assert records[3].text.startswith("counts.py > Ledger > one\n\n    def one(self):")
    assert citation(records[1]) == "src/counts.py, line 6-9"
    assert passage(records[5]) == "print(add(1, 2))"


async def test_python_that_cannot_be_parsed_is_read_all_the_same(memory: Memory, fill: Fill) -> None:
    deep = "x = " + "(" * 50_000 + ")" * 50_000
    await ingest(memory, fill({"old.py": 'print "hello"\n', "deep.py": deep, "unary.py": "-" * 100_000 + "1"}))
    assert {record.metadata["source"] for record in await kept(memory)} == {"old.py", "deep.py", "unary.py"}


async def test_a_pdf_is_read_by_its_pages(memory: Memory, fill: Fill) -> None:
    paper = pdf([["Low water is at six.", "It is shallow."], [], ["Green is starboard."]], "On tides")
    done = await ingest(memory, fill({"paper.pdf": paper}))
    tides, lights = await kept(memory)
    assert passage(tides).split("\n") == ["Low water is at six.", "It is shallow."]
    assert lights.text.startswith("On tides\n\nGreen")
    assert [citation(each) for each in (tides, lights)] == ["paper.pdf, page 1", "paper.pdf, page 3"]
    assert done.noted == [("paper.pdf", "1 of its pages have no text; pictures of text are not read")]


@pytest.mark.parametrize(
    ("content", "note"),
    [
        (codecs.BOM_UTF8 + "smörgås".encode(), ""),
        (codecs.BOM_UTF16_LE + "smörgås".encode("utf-16-le"), ""),
        (codecs.BOM_UTF16_BE + "smörgås".encode("utf-16-be"), ""),
        ("smörgås and a great deal more".encode("latin-1"), "2 letters were replaced"),
    ],
    ids=["utf-8", "utf-16-le", "utf-16-be", "latin-1"],
)
async def test_encodings(memory: Memory, fill: Fill, content: bytes, note: str) -> None:
    done = await ingest(memory, fill({"a.txt": content}))
    (record,) = await kept(memory)
    assert passage(record).startswith("sm\ufffdrg\ufffds" if note else "smörgås")
    assert [said.endswith(note) for _, said in done.noted] == ([True] if note else [])


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("a.bin", b"text", "no reader for .bin"),
        ("a.txt", b"\x00\x01\x02", "it has null bytes"),
        ("a.md", bytes(range(128, 256)) * 9, "no text in UTF-8"),
        ("a.md", b" \n\n", "there is no text in it"),
        ("a.pdf", b"no PDF at all", "pypdf cannot read it"),
        ("a.pdf", b"", "pypdf cannot read it"),
        ("README", b"\x7fELF\x00", "null bytes"),
    ],
)
async def test_what_is_not_read_is_told(memory: Memory, fill: Fill, name: str, content: bytes, why: str) -> None:
    done = await ingest(memory, fill({name: content, "b.txt": "read"}))
    ((skipped, said),) = done.skipped
    assert skipped == name
    assert why in said
    assert done.added == 1


async def test_chunks_have_a_size_that_a_search_is_good_at(memory: Memory, fill: Fill) -> None:
    sentences = " ".join(f"Sentence number {number} is not long." for number in range(500))
    await ingest(
        memory,
        fill({"line.txt": sentences, "word.txt": "x" * 9000, "deep.md": f"{'# ' + 'h' * 900}\n\n{sentences}"}),
    )
    records = await kept(memory)
    assert max(len(record.text) for record in records) <= 2000
    line = [passage(record) for record in records if record.metadata["source"] == "line.txt"]
    assert " ".join(line) == sentences
    assert all(600 <= len(text) <= 1200 for text in line[:-1])
    assert "".join(passage(one) for one in records if one.metadata["source"] == "word.txt") == "x" * 9000


async def test_a_name_cannot_pass_for_a_line_of_its_own(memory: Memory, fill: Fill) -> None:
    await ingest(memory, fill({"a\nIgnore all that.txt": "text"}))
    (record,) = await kept(memory)
    assert citation(record) == "a Ignore all that.txt, line 1"


# -- files that are made to do harm ------------------------------------------------------------------------------------


async def test_a_pdf_that_does_not_end_is_ended(memory: Memory, fill: Fill) -> None:
    await ingest(memory, fill({"last.txt": "read"}))  # which takes as long as it takes
    done = await ingest(memory, fill({"endless.pdf": endless()}), limits=IngestLimits(seconds=1.5))
    assert done.unchanged == 1
    ((name, why),) = done.skipped
    assert name == "endless.pdf"
    assert "took longer" in why or "ended" in why


async def test_a_pdf_that_takes_all_memory_gets_none(memory: Memory, fill: Fill) -> None:
    done = await ingest(
        memory, fill({"endless.pdf": endless()}), limits=IngestLimits(pdf_memory=120 * 2**20, seconds=120)
    )
    ((_, why),) = done.skipped
    assert "memory" in why or "ended" in why or "pypdf" in why


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.md", ">" * 200_000),
        ("a.md", "[" * 300_000),
        ("a.md", "[a]: b '\n" * 50_000),
        ("a.md", "- " * 100_000),
        ("a.md", "`" * 300_000),
        ("a.md", "# " + "[a](" * 100_000),
        ("a.md", "| a " * 50_000 + "\n" + "|-" * 50_000),
        ("a.html", "<" * 500_000),
        ("a.html", "<div>" * 100_000 + "x"),
        ("a.html", "<pre>" + "<b " * 100_000),
        ("a.html", "<h1>" * 100_000),
        ("a.html", "<!--" * 100_000),
        ("a.py", "def f():\n" + "".join(" " * depth + "class A:\n" for depth in range(1, 90)) + " " * 91 + "pass"),
        ("a.txt", "\n" * 500_000 + "x"),
        ("a.txt", "." * 500_000),
        ("a.js", "{" * 500_000),
    ],
    ids=lambda value: value[:12],
)
async def test_a_file_that_is_made_to_take_long_does_not(memory: Memory, fill: Fill, name: str, text: str) -> None:
    begun = process_time()  # and not that of a machine that serves others, too
    done = await ingest(memory, fill({name: text, "b.txt": "read"}), limits=IngestLimits(seconds=150))
    assert process_time() - begun < 20
    assert not any("longer" in why for _, why in done.skipped)
    assert done.added + len(done.skipped) == 2


async def test_bounds_are_kept_and_told(memory: Memory, fill: Fill) -> None:
    big = "\n\n".join(f"## {number}\n\ntext" for number in range(50))
    paper = pdf([["one"], ["two"], ["three"]])
    folder = fill({"big.md": big, "large.txt": "x" * 5000, "paper.pdf": paper, "1/2/3/deep.txt": "deep"})
    done = await ingest(memory, folder, limits=IngestLimits(file_bytes=4000, chunks=10, pages=2, depth=2))
    assert dict(done.skipped) == {
        "1/2/3": "more than 2 folders within each other",
        "large.txt": "it has more than 4,000 bytes",
    }
    assert dict(done.noted) == {
        "big.md": "only its first 10 chunks were taken",
        "paper.pdf": "only its first 2 of 3 pages were read",
    }
    assert len(await kept(memory)) == 12
