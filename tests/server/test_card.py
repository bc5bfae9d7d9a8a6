"""The AgentCard over HTTP: where it is, how it is cached, and which URL it names behind which proxy. Spec 8."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from codin import a2a
from codin.agent import agent
from codin.server import RESUME, App, agent_card
from codin.trust import BearerTokens

pytestmark = pytest.mark.anyio

WELL_KNOWN = "/.well-known/agent-card.json"
PROXY = "10.0.0.9"


@agent(version="2.5.0")
async def shout(text: str) -> str:
    """Say it louder."""
    return text.upper()


def browser(
    app: App, client: str = "127.0.0.1", base_url: str = "http://agents.test", **options: Any
) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, client=(client, 50000), **options)
    return httpx.AsyncClient(transport=transport, base_url=base_url)


async def url_of(app: App, client: str = "127.0.0.1", base_url: str = "http://agents.test", **headers: str) -> str:
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    response = await browser(app, client, base_url).get(WELL_KNOWN, headers=fields)
    [url] = {each["url"] for each in response.json()["supportedInterfaces"] if each["protocolVersion"] == "1.0"}
    return url


@pytest.mark.requirement("CARD-SERVED", "CARD-CONTENT", "CARD-INTERFACES", "EXTENSION-DECLARED")
async def test_the_card_is_at_the_well_known_path() -> None:
    response = await browser(App(shout)).get(WELL_KNOWN)
    assert (response.status_code, response.headers["content-type"]) == (200, "application/json")
    card = a2a.AgentCard.from_json(response.content)
    assert (card.name, card.description, card.version) == ("shout", "Say it louder.", "2.5.0")
    now = [each for each in card.supported_interfaces if each.protocol_version == "1.0"]
    assert [each.protocol_binding for each in now] == ["JSONRPC", "HTTP+JSON"]
    assert {each.url for each in now} == {"http://agents.test/"}
    assert card.supported_interfaces[: len(now)] == now
    assert card.capabilities.streaming
    assert card.capabilities.push_notifications
    assert not card.capabilities.extended_agent_card
    assert [extension.uri for extension in card.capabilities.extensions] == [RESUME, a2a.CALL_EXTENSION]
    assert not any(extension.required for extension in card.capabilities.extensions)
    assert card.skills[0].id
    assert (card.default_input_modes, card.default_output_modes) != ([], [])
    assert "securitySchemes" not in response.json()


@pytest.mark.requirement("CARD-SECURITY")
async def test_what_is_enforced_is_declared() -> None:
    card = (await browser(App(shout, authenticator=BearerTokens({"t": "alice"}))).get(WELL_KNOWN)).json()
    assert card["securitySchemes"]["bearer"]["httpAuthSecurityScheme"] == {"scheme": "Bearer"}
    assert [list(requirement["schemes"]) for requirement in card["securityRequirements"]] == [["bearer"]]


@pytest.mark.requirement("CARD-SERVED")
async def test_the_card_needs_no_token_and_no_version() -> None:
    app = App(shout, authenticator=BearerTokens({"t": "alice"}))
    for headers in ({}, {"Authorization": "Bearer wrong", "A2A-Version": "9.9"}):
        assert (await browser(app).get(WELL_KNOWN, headers=headers)).status_code == 200


# -- caching -----------------------------------------------------------------------------------------------------------


@pytest.mark.requirement("CARD-CACHE-CONTROL", "CARD-ETAG", "CARD-LAST-MODIFIED")
async def test_caching_headers() -> None:
    response = await browser(App(shout)).get(WELL_KNOWN)
    assert response.headers["cache-control"] == "public, max-age=300"
    assert response.headers["last-modified"].endswith("GMT")
    assert response.headers["etag"].startswith('"')
    assert "host" in response.headers["vary"].lower()


@pytest.mark.requirement("CARD-ETAG")
@pytest.mark.parametrize("form", ["{}", "W/{}", '"other", {}', '{} , "other"', "*"])
async def test_a_client_that_has_it_gets_no_body(form: str) -> None:
    client = browser(App(shout))
    first = await client.get(WELL_KNOWN)
    again = await client.get(WELL_KNOWN, headers={"If-None-Match": form.format(first.headers["etag"])})
    assert (again.status_code, again.content) == (304, b"")
    for name in ("etag", "cache-control", "last-modified", "vary"):
        assert again.headers[name] == first.headers[name]
    assert "content-length" not in again.headers  # RFC 9110 8.6: it would have to be that of the 200


@pytest.mark.parametrize("form", ['"other"', "", "{}x", "nothing"])
async def test_a_client_that_has_another_one_gets_it(form: str) -> None:
    client = browser(App(shout))
    first = await client.get(WELL_KNOWN)
    again = await client.get(WELL_KNOWN, headers={"If-None-Match": form.format(first.headers["etag"])})
    assert (again.status_code, again.content) == (200, first.content)


@pytest.mark.requirement("CARD-LAST-MODIFIED")
async def test_if_modified_since() -> None:
    client = browser(App(shout))
    first = await client.get(WELL_KNOWN)
    modified = first.headers["last-modified"]
    for since, status in (
        (modified, 304),
        ("Fri, 31 Dec 2100 00:00:00 GMT", 304),
        ("Mon, 01 Jan 2001 00:00:00 GMT", 200),
        ("yesterday", 200),
    ):
        assert (await client.get(WELL_KNOWN, headers={"If-Modified-Since": since})).status_code == status
    both = {"If-Modified-Since": modified, "If-None-Match": '"other"'}
    assert (await client.get(WELL_KNOWN, headers=both)).status_code == 200  # RFC 9110 13.1.3: the tag decides


async def test_the_tag_is_that_of_the_bytes() -> None:
    app = App(shout)
    tags = {(await browser(app, base_url=url).get(WELL_KNOWN)).headers["etag"] for url in ("http://a", "http://b")}
    assert len(tags) == 2
    same = {(await browser(app).get(WELL_KNOWN)).headers["etag"] for _ in range(2)}
    assert len(same) == 1


async def test_head_is_get_without_a_body() -> None:
    client = browser(App(shout))
    got, asked = await client.get(WELL_KNOWN), await client.head(WELL_KNOWN)
    assert (asked.status_code, asked.content) == (200, b"")
    assert asked.headers == got.headers


async def test_other_methods_are_refused() -> None:
    response = await browser(App(shout)).post(WELL_KNOWN)
    assert (response.status_code, response.headers["allow"]) == (405, "GET, HEAD")


# -- which URL ---------------------------------------------------------------------------------------------------------


@pytest.mark.requirement("CARD-INTERFACES")
async def test_the_url_is_the_one_the_client_used() -> None:
    app = App(shout)
    for base_url in ("http://agents.test", "https://agents.test:8443", "http://127.0.0.1:8000", "http://[::1]:8000"):
        assert await url_of(app, base_url=base_url) == f"{base_url}/"


async def test_public_url_is_all_that_counts() -> None:
    for public_url in ("https://example.org/agents", "https://example.org/agents/"):
        app = App(shout, public_url=public_url, trusted_proxies=[PROXY])
        url = await url_of(app, PROXY, X_Forwarded_Host="evil.example", Host="worse.example")
        assert url == "https://example.org/agents/"


async def test_a_trusted_proxy_is_believed() -> None:
    app = App(shout, trusted_proxies=[PROXY])
    headers = {
        "X_Forwarded_Proto": "https", "X_Forwarded_Host": "example.org, inner", "X_Forwarded_Prefix": "/agents/",
    }  # fmt: skip
    assert await url_of(app, PROXY, **headers) == "https://example.org/agents/"
    assert await url_of(app, PROXY, X_Forwarded_Proto="https") == "https://agents.test/"


async def test_nobody_else_is_believed() -> None:
    headers = {"X_Forwarded_Proto": "https", "X_Forwarded_Host": "evil.example", "X_Forwarded_Prefix": "/evil"}
    for app in (App(shout), App(shout, trusted_proxies=["10.0.0.1"])):
        assert await url_of(app, PROXY, **headers) == "http://agents.test/"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X_Forwarded_Proto", "javascript"),
        ("X_Forwarded_Proto", ""),
        ("X_Forwarded_Prefix", "evil.example"),
        ("X_Forwarded_Prefix", "//evil.example"),
        ("X_Forwarded_Prefix", "/a b"),
        ("X_Forwarded_Prefix", '/"><script>'),
        ("X_Forwarded_Prefix", "/../.."),
        ("X_Forwarded_Host", ""),
    ],
)
async def test_what_a_proxy_must_not_say_is_left_out(name: str, value: str) -> None:
    app = App(shout, trusted_proxies=[PROXY])
    assert await url_of(app, PROXY, **{name: value}) == "http://agents.test/"


@pytest.mark.parametrize("host", ["evil.example/path", "a b", "evil.example#", "user@evil.example", "a:b:c", '"', ""])
async def test_a_host_that_is_none_is_not_repeated(host: str) -> None:
    url = await url_of(App(shout), Host=host)
    assert url == "http://agents.test/"
    proxied = await url_of(App(shout, trusted_proxies=[PROXY]), PROXY, X_Forwarded_Host=host or "/")
    assert "evil" not in proxied
    assert '"' not in proxied


async def test_many_hosts_do_not_fill_the_memory() -> None:
    app = App(shout)
    for number in range(200):
        assert await url_of(app, Host=f"host-{number}.test") == f"http://host-{number}.test/"
    assert await url_of(app, Host="host-0.test") == "http://host-0.test/"


def test_a_card_can_be_had_without_a_server() -> None:
    card = agent_card(shout, "https://example.org/")
    assert card.supported_interfaces[0].url == "https://example.org/"
