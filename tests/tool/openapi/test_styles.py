"""The table of styles in the specification, row by row. Source: OpenAPI 3.1, 4.8.12.6."""

from __future__ import annotations

from typing import Any

import pytest

from codin.tool.openapi._styles import pairs, plain

ARRAY, OBJECT = ["blue", "black"], {"R": 100, "G": 200}


@pytest.mark.parametrize(
    ("style", "explode", "value", "text"),
    [
        ("simple", False, "blue", "blue"),
        ("simple", False, ARRAY, "blue,black"),
        ("simple", False, OBJECT, "R,100,G,200"),
        ("simple", True, OBJECT, "R=100,G=200"),
        ("label", False, "blue", ".blue"),
        ("label", False, ARRAY, ".blue,black"),
        ("label", True, ARRAY, ".blue.black"),
        ("label", True, OBJECT, ".R=100.G=200"),
        ("matrix", False, "", ";color"),
        ("matrix", False, "blue", ";color=blue"),
        ("matrix", False, ARRAY, ";color=blue,black"),
        ("matrix", True, ARRAY, ";color=blue;color=black"),
        ("matrix", True, OBJECT, ";R=100;G=200"),
        ("simple", False, "a/b,c", "a%2Fb%2Cc"),
    ],
)
def test_paths(style: str, explode: bool, value: Any, text: str) -> None:
    assert plain(value, "color", style, explode=explode, quoted=True) == text


@pytest.mark.parametrize(
    ("style", "explode", "value", "text"),
    [
        ("form", True, "", "color="),
        ("form", True, True, "color=true"),
        ("form", True, ARRAY, "color=blue&color=black"),
        ("form", False, ARRAY, "color=blue,black"),
        ("form", False, OBJECT, "color=R,100,G,200"),
        ("form", True, OBJECT, "R=100&G=200"),
        ("spaceDelimited", False, ARRAY, "color=blue%20black"),
        ("pipeDelimited", False, ARRAY, "color=blue|black"),
        ("deepObject", True, OBJECT, "color%5BR%5D=100&color%5BG%5D=200"),
        ("form", True, "a&b=c#d", "color=a%26b%3Dc%23d"),
    ],
)
def test_queries(style: str, explode: bool, value: Any, text: str) -> None:
    assert "&".join(f"{name}={each}" for name, each in pairs(value, "color", style, explode=explode)) == text


def test_reserved_letters_may_stay_but_never_end_the_value() -> None:
    assert pairs("a/b?c&d=#", "q", "form", explode=True, reserved=True) == [("q", "a/b?c%26d%3D%23")]
