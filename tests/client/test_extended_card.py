"""The extended card as a client takes it, and extensions that it activates."""

from __future__ import annotations

import pytest
from starlette.types import Message, Receive, Scope, Send

from codin import a2a
from codin.agent import agent
from codin.client import connect
from codin.errors import CardNotTrusted
from codin.server import App
from codin.task import Task
from codin.testing import serving
from codin.trust import BearerTokens, Caller, SigningKey, TrustPolicy

pytestmark = pytest.mark.anyio

TOKENS = BearerTokens({"ada": "ada"})
AUDIT = a2a.AgentSkill(id="audit", name="audit", description="Look into the books.", tags=["books"])
UNITS = "https://units.example/v1"


@agent(extensions=[UNITS])
async def clerk(task: Task) -> str:
    """Answer questions."""
    return f"{len(await task.references())} and {' '.join(task.extensions)}"


def extend(card: a2a.AgentCard, caller: Caller) -> a2a.AgentCard:
    return card.model_copy(update={"skills": [*card.skills, AUDIT]})


@pytest.mark.requirement("EXTENDED-CLIENT")
async def test_it_takes_the_place_of_the_public_card() -> None:
    async with (
        serving(clerk, authenticator=TOKENS, extended_card=extend) as url,
        connect(url, token="ada") as peer,
    ):
        assert [skill.id for skill in peer.card.skills] == ["clerk"]
        card = await peer.extended_card()
        assert [skill.id for skill in card.skills] == ["clerk", "audit"]
        assert peer.card == card
        assert (await peer.send("still there")).text.startswith("0 and")


async def test_the_key_of_the_public_card_has_to_sign_it_as_well() -> None:
    key = SigningKey.generate()
    app = App(clerk, authenticator=TOKENS, keys=key, extended_card=extend)

    async def edited(scope: Scope, receive: Receive, send: Send) -> None:
        """Somebody in between who edits what is for known callers, and leaves the public card alone."""

        async def edit(message: Message) -> None:
            if "body" in message:
                message["body"] = message["body"].replace(b"Look into the books.", b"Cook all the books..")
            await send(message)

        await app(scope, receive, edit)

    trust = TrustPolicy("require", keys=[key.public])
    async with serving(app) as url, connect(url, token="ada", trust=trust) as peer:
        assert [skill.id for skill in (await peer.extended_card()).skills] == ["clerk", "audit"]
    async with serving(edited) as url, connect(url, token="ada", trust=trust) as peer:
        with pytest.raises(CardNotTrusted):
            await peer.extended_card()
        assert [skill.id for skill in peer.card.skills] == ["clerk"]


async def test_a_peer_without_one_says_so() -> None:
    async with serving(clerk) as url, connect(url) as peer:
        with pytest.raises(a2a.UnsupportedOperation):
            await peer.extended_card()


@pytest.mark.requirement("EXTENSION-CLIENT")
async def test_extensions_are_activated_and_references_sent() -> None:
    async with serving(clerk) as url, connect(url, extensions=[UNITS]) as peer:
        first = await peer.send("one")
        reply = await peer.send("two", reference_task_ids=[str(first.task_id)])
        assert reply.text == f"1 and {UNITS}"


async def test_one_reference_is_no_list() -> None:
    async with serving(clerk) as url, connect(url) as peer:
        with pytest.raises(TypeError, match="reference_task_ids"):
            await peer.send("two", reference_task_ids="one")
