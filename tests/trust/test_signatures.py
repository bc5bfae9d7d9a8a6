"""Signed cards: the form that is signed, who counts, and each attack on them. Spec 8.4."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

import pytest

from codin import a2a
from codin.errors import CardNotTrusted, ConfigError
from codin.trust import PublicKey, SigningKey, canonical_json, card_payload, sign_card, verify_card

KEY = SigningKey.generate()
OTHER = SigningKey.generate("EdDSA")


def a_card(**changes: Any) -> a2a.AgentCard:
    """A card with something empty in each place where forms differ."""
    bearer = a2a.SecurityScheme(http_auth_security_scheme=a2a.HTTPAuthSecurityScheme(scheme="Bearer"))
    card = a2a.AgentCard(
        name="översättare",
        description="",
        version="1.0",
        supported_interfaces=[
            a2a.AgentInterface(url="https://a.example/", protocol_binding="JSONRPC", protocol_version="1.0")
        ],
        capabilities=a2a.AgentCapabilities(
            streaming=False,
            extensions=[a2a.AgentExtension(uri="urn:x", params={"n": 1.0, "empty": {}, "nothing": None})],
        ),
        default_input_modes=["text/plain"],
        default_output_modes=[],
        skills=[a2a.AgentSkill(id="say", name="say", description="", tags=[])],
        security_schemes={"bearer": bearer},
        security_requirements=[a2a.SecurityRequirement(schemes={"bearer": a2a.StringList()})],
    )
    return card.model_copy(update=changes)


def encoded(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def forged(fields: dict[str, Any], header: dict[str, Any] | bytes, sign: Callable[[bytes], bytes] = KEY.sign) -> bytes:
    """A card with a header of one's own making, signed."""
    protected = encoded(header if isinstance(header, bytes) else json.dumps(header).encode())
    signed = f"{protected}.{encoded(card_payload(fields))}".encode()
    return json.dumps({**fields, "signatures": [{"protected": protected, "signature": encoded(sign(signed))}]}).encode()


def refused(card: a2a.AgentCard | bytes | dict[str, Any], *keys: PublicKey) -> str:
    with pytest.raises(CardNotTrusted) as caught:
        verify_card(card, keys or (KEY.public,))
    assert caught.value.code == "CODIN-1601"
    return caught.value.message


# -- the form ----------------------------------------------------------------------------------------------------------


@pytest.mark.requirement("SIGN-PRESENCE")
def test_the_worked_example_of_the_specification() -> None:
    """Section 8.4.1, byte for byte."""
    fragment: dict[str, Any] = {
        "name": "Example Agent",
        "description": "",
        "capabilities": {"streaming": False, "pushNotifications": False, "extensions": []},
        "skills": [],
    }
    assert card_payload(fragment) == (
        b'{"capabilities":{"pushNotifications":false,"streaming":false},'
        b'"description":"","name":"Example Agent","skills":[]}'
    )


@pytest.mark.requirement("SIGN-PRESENCE", "SIGN-NOT-ITSELF")
def test_each_field_is_there_by_its_own_rule() -> None:
    """Required and `optional` ones stay, the others go when they hold their default, and what is not known stays."""
    fields: dict[str, Any] = {
        "name": "x",
        "documentationUrl": "",
        "iconUrl": None,
        "securitySchemes": {
            "key": {"apiKeySecurityScheme": {"location": "header", "name": "", "description": ""}},
            "mtls": {"mtlsSecurityScheme": {"description": ""}},
        },
        "securityRequirements": [{"schemes": {"key": {"list": []}}}, {"schemes": {}}],
        "supportedInterfaces": [{"url": "u", "protocolBinding": "", "tenant": ""}],
        "capabilities": {
            "extensions": [{"uri": "u", "description": "", "required": False, "params": {"a": "", "b": []}}]
        },
        "skills": [{"id": "s", "tags": [], "examples": [], "inputModes": []}],
        "signatures": [{"protected": "p"}],
        "extra": {"": [None, ""]},
    }
    assert json.loads(card_payload(fields)) == {
        "name": "x",
        "documentationUrl": "",
        "securitySchemes": {
            "key": {"apiKeySecurityScheme": {"location": "header", "name": ""}},
            "mtls": {"mtlsSecurityScheme": {}},
        },
        "securityRequirements": [{"schemes": {"key": {}}}, {}],
        "supportedInterfaces": [{"url": "u", "protocolBinding": ""}],
        "capabilities": {"extensions": [{"uri": "u", "params": {"a": "", "b": []}}]},
        "skills": [{"id": "s", "tags": []}],
        "extra": {"": [None, ""]},
    }


@pytest.mark.requirement("SIGN-HEADER", "SIGN-TYPE", "SIGN-JKU")
def test_the_header_says_what_the_specification_wants() -> None:
    card = sign_card(a_card(), KEY, jku="https://a.example/keys")
    header = json.loads(base64.urlsafe_b64decode(card.signatures[0].protected + "=="))
    assert header["alg"] == "ES256"
    assert header["kid"] == KEY.kid
    assert header["typ"] == "JOSE"
    assert header["jku"] == "https://a.example/keys"


# -- who counts --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ["ES256", "EdDSA", "RS256"])
def test_a_signed_card_verifies_in_each_of_its_forms(algorithm: Any) -> None:
    key = SigningKey.generate(algorithm)
    card = sign_card(a_card(), key)
    for form in (card, card.to_json(), card.to_dict()):
        assert verify_card(form, [key.public]) == key.public
        assert verify_card(form, {key.kid: key.public}.get) == key.public
    refused(card, KEY.public)


@pytest.mark.requirement("SIGN-ONE-COUNTS", "SIGN-ROTATION")
def test_one_of_several_signatures_is_enough() -> None:
    card = sign_card(a_card(), KEY, OTHER)
    assert verify_card(card, [OTHER.public]) == OTHER.public
    assert verify_card(card, [KEY.public]) == KEY.public
    assert "not known here" in refused(card, SigningKey.generate().public)


@pytest.mark.requirement("SIGN-ROTATION", "SIGN-NOT-ITSELF")
def test_signatures_are_added_and_made_anew() -> None:
    card = sign_card(sign_card(a_card(), KEY), OTHER)
    assert verify_card(card, [KEY.public]) == KEY.public
    assert verify_card(card, [OTHER.public]) == OTHER.public
    again = sign_card(card.model_copy(update={"version": "2.0"}), KEY)
    assert len(again.signatures) == len(card.signatures)
    assert verify_card(again, [KEY.public]) == KEY.public
    assert "does not fit" in refused(again, OTHER.public)


@pytest.mark.requirement("SIGN-EXPIRED")
def test_an_expired_key_does_not_count() -> None:
    card = sign_card(a_card(), KEY)
    assert "expired" in refused(card, KEY.public.until(1))


@pytest.mark.requirement("SIGN-EXPIRED")
def test_a_revoked_key_is_one_that_the_verifier_does_not_have() -> None:
    card = sign_card(a_card(), KEY, OTHER)
    counts = {OTHER.kid: OTHER.public}
    assert verify_card(card, counts.get) == OTHER.public
    del counts[OTHER.kid]
    with pytest.raises(CardNotTrusted, match="not known here"):
        verify_card(card, counts.get)


def test_a_key_answers_to_the_name_that_its_owner_gives_it() -> None:
    named = PublicKey.from_jwk({**KEY.public.to_jwk(), "kid": "key-1"})
    card = forged(a_card().to_dict(), {"alg": "ES256", "kid": "key-1"})
    assert verify_card(card, [named]) == KEY.public
    refused(card, KEY.public)


def test_a_card_that_cannot_be_signed_says_so() -> None:
    deep: Any = {}
    for _ in range(100):
        deep = {"a": deep}
    wrong: list[Any] = [{"a": float("nan")}, {"a": 2**53 + 1}, deep]
    for params in wrong:
        extension = a2a.AgentExtension(uri="urn:x", params=params)
        card = a_card(capabilities=a2a.AgentCapabilities(extensions=[extension]))
        with pytest.raises(ConfigError, match="cannot be signed"):
            sign_card(card, KEY)
    with pytest.raises(ConfigError, match="no key"):
        sign_card(a_card())


# -- attacks -----------------------------------------------------------------------------------------------------------


@pytest.mark.requirement("SIGN-VERIFIED")
def test_an_unsigned_card_is_refused() -> None:
    assert "no signature" in refused(a_card())


@pytest.mark.requirement("SIGN-VERIFIED")
@pytest.mark.parametrize(
    "edit",
    [
        {"name": "another"},
        {"description": "x"},
        {"supported_interfaces": [
            a2a.AgentInterface(url="https://evil.example/", protocol_binding="JSONRPC", protocol_version="1.0")
        ]},
        {"skills": []},
        {"security_requirements": []},
        {"security_requirements": [a2a.SecurityRequirement()]},
        {"default_output_modes": [""]},
        {"icon_url": ""},
        {"provider": a2a.AgentProvider(url="", organization="")},
    ],
    ids=lambda edit: next(iter(edit)),
)  # fmt: skip
def test_an_edited_card_is_refused(edit: dict[str, Any]) -> None:
    """Also where the official SDKs do not see it, because both versions are empty to them."""
    card = sign_card(a_card(), KEY)
    assert "does not fit" in refused(card.model_copy(update=edit))
    assert "does not fit" in refused(card.model_copy(update=edit).to_json())


@pytest.mark.requirement("SIGN-VERIFIED")
def test_a_signature_of_another_card_is_refused() -> None:
    card = sign_card(a_card(), KEY)
    assert "does not fit" in refused(a_card(name="another", signatures=card.signatures))


def test_the_signature_that_is_there_for_the_sdks_does_not_count_here() -> None:
    card = sign_card(a_card(), KEY)
    exact, for_others = card.signatures
    assert verify_card(card.model_copy(update={"signatures": [exact]}), [KEY.public]) == KEY.public
    assert "leaves out" in refused(card.model_copy(update={"signatures": [for_others]}))


def test_a_card_without_anything_empty_needs_one_signature_only() -> None:
    full = a_card(
        description="d",
        default_output_modes=["text/plain"],
        skills=[a2a.AgentSkill(id="say", name="say", description="d", tags=["t"])],
        capabilities=a2a.AgentCapabilities(streaming=True),
        security_requirements=[],
    )
    assert len(sign_card(full, KEY).signatures) == 1


def _mac(secret: bytes) -> Callable[[bytes], bytes]:
    return lambda signed: hmac.new(secret, signed, hashlib.sha256).digest()


@pytest.mark.parametrize("algorithm", ["none", "None", "", "HS256", "ES384", "RS256", "EdDSA", None, ["ES256"], 7])
def test_the_algorithm_is_that_of_the_key(algorithm: Any) -> None:
    """`none`, and key confusion: the public key, which everybody has, as the secret of an HMAC."""
    secrets = [KEY.public.to_pem(), json.dumps(KEY.public.to_jwk()).encode(), canonical_json(KEY.public.to_jwk())]
    makers: list[Callable[[bytes], bytes]] = [lambda _: b"", KEY.sign, *map(_mac, secrets)]
    for make in makers:
        refused(forged(a_card().to_dict(), {"alg": algorithm, "kid": KEY.kid, "typ": "JOSE"}, make))


@pytest.mark.requirement("SIGN-KEYS")
def test_an_address_in_a_signature_is_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    def forbidden(*_: object, **__: object) -> None:
        raise AssertionError("something was looked up")

    monkeypatch.setattr(socket, "getaddrinfo", forbidden)
    monkeypatch.setattr(socket.socket, "connect", forbidden)
    thief = SigningKey.generate()
    jwk = thief.public.to_jwk()
    header = {
        "alg": "ES256",
        "kid": thief.kid,
        "jku": "http://127.0.0.1:1/keys",
        "x5u": "http://127.0.0.1:1/",
        "jwk": jwk,
    }
    assert "not known here" in refused(forged(a_card().to_dict(), header, thief.sign))


@pytest.mark.requirement("SIGN-KEYS")
def test_a_key_that_comes_with_the_signature_does_not_count() -> None:
    thief = SigningKey.generate()
    header = {"alg": "ES256", "kid": KEY.kid, "jwk": thief.public.to_jwk()}
    assert "does not fit" in refused(forged(a_card().to_dict(), header, thief.sign))


@pytest.mark.requirement("SIGN-HEADER")
@pytest.mark.parametrize(
    "header",
    [
        {"alg": "ES256"},
        {"kid": KEY.kid},
        {"alg": "ES256", "kid": ""},
        {"alg": "ES256", "kid": "x" * 300},
        {"alg": "ES256", "kid": KEY.kid, "crit": ["b64"], "b64": False},
        {"alg": "ES256", "kid": KEY.kid, "filler": "x" * 5000},
        b"[]",
        b"\xff",
        b'{"alg":"ES256","alg":"none","kid":"%s"}' % KEY.kid.encode(),
        b"[" * 2000,
    ],
    ids=["no kid", "no alg", "empty kid", "long kid", "crit", "long", "list", "bytes", "twice", "deep"],
)
def test_a_header_that_does_not_say_enough_is_refused(header: dict[str, Any] | bytes) -> None:
    assert "a signature is refused" in refused(forged(a_card().to_dict(), header))


@pytest.mark.parametrize("change", ["{}=", "{}A", " {}", "{}\n", "lower"])
@pytest.mark.parametrize("part", ["protected", "signature"])
def test_a_signature_is_written_in_one_way_only(part: str, change: str) -> None:
    fields = sign_card(a_card(), KEY).to_dict()
    for signature in fields["signatures"]:
        signature[part] = signature[part].lower() if change == "lower" else change.format(signature[part])
    refused(fields)


def test_a_name_that_stands_twice_is_refused() -> None:
    """Readers differ in which one they take."""
    document = sign_card(a_card(), KEY).to_json()
    assert verify_card(document, [KEY.public]) == KEY.public
    for twice in (b'{"name":"another",' + document[1:], document[:-1] + b',"name":"another"}'):
        assert "twice" in refused(twice)


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"[]",
        b'{"name": NaN}',
        b"\xff\xfe{}",
        b'{"a":' * 100_000,
        b'{"name": "x", "y": ' + b"[" * 900 + b"]" * 900 + b"}",
        b'{"name": ' + b"[" * 900 + b"]" * 900 + b"}",
        b'{"x": "' + b"x" * 1024 * 1024 + b'"}',
        b'{"signatures": {}}',
        b'{"signatures": [1, null, {}]}',
        b'{"signatures": [' + b"{}," * 16 + b"{}]}",
    ],
    ids=["empty", "list", "NaN", "UTF-16", "endless", "deep", "deep name", "large", "object", "junk", "many"],
)
def test_what_is_no_card_is_refused_at_once(document: bytes) -> None:
    refused(document)


def test_a_deep_card_with_a_good_header_is_refused() -> None:
    fields = {**a_card().to_dict(), "deep": json.loads("[" * 300 + "]" * 300)}
    signature = sign_card(a_card(), KEY).signatures[0].to_dict()
    plain = {"protected": encoded(b'{"alg":"ES256","kid":"%s"}' % KEY.kid.encode()), "signature": "AAAA"}
    refused({**fields, "signatures": [plain]})
    verified = verify_card(json.dumps({**fields, "signatures": [signature]}).encode(), [KEY.public])
    assert verified == KEY.public  # it is over what is read here, and that has no depth


def test_a_card_with_text_that_is_no_unicode_is_refused() -> None:
    fields = sign_card(a_card(), KEY).to_dict()
    refused(json.dumps({**fields, "name": "\ud800"}).encode())


# -- the forms of others -----------------------------------------------------------------------------------------------


def test_a_field_of_a_newer_version_is_covered_when_its_signer_knew_it() -> None:
    fields = {**a_card().to_dict(), "newer": {"b": 1, "a": [""]}}
    card = json.loads(forged(fields, {"alg": "ES256", "kid": KEY.kid}))
    assert verify_card(card, [KEY.public]) == KEY.public
    refused({**card, "newer": {"b": 2, "a": [""]}})


def test_a_signature_over_the_plain_json_verifies() -> None:
    """As signers make it who leave nothing out."""
    fields: dict[str, Any] = {**a_card().to_dict(), "provider": None}
    fields["skills"] = [{**fields["skills"][0], "examples": []}]
    protected = encoded(json.dumps({"alg": "ES256", "kid": KEY.kid}).encode())
    signature = KEY.sign(f"{protected}.{encoded(canonical_json(fields))}".encode())
    card = {**fields, "signatures": [{"protected": protected, "signature": encoded(signature)}]}
    assert verify_card(card, [KEY.public]) == KEY.public
    fields["skills"][0]["examples"] = ["more"]
    refused({**card, **fields})
