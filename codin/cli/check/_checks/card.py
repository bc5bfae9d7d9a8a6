"""The card."""

from __future__ import annotations

import json
import re
from base64 import urlsafe_b64decode
from typing import Any
from urllib.parse import urljoin, urlsplit

from codin.cli.check._answer import Answer
from codin.cli.check._bench import Bench
from codin.cli.check._check import check
from codin.cli.check._json import Json, objects
from codin.cli.check._shapes import faults
from codin.cli.check._verdict import Finding, Unchecked
from codin.errors import CodinError

_SCHEMES = (
    "apiKeySecurityScheme",
    "httpAuthSecurityScheme",
    "oauth2SecurityScheme",
    "openIdConnectSecurityScheme",
    "mtlsSecurityScheme",
)
_WEB = ("JSONRPC", "HTTP+JSON")


@check("CARD-SERVED", bindings=())
async def card_served(bench: Bench) -> None:
    """The card is JSON at the well-known path, without a credential or a version."""
    fetched = bench.agent.fetched
    kind = fetched.media_type
    right = kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))
    public = not bench.agent.card_is_private
    bench.expect(public, "CARD-SERVED", "a card for everybody", "the card was refused without a credential")
    bench.expect(right, "CARD-SERVED", "a media type of JSON", f"{fetched.received[:80]}; content-type: {kind!r}")
    at_place = urlsplit(bench.agent.address).path.endswith("/.well-known/agent-card.json")
    bench.expect(at_place, "CARD-SERVED", "a card at /.well-known/agent-card.json", bench.agent.address)


@check("CARD-CONTENT", bindings=())
async def card_content(bench: Bench) -> None:
    """The card has every field that it must have, each of its type."""
    for fault in faults("AgentCard", bench.agent.card, at="card"):
        bench.expect(False, "CARD-CONTENT", f"an AgentCard; but {fault.words}", bench.agent.fetched)


@check("CARD-INTERFACES", bindings=())
async def interfaces_complete(bench: Bench) -> None:
    """Every interface has an address, a binding and a version, and one of them speaks 1.0."""
    interfaces = bench.agent.listed("supportedInterfaces")
    versions: list[str] = []
    for number, each in enumerate(interfaces):
        place = f"card.supportedInterfaces[{number}]"
        version, url = str(each.get("protocolVersion", "")), str(each.get("url", ""))
        versions.append(version)
        bench.expect(
            re.fullmatch(r"\d+\.\d+", version) is not None, "CARD-INTERFACES", f"{place}: Major.Minor", repr(version)
        )
        if each.get("protocolBinding") in _WEB:
            parts = urlsplit(url)
            whole = parts.scheme in {"http", "https"} and bool(parts.hostname)
            bench.expect(whole, "CARD-INTERFACES", f"{place}: an absolute URL", repr(url))
    bench.expect("1.0" in versions, "CARD-INTERFACES", "an interface of version 1.0", f"versions: {versions}")


@check("CARD-INTERFACES", bindings=())
async def interfaces_answer(bench: Bench) -> None:
    """Every interface of 1.0 answers at its address."""
    for binding, why in bench.agent.lost.items():
        bench.expect(False, "CARD-INTERFACES", f"an answer of the interface {binding}", why)


@check("CARD-SECURITY", bindings=())
async def card_security(bench: Bench) -> None:
    """Every security requirement names declared schemes, and every scheme is of one kind."""
    card = bench.agent.card
    schemes: Any = card.get("securitySchemes") or {}
    for name, scheme in schemes.items():
        kinds = [kind for kind in _SCHEMES if kind in scheme]
        one = len(kinds) == 1
        bench.expect(one, "CARD-SECURITY", f"card.securitySchemes[{name!r}]: one of {', '.join(_SCHEMES)}", str(scheme))
    skills = [each for skill in bench.agent.listed("skills") for each in _requirements(skill)]
    for requirement in [*_requirements(card), *skills]:
        named = set(requirement.get("schemes") or {})
        known = named <= set(schemes)
        bench.expect(known, "CARD-SECURITY", "requirements that name declared schemes", str(requirement))


def _requirements(holder: Json) -> list[Json]:
    return objects(holder.get("securityRequirements"))


@check("CARD-CACHE-CONTROL", bindings=())
async def card_cache_control(bench: Bench) -> None:
    """The card says with Cache-Control how long it may be kept."""
    said = bench.agent.fetched.headers.get("cache-control", "")
    kept = "max-age" in said or "no-store" in said or "no-cache" in said
    bench.expect(kept, "CARD-CACHE-CONTROL", "Cache-Control with max-age", f"cache-control: {said!r}")


@check("CARD-ETAG", bindings=())
async def card_etag(bench: Bench) -> None:
    """The card has an ETag, and who has that card already gets 304."""
    agent = bench.agent
    tag = agent.fetched.headers.get("etag", "")
    bench.expect(bool(tag), "CARD-ETAG", "an ETag", f"etag: {tag!r}")
    if not tag:
        return
    response = await agent.transport.request(
        "GET", agent.address, headers={"If-None-Match": tag}, timeout=bench.wishes.timeout
    )
    answer = Answer(f"GET {agent.address} [If-None-Match: {tag}]", response.status)
    bench.expect(response.status == 304, "CARD-ETAG", "HTTP 304", answer)


@check("SIGN-HEADER", "SIGN-TYPE", bindings=())
async def signature_header(bench: Bench) -> None:
    """Every signature names its algorithm, its key, and that it is JOSE."""
    for header in _headers(bench):
        named = all(isinstance(header.get(name), str) and header[name] for name in ("alg", "kid"))
        bench.expect(named and header["alg"] != "none", "SIGN-HEADER", "alg and kid", str(header))
        bench.expect(header.get("typ") == "JOSE", "SIGN-TYPE", 'typ "JOSE"', str(header))


def _headers(bench: Bench) -> list[Json]:
    signatures = bench.agent.listed("signatures")
    if not signatures:
        raise Unchecked("the card is not signed")
    found: list[Json] = []
    for each in signatures:
        try:
            protected = str(each.get("protected", ""))
            header = json.loads(urlsafe_b64decode(protected + "=" * (-len(protected) % 4)))
            found.append({**header})
        except (ValueError, TypeError) as error:
            bench.expect(False, "SIGN-HEADER", "a protected header in base64url", f"{each}: {error}")
    return found


@check("SIGN-JCS", "SIGN-PRESENCE", "SIGN-NOT-ITSELF", bindings=())
async def signature_fits(bench: Bench) -> None:
    """A signature fits the card by the keys that its origin publishes."""
    from codin.trust import PublicKey, read_jwks, verify_card

    card = bench.agent.address
    places = [urljoin(card, "/.well-known/jwks.json")]
    # An address in a signature proves nothing about who signed; here it is asked whether the signature fits at all.
    named = [str(header["jku"]) for header in _headers(bench) if header.get("jku")]
    places = [*(each for each in named if urlsplit(each).netloc == urlsplit(card).netloc), *places]
    keys: list[PublicKey] = []
    for place in dict.fromkeys(places):
        try:
            response = await bench.agent.transport.request("GET", place, headers={}, timeout=bench.wishes.timeout)
            keys += read_jwks(response.body) if response.status == 200 else []
        except CodinError:
            continue
    if not keys:
        raise Unchecked(f"no keys at {' or '.join(dict.fromkeys(places))}")
    try:
        verify_card(bench.agent.fetched.body, keys)
    except CodinError as error:
        bench.expect(False, "SIGN-JCS", "a signature that fits the card", error.message)


@check("EXTENSION-DECLARED", bindings=())
async def extensions_named(bench: Bench) -> None:
    """Every extension on the card has a URI."""
    for extension in bench.agent.listed("capabilities", "extensions"):
        uri = str(extension.get("uri", ""))
        bench.expect(bool(urlsplit(uri).scheme), "EXTENSION-DECLARED", "a URI", str(extension))


@check("CARD-DISCREET", bindings=())
async def card_discreet(bench: Bench) -> None:
    """The card holds no key and no token that can be recognised."""
    text = bench.agent.fetched.body.decode("utf-8", "replace")
    found = re.search(r"-----BEGIN [A-Z ]*PRIVATE KEY|\bsk-[A-Za-z0-9_-]{20}|\bBearer [A-Za-z0-9._-]{16}", text)
    if found:
        bench.wish(Finding("CARD-DISCREET", "a card without credentials", "", f"{found[0][:12]}…"))
