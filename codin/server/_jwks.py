"""The public keys of the server, as a JSON Web Key Set. RFC 7517."""

from __future__ import annotations

import hashlib

from pydantic_core import to_json
from starlette.types import Send

from codin.server._http import Headers, answer, knows
from codin.trust import KeyRing

__all__ = ["JWKS_PATH", "answer_keys"]

JWKS_PATH = "/.well-known/jwks.json"
_TYPE = (b"content-type", b"application/jwk-set+json")


async def answer_keys(send: Send, headers: Headers, ring: KeyRing) -> None:
    """The keys that count now, or 304 when the client has them already.

    They may be kept for five minutes, as cards may: that is how long a revoked key can go on with who trusts this
    address only.
    """
    body = to_json(ring.export())
    etag = b'"%s"' % hashlib.sha256(body).hexdigest()[:32].encode()
    fields = [(b"etag", etag), (b"cache-control", b"public, max-age=300")]
    if knows(headers, etag):
        await answer(send, b"", status=304, headers=fields)
    else:
        await answer(send, body, headers=[_TYPE, *fields])
