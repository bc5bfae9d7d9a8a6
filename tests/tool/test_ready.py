"""The tools that are ready for use, and what they refuse: a model calls them, or somebody who misleads one."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from time import perf_counter
from typing import Any

import pytest

from codin.errors import ToolError, ToolFailed, ToolRefused, ToolTimeout
from codin.net import AddressGuard
from codin.tool import ToolExecutor, ToolLimits, in_runtime
from codin.tool.ready import Fetch, Files, Page, Python, Shell, Sql

pytestmark = pytest.mark.anyio

needs_a_sandbox = pytest.mark.skipif(shutil.which("bwrap") is None, reason="no bubblewrap")

# -- files -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "outside.txt").write_text("k3y")
    inside = tmp_path / "inside"
    (inside / "notes").mkdir(parents=True)
    (inside / "notes" / "tea.txt").write_text("Tea is hot.\nWater is not.\n")
    (inside / "link.txt").symlink_to(tmp_path / "outside.txt")
    (inside / "up").symlink_to(tmp_path)
    (inside / "bytes").write_bytes(b"\xff\xfe\x00")
    os.mkfifo(inside / "pipe")
    return inside


async def test_files_are_read_written_listed_and_found(folder: Path) -> None:
    files = ToolExecutor(Files(folder, writable=True).tools)
    assert await files.call("read_file", {"path": "notes/tea.txt"}) == "Tea is hot.\nWater is not.\n"
    assert await files.call("write_file", {"path": "new/deep/a.txt", "text": "TEA é"}) == 6
    assert (folder / "new/deep/a.txt").read_text(encoding="utf-8") == "TEA é"
    assert [entry["path"] for entry in await files.call("list_files")] == ["bytes", "new", "notes", "pipe"]
    assert await files.call("search_files", {"words": "tea"}) == [
        {"path": "new/deep/a.txt", "line": 1, "text": "TEA é"},
        {"path": "notes/tea.txt", "line": 1, "text": "Tea is hot."},
    ]
    assert [hit["path"] for hit in await files.call("search_files", {"words": "not", "folder": "notes"})] == [
        "notes/tea.txt"
    ]


@pytest.mark.parametrize(
    "path",
    [
        *("../outside.txt", "notes/../../outside.txt", "/etc/passwd", "link.txt", "up/outside.txt", "up/inside/bytes"),
        *("", ".", "notes", "pipe", "bytes", "no\0tes", "..\\outside.txt", "notes/tea.txt/x", "x" * 5000),
    ],
)
async def test_no_path_leads_out_of_the_folder(folder: Path, path: str) -> None:
    files = ToolExecutor(Files(folder).tools)
    with pytest.raises(ToolRefused):
        await files.call("read_file", {"path": path})


@pytest.mark.parametrize(
    "path",
    [
        *("../new.txt", "/tmp/new.txt", "up/new.txt", "up/../../new.txt", ".", "notes", "bytes/new.txt"),
        *("x" * 300, "x" * 300 + "/new.txt", "notes/" + "x" * 300 + "/new.txt"),
    ],
)
async def test_nothing_is_written_outside(folder: Path, path: str) -> None:
    files = ToolExecutor(Files(folder, writable=True).tools)
    with pytest.raises(ToolRefused):
        await files.call("write_file", {"path": path, "text": "x"})
    assert not (folder.parent / "new.txt").exists()


async def test_writing_to_a_link_leaves_what_it_points_to(folder: Path) -> None:
    await ToolExecutor(Files(folder, writable=True).tools).call("write_file", {"path": "link.txt", "text": "new"})
    assert (folder.parent / "outside.txt").read_text() == "k3y"


async def test_files_have_bounds_and_are_read_only_by_default(folder: Path) -> None:
    small = Files(folder, writable=True, max_bytes=10)
    with pytest.raises(ToolRefused, match="10 are allowed"):
        await ToolExecutor(small.tools).call("write_file", {"path": "a", "text": "x" * 11})
    with pytest.raises(ToolRefused, match="more than 10 bytes"):
        await ToolExecutor(small.tools).call("read_file", {"path": "notes/tea.txt"})
    assert "write_file" not in [each.name for each in Files(folder).tools]


async def test_folders_are_followed_as_far_as_a_path_leads(tmp_path: Path) -> None:
    files = ToolExecutor(Files(tmp_path, writable=True).tools)
    await files.call("write_file", {"path": "d/" * 63 + "a.txt", "text": "tea"})
    for call in ({"path": "d/" * 64 + "a.txt", "text": "tea"}, {"path": "d/" * 2000 + "a.txt", "text": "tea"}):
        with pytest.raises(ToolRefused, match="64 are allowed"):
            await files.call("write_file", call)
    deep = tmp_path.joinpath(*["d"] * 63, "e")
    (deep / "f").mkdir(parents=True)
    (deep / "f" / "b.txt").write_text("tea")
    assert [hit["path"] for hit in await files.call("search_files", {"words": "tea"})] == ["d/" * 63 + "a.txt"]
    assert (await files.call("read_file", {"path": "d/" * 63 + "a.txt"})) == "tea"


async def test_what_goes_while_a_folder_is_listed_is_not_in_the_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("here", "gone"):
        (tmp_path / name).write_text("x")
    scandir = os.scandir

    @contextmanager
    def slow(place: int) -> Generator[list[os.DirEntry[str]]]:
        with scandir(place) as entries:
            found = list(entries)
        (tmp_path / "gone").unlink()
        yield found

    monkeypatch.setattr(os, "scandir", slow)
    assert [each["path"] for each in await ToolExecutor(Files(tmp_path).tools).call("list_files")] == ["here"]


# -- programs ----------------------------------------------------------------------------------------------------------


@needs_a_sandbox
async def test_programs_run_in_a_sandbox() -> None:
    executor = ToolExecutor([Shell(), Python()], run=in_runtime())
    done = await executor.call("shell", {"argv": ["cat", "a.txt", "-"], "files": {"a.txt": "one "}, "stdin": "two"})
    assert (done["ok"], done["stdout"]) == (True, "one two")
    done = await executor.call("python", {"code": "open('out.svg', 'w').write('<svg/>'); print(6 * 7)"})
    assert (done["stdout"], done["files"]) == ("42\n", [{"path": "out.svg", "text": "<svg/>"}])
    done = await executor.call("python", {"code": "print(1)\n1 / 0"})
    assert (done["ok"], done["exit_code"], done["stdout"]) == (False, 1, "1\n")
    assert "ZeroDivisionError" in done["stderr"]
    done = await executor.call("shell", {"argv": ["cat", "/etc/shadow"]})
    assert not done["ok"]
    assert (await Python().invoke(code="print(1)"))["stdout"] == "1\n"


@needs_a_sandbox
async def test_a_program_that_hangs_is_stopped() -> None:
    with pytest.raises(ToolTimeout):
        await ToolExecutor([Python(timeout=1)], run=in_runtime()).call("python", {"code": "while True: pass"})


@pytest.mark.parametrize("path", ["../a", "/a", "a/../../b", ".codin/job.json"])
async def test_files_of_a_program_stay_in_its_folder(path: str) -> None:
    with pytest.raises(ToolError):
        await ToolExecutor([Python()], run=in_runtime()).call("python", {"code": "1", "files": {path: ""}})


async def test_without_a_sandbox_no_code_runs() -> None:
    with pytest.raises(ToolRefused, match="sandbox only"):
        await ToolExecutor([Python()]).call("python", {"code": "1"})


# -- the web -----------------------------------------------------------------------------------------------------------

METADATA = "http://169.254.169.254/latest/meta-data/"


def encoded(asked: str) -> tuple[Mapping[str, str], bytes]:
    """A page in an encoding, which the `head` of the answer names or the `page`; or one that it is only `called`."""
    where, _, name = asked.partition("/")
    if where == "called":
        return {"content-type": f"text/html; charset={name}"}, "<title>Чай</title>".encode()
    page = f"<meta charset={name}><title>Чай 茶</title>".encode(name, "xmlcharrefreplace")
    return {"content-type": f"text/html; charset={name.upper()}" if where == "head" else "text/html"}, page


PAGES = {
    "table": (
        200,
        b"<table><tr><th>Year<th>Cups<tr><td>2023</td><td>10</td></tr></table><label>New</label>"
        b"<button>A<b> d</b>d</button>",
    ),
    "gone": (
        404,
        b"<base target=_top><base href='/shop/?a=1&amp;b'><base href='/no/'>Gone <a href=tea>tea</a>",
    ),
}


class Site(BaseHTTPRequestHandler):
    """Answers as an attacker would."""

    def do_GET(self) -> None:
        kind, _, rest = self.path[1:].partition("/")
        headers: Mapping[str, str] = {"content-type": "text/html; charset=utf-8"}
        status, body = 200, b"<title>Tea</title><p>hot<script>no()</script> &amp; <a href='/more'>more</a>"
        if kind == "to":
            status, headers, body = 302, {"location": rest}, b""
        elif kind == "round":
            status, headers, body = 302, {"location": "/round/"}, b""
        elif kind == "zip":
            headers = {**headers, "content-encoding": "gzip"}
        elif kind == "image":
            headers = {"content-type": "image/png"}
        elif kind == "encoded":
            headers, body = encoded(rest)
        elif kind in PAGES:
            status, body = PAGES[kind]
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        try:
            self.wfile.write(body)
            while kind == "endless":
                self.wfile.write(b"x" * 65536)
        except OSError:
            return

    def log_message(self, format: str, *args: Any) -> None:
        return


@pytest.fixture
def site() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("where", ["head", "page"])
@pytest.mark.parametrize("encoding", ["utf-8", "windows-1251", "koi8-r", "shift_jis", "gb18030", "iso-8859-5"])
async def test_pages_are_read_in_their_encoding(site: str, encoding: str, where: str) -> None:
    page = ToolExecutor([Page(guard=AddressGuard(allow_loopback=True)).read_page])
    assert (await page.call("read_page", {"url": f"{site}/encoded/{where}/{encoding}"}))["title"] == "Чай 茶"


@pytest.mark.parametrize("encoding", ["idna", "unicode_escape", "rot13", "hex", "no-such"])
async def test_what_is_no_encoding_of_the_web_is_utf_8(site: str, encoding: str) -> None:
    page = ToolExecutor([Page(guard=AddressGuard(allow_loopback=True)).read_page])
    assert (await page.call("read_page", {"url": f"{site}/encoded/called/{encoding}"}))["title"] == "Чай"


async def test_pages_are_read_as_text(site: str) -> None:
    guard = AddressGuard(allow_loopback=True)
    web = ToolExecutor([Fetch(guard=guard).fetch, Page(guard=guard).read_page])
    assert (await web.call("fetch", {"url": f"{site}/"}))["text"].startswith("<title>")
    assert await web.call("read_page", {"url": f"{site}/to//page#part"}) == {
        "url": f"{site}/page",
        "status": 200,
        "title": "Tea",
        "text": "hot & more",
        "links": [{"text": "more", "url": f"{site}/more"}],
    }


async def test_a_page_says_its_status_and_its_links_begin_at_its_base(site: str) -> None:
    web = ToolExecutor([Page(guard=AddressGuard(allow_loopback=True)).read_page])
    assert await web.call("read_page", {"url": f"{site}/gone/a/b"}) == {
        "url": f"{site}/gone/a/b",
        "status": 404,
        "title": "",
        "text": "Gone tea",
        "links": [{"text": "tea", "url": f"{site}/shop/tea"}],
    }


async def test_what_cannot_be_reached_has_failed_and_may_be_tried_again(site: str) -> None:
    guard = AddressGuard(allow_loopback=True)
    web = ToolExecutor([Fetch(guard=guard).fetch, Page(guard=guard).read_page])
    for url in ("http://no-such-name.invalid/", "http://127.0.0.1:1/", f"{site}/to/http://127.0.0.1:1/"):
        for name in ("fetch", "read_page"):
            with pytest.raises(ToolFailed, match="could not be reached") as failed:
                await web.call(name, {"url": url})
            assert failed.value.retryable


@pytest.mark.parametrize(
    "url",
    [
        *("file:///etc/passwd", "ftp://example.com", "gopher://127.0.0.1", "http://", "http://[::1", "nothing", ""),
        *("http://127.0.0.1:1/", "http://localhost:1/", "http://[::1]:1/", "http://2130706433/", "http://0x7f.1/"),
        *("http://10.0.0.1/", "http://192.168.1.1/", "http://[::ffff:127.0.0.1]/", METADATA, "http://0.0.0.0:1/"),
        *("http://ada:pass@example.com/", "http://example.com:99999/", "http://example.com:x/"),
    ],
)
async def test_what_is_not_in_the_internet_is_not_read(url: str) -> None:
    with pytest.raises(ToolRefused):
        await ToolExecutor([Fetch().fetch]).call("fetch", {"url": url})


async def test_what_stands_apart_on_a_page_is_apart_in_its_text(site: str) -> None:
    page = Page(guard=AddressGuard(allow_loopback=True)).read_page
    read = await ToolExecutor([page]).call("read_page", {"url": f"{site}/table/"})
    assert read["text"] == "Year Cups\n2023 10\nNew A dd"


@pytest.mark.parametrize(
    "where", ["http://10.0.0.1/", METADATA, "file:///etc/passwd", "http://ada:b@127.0.0.1/", "http://[oops"]
)
async def test_a_redirect_is_checked_like_an_address(site: str, where: str) -> None:
    fetch = Fetch(guard=AddressGuard(allow_public=False, allow_loopback=True)).fetch
    with pytest.raises(ToolRefused):
        await ToolExecutor([fetch]).call("fetch", {"url": f"{site}/to/{where}"})


@pytest.mark.parametrize("page", ["endless/", "zip/", "image/", "round/"])
async def test_bodies_without_end_or_in_disguise_are_refused(site: str, page: str) -> None:
    fetch = Fetch(guard=AddressGuard(allow_loopback=True)).fetch
    with pytest.raises(ToolRefused):
        await ToolExecutor([fetch]).call("fetch", {"url": f"{site}/{page}"})


@pytest.mark.parametrize(
    "piece", ["<!--", "<![", "<a ", "<a href='", "<script>", "</", "<?", "&#", "<title>", "</title>", "<a href=x>y</a>"]
)
def test_a_page_that_is_made_for_it_takes_no_longer(piece: str) -> None:
    from codin.tool.ready._page import read_html

    began = perf_counter()
    read_html(piece * (1_000_000 // len(piece)))
    assert perf_counter() - began < 5


# -- SQL ---------------------------------------------------------------------------------------------------------------


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "shop #1?.db"
    with closing(sqlite3.connect(path)) as made, made:
        made.execute("CREATE TABLE tea (name TEXT, price REAL, picture BLOB)")
        made.executemany("INSERT INTO tea VALUES (?, ?, ?)", [("green", 3, b"\0\1"), ("black", 2.5, None)])
    return path


async def test_a_database_is_asked(database: Path) -> None:
    sql = ToolExecutor([Sql(database, max_rows=1).sql])
    asked = {"statement": "SELECT name, picture FROM tea WHERE price > ? ORDER BY 1 DESC", "values": [1]}
    assert await sql.call("sql", asked) == {
        "columns": ["name", "picture"],
        "rows": [["green", "<2 bytes>"]],
        "more": True,
        "changed": 0,
    }


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM tea",
        "WITH x AS (SELECT 1) INSERT INTO tea SELECT 'x', 1, NULL FROM x",
        "WITH x AS (SELECT 1) DELETE FROM tea",
        "UPDATE tea SET price = 0 RETURNING price",
        "SELECT 1; DROP TABLE tea",
        "DROP TABLE tea",
        "CREATE TEMP TABLE t (a)",
        "PRAGMA query_only = OFF",
        "PRAGMA writable_schema = ON",
        "SELECT * FROM pragma_database_list",
        "ATTACH '/tmp/other.db' AS other",
        "VACUUM INTO '/tmp/other.db'",
        "SELECT load_extension('/tmp/x.so')",
        "SELECT writefile('/tmp/x', 'y')",
        "SELECT zeroblob(1000000000)",
        "SELECT printf('%.*c', 1000000000, 'x')",
        "BEGIN",
        "",
        "SELECT",
    ],
)
async def test_a_database_is_only_read(database: Path, statement: str) -> None:
    with closing(sqlite3.connect(database)) as looked:
        before = list(looked.iterdump())
        try:
            found = await ToolExecutor([Sql(database).sql]).call("sql", {"statement": statement})
            assert found["rows"] in ([], [[None]])  # of text that is too long there is none
        except ToolRefused:
            pass
        assert list(looked.iterdump()) == before
    assert [path.name for path in database.parent.iterdir()] == [database.name]


async def test_a_statement_without_end_is_stopped(database: Path) -> None:
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"
    with pytest.raises(ToolTimeout):
        await ToolExecutor([Sql(database, seconds=0.2).sql]).call("sql", {"statement": endless})


@pytest.mark.parametrize("statement", ["SELECT name FROM tea", "DELETE FROM tea"])
async def test_a_database_that_is_locked_may_be_asked_again(database: Path, statement: str) -> None:
    sql = ToolExecutor([Sql(database, writable=True, seconds=0.1).sql])
    with closing(sqlite3.connect(database)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(ToolFailed, match="the database is locked") as failed:
            await sql.call("sql", {"statement": statement})
    assert failed.value.retryable
    assert (await sql.call("sql", {"statement": "SELECT count(*) FROM tea"}))["rows"] == [[2]]


async def test_a_database_is_written_to_when_that_was_typed(database: Path) -> None:
    sql = ToolExecutor([Sql(database, writable=True).sql])
    assert (await sql.call("sql", {"statement": "DELETE FROM tea WHERE name = 'green'"}))["changed"] == 1
    assert (await sql.call("sql", {"statement": "SELECT name FROM tea"}))["rows"] == [["black"]]
    for statement in ("ATTACH '/tmp/other.db' AS other", "PRAGMA journal_mode = OFF", "VACUUM INTO '/tmp/other.db'"):
        with pytest.raises(ToolRefused):
            await sql.call("sql", {"statement": statement})
    for statement in ("BEGIN", "SAVEPOINT s", "COMMIT", "ROLLBACK"):  # of which the next call would know nothing
        with pytest.raises(ToolRefused):
            await sql.call("sql", {"statement": statement})
    added = "INSERT INTO tea SELECT * FROM tea RETURNING name"
    assert (await sql.call("sql", {"statement": added}))["rows"] == [["black"]]
    assert (await sql.call("sql", {"statement": "SELECT name FROM tea"}))["rows"] == [["black"], ["black"]]


async def test_an_answer_has_bounds_however_wide_it_is(tmp_path: Path) -> None:
    path = tmp_path / "wide.db"
    with closing(sqlite3.connect(path)) as made, made:
        made.execute(f"CREATE TABLE wide ({', '.join(f'c{number}' for number in range(600))})")
        made.execute("INSERT INTO wide (c0, c599) VALUES (1, 2)")
    sql = ToolExecutor([Sql(path).sql], limits=ToolLimits(max_result=64 * 1024 * 1024))
    assert (await sql.call("sql", {"statement": "SELECT c0, c599 FROM wide"}))["rows"] == [[1, 2]]
    with pytest.raises(ToolRefused, match="too many columns"):
        await sql.call("sql", {"statement": "SELECT * FROM wide"})
    numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 150)"
    texts = ", ".join(["hex(zeroblob(30000))"] * 10)
    found = await sql.call("sql", {"statement": f"{numbers} SELECT {texts} FROM n"})
    assert (len(found["rows"]), found["more"]) == (28, True), "600 kB each"


async def test_what_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("x" * 5000)
    with pytest.raises(ToolRefused, match="not a database"):
        await ToolExecutor([Sql(tmp_path / "notes").sql]).call("sql", {"statement": "SELECT 1"})
