"""Schemas of strangers: they say what a tool takes, and never stop whoever reads them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from time import thread_time
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field

from codin.errors import ConfigError, InvalidArguments, InvalidResult, ToolError, ToolFailed, ToolRefused
from codin.tool import ToolExecutor, ToolRegistry, ToolSpec, tool

pytestmark = pytest.mark.anyio


class Plain:
    """A tool of anybody's, that takes a value and gives it back."""

    name = "plain"

    def __init__(self, value: Any = True, *, output: Any = None, **rules: Any) -> None:
        self.spec = ToolSpec("Gives it back.", {"type": "object", "properties": {"value": value}, **rules}, output)

    async def invoke(self, value: Any = None, **others: Any) -> Any:
        return value


async def accepts(schema: Mapping[str, Any], value: Any) -> bool:
    """Whether a value reaches the tool. The time that it took is that of a linear check."""
    before = thread_time()
    try:
        await ToolExecutor([Plain(schema)]).call("plain", {"value": value})
    except InvalidArguments:
        return False
    finally:
        assert thread_time() - before < 20
    return True


# -- patterns ----------------------------------------------------------------------------------------------------------

DIALECT: list[tuple[str, list[str], list[str]]] = [
    (r"^\d+$", ["12"], ["١", "12\n", "1a"]),
    (r"\d", ["a1b"], ["ab"]),
    (r"^\w$", ["a", "_"], ["é", "-"]),
    (r"^\s$", ["\ufeff", "\u00a0", "\t"], ["\u0085"]),
    (r"^.$", ["x", "😀"], ["\n", "\u2028"]),
    (r"\bend\b", ["the end"], ["ends"]),
    (r"^[\w-.]+$", ["a-.b"], ["a b"]),
    (r"^[^\d\s]+$", ["ab"], ["a1"]),
    (r"^[a-z&&b]+$", ["b&"], ["B"]),
    (r"^[[]$", ["["], ["]"]),
    (r"^[+--]$", [","], ["."]),
    (r"^[a-]$", ["-", "a"], ["b"]),
    (r"^[^]$", ["\n"], ["ab"]),
    (r"^[]$", [], ["a", ""]),
    (r"^[\b]$", ["\x08"], ["b"]),
    (r"^{a}$", ["{a}"], ["a"]),
    (r"^a{2,3}?$", ["aa", "aaa"], ["a", "aaaa"]),
    (r"^\/\-\<\_$", ["/-<_"], [""]),
    (r"^\u00e9\x41\u{1F600}$", ["éA😀"], ["éA"]),
    (r"^[\uD83D\uDE00a]$", ["😀", "a"], ["b"]),
    (r"^\cA\0$", ["\x01\x00"], ["A0"]),
    (r"^\p{L}+$", ["éa"], ["1"]),
    (r"^(?<year>[0-9]{4})(?:-(?<month>[0-9]{2}))?$", ["2026", "2026-01"], ["26"]),
    (r"\Aa\Z", ["a"], ["a\n", "ba"]),
    (r"(?i)^ab$", ["AB"], ["c"]),
]


@pytest.mark.parametrize(("pattern", "fit", "misfit"), DIALECT, ids=[each[0] for each in DIALECT])
async def test_a_pattern_is_that_of_ecma(pattern: str, fit: list[str], misfit: list[str]) -> None:
    assert [text for text in [*fit, *misfit] if await accepts({"pattern": pattern}, text)] == fit


@pytest.mark.parametrize("pattern", [r"^(?=.*[0-9]).+$", r"(?<!a)b", r"^(a|b)\1$", r"^(?:[\s\S]{1,999}){1,999}$"])
async def test_a_pattern_beyond_the_engine_is_not_checked(pattern: str, caplog: pytest.LogCaptureFixture) -> None:
    assert await accepts({"type": "string", "pattern": pattern}, "nothing of it")
    assert not await accepts({"type": "string", "pattern": pattern}, 5)
    named = {"type": "object", "patternProperties": {pattern: {"type": "integer"}}, "additionalProperties": False}
    assert await accepts(named, {"nothing of it": "x"}), "the name may be one of the pattern's"
    assert repr(pattern) in caplog.text


EXPLODING = [r"(a+)+$", r"^(a|a)*$", r"^(a|aa)+$", r"a*a*a*a*a*a*b", r"^(([a-z])+.)+[A-Z]([a-z])+$"]


@pytest.mark.parametrize("pattern", EXPLODING)
@pytest.mark.parametrize("draft", ["draft-04/schema#", "draft-07/schema#", "2019-09", "2020-12"])
async def test_no_pattern_stops_the_loop(pattern: str, draft: str) -> None:
    new = draft.startswith("20")
    word = {"$schema": f"https://json-schema.org/draft/{draft}/schema" if new else f"http://json-schema.org/{draft}"}
    text = "a" * 40 + "!"
    executor = ToolExecutor([Plain({"type": "string", "pattern": pattern}, **word)])
    for value in (text, "a" * 50_000 + "!"):
        with pytest.raises(InvalidArguments, match="value: should fit pattern"):
            await executor.call("plain", {"value": value})
    for rule in ["additionalProperties", *(["unevaluatedProperties"] if new else [])]:
        executor = ToolExecutor([Plain({"patternProperties": {pattern: {}}, rule: False}, **word)])
        with pytest.raises(InvalidArguments, match="value"):
            await executor.call("plain", {"value": {text: 1}})
        assert await executor.call("plain", {"value": {}}) == {}
    inner = {"$schema": "http://json-schema.org/draft-07/schema#", "properties": {"x": {"pattern": pattern}}}
    with pytest.raises(InvalidArguments, match=r"value\.x: should fit pattern"):
        await ToolExecutor([Plain(inner, **word)]).call("plain", {"value": {"x": text}})


async def test_no_pattern_of_a_result_stops_the_loop() -> None:
    executor = ToolExecutor([Plain(output={"pattern": EXPLODING[0]})])
    with pytest.raises(InvalidResult, match="should fit pattern"):
        await executor.call("plain", {"value": "a" * 40 + "!"})


async def test_a_pattern_that_is_heavy_for_a_long_text_is_no_way_round_it() -> None:
    heavy = {"pattern": "^(?:a{1,100}){1,100}b"}
    assert await accepts(heavy, "ab")
    with pytest.raises(ToolFailed, match="too much work"):
        await accepts(heavy, "a" * 50_000)
    assert await accepts({"pattern": r"^.{1,5000}$"}, "a" * 5000), "one bound on the length is not heavy"


# -- other rules -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("joint", ["allOf", "anyOf", "oneOf"])
@pytest.mark.parametrize("value", ["x", 1])
async def test_a_short_schema_that_asks_for_years_of_work(joint: str, value: Any) -> None:
    levels = {f"n{level}": {joint: [{"$ref": f"#/$defs/n{level - 1}"}] * 2} for level in range(1, 40)}
    tool = Plain({"$ref": "#/$defs/n39"}, **{"$defs": {"n0": {"type": "string"}, **levels}})
    before = thread_time()
    with suppress(InvalidArguments, ToolFailed):
        await ToolExecutor([tool]).call("plain", {"value": value})
    assert thread_time() - before < 10


async def test_a_long_value_is_given_no_more_work_than_a_short_one() -> None:
    tool = Plain({"type": "array", "items": {"allOf": [{"type": "integer"}] * 60}})
    before = thread_time()
    with pytest.raises(ToolFailed, match="too much work"):
        await ToolExecutor([tool]).call("plain", {"value": [0] * 300_000})
    assert thread_time() - before < 10


async def test_many_items_are_looked_at_once() -> None:
    rows = [{"n": number} for number in range(30_000)]
    assert await accepts({"uniqueItems": True}, rows)
    assert not await accepts({"uniqueItems": True}, [*rows, {"n": 7.0}])


@pytest.mark.parametrize(
    ("items", "unique"),
    [
        ([1, True, "1", 1.5, None, [1], {"a": 1}], True),
        ([1, 1.0], False),
        ([{"a": 1, "b": 2}, {"b": 2, "a": 1}], False),
    ],
)
async def test_what_counts_as_the_same_item(items: list[Any], unique: bool) -> None:
    assert await accepts({"uniqueItems": True}, items) is unique


UNEVALUATED: list[tuple[Mapping[str, Any], list[str], list[str]]] = [
    ({"patternProperties": {"^x-": {}}, "properties": {"a": {}}}, ["x-1", "a"], ["b"]),
    ({"$ref": "#/$defs/ab"}, ["a"], ["b"]),
    ({"allOf": [{"$ref": "#/$defs/ab"}, {"patternProperties": {"^x": True}}]}, ["a", "xy"], ["b"]),
    (
        {"anyOf": [{"properties": {"a": {"type": "string"}}, "required": ["a"]}, {"properties": {"b": {}}}]},
        ["b"],
        ["a"],
    ),
    ({"if": {"required": ["a"]}, "then": {"properties": {"a": {}}}, "else": {"properties": {"c": {}}}}, ["a"], ["b"]),
    ({"if": {"required": ["a"]}, "else": {"properties": {"c": {}}}}, ["c"], ["b"]),
    ({"dependentSchemas": {"a": {"properties": {"a": {}}}}}, ["a"], ["b"]),
    ({"additionalProperties": {"type": "integer"}}, ["a"], []),
]


@pytest.mark.parametrize(("rules", "fit", "misfit"), UNEVALUATED, ids=range(len(UNEVALUATED)))
@pytest.mark.parametrize("draft", ["2019-09", "2020-12"])
async def test_unevaluated_fields(draft: str, rules: Mapping[str, Any], fit: list[str], misfit: list[str]) -> None:
    whole = {**rules, "unevaluatedProperties": False}
    others: dict[str, Any] = {
        "$schema": f"https://json-schema.org/draft/{draft}/schema",
        "$defs": {"ab": {"properties": {"a": {}}}},
    }
    executor = ToolExecutor([Plain(whole, **others)])
    for name in fit:
        assert await executor.call("plain", {"value": {name: 1}}) == {name: 1}
    for name in misfit:
        with pytest.raises(InvalidArguments, match=rf"value\.{name}: there is no such field") as refused:
            await executor.call("plain", {"value": {name: 1}})
        assert refused.value.field == f"value.{name}"


@pytest.mark.parametrize("rule", ["additionalProperties", "unevaluatedProperties"])
@pytest.mark.parametrize("nothing", [False, {"not": {}}, {"not": True}])
async def test_a_field_that_is_not_there_is_named_however_the_schema_says_so(rule: str, nothing: Any) -> None:
    with pytest.raises(InvalidArguments, match=r"fit: value\.zz: there is no such field"):
        await ToolExecutor([Plain({rule: nothing, "properties": {"a": {}}})]).call("plain", {"value": {"zz": 1}})


CAT = {"properties": {"kind": {"const": "cat"}, "lives": {"type": "integer"}}, "required": ["kind", "lives"]}
DOG = {"properties": {"kind": {"enum": ["dog"]}, "bark": {"required": ["loud"]}}, "required": ["kind", "bark"]}
FORMS: list[tuple[Any, Any, str]] = [
    ([CAT, DOG], {"kind": "cat"}, "value.lives: is missing"),
    ([CAT, DOG], {"kind": "cat", "lives": "9"}, 'value.lives: should be of type "integer"'),
    ([CAT, DOG], {"kind": "dog", "bark": {}}, "value.bark.loud: is missing"),
    ([CAT, DOG], {"kind": "cow"}, "value: fits none of 2 forms: [{"),
    ([CAT, DOG], {}, "value: fits none of 2 forms: [{"),
    ([CAT, {"required": ["a"]}], {"kind": "cat", "lives": "9"}, 'value.lives: should be of type "integer"'),
    ([{"type": "null"}, {"oneOf": [CAT, DOG], "type": "object"}], {"kind": "cat"}, "value.lives: is missing"),
    ([{"type": "null"}, {"type": "array", "items": {"type": "string"}}], [1], 'value.0: should be of type "string"'),
    ([{"type": "string"}, {"type": "integer"}], [], "value: fits none of 2 forms: [{"),
]


@pytest.mark.parametrize("joint", ["anyOf", "oneOf"])
@pytest.mark.parametrize(("forms", "value", "said"), FORMS)
async def test_of_several_forms_the_one_that_is_meant_is_told(joint: str, forms: Any, value: Any, said: str) -> None:
    with pytest.raises(InvalidArguments) as refused:
        await ToolExecutor([Plain({joint: forms})]).call("plain", {"value": value})
    assert refused.value.message.partition("do not fit: ")[2].startswith(said)
    assert refused.value.field == said.partition(":")[0]


SAYING: list[tuple[Any, str | None]] = [
    ({"kind": "cat", "lives": 9}, None),
    ({"kind": "cat", "lives": "9"}, 'value.lives: should be of type "integer"'),
    ({"kind": "dog"}, "value.bark: is missing"),
    ({"kind": "cat", "lives": 9, "bark": 1}, None),
    ({"kind": "dog", "lives": 9}, "value.bark: is missing"),
    ({"kind": "fox", "lives": 9}, None),
    ({"kind": "fox"}, 'value.kind: should be one of ["cat","dog"]'),
    ({"kind": "gone"}, 'value.kind: should be one of ["cat","dog"]'),
    ({"kind": 1}, 'value.kind: should be one of ["cat","dog"]'),
    ({}, "value.kind: is missing"),
    ("cat", "value: fits none of 2 forms: [{"),
]


@pytest.mark.parametrize("joint", ["anyOf", "oneOf"])
@pytest.mark.parametrize(("value", "said"), SAYING)
async def test_a_field_that_chooses_a_form_is_held_to(joint: str, value: Any, said: str | None) -> None:
    """The forms alone do not tell what is meant: their fields may be in either."""
    kind = {"kind": {"type": "string"}}
    cat = {"properties": {**kind, "lives": {"type": "integer"}}, "required": ["kind", "lives"], "type": "object"}
    dog = {"properties": {**kind, "bark": {}}, "required": ["kind", "bark"], "type": "object"}
    forms = [{"$ref": "#/$defs/cat"}, {"$ref": "#/$defs/dog"}]
    mapping = {"cat": "#/$defs/cat", "dog": "#/$defs/dog", "gone": "#/$defs/gone"}
    chosen = {joint: forms, "discriminator": {"propertyName": "kind", "mapping": mapping}}
    executor = ToolExecutor([Plain(chosen, **{"$defs": {"cat": cat, "dog": dog}})])
    if said is None:
        assert await executor.call("plain", {"value": value}) == value
        return
    with pytest.raises(InvalidArguments) as refused:
        await executor.call("plain", {"value": value})
    assert refused.value.message.partition("do not fit: ")[2].startswith(said)
    assert refused.value.field == said.partition(":")[0]


@pytest.mark.parametrize("told", ["kind", {}, {"propertyName": 5}, {"propertyName": "kind", "mapping": {"cat": 5}}])
async def test_what_chooses_no_form_is_nothing(told: Any) -> None:
    executor = ToolExecutor([Plain({"oneOf": [CAT, DOG], "discriminator": told})])
    assert await executor.call("plain", {"value": {"kind": "cat", "lives": 9}}) == {"kind": "cat", "lives": 9}
    with pytest.raises(InvalidArguments, match=r"value\.lives: is missing"):
        await executor.call("plain", {"value": {"kind": "cat"}})


async def test_what_fits_more_than_one_form_is_told() -> None:
    told = {"propertyName": "kind", "mapping": {"cat": "#/$defs/any"}}
    plain = Plain({"oneOf": [{"$ref": "#/$defs/any"}, {}], "discriminator": told}, **{"$defs": {"any": {}}})
    with pytest.raises(InvalidArguments, match=r'value\.kind: should be one of \["cat"\]'):
        await ToolExecutor([plain]).call("plain", {"value": {"kind": "dog"}})
    with pytest.raises(InvalidArguments, match="value: fits more than one of 2 forms"):
        await ToolExecutor([Plain({"oneOf": [{"type": "integer"}, {"minimum": 1}]})]).call("plain", {"value": 2})


# -- what is registered ------------------------------------------------------------------------------------------------


class Told:
    """A tool of which one thing is wrong."""

    def __init__(self, **told: Any) -> None:
        self.name = told.pop("name", "told")
        self.spec = told.pop("spec", None) or ToolSpec("Does it.", **told)

    async def invoke(self) -> None: ...


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"name": "bad name!"}, "'bad name!' cannot be the name"),
        ({"name": ""}, "'' cannot be the name"),
        ({"name": 5}, "5 cannot be the name"),
        ({"name": "x" * 65}, "cannot be the name"),
        ({"spec": {"description": "x"}}, "the spec of 'told' is no ToolSpec, but 'dict'"),
        ({"version": "abc"}, "version='abc' of 'told' is no version"),
        ({"version": ""}, "version='' of 'told' is no version"),
        ({"input_schema": {"type": "objekt"}}, r"input_schema of 'told' is of no use: \$\.type"),
        ({"input_schema": {"type": 5}}, "input_schema of 'told' is of no use"),
        ({"input_schema": {"$schema": 5}}, "input_schema of 'told' is of no use"),
        ({"input_schema": {"type": "string"}}, "input_schema of 'told' has the type 'string'"),
        ({"input_schema": {"properties": {"a": {"pattern": "("}}}}, r"input_schema of 'told'.*'\(' is not a 'regex'"),
        ({"input_schema": "x"}, "input_schema of 'told' is no JSON Schema, but 'str'"),
        ({"output_schema": {"items": 5}}, "output_schema of 'told' is of no use"),
    ],
)
def test_a_broken_description_is_told_when_it_is_registered(told: Mapping[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        ToolRegistry([Told(**told)])


CIRCLES: list[tuple[str, Mapping[str, Any]]] = [
    ("#", {"$ref": "#"}),
    (
        r"#/\$defs/[ab]",
        {"items": {"$ref": "#/$defs/a"}, "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}},
    ),
    ("#/items/allOf/1", {"items": {"allOf": [{}, {"$ref": "#/items/allOf/1"}]}}),
    ("#/items", {"items": {"type": "object", "allOf": [{"title": "x", "$ref": "#/items"}]}}),
    *(("#/items", {"items": {joint: [{"type": "string"}, {"$ref": "#/items"}]}}) for joint in ("anyOf", "oneOf")),
    *(("#/items", {"items": {word: {"$ref": "#/items"}}}) for word in ("not", "if", "then", "else")),
    *(("#/items", {"items": {word: {"x": {"$ref": "#/items"}}}}) for word in ("dependentSchemas", "dependencies")),
    (
        r"#/\$defs/[ab]",
        {
            "items": {"$ref": "#/$defs/a"},
            "$defs": {
                "a": {"$ref": "#/$defs/text", "oneOf": [{"$ref": "#/$defs/b"}]},
                "b": {"anyOf": [{"not": {"$ref": "#/$defs/a"}}]},
                "text": {"type": "string"},
            },
        },
    ),
]


@pytest.mark.parametrize(("reference", "schema"), CIRCLES)
def test_references_in_a_circle_are_told_when_it_is_registered(reference: str, schema: Mapping[str, Any]) -> None:
    for told in ({"input_schema": schema}, {"output_schema": schema}):
        with pytest.raises(ConfigError, match=f"of no use: '({reference})' leads in a circle"):
            ToolRegistry([Told(**told)])


async def test_references_that_lead_into_a_value_are_a_tree() -> None:
    below = {"oneOf": [{"type": "null"}, {"items": {"anyOf": [{"$ref": "#/$defs/node"}]}}]}
    node = {"allOf": [{"$ref": "#/$defs/named"}], "properties": {"below": below}}
    ring = {"$ref": "#/$defs/ring"}  # of which nothing speaks
    named = {"required": ["name"], "properties": {"parent": {"$ref": "#/$defs/node"}, "$ref": {"type": "string"}}}
    tool = Plain({"$ref": "#/$defs/node"}, **{"$defs": {"node": node, "named": named, "ring": ring}})
    tree = {"name": "a", "$ref": "b", "below": [{"name": "c", "parent": {"name": "d"}}]}
    assert await ToolExecutor([tool]).call("plain", {"value": tree}) == tree
    with pytest.raises(InvalidArguments, match=r"value\.below\.0\.parent\.name: is missing"):
        await ToolExecutor([tool]).call("plain", {"value": {"name": "a", "below": [{"name": "c", "parent": {}}]}})


BROKEN: list[tuple[str, Any]] = [
    *((word, {"type": "no"}) for word in ("not", "if", "then", "else", "contains", "propertyNames", "items")),
    *((word, {"type": "no"}) for word in ("additionalProperties", "unevaluatedProperties", "unevaluatedItems")),
    *((word, {"x": {"type": "no"}}) for word in ("properties", "$defs", "definitions", "dependentSchemas")),
    *((word, [{"type": "no"}]) for word in ("allOf", "anyOf", "oneOf")),
    *((word, -1) for word in ("minItems", "maxContains", "maxLength", "minProperties")),
    ("patternProperties", {"(": {}}),
    ("dependentRequired", {"x": [1]}),
    ("dependencies", {"x": {"type": "no"}}),
    ("required", ["x", "x"]),
    ("enum", 5),
    ("multipleOf", 0),
    ("title", 5),
    ("$anchor", "#"),
    ("$id", "x#y"),
    ("$vocabulary", {"x": 5}),
    ("contentSchema", {"properties": {"x": 5}}),
]


@pytest.mark.parametrize("draft", ["2019-09", "2020-12"])
@pytest.mark.parametrize(("word", "value"), BROKEN, ids=[each[0] for each in BROKEN])
def test_every_word_of_a_schema_is_seen_to_at_every_level(draft: str, word: str, value: Any) -> None:
    whole = {"$schema": f"https://json-schema.org/draft/{draft}/schema", "items": {"properties": {"deep": True}}}
    ToolRegistry([Told(output_schema=whole)])
    broken = {**whole, "items": {"properties": {"deep": {word: value}}}}
    with pytest.raises(ConfigError, match=r"of no use: \$\.items\.properties\.deep"):
        ToolRegistry([Told(output_schema=broken)])


def test_a_schema_that_is_too_large_is_told_and_not_read() -> None:
    properties = {f"p{number}": {"type": "string", "minLength": 1} for number in range(10_000)}
    with pytest.raises(ConfigError, match="input_schema of 'told' is of no use: it is too large"):
        ToolRegistry([Told(input_schema={"properties": properties})])


def test_a_schema_that_is_too_much_work_to_read_is_told() -> None:
    heavy = [{"pattern": f"(?=a{number}){'(?:ab|cd)*' * 400}"} for number in range(9_000)]
    with pytest.raises(ConfigError, match="too much work to read"):
        ToolRegistry([Told(output_schema={"allOf": heavy})])


@pytest.mark.parametrize("option", [{"name": ""}, {"version": "abc"}, {"version": ""}])
def test_a_function_is_held_to_the_same(option: Mapping[str, Any]) -> None:
    with pytest.raises(ConfigError):

        @tool(**option)
        def echo(text: str) -> str:  # pyright: ignore[reportUnusedFunction]
            return text


def test_a_good_description_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        ToolRegistry([Plain(), Told(version="2.0.0-rc.1+7", input_schema={"properties": {"a": {"pattern": r"^\d+$"}}})])
    assert caplog.text == ""


# -- functions ---------------------------------------------------------------------------------------------------------


class Account(BaseModel):
    owner: str
    token: str


@pytest.mark.parametrize("secret", ["password", "token", "owner"])
def test_a_secret_is_anything_that_can_be_given(secret: str) -> None:
    @tool(secrets=[secret])
    def login(password: str, account: Account | None = None, several: list[Account] = []) -> None: ...  # noqa: B006

    assert login.spec.secrets == {secret}


def test_a_secret_may_be_in_a_field_of_any_names() -> None:
    @tool(secrets=["Authorization"])
    def fetch(url: str, headers: dict[str, str]) -> None: ...

    assert fetch.spec.secrets == {"Authorization"}


def test_a_secret_that_is_misspelt_is_told() -> None:
    with pytest.raises(ConfigError, match=r"'pasword'.*did you mean 'password'"):

        @tool(secrets=["pasword"])
        def login(password: str) -> None: ...  # pyright: ignore[reportUnusedFunction]

    with pytest.raises(ConfigError, match=r"'key'.*it takes account, owner, token"):

        @tool(secrets=["key"])
        def show(account: Account) -> None: ...  # pyright: ignore[reportUnusedFunction]


def test_a_type_that_no_json_fills_is_told_when_it_is_decorated() -> None:
    with pytest.raises(ConfigError, match="parameter 'then' of 'later' has a type that no JSON can fill"):

        @tool
        def later(x: int, then: Callable[[int], int]) -> int:  # pyright: ignore[reportUnusedFunction]
            return then(x)


async def test_a_set_takes_no_item_twice() -> None:
    @tool
    def total(numbers: set[int], limits: Annotated[frozenset[int], Field(max_length=3)] = frozenset()) -> int:
        return sum(numbers)

    executor = ToolExecutor([total])
    assert await executor.call("total", {"numbers": [1, 2]}) == 3
    with pytest.raises(InvalidArguments, match="numbers: has one item twice"):
        await executor.call("total", {"numbers": [1, 1]})
    with pytest.raises(InvalidArguments, match="limits: has one item twice"):
        await total.invoke(numbers=[1], limits=[2, 2])


GOOGLE = """Move money.

Args:
    amount (float): how much,
        in euros.
    to: who gets it.

Returns:
    nothing: at all.
"""
NUMPY = """Move money.

Parameters
----------
amount : float, optional
    how much,
    in euros.
to, copy : str
    who gets it.

Returns
-------
nothing : str
    at all.
"""
SPHINX = """Move money.
:param float amount: how much,
    in euros.
:param to: who gets it.
:type to: str
:returns: nothing: at all.
"""


@pytest.mark.parametrize("doc", [GOOGLE, NUMPY, SPHINX], ids=["google", "numpy", "sphinx"])
def test_docstrings_of_three_styles(doc: str) -> None:
    def move(amount: float, to: str, nothing: str = "") -> None: ...

    move.__doc__ = doc
    spec = tool(move).spec
    assert spec.description == "Move money."
    said = {name: field.get("description") for name, field in spec.input_schema["properties"].items()}
    assert said == {"amount": "how much, in euros.", "to": "who gets it.", "nothing": None}


# -- errors of one's own -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [ToolError, ToolRefused, ToolFailed, InvalidArguments])
async def test_an_error_of_ones_own_needs_a_message_only(kind: type[ToolError]) -> None:
    @tool
    def closed() -> None:
        raise kind("it is closed on Sundays", hint="ask again tomorrow")

    with pytest.raises(kind) as caught:
        await ToolExecutor([closed]).call("closed")
    assert (caught.value.message, caught.value.hint) == ("it is closed on Sundays", "ask again tomorrow")
