"""What is read of a document, and what of a hostile one is not."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from codin.errors import ConfigError, DocumentRefused
from codin.tool.openapi import OpenApiLimits, openapi_tools
from codin.trust import Token

PETS = Path(__file__).with_name("petstore.yaml")


def document(*operations: dict[str, Any], **more: Any) -> dict[str, Any]:
    none: dict[str, Any] = {}
    paths = {f"/{number}": {"get": {"responses": none, **each}} for number, each in enumerate(operations)}
    return {"openapi": "3.1.0", "servers": [{"url": "https://api.example"}], "paths": paths, **more}


def test_every_operation_is_a_tool_by_its_id_or_its_path() -> None:
    tools = openapi_tools(PETS)
    assert [tool.name for tool in tools] == ["listPets", "createPet", "get_pets_id", "listPets_2"]
    assert [tool.spec.idempotent for tool in tools] == [True, False, True, True]
    assert tools[0].url == "https://pets.example/v1/pets"
    assert tools[0].spec.description == "All pets"
    assert tools[0].spec.tags == ("pets",)


def test_arguments_are_the_parameters_and_the_body() -> None:
    listed, made, _, deleted = openapi_tools(PETS)
    fields = listed.spec.input_schema["properties"]
    assert fields["limit"] == {"type": "integer", "exclusiveMinimum": 0, "default": 10}
    assert fields["filter_kind"] == {"type": ["string", "null"]}
    assert list(fields) == ["limit", "filter_kind", "tags", "X-Trace", "seen"]
    assert made.spec.input_schema["properties"] == {"body": {"$ref": "#/$defs/Pet"}}
    assert made.spec.input_schema["required"] == ["body"]
    assert deleted.spec.input_schema["required"] == ["id"]
    assert list(deleted.spec.input_schema["properties"]) == ["id", "id_query"]
    assert deleted.spec.output_schema == {"type": "null"}


def test_a_schema_is_what_this_side_may_say_and_a_circle_stays_one() -> None:
    _, made, *_ = openapi_tools(PETS)
    pet = made.spec.input_schema["$defs"]["Pet"]
    assert pet["required"] == ["name", "secret"]
    assert "id" not in pet["properties"]
    assert pet["properties"]["name"] == {"type": "string", "pattern": r"^\p{L}+$"}  # as JavaScript has it
    assert pet["properties"]["nick"] == {"type": ["string", "null"], "enum": ["Rex", "Tom", None]}
    assert pet["properties"]["parent"] == {"$ref": "#/$defs/Pet"}
    assert made.spec.output_schema is not None
    assert made.spec.output_schema["$defs"]["Pet"]["required"] == ["id", "name"]


def test_only_takes_ids_paths_and_tags() -> None:
    assert [tool.name for tool in openapi_tools(PETS, only=["pets"])] == ["listPets"]
    assert [tool.name for tool in openapi_tools(PETS, only=["GET /pets/{id}"])] == ["get_pets_id"]
    with pytest.raises(ConfigError, match="did you mean 'createPet'"):
        openapi_tools(PETS, only=["createPets"])


@pytest.mark.parametrize(
    ("content", "place"),
    [
        ({"swagger": "2.0"}, "#/openapi"),
        ({"openapi": "4.0.0"}, "#/openapi"),
        ([], "#"),
        (document({"parameters": [{"$ref": "#/components/parameters/none"}]}), "#/paths/~10/get/parameters/0"),
        (document({"parameters": [{"$ref": "https://evil.example/x.json"}]}), "#/paths/~10/get/parameters/0/$ref"),
        (document({"parameters": [{"$ref": "file:///etc/passwd"}]}), "#/paths/~10/get/parameters/0/$ref"),
        (document({"parameters": [{"$ref": "#/x"}]}, x={"$ref": "#/x"}), "#/x"),
        (document({"parameters": "no"}), "#/paths/~10/get/parameters"),
        (document({"parameters": [{"name": "a\r\nb", "in": "header"}]}), "#/paths/~10/get/parameters/0/name"),
        (document({"parameters": [{"name": "a", "in": "body"}]}), "#/paths/~10/get/parameters/0/in"),
        (
            document({"parameters": [{"name": "a", "in": "query", "schema": {"type": "no"}}]}),
            "#/paths/~10/get/parameters/0/schema",
        ),
        (
            document({"parameters": [{"name": "a", "in": "query", "schema": {"$ref": "#/a"}}]}, a={"type": "no"}),
            "#/a",
        ),
        (document({"requestBody": {"content": {"application/json": {"schema": 3}}}}), "schema"),
        (
            document(
                {"requestBody": {"content": {"application/json": {"schema": {"items": {"$ref": "#/a"}}}}}},
                a={"$ref": "#/b"},
                b={"$ref": "#/a"},
            ),
            "#/paths/~10/get/requestBody/content/application~1json/schema",
        ),
        ({"openapi": "3.1.0", "paths": {"/{a}": {"get": {}}}}, "#/paths/~1{a}/get"),
        ({"openapi": "3.1.0", "paths": {"/../adm": {"get": {}}}}, "#/paths/~1..~1adm"),
        ({"openapi": "3.1.0", "paths": {"/%2E./adm": {"get": {}}}}, "#/paths/~1%2E.~1adm"),
        (document({"responses": {}}, servers=[{"url": "file:///etc"}]), "#/servers"),
        (document({"responses": {}}, servers=[{"url": "https://u:p@api.example"}]), "#/servers"),
        (document({"responses": {}}, servers=[{"url": "https://{host}/"}]), "#/servers"),
    ],
)
def test_what_cannot_be_read_is_refused_by_its_place(content: Any, place: str, tmp_path: Path) -> None:
    path = tmp_path / "api.json"
    path.write_text(json.dumps(content))
    with pytest.raises(DocumentRefused) as refused:
        openapi_tools(path)
    assert refused.value.place.endswith(place)
    assert refused.value.place in refused.value.message


def taking(schema: Any, **schemas: Any) -> dict[str, Any]:
    """A document with one operation, that takes such a body."""
    body = {"required": True, "content": {"application/json": {"schema": schema}}}
    return document({"operationId": "take", "requestBody": body}, components={"schemas": schemas})


def of(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


@pytest.mark.parametrize("joint", ["allOf", "anyOf", "oneOf"])
def test_schemas_in_a_circle_are_refused_and_a_tree_is_none(joint: str) -> None:
    place = "#/paths/~10/get/requestBody/content/application~1json/schema"
    pet = {joint: [of("Cat"), {"type": "string"}], "type": "object"}
    for below in ({"allOf": [of("Pet"), {"required": ["lives"]}]}, {"not": of("Pet")}, {"if": {"oneOf": [of("Pet")]}}):
        with pytest.raises(DocumentRefused, match=r"'#/components/schemas/(Cat|Pet)' leads in a circle") as refused:
            openapi_tools(taking({"items": of("Pet")}, Pet=pet, Cat=below))
        assert refused.value.place == place
        assert "'take'" in str(refused.value.hint)
    with pytest.raises(DocumentRefused, match="leads in a circle"):
        openapi_tools(taking({joint: [{"$ref": place}]}))
    for below in ({"items": of("Pet")}, {"properties": {"next": of("Pet")}}, {"additionalProperties": of("Pet")}):
        (tool,) = openapi_tools(taking(of("Pet"), Pet=pet, Cat=below))
        assert set(tool.spec.input_schema["$defs"]) == {"Cat", "Pet"}


@pytest.mark.parametrize("word", ["$dynamicRef", "$recursiveRef"])
def test_a_reference_that_depends_on_who_refers_to_it_is_refused(word: str) -> None:
    page = {"$dynamicAnchor": "page", "type": "object", "properties": {"rows": {"items": {word: "#item"}}}}
    with pytest.raises(DocumentRefused) as refused:
        openapi_tools(taking(of("Page"), Page=page))
    assert refused.value.place == f"#/components/schemas/Page/properties/rows/items/{word}"
    answers = {"200": {"content": {"application/json": {"schema": of("Page")}}}}
    (tool,) = openapi_tools(document({"responses": answers}, components={"schemas": {"Page": page}}))
    assert tool.spec.output_schema is None
    del page["properties"]
    (tool,) = openapi_tools(taking(of("Page"), Page=page))
    assert tool.spec.input_schema["$defs"]["Page"] == {"type": "object"}


@pytest.mark.parametrize("version", ["3.0.3", "3.1.0"])
@pytest.mark.parametrize(
    ("told", "mapping"),
    [
        ({}, {"Cat": "Cat", "Dog": "Dog"}),
        ({"mapping": {"c": "Cat", "k": "#/components/schemas/Cat"}}, {"c": "Cat", "k": "Cat", "Dog": "Dog"}),
        ({"mapping": {"Dog": "Cat", "x": "Fox", "y": 5}}, {"Dog": "Cat"}),
        ({"mapping": []}, {"Cat": "Cat", "Dog": "Dog"}),
    ],
)
def test_what_chooses_a_form_is_told_by_the_names_of_the_forms(
    version: str, told: dict[str, Any], mapping: dict[str, str]
) -> None:
    forms = {"oneOf": [of("Cat"), of("Dog"), {"type": "null"}]}
    given = taking({**forms, "discriminator": {"propertyName": "kind", **told}}, Cat={}, Dog={}, Fox={})
    (tool,) = openapi_tools({**given, "openapi": version})
    body = tool.spec.input_schema["properties"]["body"]
    expected = {value: f"#/$defs/{name}" for value, name in mapping.items()}
    assert body["discriminator"] == {"propertyName": "kind", "mapping": expected}


@pytest.mark.parametrize("told", ["kind", {}, {"propertyName": 5}, None])
def test_what_chooses_no_form_is_left_out(told: Any) -> None:
    none: list[Any] = [{"type": "object", "discriminator": {"propertyName": "kind"}}, {"discriminator": told}]
    for schema in [*none, {"discriminator": told, "oneOf": [of("Cat"), {"type": "null"}]}]:
        (tool,) = openapi_tools(taking(schema, Cat={}))
        assert "discriminator" not in tool.spec.input_schema["properties"]["body"]


def test_a_document_is_bounded(tmp_path: Path) -> None:
    path = tmp_path / "api"
    for body in (
        b"a: " + b"[" * 200_000,  # more than the parser in C survives
        b'{"a":' * 100_000,
        b"a: &a [*a]",
        b"a: &a [1,1,1,1,1,1,1,1,1,1]\n"
        + b"".join(b"%c: &%c [%s]\n" % (c + 1, c + 1, b",".join([b"*%c" % c] * 10)) for c in range(97, 120)),
        b"x" * 2_000_000,
        b"\xff\xfe\x00",
        b"!!python/object/apply:os.system ['true']",
    ):
        path.write_bytes(body)
        with pytest.raises(DocumentRefused):
            openapi_tools(path, limits=OpenApiLimits(bytes=1_500_000))


def test_yaml_is_read_as_json_has_values(tmp_path: Path) -> None:
    path = tmp_path / "api.yaml"
    lines = ["openapi: 3.1.0", "servers: [{url: 'https://api.example'}]", "paths: {/a: {get: {parameters: ["]
    given = ["12:30", "1:59.5", "2024-01-01", "1" + ":1" * 1000, "1" + ":1" * 1000 + ".0", "!!int 1:30"]
    lines += [f"{{name: p{number}, in: query, schema: {{default: {each}}}}}," for number, each in enumerate(given)]
    path.write_text("\n".join([*lines, "]}}}"]))
    (only,) = openapi_tools(path)
    fields = only.spec.input_schema["properties"].values()
    assert [field["default"] for field in fields] == [each.removeprefix("!!int ") for each in given]


@pytest.mark.parametrize("version", ["3.0", "3.1"])
def test_a_version_without_quotes_is_a_version(tmp_path: Path, version: str) -> None:
    path = tmp_path / "api.yaml"
    path.write_text(f"openapi: {version}\nservers: [{{url: 'https://api.example'}}]\npaths: {{/a: {{get: {{}}}}}}\n")
    assert [tool.name for tool in openapi_tools(path)] == ["get_a"]


@pytest.mark.parametrize("key", ["<<", "!!merge x", '!<tag:yaml.org,2002:merge> "y"'])
def test_yaml_that_merges_is_refused(tmp_path: Path, key: str) -> None:
    path = tmp_path / "api.yaml"
    path.write_text(f"openapi: 3.1.0\npaths: {{}}\nx-a: &a {{b: 1}}\nx-b: {{c: 2, {key}: *a}}\n")
    with pytest.raises(DocumentRefused, match="a merge key, <<, near line 4") as refused:
        openapi_tools(path)
    assert "$ref" in str(refused.value.hint)


def test_operations_and_schemas_are_bounded() -> None:
    empty: dict[str, Any] = {}
    many = document(*[empty] * 11)
    with pytest.raises(DocumentRefused, match="more than 10 operations"):
        openapi_tools(many, limits=OpenApiLimits(operations=10))
    large = {"type": "object", "properties": {f"f{number}": {"type": "string"} for number in range(200)}}
    reference = {"application/json": {"schema": {"$ref": "#/components/schemas/Large"}}}
    components = {"schemas": {"Large": large}}
    asked = document({"requestBody": {"content": reference}}, components=components)
    with pytest.raises(DocumentRefused, match="more than 100 values"):
        openapi_tools(asked, limits=OpenApiLimits(schema=100))
    (told,) = openapi_tools(
        document({"responses": {"200": {"content": reference}}}, components=components),
        limits=OpenApiLimits(schema=100),
    )
    assert told.spec.output_schema is None


def linked(schemas: int, operations: int) -> dict[str, Any]:
    """A document whose schemas all refer to one another, and whose operations each take one of them."""
    references = [{"$ref": f"#/components/schemas/S{number}"} for number in range(schemas)]
    fields = {f"p{number}": {**each} for number, each in enumerate(references[:10])}
    held = {f"S{number}": {"properties": {**fields, "next": references[number - 1]}} for number in range(schemas)}
    bodies = [
        {"content": {"application/json": {"schema": references[number % schemas]}}} for number in range(operations)
    ]
    return document(*({"requestBody": body} for body in bodies), components={"schemas": held})


def test_a_schema_that_many_operations_take_is_checked_once() -> None:
    def calls(operations: int) -> int:
        """How many functions are called to read the document: time, which no other program has a part in."""
        count = 0

        def counted(frame: object, event: str, argument: object) -> None:
            nonlocal count
            count += event == "call"

        given = linked(60, operations)
        before = sys.getprofile()
        sys.setprofile(counted)
        try:
            openapi_tools(given)
        finally:
            sys.setprofile(before)
        return count

    calls(1)  # which loads the validator
    assert calls(40) < 2 * calls(10)


def test_results_that_are_too_many_values_together_are_given_as_they_come() -> None:
    contents = [
        {"application/json": {"schema": {"properties": {f"{status}f{n}": {"type": "string"} for n in range(4_500)}}}}
        for status in (200, 201, 202)
    ]
    answers = {f"20{number}": {"content": content} for number, content in enumerate(contents)}
    (checked,) = openapi_tools(document({"responses": {"200": answers["200"]}}))
    (given,) = openapi_tools(document({"responses": answers}))
    assert checked.spec.output_schema is not None
    assert given.spec.output_schema is None


def test_who_leaves_out_the_operation_that_is_wrong_can_use_the_others() -> None:
    wrong = {"operationId": "bad", "requestBody": {"content": {"application/json": {"schema": {"type": "objekt"}}}}}
    given = document({"operationId": "good"}, wrong)
    with pytest.raises(DocumentRefused) as refused:
        openapi_tools(given)
    assert refused.value.hint == "to leave 'bad' out, give the names or tags of the others by only=[…]"
    assert [tool.name for tool in openapi_tools(given, only=["good"])] == ["good"]
    del given["paths"]["/1"]["get"]["operationId"]
    with pytest.raises(DocumentRefused, match="to leave 'GET /1' out"):
        openapi_tools(given)


def test_secrets_fit_their_schemes_and_are_in_no_text() -> None:
    for auth in ({"keys": "s3cret"}, {"key": ("ada", "s3cret")}, {"login": "s3cret"}, {"key": "s3cret\r\nX: y"}):
        with pytest.raises(ConfigError) as refused:
            openapi_tools(PETS, auth=auth)
        assert "s3cret" not in str(refused.value)
    assert "s3cret" not in repr(openapi_tools(PETS, auth=Token("s3cret")))


def test_a_document_without_a_server_needs_an_address() -> None:
    with pytest.raises(ConfigError, match="give base_url="):
        openapi_tools({"openapi": "3.1.0", "paths": {"/": {"get": {}}}})
    (tool,) = openapi_tools({"openapi": "3.1.0", "paths": {"/": {"get": {}}}}, base_url="http://127.0.0.1:8/x/")
    assert tool.url == "http://127.0.0.1:8/x/"


@pytest.mark.parametrize(
    "url", ["nope", "http://", "ftp://x", "http://x:99999", "http://x?y=1", "http://a:s3cret@x", ""]
)
def test_an_address_that_is_none_is_told_when_tools_are_made(url: str) -> None:
    with pytest.raises(ConfigError, match="base_url= is no plain http") as refused:
        openapi_tools(PETS, base_url=url)
    assert type(refused.value) is ConfigError
    assert "s3cret" not in str(refused.value)


def test_a_success_without_content_says_nothing_of_the_answer() -> None:
    told: dict[str, Any] = {"description": "ok"}
    json = {**told, "content": {"application/json": {"schema": {"type": "integer"}}}}
    cases: list[tuple[dict[str, Any], Any]] = [
        ({"200": told}, None),
        ({"200": told, "201": json}, None),
        ({"204": told}, {"type": "null"}),
        ({"200": json, "204": told}, {"anyOf": [{"type": "integer"}, {"type": "null"}]}),
    ]
    for responses, schema in cases:
        (only,) = openapi_tools(document({"responses": responses}))
        assert only.spec.output_schema == schema, responses


def test_a_result_that_cannot_be_checked_is_given_as_it_comes() -> None:
    answers = {"200": {"content": {"application/json": {"schema": {"type": "objekt"}}}}}
    (only,) = openapi_tools(document({"responses": answers}))
    assert only.spec.output_schema is None


def test_names_by_a_pattern_that_is_none_are_not_refused() -> None:
    schema = {"type": "object", "patternProperties": {"(": {"type": "integer"}}, "additionalProperties": False}
    body = {"requestBody": {"content": {"application/json": {"schema": schema}}}}
    (only,) = openapi_tools(document(body))
    assert only.spec.input_schema["properties"]["body"]["patternProperties"] == {"": {}}
