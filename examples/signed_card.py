"""Signed cards: who publishes a card can be told from who only copies it, also after the key has changed.

    python examples/signed_card.py

On the command line: `codin keys new`, `codin serve`, `codin card verify`, `codin keys rotate`.
"""

import asyncio
import tempfile
from pathlib import Path

import httpx

from codin.agent import agent
from codin.errors import CardNotTrusted
from codin.testing import serving
from codin.trust import KeyRing, verify_card


@agent
async def shout(text: str) -> str:
    """Say it louder."""
    return text.upper()


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        ring = KeyRing.create(Path(folder) / "keys")
        pinned = ring.published  # what a caller has been given, by a way that it trusts
        async with serving(shout, keys=ring) as url, httpx.AsyncClient(base_url=url) as http:
            card = (await http.get("/.well-known/agent-card.json")).content
            print("signed by", verify_card(card, pinned).algorithm, "key:", verify_card(card, pinned) in pinned)

            forged = card.replace(url.encode(), b"https://evil.example")
            try:
                verify_card(forged, pinned)
            except CardNotTrusted as error:
                print("another address:", error.hint)

            ring.rotate("EdDSA")  # the server that runs takes it up
            card = (await http.get("/.well-known/agent-card.json")).content
            print("after rotation, for who knows the old key:", verify_card(card, pinned).algorithm)
            print("for who knows the new one:", verify_card(card, [ring.active.public]).algorithm)

            ring.revoke(pinned[0].kid)
            card = (await http.get("/.well-known/agent-card.json")).content
            try:
                verify_card(card, pinned)
            except CardNotTrusted as error:
                print("after revocation:", error.code)


if __name__ == "__main__":
    asyncio.run(main())
