"""Serving agents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import assert_type

from starlette.applications import Starlette
from starlette.routing import Mount, Route
from starlette.types import ASGIApp

import codin
from codin import a2a
from codin.agent import Agent, AgentResponse, Task, agent
from codin.net import AddressGuard
from codin.server import App, ServerLimits, agent_card
from codin.server.webhook import Notification, Webhook
from codin.task import DeadLetter, Decision, Guard, Limits, PushPolicy, TaskStore
from codin.trust import ANONYMOUS, Authenticator, BearerTokens, Caller, KeyRing


@agent
async def shout(text: str) -> str:
    """Say it louder."""
    return text.upper()


class Echo:
    id = "echo"
    name = "Echo"
    description = "Says it again."
    tools = ()

    async def handle(self, task: Task) -> AgentResponse:
        return AgentResponse.completed(task.text)


def undecorated(text: str) -> str:
    return text.lower()


class Keys:
    """An authenticator of one's own."""

    schemes: Mapping[str, a2a.SecurityScheme] = {
        "key": a2a.SecurityScheme(api_key_security_scheme=a2a.APIKeySecurityScheme(location="header", name="x-key"))
    }

    @property
    def requirements(self) -> list[a2a.SecurityRequirement]:
        return [a2a.SecurityRequirement(schemes={"key": a2a.StringList()})]

    async def authenticate(self, headers: Mapping[bytes, bytes]) -> Caller | None:
        key = headers.get(b"x-key")
        if key is None:
            return ANONYMOUS
        return Caller(key.decode(), tenant="acme", scopes=frozenset({"read"}), claims={"key": True}) if key else None


class Session:
    """Another, which calls the headers something else."""

    def __init__(self) -> None:
        self.schemes: Mapping[str, a2a.SecurityScheme] = {}
        self.requirements: list[a2a.SecurityRequirement] = []

    async def authenticate(self, fields: Mapping[bytes, bytes]) -> Caller:
        return Caller(fields[b"cookie"].decode())


AUTHENTICATORS: list[Authenticator] = [Keys(), Session(), BearerTokens({"secret": "ada"})]


def serves_on_a_port(store: TaskStore) -> None:
    codin.serve(shout)
    codin.serve(
        shout,
        Echo(),
        undecorated,
        host="0.0.0.0",
        port=0,
        store=store,
        public_url="https://example.org",
        trusted_proxies={"10.0.0.1"},
        token_file=Path("tokens"),
        guards=(),
        log_level="info",
    )


def serves_in_another_application(guards: list[Guard]) -> Starlette:
    app = App(
        shout,
        Echo(),
        store="sqlite:///tasks.db",
        authenticator=BearerTokens.from_file("tokens"),
        guards=guards,
        limits=Limits(max_running=10, run_timeout=60),
        server_limits=ServerLimits(max_body=1024, keep_alive=5),
    )
    assert_type(app.places, Sequence[str])
    assert_type(app.open_streams, int)
    application: ASGIApp = app
    return Starlette(routes=[Mount("/agents", app=application)], lifespan=app.lifespan)


async def lives_and_ends(app: App) -> None:
    async with app.lifespan(app):
        await app.drain()
    await app.start()
    await app.close()


def describes(one: Agent) -> None:
    assert_type(agent_card(one, "http://127.0.0.1:8000"), a2a.AgentCard)
    assert_type(agent_card(shout, "http://127.0.0.1:8000", Keys()).skills, list[a2a.AgentSkill])


class Policy:
    """A guard: three coroutines."""

    async def submit(self, caller: Caller, message: a2a.Message) -> Decision | None:
        if not caller.authenticated:
            return Decision("refuse", "Strangers may not.", guard="policy")
        return Decision("pass") if message.metadata else None

    async def call(self, task: Task, target: str, content: object) -> Decision | None:
        return Decision("hold", f"May {task.id} call {target} with {content!r}?", auth=True)

    async def outcome(self, task: Task, response: AgentResponse) -> None:
        """A guard that never objects to an outcome."""


class Bouncer:
    """A guard with names of its own for its parameters."""

    async def submit(self, who: Caller, said: a2a.Message) -> Decision | None:
        return None

    async def call(self, t: Task, url: str, said: object) -> None: ...

    async def outcome(self, t: Task, answer: AgentResponse) -> None: ...


GUARDED = App(shout, guards=[Policy(), Bouncer()])


PUSHING = [
    App(shout, push=False),
    App(shout, push=PushPolicy(guard=AddressGuard(allowed_hosts=["hooks.internal"]), max_configs=4)),
    App(shout, push=PushPolicy(guard=None)),
]


async def looks_after_dead_letters(app: App) -> int:
    letters = await app.dead_letters()
    assert_type(letters, list[DeadLetter])
    return sum([await app.revive_dead_letters(letter.task_id) for letter in letters])


async def takes(notification: Notification) -> None:
    assert_type(notification.event, a2a.StreamResponse)
    assert_type(notification.number, int | None)


async def is_notified(keys: KeyRing) -> None:
    hook = Webhook(takes, url="https://example.com/hook", keys=keys.published)
    Starlette(routes=[Route("/hook", hook)])
    async for notification in Webhook(keys=keys.public.get, url=["https://example.com/hook"], tasks={"1"}):
        await takes(notification)
