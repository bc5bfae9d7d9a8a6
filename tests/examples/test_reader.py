"""The reader: what it takes for a sentence, and where it says that it stands."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codin import a2a
from codin.agent import Reject
from tests.examples.prose import prose
from tests.examples.shipped import shipped

READER = shipped("reader")


def _read(text: str | bytes, filename: str | None = "notes.md") -> Any:
    raw = text.encode() if isinstance(text, str) else text
    return READER.read(a2a.Part(raw=raw, filename=filename))


def _texts(text: str) -> list[str]:
    return [sentence.text for sentence in _read(text).sentences]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three? Four…", ["One.", "Two!", "Three?", "Four…"]),
        ("It cost 3.5 million. No. 7 was sold.", ["It cost 3.5 million.", "No. 7 was sold."]),
        ("He said no. She left.", ["He said no.", "She left."]),
        ("Dr. J. S. Bach met Mr. Hale.", ["Dr. J. S. Bach met Mr. Hale."]),
        ("So did I. Then it rained.", ["So did I.", "Then it rained."]),
        ('"Why?" he asked. "Because." She left.', ['"Why?" he asked.', '"Because."', "She left."]),
        ("Use a tool, e.g. a hammer. It helps.", ["Use a tool, e.g. a hammer.", "It helps."]),
        ("潮が満ちる。潮が引く！", ["潮が満ちる。", "潮が引く！"]),
        ("Lines are\nbroken anywhere.\r\nEven\r\nso.", ["Lines are\nbroken anywhere.", "Even\r\nso."]),
        ("- One item.\n- Another.\n\n1. First.\n> Quoted.", ["One item.", "Another.", "First.", "Quoted."]),
        ("Before.\n\n```\ncode. More code.\n```\nAfter.", ["Before.", "After."]),
        ("---\ntitle: No. Sentence.\n---\nText.", ["Text."]),
        ("| a. | b. |\n![A picture.](x.png)\n<!-- Not. -->\nText.", ["Text."]),
        ("# Only.\nText without a stop", ["Text without a stop"]),
        ("\ufeffText. ... !!! More.", ["Text.", "More."]),
    ],
)
def test_sentences(text: str, expected: list[str]) -> None:
    assert _texts(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "# Tides\n\nOne.\n\n## Ebb #\n\nTwo.\n",
        "Tides\n=====\nOne.\n\nEbb\n---\nTwo.\n",
        "Tides\n\nOne.\n\nEbb\n\nTwo.\n",  # no marks at all
    ],
)
def test_headings_are_the_sections(text: str) -> None:
    document = _read(text)
    assert [(sentence.section, sentence.text) for sentence in document.sentences] == [
        ("Tides", "One."),
        ("Ebb", "Two."),
    ]
    assert (document.title, document.sections) == ("Tides", ["Tides", "Ebb"])


def test_a_document_without_headings_is_named_after_its_file() -> None:
    document = _read("A line.\n\nAnother line.\n", "log.txt")
    assert (document.title, document.sections) == ("log.txt", [])
    assert [(sentence.number, sentence.section, sentence.line) for sentence in document.sentences] == [
        (1, "", 1),
        (2, "", 3),
    ]


@pytest.mark.parametrize("headings", [True, False])
@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_every_sentence_and_its_source_are_found(seed: int, wrapped: bool, headings: bool) -> None:
    written = prose(seed, wrapped=wrapped, headings=headings)
    found = {(sentence.text, sentence.section, sentence.line) for sentence in _read(written.text).sentences}
    expected = {(text, place.section, place.line) for text, places in written.sentences.items() for place in places}
    assert found == expected


_PIECES = st.sampled_from(
    ["# ", "- ", "> ", "```", "---", "|", "\n", "\n\n", "\r\n", ". ", "! ", "No. ", "A", "b", "7", "é"]
)


@given(st.lists(st.one_of(_PIECES, st.text(max_size=5)), max_size=40).map("".join))
def test_a_quote_is_always_the_documents_own_words(text: str) -> None:
    try:
        document = _read(text)
    except Reject:
        return
    text = text.removeprefix("\ufeff")
    end = 0
    for number, sentence in enumerate(document.sentences, 1):
        assert sentence.number == number
        assert sentence.start >= end
        assert text[sentence.start : sentence.end] == sentence.text
        assert sentence.line == text.count("\n", 0, sentence.start) + 1
        end = sentence.end


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b" \n", "notes.md is empty."),
        (b"\xff\xfeT\x00", "notes.md is not text in UTF-8 (byte 0 does not fit)."),
        (b"a\x00b.", "notes.md is not text: it has null bytes."),
        (b"# Only a heading\n\n- \n", "notes.md has no sentences to read."),
        (b"a" * (READER.LARGEST + 1), "notes.md has 2,000,001 bytes; the reader takes 2,000,000 at most."),
    ],
)
def test_what_cannot_be_read_is_rejected(content: bytes, reason: str) -> None:
    with pytest.raises(Reject, match="^" + reason.replace("(", r"\(").replace(")", r"\)") + "$"):
        _read(content)


def test_an_address_is_not_fetched() -> None:
    with pytest.raises(Reject, match="takes the file itself"):
        READER.read(a2a.Part(url="http://127.0.0.1/notes.md"))
