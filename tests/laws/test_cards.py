"""Law 10: verify(sign(card)) holds after any re-serialisation; one changed byte breaks it."""

from __future__ import annotations

import json
import re
from typing import Any, TypeVar, cast

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from codin import a2a
from codin.a2a.v03 import with_old_fields
from codin.errors import CardNotTrusted
from codin.trust import SigningKey, card_payload, sign_card, verify_card

KEYS = [SigningKey.generate("ES256"), SigningKey.generate("EdDSA")]
PUBLIC = [key.public for key in KEYS]

M = TypeVar("M", bound=a2a.Model)


def made(model: type[M], **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[M]:
    """`st.builds` without a look at the annotations, which pydantic understands and typing cannot always evaluate."""
    return st.fixed_dictionaries(fields).map(lambda drawn: model(**drawn))


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
NAME = TEXT.filter(bool)
TEXTS = st.lists(TEXT, max_size=2)
NUMBERS = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXT, inner, max_size=2),
    max_leaves=5,
)
REQUIREMENTS = st.lists(
    made(
        a2a.SecurityRequirement,
        schemes=st.dictionaries(TEXT, made(a2a.StringList, list=TEXTS), max_size=2),
    ),
    max_size=2,
)
SCHEMES = st.one_of(
    made(a2a.SecurityScheme, mtls_security_scheme=made(a2a.MutualTlsSecurityScheme, description=TEXT)),
    made(
        a2a.SecurityScheme,
        api_key_security_scheme=made(a2a.APIKeySecurityScheme, location=NAME, name=NAME, description=TEXT),
    ),
)
CARDS = made(
    a2a.AgentCard,
    name=NAME,
    description=TEXT,
    version=TEXT,
    supported_interfaces=st.lists(
        made(a2a.AgentInterface, url=NAME, protocol_binding=NAME, protocol_version=TEXT, tenant=st.none() | TEXT),
        max_size=2,
    ),
    capabilities=made(
        a2a.AgentCapabilities,
        streaming=st.none() | st.booleans(),
        extensions=st.lists(
            made(
                a2a.AgentExtension,
                uri=st.none() | TEXT,
                required=st.booleans(),
                params=st.none() | st.dictionaries(TEXT, JSON, max_size=2),
            ),
            max_size=2,
        ),
    ),
    default_input_modes=TEXTS,
    default_output_modes=TEXTS,
    skills=st.lists(
        made(
            a2a.AgentSkill,
            id=NAME,
            name=TEXT,
            description=TEXT,
            tags=TEXTS,
            examples=TEXTS,
            security_requirements=REQUIREMENTS,
        ),
        max_size=2,
    ),
    provider=st.none() | made(a2a.AgentProvider, url=TEXT, organization=TEXT),
    icon_url=st.none() | TEXT,
    security_schemes=st.dictionaries(TEXT, SCHEMES, max_size=2),
    security_requirements=REQUIREMENTS,
)


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])[A-Z]", lambda found: f"_{found[0].lower()}", name)


FIELDS = {name for model in (a2a.AgentCard, a2a.AgentSkill, a2a.AgentInterface) for name in model.model_fields}


def _otherwise(value: Any, draw: Any, inside: str = "") -> Any:
    """The same, in another order, with the other names of fields, with numbers and nulls as others write them."""
    if isinstance(value, list):
        return [_otherwise(item, draw, inside) for item in cast("list[Any]", value)]
    if isinstance(value, int) and not isinstance(value, bool):
        return float(value) if draw(st.booleans()) else value
    if not isinstance(value, dict):
        return value
    members = list(cast("dict[str, Any]", value).items())
    found: dict[str, Any] = {}
    for name, item in draw(st.permutations(members)):
        ours = inside != "params" and _snake(name) in FIELDS
        written = _snake(name) if ours and draw(st.booleans()) else name
        found[written] = _otherwise(item, draw, "params" if inside == "params" or name == "params" else name)
    return found


def _without_empty(fields: dict[str, Any]) -> dict[str, Any]:
    """As a ProtoJSON writer leaves out what holds its default, required or not; an `optional` field it keeps."""
    return {name: value for name, value in fields.items() if name == "iconUrl" or value not in ("", [])}


@pytest.mark.requirement("SIGN-JCS")
@given(CARDS, st.data())
def test_it_verifies_after_any_re_serialisation(card: a2a.AgentCard, data: st.DataObject) -> None:
    signed = sign_card(card, *KEYS)
    fields = signed.to_dict()
    if data.draw(st.booleans(), "through a ProtoJSON writer"):
        fields = _without_empty(fields)
        fields["skills"] = [_without_empty(skill) for skill in fields.get("skills", [])]
    fields = _otherwise(fields, data.draw)
    fields |= data.draw(st.sampled_from([{}, {"provider": None} if "provider" not in fields else {}, {"newer": [1]}]))
    document = json.dumps(
        fields,
        ensure_ascii=data.draw(st.booleans()),
        indent=data.draw(st.none() | st.integers(0, 3)),
        separators=data.draw(st.sampled_from([(",", ":"), (" , ", " : ")])),
    ).encode()
    for key in PUBLIC:
        assert verify_card(document, [key]) == key
    assert a2a.AgentCard.from_json(document) == signed  # which is what the document stands for


@pytest.mark.requirement("SIGN-VERIFIED")
@given(CARDS, st.data())
def test_one_changed_byte_breaks_it(card: a2a.AgentCard, data: st.DataObject) -> None:
    """Unless it is no change: a blank more, another case of an escape, or one signature of several."""
    signed = sign_card(card, KEYS[0])
    document = bytearray(signed.to_json())
    place = data.draw(st.integers(0, len(document) - 1))
    byte = data.draw(st.integers(0, 255))
    assume(document[place] != byte)
    document[place] = byte
    try:
        verify_card(bytes(document), PUBLIC)
    except CardNotTrusted:
        return
    fields = json.loads(document)
    del fields["signatures"]
    assert a2a.AgentCard.from_dict(fields) == card


@pytest.mark.requirement("SIGN-VERIFIED")
@given(CARDS, CARDS)
def test_a_signature_is_for_one_card(card: a2a.AgentCard, other: a2a.AgentCard) -> None:
    assume(card_payload(card) != card_payload(other))
    signatures = sign_card(card, KEYS[0]).signatures
    with pytest.raises(CardNotTrusted):
        verify_card(other.model_copy(update={"signatures": signatures}), PUBLIC)


@given(CARDS, NAME)
def test_the_fields_of_0_3_beside_those_of_1_0_change_nothing(card: a2a.AgentCard, url: str) -> None:
    interface = a2a.AgentInterface(url=url, protocol_binding="JSONRPC", protocol_version="0.3")
    both = card.model_copy(update={"supported_interfaces": [*card.supported_interfaces, interface]})
    signed = sign_card(both, *KEYS)
    document = json.dumps(with_old_fields(signed)).encode()
    assert json.loads(document)["url"]
    assert a2a.AgentCard.from_json(document) == signed
    for key in PUBLIC:
        assert verify_card(document, [key]) == key
