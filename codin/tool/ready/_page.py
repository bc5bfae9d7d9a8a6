"""Web pages as text."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import unescape
from urllib.parse import urljoin

from codin.net import AddressGuard
from codin.net._html import html_tokens
from codin.tool._decorator import tool
from codin.tool.ready._fetch import fetched

__all__ = ["Page", "read_html"]

_LINKS = 100
_LONGEST = 100_000  # letters of the text
_HREF = re.compile(r"""\bhref\s{0,5}=\s{0,5}("[^"]{1,2000}"|'[^']{1,2000}'|[^\s"'>]{1,2000})""", re.IGNORECASE)
_GAPS = frozenset(("td", "th", "button", "label"))
_BREAKS = frozenset(
    (
        *("p", "div", "br", "hr", "li", "ul", "ol", "dl", "dt", "dd", "tr", "table", "section", "article", "header"),
        *("footer", "nav", "main", "aside", "h1", "h2", "h3", "h4", "h5", "h6", "pre", "blockquote", "figure", "form"),
        *("figcaption", "title", "option", "body", "head", "html"),
    )
)


@dataclass
class Link:
    """Of a page."""

    text: str
    url: str


@dataclass
class PageText:
    """What a page says; `status` is that of HTTP."""

    url: str
    status: int
    title: str
    text: str
    links: list[Link]


class Page:
    """The tool `read_page`: a web page as text, with its links. It goes where `Fetch` goes.

    Args:
        guard: which addresses may be read; those in the internet by default.
        max_bytes: of the page.
    """

    def __init__(self, *, guard: AddressGuard | None = None, max_bytes: int = 2 * 1024 * 1024) -> None:
        self._guard = guard or AddressGuard()
        self._max = max_bytes

    @tool(idempotent=True, timeout=30, tags=["http", "web", "html"])
    async def read_page(self, url: str) -> PageText:
        """Read a web page as text, without its markup.

        Args:
            url: the whole address.
        """
        kinds = ("text/html", "application/xhtml+xml", "text/plain")
        got = await fetched(url, self._guard, self._max, kinds, "read_page")
        if got.content_type.startswith("text/plain"):
            return PageText(got.url, got.status, "", got.text[:_LONGEST], [])
        return read_html(got.text, got.url, got.status)


def read_html(source: str, url: str = "", status: int = 200) -> PageText:
    """The text of HTML, its title and its links.

    In one pass, whose time grows with the length and nothing else: the parser of the standard library takes minutes
    for pages that are made for that.
    """
    pieces: list[str] = []
    links: list[Link] = []
    title, begun, href, base = "", 0, "", ""
    for kind, content, _ in html_tokens(source):
        if kind == "text":
            pieces.append(re.sub(r"\s+", " ", unescape(content)))
        elif kind.removeprefix("/") in _BREAKS and kind != "/title":
            pieces.append("\n")
        elif kind.removeprefix("/") in _GAPS:
            pieces.append(" ")
        if kind in ("title", "a"):
            begun, href = len(pieces), content
        elif kind == "base" and not base and (found := _HREF.search(content)):
            base = _target(url, _address(found))
        elif kind == "/title" and not title:
            title = " ".join("".join(pieces[begun:]).split())[:500]
            del pieces[begun:]
        elif kind == "/a" and href and len(links) < _LINKS:
            found = _HREF.search(href)
            text = " ".join("".join(pieces[begun:]).split())[:200]
            href = ""
            if found and (there := _target(base or url, _address(found))):
                links.append(Link(text, there))
    lines = (" ".join(line.split()) for line in "".join(pieces).split("\n"))
    return PageText(url, status, title, "\n".join(line for line in lines if line)[:_LONGEST], links)


def _address(found: re.Match[str]) -> str:
    return unescape(found[1].strip("\"'"))


def _target(base: str, named: str) -> str:
    try:
        there = urljoin(base, named.strip())
    except ValueError:
        return ""
    return there if there.startswith(("http://", "https://")) else ""
