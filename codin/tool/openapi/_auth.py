"""What an API is shown so that it lets us in: never part of a call, a log or an error."""

from __future__ import annotations

import base64
import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias, cast

from codin.errors import ConfigError, DocumentRefused
from codin.net._wording import masked
from codin.tool.openapi._document import Document, child, object_at
from codin.trust import Credential, Outbound

__all__ = ["TOKEN", "Auth", "Keys", "Secret"]

Secret: TypeAlias = "str | tuple[str, str] | Credential"
"""A key or a token, a name with its password, or what gives the headers, such as `codin.trust.ClientCredentials`."""

TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")  # RFC 9110 5.6.2


@dataclass(slots=True)
class Keys:
    """What goes into one request."""

    headers: dict[str, str] = field(default_factory=dict[str, str], repr=False)
    query: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]], repr=False)
    cookies: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]], repr=False)
    hidden: list[str] = field(default_factory=list[str], repr=False)

    def clean(self, text: str) -> str:
        """A text without the secrets."""
        sent = (value for _, value in (*self.query, *self.cookies))
        return masked(text, [*self.headers.values(), *self.hidden, *sent])


class Auth:
    """The secrets for the security schemes of a document.

    Args:
        given: for every operation, or by the names of the schemes.

    Raises:
        ConfigError: there is no such scheme, or what is given does not fit it.
    """

    def __init__(self, document: Document, given: Credential | Mapping[str, Secret] | None) -> None:
        self._always: Credential | None = None
        self._schemes: dict[str, tuple[Mapping[str, Any], Secret]] = {}
        if isinstance(given, Mapping):
            self._schemes = {name: (_scheme(document, name), secret) for name, secret in given.items()}
            for name, (scheme, secret) in self._schemes.items():
                _check(name, scheme, secret)
        else:
            self._always = given

    def __bool__(self) -> bool:
        return self._always is not None or bool(self._schemes)

    def chosen(self, document: Document, operation: Mapping[str, Any], place: str) -> Sequence[str]:
        """The schemes for an operation: the first of its alternatives for which everything was given."""
        wanted: Any = operation.get("security", document.root.get("security", []))
        if not isinstance(wanted, list):
            raise DocumentRefused("a list is expected here", place=child(place, "security"))
        for alternative in cast("list[Any]", wanted):
            names = list(object_at(alternative, child(place, "security")))
            if names and all(name in self._schemes for name in names):
                return names
        return []

    async def keys(self, names: Sequence[str], url: str) -> Keys:
        """What goes into a request to this URL."""
        keys = Keys()
        if self._always is not None:
            keys.headers |= await self._always.headers(None, Outbound(url))
        for name in names:
            scheme, secret = self._schemes[name]
            if isinstance(secret, str):
                _put(keys, scheme, secret)
            elif isinstance(secret, tuple):
                pair = base64.b64encode(":".join(secret).encode()).decode()
                keys.headers["Authorization"] = f"Basic {pair}"
                keys.hidden.append(secret[1])
            else:
                keys.headers |= await secret.headers(None, Outbound(url))
        return keys


def _put(keys: Keys, scheme: Mapping[str, Any], secret: str) -> None:
    if scheme["type"] != "apiKey":
        keys.headers["Authorization"] = f"Bearer {secret}"
    elif scheme["in"] == "header":
        keys.headers[scheme["name"]] = secret
    else:
        (keys.query if scheme["in"] == "query" else keys.cookies).append((scheme["name"], secret))


def _scheme(document: Document, name: str) -> Mapping[str, Any]:
    place = "#/components/securitySchemes"
    components = object_at(document.root.get("components", {}), "#/components")
    schemes = object_at(components.get("securitySchemes", {}), place)
    if name not in schemes:
        near = difflib.get_close_matches(name, schemes, 1) or list(schemes)
        raise ConfigError(
            f"the document has no security scheme {name!r}", hint=f"there is {' and '.join(map(repr, near)) or 'none'}"
        )
    return document.follow(schemes[name], child(place, name))[0]


def _check(name: str, scheme: Mapping[str, Any], secret: Secret) -> None:
    """Whether what was given is what the scheme takes. The text has nothing of it."""
    kind = scheme.get("type")
    how = str(scheme.get("scheme", "")).lower()
    if kind == "apiKey":
        plain = scheme.get("in") == "query" or TOKEN.fullmatch(str(scheme.get("name")))
        known = scheme.get("in") in ("header", "query", "cookie") and isinstance(scheme.get("name"), str) and plain
        fits, takes = bool(known) and isinstance(secret, str), "the key"
    elif kind == "http" and how == "basic":
        fits, takes = isinstance(secret, tuple), "a name and a password"
    elif kind == "http" and how != "bearer":
        fits, takes = not isinstance(secret, (str, tuple)), "an object with `headers`"
    else:
        fits, takes = not isinstance(secret, tuple), "a token, or an object with `headers` such as ClientCredentials"
    if not fits:
        raise ConfigError(f"what is given for the security scheme {name!r} does not fit", hint=f"it takes {takes}")
    texts = [secret] if isinstance(secret, str) else list(secret) if isinstance(secret, tuple) else []
    if any(not text.isascii() or not text.isprintable() for text in texts) and how != "basic":
        raise ConfigError(f"what is given for {name!r} has characters that no header has")
