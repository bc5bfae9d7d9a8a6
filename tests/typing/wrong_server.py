"""Mistakes in serving agents and guarding them."""

# What is unknown after a mistake is not reported again.
# pyright: reportUnknownArgumentType=false, reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import codin
from codin import a2a
from codin.agent import AgentResponse, Task, agent
from codin.server import App, ServerLimits, agent_card
from codin.task import Decision, Guard, Limits
from codin.trust import Authenticator, BearerTokens, Caller


@agent
async def shout(text: str) -> str:
    """Say it louder."""
    return text.upper()


async def undecorated(text: str) -> str:
    return text.upper()


async def authenticate(headers: Mapping[bytes, bytes]) -> Caller | None:
    return None


async def serves() -> None:
    codin.serve(shout, port="8000")  # error: reportArgumentType
    codin.serve(shout, address="0.0.0.0")  # error: reportCallIssue
    codin.serve(shout, reload=True)  # error: reportCallIssue
    codin.serve(shout, store=42)  # error: reportArgumentType
    codin.serve(shout, limits={"run_timeout": 60})  # error: reportArgumentType
    codin.serve(shout, server_limits=Limits())  # error: reportArgumentType
    codin.serve(shout, token_file=["tokens"])  # error: reportArgumentType
    await codin.serve(shout)  # error: reportGeneralTypeIssues


async def makes_an_application() -> None:
    App(shout, port=8000)  # error: reportCallIssue
    App(shout, authenticator=authenticate)  # error: reportArgumentType
    App(shout, authenticator="secret")  # error: reportArgumentType
    App(shout, guards=[Decision("pass")])  # error: reportArgumentType
    App(shout, limits=Limits(timeout=60))  # error: reportCallIssue
    App(shout, limits=Limits(max_running="10"))  # error: reportArgumentType
    App(shout, server_limits=ServerLimits(run_timeout=60))  # error: reportCallIssue
    BearerTokens("tokens")  # error: reportArgumentType
    BearerTokens(["secret"])  # error: reportArgumentType
    App(shout).start()  # error: reportUnusedCoroutine
    app = App(shout)
    with app.lifespan(app):  # error: reportGeneralTypeIssues
        print(app.places())  # error: reportCallIssue
    async with app:  # error: reportGeneralTypeIssues
        print(app.open_streams)
    limits = Limits()
    limits.run_timeout = 60  # error: reportAttributeAccessIssue


def describes() -> None:
    agent_card(shout)  # error: reportCallIssue
    agent_card(undecorated, "http://127.0.0.1:8000")  # error: reportArgumentType
    agent_card(shout, "http://127.0.0.1:8000", authenticate)  # error: reportArgumentType


class Declares:
    """What an authenticator declares, for the classes below."""

    schemes: Mapping[str, a2a.SecurityScheme] = {}

    @property
    def requirements(self) -> list[a2a.SecurityRequirement]:
        return []


class AuthenticatesByText(Declares):
    async def authenticate(self, headers: Mapping[str, str]) -> Caller | None:
        return Caller(headers["x-key"])


class AuthenticatesAtOnce(Declares):
    def authenticate(self, headers: Mapping[bytes, bytes]) -> Caller | None:
        return Caller(headers[b"x-key"].decode())


class AuthenticatesByName(Declares):
    async def authenticate(self, headers: Mapping[bytes, bytes]) -> str | None:
        return headers[b"x-key"].decode()


by_text: Authenticator = AuthenticatesByText()  # error: reportAssignmentType
at_once: Authenticator = AuthenticatesAtOnce()  # error: reportAssignmentType
by_name: Authenticator = AuthenticatesByName()  # error: reportAssignmentType


class Passes:
    """A guard, for the classes below."""

    async def submit(self, caller: Caller, message: a2a.Message) -> Decision | None:
        return None

    async def call(self, task: Task, target: str, content: Any) -> Decision | None:
        return None


class GuardsNoOutcome(Passes):
    """Lacks one of the three."""


class SaysYesOrNo(Passes):
    async def outcome(self, task: Task, response: AgentResponse) -> bool:
        return bool(response.text)


class GuardsAtOnce(Passes):
    def outcome(self, task: Task, response: AgentResponse) -> Decision | None:
        return None


class SwapsItsArguments(Passes):
    async def outcome(self, response: AgentResponse, task: Task) -> Decision | None:
        return None


class ChangesTheOutcome(Passes):
    async def outcome(self, task: Task, response: AgentResponse) -> AgentResponse:
        return AgentResponse.completed("Something else.")


guards_no_outcome: Guard = GuardsNoOutcome()  # error: reportAssignmentType
says_yes_or_no: Guard = SaysYesOrNo()  # error: reportAssignmentType
guards_at_once: Guard = GuardsAtOnce()  # error: reportAssignmentType
swaps_its_arguments: Guard = SwapsItsArguments()  # error: reportAssignmentType
changes_the_outcome: Guard = ChangesTheOutcome()  # error: reportAssignmentType


def decides() -> Decision:
    Decision()  # error: reportCallIssue
    Decision("deny")  # error: reportArgumentType
    Decision(True)  # error: reportArgumentType
    Decision("refuse", message="Strangers may not.")  # error: reportCallIssue
    decision = Decision("pass")
    decision.reason = "Why not."  # error: reportAttributeAccessIssue
    Caller()  # error: reportCallIssue
    Caller("ada", scopes=["read"])  # error: reportArgumentType
    if decision.action == "allow":  # error: reportUnnecessaryComparison
        return decision
    return None  # error: reportReturnType
