"""Agent cards: as other implementations write them, as ours are written."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from codin import a2a
from codin.a2a import AgentCard

FULL: dict[str, Any] = {
    "name": "shout",
    "description": "Says it louder.",
    "version": "1.0.0",
    "supportedInterfaces": [
        {"url": "https://example.com/", "protocolBinding": "JSONRPC", "protocolVersion": "1.0", "tenant": "acme"}
    ],
    "capabilities": {
        "streaming": True,
        "pushNotifications": False,
        "extensions": [{"uri": "urn:x", "required": True, "params": {"n": 1}}],
    },
    "defaultInputModes": ["text/plain"],
    "defaultOutputModes": ["text/plain"],
    "skills": [
        {
            "id": "shout",
            "name": "Shout",
            "description": "Upper case.",
            "tags": [],
            "examples": ["hello"],
            "securityRequirements": [{"schemes": {"my_oauth": {"list": ["read"]}}}],
        }
    ],
    "provider": {"url": "https://example.com", "organization": "Example"},
    "documentationUrl": "",
    "securitySchemes": {
        "key": {"apiKeySecurityScheme": {"location": "header", "name": "X-Key"}},
        "http": {"httpAuthSecurityScheme": {"scheme": "Bearer", "bearerFormat": "JWT"}},
        "my_oauth": {
            "oauth2SecurityScheme": {
                "flows": {
                    "authorizationCode": {
                        "authorizationUrl": "https://example.com/a",
                        "tokenUrl": "https://example.com/t",
                        "scopes": {"read": "Read it."},
                        "pkceRequired": True,
                    }
                },
                "oauth2MetadataUrl": "https://example.com/m",
            }
        },
        "device": {
            "oauth2SecurityScheme": {
                "flows": {
                    "deviceCode": {"deviceAuthorizationUrl": "https://example.com/d", "tokenUrl": "x", "scopes": {}}
                }
            }
        },
        "oidc": {"openIdConnectSecurityScheme": {"openIdConnectUrl": "https://example.com/o"}},
        "mtls": {"mtlsSecurityScheme": {}},
    },
    "securityRequirements": [{"schemes": {"key": {}, "my_oauth": {"list": ["read"]}}}],
    "signatures": [{"protected": "e30", "signature": "AA", "header": {"kid": "1"}}],
}


def test_a_full_card_comes_back_unchanged() -> None:
    card = AgentCard.from_json(json.dumps(FULL))
    assert card.to_dict() == FULL
    assert json.loads(card.to_json()) == FULL


def test_what_a_protojson_writer_left_out_reads_as_empty_and_is_written() -> None:
    card = AgentCard.from_json('{"name":"bare","skills":[{"id":"s"}]}')
    assert card.to_dict() == {
        "name": "bare",
        "description": "",
        "version": "",
        "supportedInterfaces": [],
        "capabilities": {},
        "defaultInputModes": [],
        "defaultOutputModes": [],
        "skills": [{"id": "s", "name": "", "description": "", "tags": []}],
    }


def test_snake_case_is_not_taken_for_absent() -> None:
    card = AgentCard.from_dict({"name": "x", "default_input_modes": ["text/plain"], "description": None})
    assert (card.default_input_modes, card.description) == (["text/plain"], "")


def test_empty_values_of_two_cards_are_not_one_list() -> None:
    one, two = AgentCard.from_json('{"name":"one"}'), AgentCard.from_json('{"name":"two"}')
    one.default_input_modes.append("text/plain")
    assert two.default_input_modes == []


def test_a_card_without_a_name_is_refused() -> None:
    with pytest.raises(a2a.InvalidParams) as caught:
        AgentCard.from_json("{}")
    assert [violation.field for violation in caught.value.violations] == ["name"]


def test_a_scheme_of_a_kind_unknown_here_does_not_spoil_the_card() -> None:
    card = AgentCard.from_json('{"name":"x","securitySchemes":{"new":{"quantumSecurityScheme":{}}}}')
    assert card.security_schemes["new"] == a2a.SecurityScheme()


def test_two_kinds_in_one_scheme_are_refused() -> None:
    with pytest.raises(ValidationError, match="Only one kind"):
        a2a.SecurityScheme(
            mtls_security_scheme=a2a.MutualTlsSecurityScheme(),
            http_auth_security_scheme=a2a.HTTPAuthSecurityScheme(scheme="Bearer"),
        )


def test_the_fields_of_version_0_3_are_ignored() -> None:
    hybrid = FULL | {"url": "https://example.com", "preferredTransport": "JSONRPC", "protocolVersion": "0.3.0"}
    assert AgentCard.from_dict(hybrid).to_dict() == FULL


def test_a_page_that_a_protojson_writer_emptied() -> None:
    page = a2a.ListTasksResponse.from_json("{}")
    assert page.to_dict() == {"tasks": [], "nextPageToken": "", "pageSize": 0, "totalSize": 0}
