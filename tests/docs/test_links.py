"""The links of README, docs and the policies lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.pages import PAGES, ROOT, prose_of

EVERYTHING = sorted({*PAGES, *ROOT.glob("*.md")})
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def _anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = _HEADING.findall(page.read_text(encoding="utf-8"))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", EVERYTHING, ids=lambda page: page.stem)
def test_its_links_lead_somewhere(page: Path) -> None:
    for target in _LINK.findall(prose_of(page)):
        place, _, anchor = target.partition("#")
        if place.startswith(("http://", "https://", "mailto:")):
            continue
        found = (page.parent / place).resolve() if place else page
        assert found.exists(), f"{target} of {page.name}"
        assert found.is_relative_to(ROOT), f"{target} of {page.name} leaves the repository"
        if anchor:
            assert anchor in _anchors(found), f"{target} of {page.name}"


def test_every_page_can_be_found_from_the_readme() -> None:
    found = {ROOT / "README.md"}
    coming = list(found)
    while coming:
        page = coming.pop()
        targets = {(page.parent / target.partition("#")[0]).resolve() for target in _LINK.findall(prose_of(page))}
        fresh = targets & set(EVERYTHING) - found
        found |= fresh
        coming += fresh
    assert found == set(EVERYTHING)
