"""What ADK waits for, as questions to the caller; and the answers as the function responses ADK goes on with."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

from google.adk.auth import AuthCredential
from google.genai import types
from pydantic import ValidationError
from pydantic_core import to_json

from codin.agent.adapters._questions import Question, Unclear, approval, json_value, object_of, readable, relayed

__all__ = ["ANSWER", "CONFIRMATION", "CREDENTIAL", "INPUT", "REMOTE", "Pending", "question_of", "response_of"]

# Source: google.adk.utils._function_call_names
CONFIRMATION = "adk_request_confirmation"
CREDENTIAL = "adk_request_credential"
INPUT = "adk_request_input"
"""The names of the calls that ADK asks with."""
_ADK_HINT = "FunctionResponse"  # a word of the hint that ADK writes itself, for programs
# Arguments of a long-running tool that read like a question; the last two are those of ADK's own A2A client.
_ASKING = ("question", "message", "prompt", "input_required", "auth_required")

REMOTE = "codin_remote"
"""In a payload: it is the question of a remote agent, and the value says of which task."""
ANSWER = "answer"
"""In the payload of a confirmation that is such a question: the place for what is answered."""

_DECISION = {
    "type": "object",
    "properties": {"confirmed": {"type": "boolean"}, "payload": {}},
    "required": ["confirmed"],
}
_TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
    "array": (list,),
    "object": (dict,),
}


@dataclass(frozen=True, slots=True)
class Pending:
    """A call that ADK waits for somebody to answer.

    Args:
        branch: of the event that asked. ADK shows the answer to one branch only.
    """

    id: str
    name: str
    args: Mapping[str, Any]
    branch: str | None = None

    def answered(self, response: Mapping[str, Any]) -> types.Part:
        """The part of a message that answers it."""
        return types.Part(function_response=types.FunctionResponse(id=self.id, name=self.name, response=dict(response)))


def question_of(pending: Pending) -> Question:
    """The question in a pending call: of ADK's own kinds, or of a long-running tool."""
    if pending.name == CONFIRMATION:
        return _confirmation(pending)
    if pending.name == CREDENTIAL:
        return _credential(pending)
    if pending.name == INPUT:
        return _input(pending)
    value = {"tool": pending.name, "args": json_value(pending.args)}
    text = _text_of_call(pending.name, pending.args)
    return Question(pending.id, text, value, auth="auth_required" in pending.args)


def response_of(pending: Pending, value: Any) -> dict[str, Any]:
    """The function response for an answer.

    Raises:
        Unclear: the answer does not fit what was asked.
    """
    if pending.name == CONFIRMATION:
        return _decision(pending, value)
    if pending.name == CREDENTIAL:
        return _credential_response(pending, value)
    if pending.name == INPUT:
        schema = object_of(pending.args.get("response_schema"))
        if _is_decision(schema):
            return _decision(pending, value)
        _check(schema, value, "The answer")
        return {"result": _kept_string(value, schema) if "interruptId" in pending.args else value}
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {"result": value}


# -- tools and calls ---------------------------------------------------------------------------------------------------


def _text_of_call(name: str, args: Mapping[str, Any]) -> str:
    """What the model asks with, when one of the arguments is a question; else the call itself."""
    asked = next((args[key] for key in _ASKING if isinstance(args.get(key), str)), None)
    return asked or _shown_call(name, args)


def _shown_call(name: str, args: Mapping[str, Any]) -> str:
    return f"{name}({to_json(json_value(args)).decode() if args else ''})"


def _confirmation(pending: Pending) -> Question:
    call = object_of(pending.args.get("originalFunctionCall"))
    name, args = str(call.get("name")), object_of(call.get("args"))
    hint, payload = str(object_of(pending.args.get("toolConfirmation")).get("hint") or ""), _payload(pending)
    if not hint or _ADK_HINT in hint:
        hint = f"May {_shown_call(name, args)} be called?"
    value = {"tool": name, "args": json_value(args)}
    return _deciding(pending, hint, value if payload is None else {**value, "payload": json_value(payload)})


def _deciding(pending: Pending, text: str, value: Any) -> Question:
    """A question answered by yes or no, unless it is a remote agent's, which is answered by anything."""
    if remote := object_of(object_of(_payload(pending)).get(REMOTE)):
        return relayed(pending.id, text, remote.get("question"), auth=remote.get("auth") is True)
    return Question(pending.id, text, value, _DECISION, read=partial(_decision, pending))


def _is_decision(schema: Mapping[str, Any]) -> bool:
    """Whether a workflow node asks for its confirmation: it does so by a request for input."""
    return object_of(object_of(schema.get("properties")).get("confirmed")).get("type") == "boolean"


def _payload(pending: Pending) -> Any:
    """What a tool gave with its confirmation."""
    if pending.name == INPUT:
        return object_of(pending.args.get("payload")).get("confirmation_payload")
    return object_of(pending.args.get("toolConfirmation")).get("payload")


def _decision(pending: Pending, value: Any) -> dict[str, Any]:
    """Yes or no, with a payload where one is expected."""
    payload, fields = _payload(pending), object_of(value)
    if REMOTE in object_of(payload):  # whose answer it is was settled when it asked; no caller may say otherwise
        return {"confirmed": True, "payload": {**object_of(payload), ANSWER: value}}
    if isinstance(fields.get("confirmed"), bool) and fields.keys() <= {"confirmed", "payload", "hint"}:
        return fields
    if isinstance(value, (bool, str)):
        confirmed = value if isinstance(value, bool) else approval(value)[0]
        return {"confirmed": confirmed} if payload is None else {"confirmed": confirmed, "payload": payload}
    if payload is None:
        raise Unclear('Answer "yes" or "no", or with {"confirmed": true} or {"confirmed": false}.')
    return {"confirmed": True, "payload": value}


# -- credentials -------------------------------------------------------------------------------------------------------


def _credential(pending: Pending) -> Question:
    config = _auth_config(pending)
    scheme = object_of(config.get("authScheme"))
    where = object_of(object_of(config.get("exchangedAuthCredential")).get("oauth2")).get("authUri")
    kind = str(scheme.get("type", ""))
    if where:
        text = f"Sign in at {where} and answer with the address you are sent to, or with an access token."
    elif kind == "apiKey":
        text = f"An API key is needed ({scheme.get('name')})."
    elif kind == "http":
        form = "a user name and password, as user:password" if _is_basic(scheme) else "a token"
        text = f"A credential is needed: {form}."
    else:
        text = "An access token is needed."
    return Question(pending.id, text, {"scheme": scheme, "signIn": where} if where else {"scheme": scheme}, auth=True)


def _credential_response(pending: Pending, value: Any) -> dict[str, Any]:
    """ADK's auth config with the credential in it. An object is ADK's own form: its config, or a credential."""
    if isinstance(value, dict):
        return _checked_credential(cast("dict[str, Any]", value))
    text = str(value).strip()
    config = _auth_config(pending)
    scheme = object_of(config.get("authScheme"))
    kind = str(scheme.get("type") or "oauth2")
    if kind == "apiKey":
        filled: dict[str, Any] = {"apiKey": text}
    elif kind == "http":
        user, _, password = text.partition(":")
        credentials = {"username": user, "password": password} if _is_basic(scheme) else {"token": text}
        filled = {"http": {"scheme": scheme.get("scheme", "bearer"), "credentials": credentials}}
    else:
        given = "authResponseUri" if text.startswith(("http://", "https://")) else "accessToken"
        asked = config.get("exchangedAuthCredential") or config.get("rawAuthCredential")
        filled = {"oauth2": {**object_of(object_of(asked).get("oauth2")), given: text}}
    return {**config, "exchangedAuthCredential": {"authType": kind, **filled}}


def _checked_credential(given: dict[str, Any]) -> dict[str, Any]:
    """ADK runs the tool again without a word when it cannot read a credential."""
    try:
        AuthCredential.model_validate(given.get("exchangedAuthCredential", given))
    except ValidationError:
        raise Unclear("That is no credential in ADK's form, and no auth config with one.") from None
    return given


def _auth_config(pending: Pending) -> dict[str, Any]:
    return object_of(json_value(pending.args.get("authConfig")))


def _is_basic(scheme: Mapping[str, Any]) -> bool:
    return str(scheme.get("scheme", "")).lower() == "basic"


# -- requests for input ------------------------------------------------------------------------------------------------


def _input(pending: Pending) -> Question:
    schema = object_of(pending.args.get("response_schema"))
    value = json_value(pending.args.get("payload"))
    text = str(pending.args.get("message") or readable(value or "Your answer is needed."))
    if _is_decision(schema):
        return _deciding(pending, text, value)
    if remote := object_of(object_of(value).get(REMOTE)):
        return relayed(pending.id, text, remote.get("question"), auth=remote.get("auth") is True)
    return Question(pending.id, text, value, schema or None)


def _check(schema: Mapping[str, Any], value: Any, place: str) -> None:
    """Refuse what ADK would refuse: there an answer that does not fit ends the run."""
    kind = schema.get("type")
    expected = _TYPES.get(kind) if isinstance(kind, str) else None
    if expected is None:
        return
    if not isinstance(value, expected) or (isinstance(value, bool) and kind != "boolean"):
        raise Unclear(f"{place} must be of type {kind}.")
    fields = object_of(value)
    for name in cast("list[str]", schema.get("required") or []):
        if name not in fields:
            raise Unclear(f"{place} must have {name!r}.")
    for name, inner in object_of(schema.get("properties")).items():
        if name in fields:
            _check(object_of(inner), fields[name], f"{place}'s {name!r}")


def _kept_string(value: Any, schema: Mapping[str, Any]) -> Any:
    """A workflow reads a text as JSON where it can: a text that looks like JSON must come as a JSON string."""
    if not isinstance(value, str) or schema.get("type") not in {None, "string"}:
        return value
    try:
        json.loads(value)
    except ValueError:
        return value
    return json.dumps(value)
