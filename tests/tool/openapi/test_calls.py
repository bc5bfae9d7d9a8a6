"""Tools of a document call an API on a port, and one that means harm."""

from __future__ import annotations

import asyncio
import base64
import logging
from collections.abc import AsyncIterator
from functools import partial
from typing import Annotated, Any, cast

import pytest
from fastapi import Cookie, FastAPI, File, Form, Header, HTTPException, Query, Request, Response, UploadFile
from pydantic import BaseModel

from codin.errors import ConfigError, InvalidArguments, InvalidResult, ToolFailed, ToolTimeout, UnknownTool
from codin.net import AddressGuard
from codin.tool import ToolExecutor
from codin.tool.openapi import openapi_tools
from codin.trust import Caller, ClientCredentials, Token
from tests.server.sockets import listening

pytestmark = pytest.mark.anyio


class Book(BaseModel):
    title: str
    pages: int | None = None
    next: Book | None = None


class Shop:
    """What has reached an API."""

    def __init__(self) -> None:
        self.app = FastAPI()
        self.seen: list[Request] = []
        self.tokens = 0
        self.hangs = asyncio.Event()
        self._books()
        self._odd()

    def _books(self) -> None:
        @self.app.get("/books/{name}", tags=["books"], operation_id="find")
        async def find(
            request: Request,
            name: str,
            words: Annotated[list[str], Query()] = [],  # noqa: B006
            x_shelf: Annotated[str, Header()] = "",
            seen: Annotated[str, Cookie()] = "",
        ) -> dict[str, Any]:
            self.seen.append(request)
            return {"name": name, "words": words, "shelf": x_shelf, "seen": seen}

        @self.app.post("/books", tags=["books"], operation_id="add")
        async def add(book: Book) -> Book:
            return book

    def _odd(self) -> None:
        answers = {
            "text": Response("tea", media_type="text/plain"),
            "bytes": Response(b"\xff\x00", media_type="image/png"),
            "nothing": Response(status_code=204),
            "unfit": Response('{"pages": 1}', media_type="application/json"),
            "broken": Response("{", media_type="application/json"),
            "large": Response(b"x" * 100_000),
            "away": Response(status_code=307, headers={"Location": "http://169.254.169.254/"}),
        }

        @self.app.get("/odd/{kind}", operation_id="odd", response_model=Book)
        async def odd(request: Request, kind: str) -> Any:
            self.seen.append(request)
            if kind in answers:
                return answers[kind]
            if kind == "busy":
                raise HTTPException(503, "later", {"Retry-After": "7"})
            if kind == "hang":
                return await self.hangs.wait()
            raise HTTPException(404, f"no {kind}; you sent {request.url.query} {dict(request.headers)}")

        @self.app.post("/pets", include_in_schema=False)
        async def pets(request: Request) -> Any:
            return await request.json()

        @self.app.post("/token", include_in_schema=False)
        async def token() -> dict[str, Any]:
            self.tokens += 1
            return {"access_token": "t0ken-t0ken", "token_type": "bearer", "expires_in": 3600}


@pytest.fixture
def shop() -> Shop:
    return Shop()


@pytest.fixture
async def url(shop: Shop, anyio_backend: str) -> AsyncIterator[str]:
    async with listening(shop.app) as served:
        yield served.url


async def tools_at(url: str, **options: Any) -> ToolExecutor:
    # The API is served by the event loop of this test.
    return ToolExecutor(await asyncio.to_thread(partial(openapi_tools, f"{url}/openapi.json", **options)))


async def test_an_api_is_used_by_its_document(url: str) -> None:
    executor = await tools_at(url)
    found = await executor.call("find", {"name": "a ?%b", "words": ["x", "y&z=1"], "x-shelf": "3", "seen": "no"})
    assert found == {"name": "a ?%b", "words": ["x", "y&z=1"], "shelf": "3", "seen": "no"}
    book = {"title": "Tea", "pages": None, "next": {"title": "Toast", "pages": 3, "next": None}}
    assert await executor.call("add", {"body": book}) == book
    with pytest.raises(InvalidArguments) as refused:
        await executor.call("add", {"body": {"title": "Tea", "next": {"title": 3}}})
    assert refused.value.field.startswith("body")


async def test_of_several_forms_a_field_chooses_one(url: str) -> None:
    """As documents have it that were written by hand: what is a cat is a dog as well, by their schemas."""
    schemas: dict[str, Any] = {
        "Pet": {"type": "object", "properties": {"kind": {"type": "string"}}, "required": ["kind"]},
        "Cat": {"allOf": [{"$ref": "#/components/schemas/Pet"}, {"properties": {"lives": {"type": "integer"}}}]},
        "Dog": {"allOf": [{"$ref": "#/components/schemas/Pet"}, {"properties": {"bark": {"type": "string"}}}]},
    }
    forms = [{"$ref": "#/components/schemas/Cat"}, {"$ref": "#/components/schemas/Dog"}]
    told = {"propertyName": "kind", "mapping": {"cat": "#/components/schemas/Cat"}}
    content = {"application/json": {"schema": {"oneOf": forms, "discriminator": told}}}
    operation = {
        "operationId": "keep",
        "requestBody": {"required": True, "content": content},
        "responses": {"200": {"content": content}},
    }
    paths = {"/pets": {"post": operation}}
    document = {"openapi": "3.0.3", "paths": paths, "components": {"schemas": schemas}}
    executor = ToolExecutor(openapi_tools(document, base_url=url))
    for pet in ({"kind": "cat", "lives": 9}, {"kind": "Dog", "bark": "loud", "lives": "none"}):
        assert await executor.call("keep", {"body": pet}) == pet
    wrong: list[tuple[dict[str, Any], str, str]] = [
        ({"kind": "cat", "lives": "9"}, "body.lives", 'should be of type "integer"'),
        ({"kind": "Cat"}, "body.kind", 'should be one of ["cat","Dog"]'),
        ({"lives": 9}, "body.kind", "is missing"),
    ]
    for pet, field, said in wrong:
        with pytest.raises(InvalidArguments) as refused:
            await executor.call("keep", {"body": pet})
        assert refused.value.field == field
        assert f"{field}: {said}" in refused.value.message


async def test_answers_are_json_text_or_bytes(shop: Shop, url: str) -> None:
    executor = await tools_at(url)
    document = shop.app.openapi()
    document["paths"]["/odd/{kind}"]["get"]["responses"] = {}
    anything = ToolExecutor(openapi_tools(document, base_url=url))
    assert await anything.call("odd", {"kind": "text"}) == "tea"
    assert base64.b64decode(await anything.call("odd", {"kind": "bytes"})) == b"\xff\x00"
    assert await anything.call("odd", {"kind": "nothing"}) is None
    with pytest.raises(InvalidResult, match="title: is missing"):
        await executor.call("odd", {"kind": "unfit"})


@pytest.mark.parametrize(
    ("kind", "said", "again"),
    [
        ("broken", "broken JSON", False),
        ("large", "too large", False),
        ("away", "307 Temporary Redirect: a redirect, which is not followed", False),
        ("busy", "503 Service Unavailable: .*later", True),
        ("tea", "404 Not Found: .*no tea", False),
    ],
)
async def test_what_fails_says_what_a_model_needs(url: str, kind: str, said: str, again: bool) -> None:
    executor = await tools_at(url, max_answer=50_000)
    with pytest.raises(ToolFailed, match=said) as failed:
        await executor.call("odd", {"kind": kind})
    assert failed.value.retryable is again
    assert failed.value.hint == ("call it again in 7 s" if kind == "busy" else None)


async def test_an_api_that_hangs_is_left(url: str, shop: Shop) -> None:
    executor = await tools_at(url, timeout=0.2)
    with pytest.raises(ToolTimeout):
        await executor.call("odd", {"kind": "hang"})
    shop.hangs.set()


@pytest.mark.parametrize("value", ["..", ".", ""])
async def test_no_argument_makes_another_path_or_header_of_it(url: str, shop: Shop, value: str) -> None:
    executor = await tools_at(url)
    with pytest.raises(InvalidArguments, match="cannot stand in a path"):
        await executor.call("find", {"name": value})
    with pytest.raises(InvalidArguments, match="printable"):
        await executor.call("find", {"name": "x", "x-shelf": "1\r\nX-Admin: yes"})
    assert shop.seen == []


SCHEMES: dict[str, dict[str, Any]] = {
    "query": {"type": "apiKey", "in": "query", "name": "key"},
    "header": {"type": "apiKey", "in": "header", "name": "X-Key"},
    "cookie": {"type": "apiKey", "in": "cookie", "name": "key"},
    "bearer": {"type": "http", "scheme": "bearer"},
    "basic": {"type": "http", "scheme": "basic"},
    "oauth": {"type": "oauth2", "flows": {}},
}


@pytest.mark.parametrize("scheme", list(SCHEMES))
async def test_secrets_are_sent_and_never_told(
    url: str, shop: Shop, scheme: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    document: dict[str, Any] = shop.app.openapi()
    document["security"] = [{"other": []}, {scheme: []}]
    document["components"]["securitySchemes"] = {**SCHEMES, "other": SCHEMES["bearer"]}
    given: Any = {"basic": ("ada", "s3cret"), "oauth": ClientCredentials(f"{url}/token", "codin", "s3cret")}
    executor = ToolExecutor(openapi_tools(document, base_url=url, auth={scheme: given.get(scheme, "s3cret")}))
    with pytest.raises(ToolFailed, match="404"):
        await executor.call("odd", {"kind": "tea"})
    with pytest.raises(ToolFailed, match="404") as failed:
        await executor.call("odd", {"kind": "tea"})
    sent = f"{shop.seen[-1].url.query} {shop.seen[-1].headers}"
    secret = {"oauth": "t0ken-t0ken", "basic": base64.b64encode(b"ada:s3cret").decode()}.get(scheme, "s3cret")
    assert secret in sent
    assert secret not in str(failed.value)
    assert "***" in str(failed.value)
    assert shop.tokens == (1 if scheme == "oauth" else 0)
    assert not [record for record in caplog.records if record.name.startswith("codin") and secret in str(record.args)]


@pytest.mark.parametrize("length", [20, 990, 5000])
async def test_an_argument_that_is_secret_is_in_no_error(length: int, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    app = FastAPI()

    @app.api_route("/login", methods=["GET", "POST"])
    async def login(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        body = (await request.body()).decode() or "null"
        return Response(f'{{"wrong": "{request.url.query}", "body": {body}}}', 422, media_type="application/json")

    word = {"type": "string", "format": "password"}
    fields = {"user": {"type": "string"}, "password": word}
    body = {"content": {"application/json": {"schema": {"type": "object", "properties": fields}}}}
    methods = {
        "post": {"operationId": "login", "requestBody": body},
        "get": {"operationId": "look", "parameters": [{"name": "password", "in": "query", "schema": word}]},
    }
    secret = "hunter2 & " + "é" * length
    async with listening(app) as served:
        tools = openapi_tools({"openapi": "3.1.0", "paths": {"/login": methods}}, base_url=served.url)
        executor = ToolExecutor(tools)
        for name, arguments in (
            ("login", {"body": {"user": "ada", "password": secret}}),
            ("look", {"password": secret}),
        ):
            with pytest.raises(ToolFailed, match=r"422 .*\*\*\*") as failed:
                await executor.call(name, arguments)
            with pytest.raises(ToolFailed) as told:
                await next(tool for tool in tools if tool.name == name).invoke(**arguments)
            assert not any("hunter2" in text for text in (str(failed.value), str(told.value)))
    assert not [
        record for record in caplog.records if record.name.startswith("codin") and "hunter2" in record.getMessage()
    ]


async def test_an_api_that_is_gone_is_not_told_by_its_url(url: str, shop: Shop) -> None:
    document: dict[str, Any] = shop.app.openapi()
    document["security"] = [{"query": []}]
    document["components"]["securitySchemes"] = SCHEMES
    executor = ToolExecutor(openapi_tools(document, base_url="http://127.0.0.1:1", auth={"query": "s3cret"}))
    with pytest.raises(ToolFailed, match="could not be reached") as failed:
        await executor.call("find", {"name": "x"})
    assert "s3cret" not in str(failed.value)


async def test_a_document_leads_into_no_inner_network(url: str, shop: Shop) -> None:
    document: Any = shop.app.openapi() | {"servers": [{"url": url}]}
    executor = ToolExecutor(openapi_tools(document))
    with pytest.raises(ToolFailed, match="not allowed"):
        await executor.call("find", {"name": "x"})
    assert shop.seen == []
    allowed = ToolExecutor(openapi_tools(document, guard=AddressGuard(allow_loopback=True)))
    assert (await allowed.call("find", {"name": "x"}))["name"] == "x"


async def test_a_fetched_document_sends_secrets_nowhere_else(url: str, shop: Shop) -> None:
    shop.app.servers = [{"url": "http://127.0.0.1:1"}]
    with pytest.raises(ConfigError, match="which would be given the secrets") as refused:
        await tools_at(url, auth=Token("s3cret"))
    assert "s3cret" not in str(refused.value)
    assert (await (await tools_at(url, base_url=url, auth=Token("s3cret"))).call("find", {"name": "x"}))["name"] == "x"


async def test_scopes_are_those_that_are_given(url: str) -> None:
    executor = await tools_at(url, scopes=["shop"])
    with pytest.raises(UnknownTool):
        await executor.call("find", {"name": "x"})
    ada = Caller("ada", scopes=frozenset({"shop"}))
    assert (await executor.call("find", {"name": "x"}, caller=ada))["name"] == "x"


async def test_a_document_that_is_not_there(url: str) -> None:
    with pytest.raises(ConfigError, match="404"):
        await asyncio.to_thread(openapi_tools, f"{url}/nowhere.json")
    with pytest.raises(ConfigError, match="could not be fetched"):
        await asyncio.to_thread(openapi_tools, "http://127.0.0.1:1/openapi.json")


async def test_forms_and_files_are_sent_as_the_document_says() -> None:
    bodies: list[tuple[str, bytes]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            body = (await receive())["body"]
            bodies.append((dict(scope["headers"])[b"content-type"].decode(), body))
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
            await send({"type": "http.response.body", "body": b"ok"})

    def posting(media_type: str, schema: Any) -> dict[str, Any]:
        body = {"content": {media_type: {"schema": schema}}}
        paths = {"/x": {"post": {"operationId": "put", "requestBody": body}}}
        return {"openapi": "3.1.0", "paths": paths, "x-any": {"fields": fields}}

    fields = {
        "type": "object",
        "properties": {"n": {"type": "integer"}, "file": {"type": "string", "format": "binary"}, "any": True},
    }
    async with listening(app) as served:
        for media_type, schema, value in [
            ("application/x-www-form-urlencoded", {"type": "object"}, {"n": [1, 2], "a b": "&"}),
            (
                "multipart/form-data",
                fields,
                {"n": 1, 'x"\r\ny': "z", "any": "q", "file": base64.b64encode(b"\x00\xff").decode()},
            ),
            ("text/plain", {"type": "string"}, "tea"),
            ("application/pdf", {"type": "string"}, base64.b64encode(b"\x00").decode()),
            ("*/*", {"type": "array", "items": {"type": "integer"}}, [1, 2]),
            ("application/*", {"$ref": "#/x-any/fields"}, {"n": 1}),
            ("*/*", {"type": "string", "format": "binary"}, base64.b64encode(b"\x00").decode()),
            ("*/*", {}, base64.b64encode(b"\x00").decode()),
        ]:
            executor = ToolExecutor(openapi_tools(posting(media_type, schema), base_url=served.url))
            assert await executor.call("put", {"body": value}) == "ok"
    assert bodies[0] == ("application/x-www-form-urlencoded", b"n=1&n=2&a+b=%26")
    assert b'name="n"\r\n\r\n1\r\n' in bodies[1][1]
    assert b'name="x%22%0D%0Ay"\r\n\r\nz\r\n' in bodies[1][1]
    assert b'name="any"\r\n\r\nq\r\n' in bodies[1][1]
    assert b'filename="file"\r\nContent-Type: application/octet-stream\r\n\r\n\x00\xff\r\n' in bodies[1][1]
    assert bodies[2:] == [
        ("text/plain", b"tea"),
        ("application/pdf", b"\x00"),
        ("application/json", b"[1,2]"),
        ("application/json", b'{"n":1}'),
        ("application/octet-stream", b"\x00"),
        ("application/octet-stream", b"\x00"),
    ]


@pytest.mark.parametrize("as_bytes", [{"format": "binary"}, {"contentMediaType": "image/png"}], ids=["3.0", "3.1"])
async def test_files_are_sent_wherever_the_document_says_that_they_are_some(as_bytes: dict[str, str]) -> None:
    app = FastAPI()

    @app.post("/up", operation_id="up")
    async def up(  # pyright: ignore[reportUnusedFunction]
        one: UploadFile,
        several: list[UploadFile],
        raw: Annotated[bytes, File()],
        perhaps: UploadFile | None = None,
        title: Annotated[str, Form()] = "",
    ) -> list[Any]:
        files = [one, *several, *([perhaps] if perhaps else [])]
        return [[file.filename, (await file.read()).hex()] for file in files] + [raw.hex(), title]

    def as_document(schema: Any) -> Any:
        """What FastAPI writes, as others do."""
        if isinstance(schema, list):
            return [as_document(each) for each in cast("list[Any]", schema)]
        if not isinstance(schema, dict):
            return schema
        fields = cast("dict[str, Any]", schema)
        if "contentMediaType" in fields or fields.get("format") == "binary":
            return {"type": "string", **as_bytes}
        return {name: as_document(each) for name, each in fields.items()}

    png = base64.b64encode(b"\x00\xff").decode()
    async with listening(app) as served:
        executor = ToolExecutor(openapi_tools(as_document(app.openapi()), base_url=served.url))
        body = {"one": png, "several": [png, png], "perhaps": png, "raw": png, "title": png}
        sent = await executor.call("up", {"body": body})
    assert sent == [["one", "00ff"], ["several", "00ff"], ["several", "00ff"], ["perhaps", "00ff"], "00ff", png]


@pytest.mark.parametrize(
    ("answer", "get", "post"),
    [("lost", True, False), (500, True, False), (502, True, False), (503, True, True), (429, True, True)],
)
async def test_what_may_have_acted_is_not_to_be_called_again(answer: str | int, get: bool, post: bool) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if answer != "lost":
            writer.write(f"HTTP/1.1 {answer} X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
        writer.close()

    methods = {method: {"operationId": method} for method in ("get", "post")}
    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        url = "http://127.0.0.1:{1}".format(*server.sockets[0].getsockname())
        executor = ToolExecutor(openapi_tools({"openapi": "3.1.0", "paths": {"/x": methods}}, base_url=url))
        for method, again in (("get", get), ("post", post)):
            with pytest.raises(ToolFailed) as failed:
                await executor.call(method, {})
            assert failed.value.retryable is again, method


async def test_what_was_never_sent_may_be_called_again() -> None:
    document = {"openapi": "3.1.0", "paths": {"/x": {"post": {"operationId": "post"}}}}
    with pytest.raises(ToolFailed, match="could not be reached") as failed:
        await ToolExecutor(openapi_tools(document, base_url="http://127.0.0.1:1")).call("post", {})
    assert failed.value.retryable
