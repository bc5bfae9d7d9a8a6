"""The page about other people's software is what the matrix of the interop tests says."""

from __future__ import annotations

import pytest

from docs.interop import CELLS, PAGE, TABLE, page, read
from tests.interop import test_matrix


def test_the_page_is_what_the_matrix_says() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "it is out of date; run: .venv/bin/python -m docs.interop"


def test_every_column_is_a_test() -> None:
    assert all(hasattr(test_matrix, f"test_{cell}") for cell in CELLS)


@pytest.mark.parametrize(
    ("given", "instead"),
    [
        ('cell = "failure"', 'cell = "magic"'),
        ('peer = "adk"', 'peer = "nobody"'),
        ('cell = "message"', 'cell = "list"'),
    ],
)
def test_a_matrix_with_something_unknown_in_it_is_refused(given: str, instead: str) -> None:
    text = TABLE.read_text(encoding="utf-8")
    assert given in text
    with pytest.raises(ValueError, match="no such peer or cell"):
        read(text.replace(given, instead))
