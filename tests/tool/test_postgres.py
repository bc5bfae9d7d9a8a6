"""The tool `sql` on a real PostgreSQL: what it gives, and what no statement gets out of it."""

from __future__ import annotations

import asyncio
import json
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest

from codin.errors import ConfigError, ToolError, ToolFailed, ToolRefused, ToolTimeout
from codin.tool import ToolExecutor, ToolLimits
from codin.tool.ready import Postgres
from tests.memory.conftest import missing
from tests.servers import postgres
from tests.servers.postgres import PostgresServer

pytestmark = pytest.mark.anyio

SHOP = """
    CREATE TABLE tea (name text, price numeric, since date, picture bytea, tags text[]);
    INSERT INTO tea VALUES ('green', 3.50, '2020-05-01', '\\x0001', '{fresh,hot}'), ('black', 2, NULL, NULL, NULL);
    CREATE SEQUENCE number;
    CREATE TABLE secret (text text);
    CREATE USER reader; CREATE USER writer; CREATE USER almighty; GRANT pg_read_server_files TO almighty;
    GRANT SELECT ON tea TO reader, almighty; GRANT ALL ON tea TO writer; GRANT ALL ON SEQUENCE number TO reader;
    CREATE FUNCTION steal() RETURNS int LANGUAGE plpgsql SECURITY DEFINER AS
        'BEGIN SET transaction_read_only = off; DELETE FROM tea; RETURN 1; END';
"""


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    if (reason := postgres.why_not()) is not None:
        missing("PostgreSQL", reason)
    with PostgresServer() as running:
        running.ask(SHOP)
        yield running


async def ask(url: str, statement: str, *values: Any, **options: Any) -> Any:
    arguments: dict[str, Any] = {"statement": statement, "values": [*values]}
    return await ToolExecutor([Postgres(url, **options).sql]).call("sql", arguments)


async def test_a_database_is_asked(server: PostgresServer) -> None:
    statement = "SELECT name, price, since, picture, tags, 1::int8 AS name, 'NaN'::float8 FROM tea WHERE price > $1"
    done = await ask(server.url(user="reader"), f"{statement} -- all of them\n;", 2.5)
    assert done == {
        "columns": ["name", "price", "since", "picture", "tags", "name", "float8"],
        "rows": [["green", "3.50", "2020-05-01", "<2 bytes>", "{fresh,hot}", 1, "nan"]],
        "more": False,
        "changed": 0,
    }
    done = await ask(
        server.url(user="reader"), "SELECT name FROM tea WHERE since = $1 AND name = $2", "2020-05-01", "green"
    )
    assert done["rows"] == [["green"]]
    described = await ask(
        server.url(user="reader"), "SELECT column_name FROM information_schema.columns WHERE table_name = 'tea'"
    )
    assert ["price"] in described["rows"]


async def test_much_is_cut(server: PostgresServer) -> None:
    url = server.url(user="reader")
    many = await ask(url, "SELECT * FROM generate_series(1, 1000000) ORDER BY 1", max_rows=3)
    assert (many["rows"], many["more"]) == ([[1], [2], [3]], True)
    long = await ask(url, "SELECT repeat('x', 50000000)")
    assert long["rows"] == [["x" * 65536 + "…"]]
    with pytest.raises(ToolRefused, match="longer than"):
        await ask(url, f"SELECT '{'x' * 70000}'")


async def test_an_answer_has_bounds_however_wide_it_is(server: PostgresServer) -> None:
    url, large = server.url(user="reader"), ToolLimits(max_result=128 * 1024 * 1024)
    sql = ToolExecutor([Postgres(url).sql], limits=large)
    texts = ", ".join(["repeat('x', 60000)"] * 10)
    found = await sql.call("sql", {"statement": f"SELECT {texts} FROM generate_series(1, 150)"})
    assert (len(found["rows"]), found["more"]) == (28, True), "600 kB each"
    texts = ", ".join(["repeat('x', 50000)"] * 1600)
    found = await sql.call("sql", {"statement": f"SELECT {texts} FROM generate_series(1, 150)"})
    assert (len(found["rows"]), found["more"]) == (1, True)
    assert {len(value) for row in found["rows"] for value in row} == {16 * 1024 * 1024 // 1600 + 1}


async def test_a_server_that_is_silent_cannot_be_reached() -> None:
    taken: list[asyncio.StreamWriter] = []
    silent = await asyncio.start_server(lambda _, writer: taken.append(writer), "127.0.0.1", 0)
    async with silent:
        port = silent.sockets[0].getsockname()[1]
        with pytest.raises(ToolFailed, match="cannot be reached: it did not answer within") as failed:
            await ask(f"postgresql://ada:s3cret@127.0.0.1:{port}/x?sslmode=disable", "SELECT 1", seconds=0.2)
        assert failed.value.retryable
        for writer in taken:
            writer.close()


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM tea",
        "UPDATE tea SET price = 0 RETURNING price",
        "INSERT INTO tea VALUES ('white') RETURNING name",
        "WITH gone AS (DELETE FROM tea RETURNING name) SELECT * FROM gone",
        "SELECT * FROM tea FOR UPDATE",
        "SELECT * INTO other FROM tea",
        "SELECT steal()",
        "SELECT nextval('number')",
        "SELECT lo_create(1)",
        "SELECT 1; DROP TABLE tea",
        "SELECT 1) AS asked(c0); DROP TABLE tea; --",
        "SELECT 1) AS asked(c0), (SELECT 2",
        "COMMIT",
        "BEGIN READ WRITE",
        "SET TRANSACTION READ WRITE",
        "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE",
        "CREATE TEMPORARY TABLE t (a int)",
        "DROP TABLE tea",
        "DO 'BEGIN DELETE FROM tea; END'",
        "CALL steal()",
        "COPY tea TO STDOUT",
        "COPY tea TO PROGRAM 'cat'",
        "COPY tea FROM STDIN",
        "LISTEN news",
        "VACUUM",
        "SHOW ALL",
        "EXPLAIN ANALYZE DELETE FROM tea",
        "SELECT * FROM secret",
        "SELECT pg_read_file('/etc/passwd')",
        "SELECT pg_ls_dir('/')",
        "",
        "SELECT $1",
    ],
)
async def test_who_reads_changes_nothing(server: PostgresServer, statement: str) -> None:
    with pytest.raises(ToolRefused):
        await ask(server.url(user="reader"), statement)
    # Once more with every right to the tables: it is not for want of those that it is refused.
    server.ask("CREATE ROLE owner; GRANT ALL ON ALL TABLES IN SCHEMA public TO owner; GRANT owner TO reader")
    try:
        with pytest.raises(ToolRefused):
            await ask(server.url(user="reader"), statement.replace("secret", "pg_authid"))
    finally:
        server.ask("DROP OWNED BY owner; DROP ROLE owner")
    assert server.ask("SELECT count(*), sum(price) FROM tea") == "2|5.50\n"


@pytest.mark.parametrize("user", ["postgres", "almighty"])
async def test_a_user_who_reaches_beyond_the_database_is_not_used(server: PostgresServer, user: str) -> None:
    with pytest.raises(ToolRefused, match="reaches more than its tables"):
        await ask(server.url(user=user), "SELECT 1")


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT pg_sleep(1000)",
        "SELECT set_config('statement_timeout', '0', false), pg_sleep(1000)",
        "SELECT count(*) FROM generate_series(1, 1000000000000) AS a",
    ],
)
async def test_a_statement_without_end_is_stopped(server: PostgresServer, statement: str) -> None:
    seconds = 0.3
    async with asyncio.timeout(60):
        while True:  # until a busy machine lets the server take a connection in that time
            with pytest.raises((ToolTimeout, ToolFailed)) as stopped:
                await ask(server.url(user="reader"), statement, seconds=seconds)
            if "cannot be reached" not in stopped.value.message:
                break
            seconds *= 2
        assert isinstance(stopped.value, ToolTimeout)
        running = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'reader' AND state = 'active'"
        while server.ask(running) != "0\n":  # it ends by itself, and not when the answer has come
            pass


async def test_a_database_is_written_to_when_that_was_typed(server: PostgresServer) -> None:
    url = server.url(user="writer")
    done = await ask(url, "INSERT INTO tea (name, price) VALUES ($1, $2), ('red', 1)", "white", 4, writable=True)
    assert (done["rows"], done["changed"]) == ([], 2)
    done = await ask(url, "DELETE FROM tea WHERE price IN (1, 4) RETURNING name", writable=True, max_rows=1)
    assert (done["rows"], done["more"], done["changed"]) == ([["white"]], True, 2)
    assert (await ask(url, "SELECT count(*) FROM tea", writable=True))["rows"] == [[2]]
    with pytest.raises(ToolRefused):
        await ask(url, "SELECT 1; DELETE FROM tea", writable=True)


async def test_what_a_change_gives_back_has_the_bounds_of_a_query(server: PostgresServer) -> None:
    sql = ToolExecutor(
        [Postgres(server.url(user="writer"), writable=True).sql], limits=ToolLimits(max_result=128 * 1024 * 1024)
    )
    texts = ", ".join(["repeat('x', 60000)"] * 10)
    wide = f"INSERT INTO tea (name) SELECT 'n' || n FROM generate_series(1, 150) AS n RETURNING {texts} -- each\n;"
    found = await sql.call("sql", {"statement": wide})
    assert (len(found["rows"]), found["more"], found["changed"]) == (28, True, 150), "600 kB each"
    long = "WITH few AS (SELECT 'n1' AS name) UPDATE tea SET price = $1 FROM few WHERE tea.name = few.name"
    found = await sql.call("sql", {"statement": f"{long} RETURNING repeat('x', 50000000), price", "values": [2.5]})
    assert (found["columns"], found["changed"]) == (["repeat", "price"], 1)
    assert found["rows"] == [["x" * 65536 + "…", "2.5"]]
    none = await sql.call("sql", {"statement": "DELETE FROM tea WHERE name = 'no' RETURNING name, price"})
    assert (none["columns"], none["rows"], none["changed"]) == (["name", "price"], [], 0)
    moved = "WITH gone AS (DELETE FROM tea WHERE name ~ '^n[0-9]+$' RETURNING name) SELECT count(*) FROM gone"
    assert (await sql.call("sql", {"statement": moved}))["rows"] == [[150]]


@pytest.mark.parametrize(
    ("last", "changed", "left"),
    [
        ("INSERT INTO herb SELECT 'new' FROM numbers RETURNING {wide}", 100, "new|100\nold|99\n"),
        (
            "UPDATE herb SET name = 'new' FROM numbers WHERE number = 1 AND name = 'old' RETURNING {wide}",
            99,
            "new|99\n",
        ),
        ("DELETE FROM herb USING numbers WHERE number = 1 AND name = 'old' RETURNING {wide}", 99, ""),
        ("SELECT {wide} FROM numbers", 0, "old|99\n"),
    ],
)
async def test_what_a_change_in_two_steps_gives_back_is_held_row_by_row(
    server: PostgresServer, last: str, changed: int, left: str
) -> None:
    server.ask(
        "CREATE TABLE herb (name text); GRANT ALL ON herb TO writer;"
        "INSERT INTO herb SELECT CASE n WHEN 1 THEN 'gone' ELSE 'old' END FROM generate_series(1, 100) AS n"
    )
    first = "gone AS (DELETE FROM herb WHERE name = $1), numbers AS (SELECT generate_series(1, 100) AS number)"
    wide = "repeat('x', 1000000) AS text, 7 AS seven"
    statement = f"WITH {first} {last.format(wide=wide)} -- each\n;"
    try:
        tracemalloc.start()
        found = await ask(server.url(user="writer"), statement, "gone", writable=True, max_rows=2)
        assert tracemalloc.get_traced_memory()[1] < 25_000_000, "1 MB each"
        assert found["columns"] == ["text", "seven"]
        assert found["rows"] == [["x" * 65536 + "…", 7]] * 2
        assert (found["more"], found["changed"]) == (True, changed)
        assert server.ask("SELECT name, count(*) FROM herb GROUP BY name ORDER BY name") == left
    finally:
        tracemalloc.stop()
        server.ask("DROP TABLE herb")


async def test_what_stands_in_no_query_has_the_bound_of_rows(server: PostgresServer) -> None:
    url = server.url(user="writer")
    few = await ask(url, "SHOW ALL", writable=True, max_rows=3)
    assert (len(few["rows"]), few["more"], few["changed"]) == (3, True, 0)
    none = await ask(url, "SELECT FROM generate_series(1, 100000)", writable=True)
    assert (none["columns"], none["rows"], none["changed"]) == ([], [], 0)
    one = await ask(url, "SHOW max_connections", writable=True, max_rows=1)
    assert (one["rows"], one["more"], one["changed"]) == ([["40"]], False, 0)
    planned = await ask(url, "EXPLAIN DELETE FROM tea WHERE name = $1", "no", writable=True, max_rows=1)
    assert (len(planned["rows"]), planned["more"], planned["changed"]) == (1, True, 0)


async def test_what_goes_wrong_names_no_secret(server: PostgresServer) -> None:
    reader = server.url(user="reader")
    wrong: list[tuple[str, tuple[Any, ...], type[ToolError]]] = [
        (f"postgresql://ada:s3cret@/postgres?host={server.folder}/nowhere", (), ToolFailed),
        (f"postgresql://ada:s3cret@/postgres?host={server.folder}", (), ToolRefused),
        ("postgresql://ada:s3cret@127.0.0.1:1/x", (), ToolFailed),
        ("postgresql://ada:s3cret@127.0.0.1/x?port=1&sslmode=s3cret", (), ToolRefused),
        (reader, ("one", "too many"), ToolRefused),
    ]
    for url, values, kind in wrong:
        with pytest.raises(kind) as failed:
            await ask(url, "SELECT 1", *values)
        assert "s3cret" not in json.dumps([str(failed.value), repr(failed.value)])
    with pytest.raises(ToolRefused, match="expected str"):
        await ask(reader, "SELECT name FROM tea WHERE name = $1", 5)
    with pytest.raises(ConfigError, match="begins with postgresql://"):
        Postgres("mysql://ada@localhost/x")


@pytest.mark.parametrize(
    "rest",
    [
        "[bad",
        "127.0.0.1:notaport/x",
        "127.0.0.1:99999/x",
        "localhost:1,other:0/x",
        "[::1]:x/x",
        "h/x?port=70000",
        "/x?port=70000",
    ],
)
def test_a_url_that_cannot_be_one_is_refused_with_nothing_of_it(rest: str) -> None:
    with pytest.raises(ConfigError, match="percent-encode ") as refused:
        Postgres(f"postgresql://ada:s3cret@{rest}")
    assert "s3cret" not in str(refused.value) + repr(refused.value.__cause__)
    with pytest.raises(ConfigError, match="percent-encode "):
        Postgres("postgresql://ada:s3/cret@localhost/x")


@pytest.mark.parametrize("options", [{"max_rows": 0}, {"max_rows": "x"}, {"max_rows": 1.5}, {"seconds": -1}])
def test_a_bound_is_above_zero(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=f"{next(iter(options))}=.* above 0"):
        Postgres("postgresql://localhost:5432,[::1]:5433/x", **options)
