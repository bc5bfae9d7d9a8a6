"""What an MCP server is shown so that it lets us in: never part of an error or a log."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import parse_qsl, urlsplit

from codin.net._wording import names_secret, shown
from codin.tool.openapi._auth import Keys

__all__ = ["Secrets"]

_WITH_PASSWORD = re.compile(r"\w+://[^/\s]*@")


class Secrets:
    """The values of all headers, what stands in a URL beside the place, and of an environment what is called a secret
    or is a URL with a password.
    """

    def __init__(
        self, url: str | None = None, headers: Mapping[str, str] | None = None, *envs: Mapping[str, str] | None
    ) -> None:
        self._url = url
        self._keys = Keys(headers=dict(headers or {}), query=_query(url), hidden=_password(url))
        for env in envs:
            self._keys.hidden += [
                value for name, value in (env or {}).items() if names_secret(name) or _WITH_PASSWORD.match(value)
            ]

    def clean(self, text: str) -> str:
        """A text without them."""
        if self._url is not None:
            text = text.replace(self._url, shown(self._url))
        return self._keys.clean(text)


def _query(url: str | None) -> list[tuple[str, str]]:
    return parse_qsl(urlsplit(url or "").query)


def _password(url: str | None) -> list[str]:
    password = urlsplit(url or "").password
    return [password] if password else []
