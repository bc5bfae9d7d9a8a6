"""Credentials that a tool asks for, and AUTH_REQUIRED."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.openapi.models import APIKey, HTTPBase, OAuth2, OAuthFlowAuthorizationCode, OAuthFlows
from google.adk.auth import AuthConfig, AuthCredential, AuthCredentialTypes, OAuth2Auth
from google.adk.tools import ToolContext

from codin.agent.adapters.adk import adapt
from codin.task import MemoryStore
from tests.agent.adapters.adk.scripted import ask_human, speaker
from tests.agent.adapters.desk import Desk

pytestmark = pytest.mark.anyio

OWN_SECRET = "the-agent-s-own"


def config(scheme: Any, kind: AuthCredentialTypes, **raw: Any) -> AuthConfig:
    credential = AuthCredential(auth_type=kind, **raw)
    return AuthConfig(auth_scheme=scheme, raw_auth_credential=credential, credential_key="k")


SIGN_IN = OAuthFlowAuthorizationCode(authorizationUrl="https://idp.example/auth", tokenUrl="https://idp.example/token")
CLIENT = OAuth2Auth(client_id="c", client_secret=OWN_SECRET, auth_uri="https://idp.example/auth?x=1")
KEY = APIKey.model_validate({"type": "apiKey", "in": "header", "name": "X-Key"})
SCHEMES: dict[str, AuthConfig] = {
    "key": config(KEY, AuthCredentialTypes.API_KEY),
    "token": config(HTTPBase(scheme="bearer"), AuthCredentialTypes.HTTP),
    "password": config(HTTPBase(scheme="basic"), AuthCredentialTypes.HTTP),
    "sign in": config(OAuth2(flows=OAuthFlows(authorizationCode=SIGN_IN)), AuthCredentialTypes.OAUTH2, oauth2=CLIENT),
}


def needing(config: AuthConfig, got: list[AuthCredential]) -> Any:
    def fetch(tool_context: ToolContext) -> dict[str, Any]:
        """Fetch what only the caller may see."""
        credential = tool_context.get_auth_response(config)
        if credential is None:
            tool_context.request_credential(config)
            return {"status": "waiting"}
        got.append(credential)
        return {"status": "fetched"}

    return speaker("c", ("fetch", {}), "Fetched.", tools=[fetch])


def secret_of(credential: AuthCredential) -> str | None:
    if credential.api_key:
        return credential.api_key
    if credential.http:
        given = credential.http.credentials
        return given.token or f"{given.username}:{given.password}"
    return credential.oauth2 and credential.oauth2.access_token


@pytest.mark.parametrize(
    ("scheme", "text", "answer"),
    [
        ("key", "An API key is needed (X-Key).", "tide-1"),
        ("token", "A credential is needed: a token.", "tide-1"),
        ("password", "A credential is needed: a user name and password, as user:password.", "jo:tide-1"),
        ("sign in", "Sign in at https://idp.example/auth?x=1 and answer", "tide-1"),
    ],
)
async def test_a_credential_is_asked_for_and_the_log_does_not_keep_it(scheme: str, text: str, answer: str) -> None:
    got: list[AuthCredential] = []
    store = MemoryStore()
    desk = Desk(adapt(needing(SCHEMES[scheme], got)), store)
    asked = await desk.send("go")
    assert (asked.state, asked.said.startswith(text)) == ("AUTH_REQUIRED", True)
    assert OWN_SECRET not in str(asked.events)
    done = await desk.send(answer, task=asked.task)
    assert (done.state, done.text) == ("COMPLETED", "Fetched.")
    assert [secret_of(credential) for credential in got] == [answer]
    assert "tide-1" not in str(done.task) + str(done.events)
    kept = b"".join(entry.body for commit in await store.feed(0, limit=1000) for entry in commit.entries)
    assert kept
    assert b"tide-1" not in kept


async def test_a_credential_may_be_sent_in_adk_s_own_form() -> None:
    got: list[AuthCredential] = []
    desk = Desk(adapt(needing(SCHEMES["key"], got)))
    asked = await desk.send("go")
    assert (await desk.send({"authType": "apiKey", "apiKey": "tide-1"}, task=asked.task)).state == "COMPLETED"
    assert got[0].api_key == "tide-1"


async def test_an_answer_that_is_no_credential_is_asked_again() -> None:
    desk = Desk(adapt(needing(SCHEMES["key"], [])))
    asked = await desk.send("go")
    assert (await desk.send({"nonsense": 1}, task=asked.task)).state == "AUTH_REQUIRED"


async def test_a_credential_among_several_questions_is_answered_with_all_of_them() -> None:
    got: list[AuthCredential] = []
    agent = needing(SCHEMES["key"], got)
    agent.tools.append(ask_human)
    agent.model.answers[0] = [("fetch", {}), ("ask_human", {"question": "What colour?"})]
    desk = Desk(adapt(agent))
    asked = await desk.send("go")
    assert asked.state == "AUTH_REQUIRED"
    ids = {question["question"]: question["id"] for question in asked.questions}
    key, colour = ids["An API key is needed (X-Key)."], ids["What colour?"]
    some = await desk.send({key: "tide-1"}, task=asked.task)
    assert (some.state, "all at once" in some.said, len(some.questions)) == ("AUTH_REQUIRED", True, 2)
    done = await desk.send({key: "tide-2", colour: "red"}, task=asked.task)
    assert done.state == "COMPLETED"
    assert got[0].api_key == "tide-2"
