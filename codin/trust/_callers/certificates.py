"""Client certificates that a proxy has checked. Source: RFC 9440 (Client-Cert)."""

from __future__ import annotations

import base64
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

from codin import a2a
from codin.errors import ConfigError, TokenRefused
from codin.trust._callers.authenticator import PEER_ADDRESS
from codin.trust._callers.caller import Caller

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

__all__ = ["ForwardedCertificates"]

_LONGEST = 16 * 1024
_PEM = b"-----BEGIN CERTIFICATE-----"


class ForwardedCertificates:
    """Mutual TLS that ends at a proxy, which passes the certificate on in a header.

    The proxy has to check the certificate against its own authorities, and to set the header itself in every request,
    empty where there is none. From any other address the header counts for nothing.

    The caller's id is the certificate's first URI (a SPIFFE id), or its whole subject (`CN=ada,O=Example`).

    Args:
        proxies: addresses that the header is believed from.
        header: with the certificate, as RFC 9440 writes it (`:base64:`) or as URL-escaped PEM (nginx).
        callers: what a caller is called here, by the id above; then nobody else comes in. None lets in whoever the
            proxy lets through.

    Raises:
        ConfigError: no proxy is named, or one that is no address.
    """

    challenge = 'ClientCertificate realm="codin"'

    def __init__(
        self, proxies: Collection[str], *, header: str = "Client-Cert", callers: Mapping[str, str] | None = None
    ) -> None:
        if isinstance(proxies, str) or not proxies:
            raise ConfigError("no proxy is named that certificates are believed from", hint='proxies=["127.0.0.1"]')
        try:
            self._proxies = frozenset(ip_address(each) for each in proxies)
        except ValueError as error:
            raise ConfigError(f"a proxy is named by its address: {error}") from None
        self._name = header.lower().encode("ascii")
        self._callers = callers

    @property
    def schemes(self) -> Mapping[str, a2a.SecurityScheme]:
        """Mutual TLS."""
        return {"mtls": a2a.SecurityScheme(mtls_security_scheme=a2a.MutualTlsSecurityScheme())}

    @property
    def requirements(self) -> list[a2a.SecurityRequirement]:
        """A certificate."""
        return [a2a.SecurityRequirement(schemes={"mtls": a2a.StringList()})]

    async def authenticate(self, headers: Mapping[bytes, bytes]) -> Caller | None:
        """The owner of the certificate; None when there is none, or not from a proxy.

        Raises:
            TokenRefused: the certificate is broken, out of date, or of nobody who is known.
        """
        said = headers.get(self._name)
        if not said or not self._is_proxy(headers.get(PEER_ADDRESS)):
            return None
        certificate = _read(said)
        now = datetime.now(UTC)
        if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
            raise TokenRefused("the client certificate is out of date")
        owner = _owner(certificate)
        if self._callers is None:
            return Caller(owner)
        if owner not in self._callers:
            raise TokenRefused("the owner of the client certificate is not known here")
        return Caller(self._callers[owner])

    def _is_proxy(self, address: bytes | None) -> bool:
        try:
            return ip_address((address or b"").decode("latin-1")) in self._proxies
        except ValueError:  # none, or a socket in the file system
            return False


def _read(said: bytes) -> Certificate:
    from cryptography import x509

    try:
        if len(said) > _LONGEST:
            raise ValueError("too long")
        if said[:1] == said[-1:] == b":" and len(said) > 2:
            return x509.load_der_x509_certificate(base64.b64decode(said[1:-1], validate=True))
        pem = unquote_to_bytes(said)
        if not pem.startswith(_PEM):
            raise ValueError("neither form")
        return x509.load_pem_x509_certificate(pem)
    except ValueError:
        raise TokenRefused("the client certificate in the header cannot be read") from None


def _owner(certificate: Certificate) -> str:
    from cryptography import x509

    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    except (x509.ExtensionNotFound, ValueError):
        uris = []
    owner = uris[0] if uris else certificate.subject.rfc4514_string()
    if not owner:
        raise TokenRefused("the client certificate names nobody")
    return owner
