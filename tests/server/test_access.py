"""Who comes in, what they may do, and what a stranger gets to know: nothing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from codin import a2a
from codin.agent import agent
from codin.errors import ConfigError, ConnectError, TokenRefused, TransportError
from codin.server import App
from codin.task import Task
from codin.trust import (
    ANONYMOUS,
    SKILL_KEY,
    Access,
    AnyOf,
    ApiKeys,
    BearerTokens,
    Caller,
    KeyRing,
    MeshTokens,
    Rule,
    SigningKey,
    TrustStore,
    identity_of,
    mint,
)
from tests.server.rpc import HEADERS, Rpc, lifted, message

pytestmark = pytest.mark.anyio

CARD = "/.well-known/agent-card.json"
READER = {"Authorization": "Bearer reader"}
WRITER = {"Authorization": "Bearer writer"}
NOBODY = {"Authorization": "Bearer nobody"}
TOKENS = BearerTokens(
    {
        "reader": Caller("ada", scopes=frozenset({"read"})),
        "writer": Caller("bob", scopes=frozenset({"read", "write"})),
        "nobody": "eve",
    }
)


@agent
async def shout(task: Task) -> str:
    """Say it louder."""
    return f"{task.text.upper()} for {task.caller.id} with {' '.join(sorted(task.caller.scopes))}"


@agent(
    skills=[
        a2a.AgentSkill(id=skill, name=skill, description=skill, tags=["text"]) for skill in ("plain", "legal", "other")
    ]
)
async def translate(task: Task) -> str:
    """Translate."""
    return "bonjour"


@agent
async def payroll(text: str) -> str:
    """What everybody earns."""
    return "a lot"


async def post(rpc: Rpc, headers: Mapping[str, str], method: str = "SendMessage", **params: Any) -> httpx.Response:
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params or {"message": message()}}
    return await rpc.http.post(rpc._path, json=body, headers={**HEADERS, **headers})  # pyright: ignore[reportPrivateUsage]


# -- the challenge -----------------------------------------------------------------------------------------------------


async def test_who_shows_nothing_is_asked_and_not_told_of_an_error() -> None:
    response = await post(Rpc(App(shout, authenticator=TOKENS)), {})
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == 'Bearer realm="codin"'
    assert lifted(response.json()["error"])["reason"] == "UNAUTHENTICATED"


@pytest.mark.requirement("AUTH-SECRETS")
async def test_a_wrong_token_is_called_wrong() -> None:
    response = await post(Rpc(App(shout, authenticator=TOKENS)), {"Authorization": "Bearer s3cret"})
    assert response.status_code == 401
    assert 'error="invalid_token"' in response.headers["www-authenticate"]
    assert "s3cret" not in response.text + str(response.headers)


@pytest.mark.requirement("AUTH-CHALLENGE")
async def test_the_challenge_names_every_way() -> None:
    rpc = Rpc(App(shout, authenticator=AnyOf(TOKENS, ApiKeys({"k3y": "ada"}))))
    assert (await post(rpc, {})).headers["www-authenticate"] == 'ApiKey header="X-API-Key", Bearer realm="codin"'
    refused = await post(rpc, {"Authorization": "Bearer wrong"})
    assert refused.headers["www-authenticate"].startswith(
        'ApiKey header="X-API-Key", Bearer realm="codin", error="invalid_token"'
    )
    assert (await post(rpc, {"X-API-Key": "k3y"})).status_code == 200


class Refuses:
    """An authenticator that has something to say, in words that a header cannot hold."""

    challenge = "Bearer"

    def __init__(self, error: Exception, schemes: Mapping[str, a2a.SecurityScheme] | None = None) -> None:
        self.error = error
        self.schemes: Mapping[str, a2a.SecurityScheme] = schemes or {}
        self.requirements: list[a2a.SecurityRequirement] = []

    async def authenticate(self, headers: Mapping[bytes, bytes]) -> Caller | None:
        raise self.error


async def test_what_is_wrong_is_quoted_safely() -> None:
    response = await post(Rpc(App(shout, authenticator=Refuses(TokenRefused('a "quote"\r\nX-Evil: é')))), {})
    assert response.headers["www-authenticate"] == (
        'Bearer error="invalid_token", error_description="a ?quote???X-Evil: ?"'
    )


@pytest.mark.requirement("AUTH-EVERY-REQUEST", "ERROR-LOGGED", "ERROR-TEMPORARY")
async def test_nobody_comes_in_while_callers_cannot_be_checked(caplog: pytest.LogCaptureFixture) -> None:
    rpc = Rpc(App(shout, authenticator=Refuses(TransportError("http://internal.example is down"))))
    response = await post(rpc, {})
    assert lifted(response.json()["error"])["reason"] == "OVERLOADED"
    assert response.headers["retry-after"] == "5"
    assert "internal.example" not in response.text
    assert "internal.example" in caplog.text  # for the operator


async def test_a_hidden_agent_stays_hidden_while_callers_cannot_be_checked() -> None:
    access = Access({"shout": Rule(hidden=True)})
    for error in (TransportError("the issuer is down"), ConfigError("the trust store is broken")):
        assert (await post(Rpc(App(shout, authenticator=Refuses(error), access=access)), {})).status_code == 404


async def test_a_missing_scope_is_named() -> None:
    response = await post(Rpc(App(shout, authenticator=TOKENS, access=Access({"shout": ["read", "write"]}))), READER)
    assert response.status_code == 403
    assert response.headers["www-authenticate"] == 'Bearer realm="codin", error="insufficient_scope", scope="write"'
    error = lifted(response.json()["error"])
    assert (error["reason"], error["hint"]) == ("PERMISSION_DENIED", "it lacks the scopes write")


class LetsIn:
    """An authenticator that lets nobody in particular in."""

    schemes: Mapping[str, a2a.SecurityScheme] = {}

    def __init__(self) -> None:
        self.requirements: list[a2a.SecurityRequirement] = []

    async def authenticate(self, headers: Mapping[bytes, bytes]) -> Caller:
        return ANONYMOUS


async def test_with_rules_an_anonymous_caller_is_nobody_whoever_lets_it_in() -> None:
    assert (await post(Rpc(App(shout, authenticator=LetsIn())), {})).status_code == 200
    assert (await post(Rpc(App(shout, authenticator=LetsIn(), access=Access({"shout": ()}))), {})).status_code == 401


# -- scopes ------------------------------------------------------------------------------------------------------------

METHODS: dict[str, dict[str, Any]] = {
    "SendMessage": {"message": message()},
    "SendStreamingMessage": {"message": message()},
    "GetTask": {"id": "x"},
    "ListTasks": {},
    "CancelTask": {"id": "x"},
    "SubscribeToTask": {"id": "x"},
}


@pytest.mark.parametrize("method", METHODS)
async def test_scopes_are_asked_for_in_every_method(method: str) -> None:
    rpc = Rpc(App(shout, authenticator=TOKENS, access=Access({"shout": "write"})))
    response = await post(rpc, READER, method, **METHODS[method])
    assert (response.status_code, response.json()["error"]["code"]) == (403, a2a.PermissionDenied.rpc_code)
    assert (await post(rpc, WRITER, method, **METHODS[method])).status_code == 200


async def test_a_rule_without_scopes_is_for_every_known_caller() -> None:
    rpc = Rpc(App(shout, authenticator=TOKENS, access=Access({"shout": ()})))
    assert (await post(rpc, NOBODY)).status_code == 200
    assert (await post(rpc, {})).status_code == 401


async def test_scopes_can_be_granted_to_a_caller() -> None:
    access = Access({"shout": "write"}, grants={"eve": "write"})
    rpc = Rpc(App(shout, authenticator=TOKENS, access=access))
    assert "for eve with write" in (await post(rpc, NOBODY)).text


@pytest.mark.requirement("CARD-SECURITY")
async def test_what_the_card_says_is_what_is_enforced() -> None:
    skills = {"legal": "law", "plain": ()}
    access = Access({"translate": Rule(scopes="read", skills=skills)})
    card = (await Rpc(App(translate, authenticator=TOKENS, access=access)).http.get(CARD)).json()
    assert card["securityRequirements"] == [{"schemes": {"bearer": {"list": ["read"]}}}]
    assert [skill.get("securityRequirements") for skill in card["skills"]] == [
        [{"schemes": {"bearer": {"list": ["read"]}}}],
        [{"schemes": {"bearer": {"list": ["law", "read"]}}}],
        None,
    ]


@pytest.mark.requirement("AUTH-SKILLS")
async def test_skills_have_scopes_of_their_own() -> None:
    rule = Rule(scopes="read", skills={"plain": (), "legal": "write"})
    rpc = Rpc(App(translate, authenticator=TOKENS, access=Access({"translate": rule})))

    async def status(headers: Mapping[str, str], skill: object) -> int:
        metadata: dict[str, Any] = {} if skill is None else {"metadata": {SKILL_KEY: skill}}
        codes = {
            (await post(rpc, headers, method, message=message(**metadata))).status_code
            for method in ("SendMessage", "SendStreamingMessage")
        }
        (code,) = codes
        return code

    assert await status(READER, "plain") == 200
    assert await status(READER, "legal") == 403
    assert await status(WRITER, "legal") == 200
    assert await status(WRITER, "other") == 403  # it is not in the rule, so it is nobody's
    assert await status(READER, None) == 403  # who names none may get any
    assert await status(WRITER, None) == 200
    assert await status(READER, ["plain"]) == 403
    assert await status(NOBODY, "plain") == 403


async def test_tools_and_agents_are_called_for_those_who_may() -> None:
    @agent
    async def asks(task: Task) -> str:
        """Ask somebody else."""
        try:
            await task.call(task.text, "hello")
        except (a2a.PermissionDenied, ConnectError) as error:
            return type(error).__name__
        return "called"

    nobody_is_here = "http://127.0.0.1:9/"

    async def asked(headers: dict[str, str], target: str, tools: dict[str, str]) -> str:
        rpc = Rpc(App(asks, authenticator=TOKENS, access=Access({"asks": Rule(tools=tools)})))
        task = (await rpc.result("SendMessage", {"message": message(target)}, **headers))["task"]
        return task["artifacts"][0]["parts"][0]["text"]

    tools = {nobody_is_here: "write", "glossary": "read"}
    assert await asked(READER, nobody_is_here, tools) == "PermissionDenied"
    assert await asked(WRITER, "http://127.0.0.1:10/", tools) == "PermissionDenied"  # not in the rule
    assert await asked(WRITER, nobody_is_here, {}) == "PermissionDenied"
    assert await asked(WRITER, nobody_is_here, tools) == "ConnectError"


# -- what is not there for a stranger ----------------------------------------------------------------------------------


def _app() -> App:
    access = Access({"shout": (), "payroll": Rule(scopes="write", hidden=True)})
    return App(shout, payroll, translate, authenticator=TOKENS, access=access)


STRANGERS: list[dict[str, str]] = [{}, NOBODY, READER, {"Authorization": "Bearer wrong"}]


@pytest.mark.parametrize("headers", STRANGERS)
@pytest.mark.parametrize("place", ["payroll", "translate"])  # hidden; and without a rule
async def test_a_hidden_agent_is_one_that_does_not_exist(headers: dict[str, str], place: str) -> None:
    http = Rpc(_app()).http
    asked: list[tuple[str, str, dict[str, Any]]] = [
        ("GET", "", {}),
        ("HEAD", "", {}),
        ("PUT", "", {}),
        ("GET", CARD, {}),
        ("POST", CARD, {}),
        ("POST", "", {"content": b"not json"}),
        ("POST", "", {"content": b"x", "headers": {"content-type": "text/plain"}}),
        *(
            ("POST", "", {"json": {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}})
            for method, params in METHODS.items()
        ),
    ]
    for method, path, options in asked:
        sent = {**HEADERS, **headers, **options.pop("headers", {})}
        hidden, nothing = [
            await http.request(method, f"/{name}{path}", headers=sent, **options) for name in (place, "no-such-agent")
        ]
        assert hidden.status_code == nothing.status_code == 404
        assert (hidden.content, dict(hidden.headers)) == (nothing.content, dict(nothing.headers))


@pytest.mark.parametrize("headers", STRANGERS)
async def test_it_is_not_in_the_list_of_agents(headers: dict[str, str]) -> None:
    listed = (await Rpc(_app()).http.get("/", headers=headers)).json()["agents"]
    assert [each["id"] for each in listed] == ["shout"]


async def test_who_may_sees_it() -> None:
    rpc = Rpc(_app(), "/payroll")
    listed = (await rpc.http.get("/", headers=WRITER)).json()["agents"]
    assert [each["id"] for each in listed] == ["shout", "payroll"]
    card = await rpc.http.get(f"/payroll{CARD}", headers=WRITER)
    assert card.json()["name"] == "payroll"
    assert "no-store" in card.headers["cache-control"]  # no cache in between may show it to the next one
    assert (await post(rpc, WRITER)).status_code == 200


async def test_a_lone_hidden_agent() -> None:
    rpc = Rpc(App(payroll, authenticator=TOKENS, access=Access({"payroll": Rule(scopes="write", hidden=True)})))
    assert (await rpc.http.get("/")).json() == {"agents": []}
    assert (await post(rpc, READER)).status_code == 404
    assert (await post(rpc, WRITER)).status_code == 200


# -- call tokens -------------------------------------------------------------------------------------------------------

OURS = SigningKey.generate()
THEIRS = SigningKey.generate()


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def _call(key: SigningKey = OURS, agent_id: str = "shout") -> dict[str, str]:
    return _bearer(mint(key, "router", identity_of(agent_id, OURS.kid)))


async def test_with_keys_a_call_token_says_who_calls_and_nobody_has_to() -> None:
    rpc = Rpc(App(shout, keys=OURS))
    assert f"for router@{OURS.kid}" in (await post(rpc, _call())).text
    for stranger in ({}, _call(THEIRS), _bearer("something else")):
        assert "for anonymous" in (await post(rpc, stranger)).text
    card = (await rpc.http.get(CARD)).json()
    assert card["securitySchemes"]["mesh"]["httpAuthSecurityScheme"]["bearerFormat"] == "codin-call+jwt"
    assert "securityRequirements" not in card


async def test_without_anonymous_callers_everybody_has_to() -> None:
    rpc = Rpc(App(shout, keys=OURS, anonymous=False))
    assert (await post(rpc, _call())).status_code == 200
    for stranger in ({}, _call(THEIRS), _bearer("something else")):
        assert (await post(rpc, stranger)).status_code == 401
    card = (await rpc.http.get(CARD)).json()
    assert card["securityRequirements"] == [{"schemes": {"mesh": {}}}]


async def test_a_wrong_call_token_is_refused_even_where_nobody_has_to_show_one() -> None:
    rpc, once = Rpc(App(shout, keys=OURS)), _call()
    assert [(await post(rpc, once)).status_code for _ in range(2)] == [200, 401]


async def test_a_call_token_is_for_one_agent_of_a_server() -> None:
    app = App(shout, translate, keys=OURS, anonymous=False)
    assert (await post(Rpc(app, "/translate"), _call(agent_id="shout"))).status_code == 401
    assert (await post(Rpc(app, "/translate"), _call(agent_id="translate"))).status_code == 200


async def test_the_host_header_has_no_say_in_whom_a_token_is_for() -> None:
    rpc = Rpc(App(shout, keys=OURS, anonymous=False))
    elsewhere = identity_of("shout", THEIRS.kid)
    token = _bearer(mint(OURS, "router", elsewhere))
    assert (await post(rpc, {**token, "Host": elsewhere, "X-Forwarded-Host": elsewhere})).status_code == 401


async def test_a_token_for_the_old_key_is_good_until_its_time_is_over(tmp_path: Any) -> None:
    ring = KeyRing.create(tmp_path / "keys")
    rpc = Rpc(App(shout, keys=ring, anonymous=False))
    old, caller = ring.active, KeyRing.open(tmp_path / "keys")
    caller.rotate()

    def token(kid: str) -> dict[str, str]:
        return _bearer(mint(ring.active, "router", identity_of("shout", kid)))

    assert [(await post(rpc, token(kid))).status_code for kid in (old.kid, ring.active.kid)] == [200, 200]
    caller.revoke(old.kid)
    assert [(await post(rpc, token(kid))).status_code for kid in (old.kid, ring.active.kid)] == [401, 200]
    assert (await post(rpc, _bearer(mint(old, "router", identity_of("shout", ring.active.kid))))).status_code == 401


async def test_call_tokens_are_taken_beside_other_credentials() -> None:
    access = Access({"shout": "read"}, grants={f"router@{OURS.kid}": "read"})
    rpc = Rpc(App(shout, keys=OURS, authenticator=TOKENS, access=access))
    assert [(await post(rpc, headers)).status_code for headers in (READER, _call(), _call(THEIRS), NOBODY, {})] == [
        200,
        200,
        401,
        403,
        401,
    ]


async def test_an_agent_with_our_own_key_is_granted_scopes_by_its_plain_name(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "codin.server")
    ring = KeyRing.create(tmp_path / "keys")
    known = TrustStore()
    known.name("them", THEIRS.public)
    access = Access({"shout": "read"}, grants={"agent:router": "read", "agent:": "read", "other": "read"})
    rpc = Rpc(App(shout, keys=ring, trust=known, access=access, anonymous=False))

    async def status(key: SigningKey, agent: str) -> int:
        token = mint(key, agent, identity_of("shout", ring.active.kid))
        return (await post(rpc, _bearer(token))).status_code

    for _ in range(2):
        assert [await status(ring.active, agent) for agent in ("router", "other")] == [200, 403]
        ring.revoke(ring.active.kid)  # whose plain name is the same
    assert await status(THEIRS, "router") == 403  # anybody may call an agent so
    said = [text for record in caplog.records if "lacks" in (text := record.getMessage())]
    told = "{} lacks the scopes read of shout; grants are given by that name"
    assert said == [told.format("'agent:other'"), told.format("'agent:other'"), told.format("'them'")]
    assert not access.granted(Caller("agent:router")).scopes  # whoever calls themselves so


@pytest.mark.requirement("AUTH-FAILURES-LOGGED")
async def test_a_refused_credential_is_logged_and_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "codin.server")
    rpc = Rpc(App(shout, authenticator=TOKENS, access=Access({"shout": "write"})))
    for credential in ("Bearer a-wrong-token", "Bearer reader"):
        await rpc.call("ListTasks", Authorization=credential)
    lines = [record.getMessage() for record in caplog.records if "was refused" in record.getMessage()]
    assert len(lines) == 2
    assert all("127.0.0.1 was refused at shout" in line for line in lines)
    assert "a-wrong-token" not in caplog.text


def test_settings_that_let_nobody_in() -> None:
    with pytest.raises(ConfigError, match="nobody would come in"):
        App(shout, access=Access({"shout": ()}))
    with pytest.raises(ConfigError, match="nobody would come in"):
        App(shout, anonymous=False)
    with pytest.raises(ConfigError, match="shuot"):
        App(shout, authenticator=TOKENS, access=Access({"shuot": ()}))
    with pytest.raises(ConfigError, match="lets nobody in"):
        AnyOf()
    with pytest.raises(ConfigError, match="called 'bearer'"):
        AnyOf(TOKENS, Refuses(TokenRefused("no"), {"bearer": a2a.SecurityScheme()}))
    assert AnyOf(TOKENS, MeshTokens([], "x")).schemes.keys() == {"bearer", "mesh"}
