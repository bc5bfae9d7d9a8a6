"""specs/registry.json says what the registry does: every route, and the shape of every answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from starlette.routing import Route

from codin.mesh.registry import RegistryApp
from codin.mesh.registry._proof import PROOF_HEADER, prove
from codin.trust import BearerTokens
from tests.mesh.registry.desk import REGISTRY, Agent, opened, transport_to

pytestmark = pytest.mark.anyio

DOCUMENT: dict[str, Any] = json.loads((Path(__file__).parents[3] / "specs" / "registry.json").read_text())
CARD = Agent("echo")


def test_every_route_is_described_and_every_description_has_a_route() -> None:
    app = RegistryApp()
    routes = app._app.routes  # pyright: ignore[reportPrivateUsage]
    served = {
        (method.lower(), route.path)
        for route in routes
        if isinstance(route, Route)
        for method in route.methods or ()
        if method != "HEAD"
    }
    described = {(method, path) for path, item in DOCUMENT["paths"].items() for method in item}
    assert served == described


def _check(method: str, path: str, status: int, headers: Any, body: bytes) -> None:
    """The answer is one of those that are described."""
    responses = DOCUMENT["paths"][path][method.lower()]["responses"]
    assert str(status) in responses, f"{method} {path} answers {status}: {body!r}"
    content: dict[str, Any] = responses[str(status)].get("content", {})
    if not content:
        assert body == b""
        return
    kind = headers["content-type"].partition(";")[0]
    assert kind in content
    if kind == "application/json":
        schema = {**content[kind]["schema"], "components": DOCUMENT["components"]}
        validator: Any = jsonschema.Draft202012Validator(schema)
        validator.validate(json.loads(body))


async def test_every_answer_has_the_shape_that_is_described() -> None:
    assert CARD.key is not None
    card = CARD.card().to_json().decode()
    body = f'{{"card": {card}, "url": "{CARD.place}"}}'.encode()
    async with opened(authenticator=BearerTokens({"t": "alice"})) as (app, _):

        async def ask(method: str, path: str, of: str = "", body: bytes = b"", *, sign: bool = False) -> Any:
            url = f"{REGISTRY}{path}"
            proof = {PROOF_HEADER: prove(CARD.key, method, url.partition("?")[0], body)} if sign and CARD.key else {}
            asked: list[tuple[dict[str, str], bool]] = [({"Authorization": "Bearer t"}, True), ({}, False)]
            found: Any = None
            for headers, counts in asked:
                answer = await transport_to(app).request(
                    method, url, headers={**proof, **headers}, content=body, timeout=9
                )
                _check(method, of or path.partition("?")[0], answer.status, answer.headers, answer.body)
                found = answer if counts else found
            return found

        receipt = json.loads((await ask("POST", "/v1/agents", body=body, sign=True)).body)
        key = receipt["key"]
        one, beat = "/v1/agents/{key}", "/v1/agents/{key}/heartbeat"
        assert (await ask("POST", "/v1/agents", body=body, sign=True)).status == 200
        assert (await ask("POST", "/v1/agents", body=body)).status == 403
        assert (await ask("POST", "/v1/agents", body=b"{", sign=True)).status == 400
        assert (await ask("GET", "/v1/agents?limit=1")).status == 200
        assert (await ask("GET", "/v1/agents?limit=x")).status == 400
        assert (await ask("GET", f"/v1/agents/{key}", one)).status == 200
        assert (await ask("GET", "/v1/agents/other", one)).status == 404
        assert (await ask("POST", f"/v1/agents/{key}/heartbeat", beat, b'{"load": 1}', sign=True)).status == 200
        assert (await ask("POST", f"/v1/agents/{key}/heartbeat", beat)).status == 404
        assert (await ask("GET", "/.well-known/ai-catalog.json")).status == 200
        assert (await ask("GET", "/healthz")).status == 200
        assert (await ask("DELETE", f"/v1/agents/{key}", one, sign=True)).status == 204


def test_the_words_of_the_document_are_those_of_the_client() -> None:
    parameters = {parameter["name"] for parameter in DOCUMENT["paths"]["/v1/agents"]["get"]["parameters"]}
    assert parameters == {"name", "skill", "tag", "text", "near", "gone", "limit", "cursor"}
    proofs = [
        parameter["name"]
        for item in DOCUMENT["paths"].values()
        for operation in item.values()
        for parameter in operation.get("parameters", ())
        if parameter["in"] == "header" and parameter["name"].startswith("Codin")
    ]
    assert set(proofs) == {PROOF_HEADER}
