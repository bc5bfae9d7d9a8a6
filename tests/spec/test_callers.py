"""Who calls, and what they may see, in every binding. Spec 3.3.2, 7, 13.1."""

from __future__ import annotations

from typing import Any

import pytest

from codin.server import App
from codin.trust import Access, BearerTokens, Caller
from tests.spec.clerk import Clerk, parrot
from tests.spec.wire import Wire, message

pytestmark = pytest.mark.anyio

TOKENS = BearerTokens(
    {
        "ada": Caller("ada", scopes=frozenset({"work"})),
        "bob": Caller("bob", scopes=frozenset({"work"})),
        "eve": "eve",
    }
)


@pytest.fixture
def app(clerk: Clerk, options: dict[str, Any]) -> App:
    return App(clerk, parrot, authenticator=TOKENS, access=Access({"clerk": "work", "parrot": ()}), **options)


def by(wire: Wire, name: str | None) -> Wire:
    return wire.saying(Authorization=f"Bearer {name}" if name else None)


def about(task_id: str) -> dict[str, dict[str, Any]]:
    """Every operation on one task."""
    return {
        "GetTask": {"id": task_id},
        "CancelTask": {"id": task_id},
        "SubscribeToTask": {"id": task_id},
        "SendMessage": {"message": message("say x", taskId=task_id)},
        "SendStreamingMessage": {"message": message("say x", taskId=task_id)},
    }


OPERATIONS = [*about(""), "ListTasks"]


@pytest.mark.requirement("AUTH-EVERY-REQUEST", "AUTH-REFUSED", "AUTH-CHALLENGE")
@pytest.mark.parametrize("method", OPERATIONS)
@pytest.mark.parametrize("name", [None, "mallory"])
async def test_who_is_not_known_is_asked_who_it_is(wire: Wire, method: str, name: str | None) -> None:
    refused = await by(wire, name).refused(method, about("t").get(method, {}))
    assert refused.reason == "UNAUTHENTICATED"
    assert refused.headers["www-authenticate"].startswith("Bearer")
    assert "mallory" not in str(refused.headers) + str(refused.details) + refused.message


@pytest.mark.requirement("AUTH-PERMISSION", "AUTH-SCOPE-NAMED", "AUTH-CHECKED-EVERYWHERE", "AUTH-BEFORE-LOOKING")
@pytest.mark.parametrize("method", OPERATIONS)
async def test_who_may_not_is_told_what_is_missing_and_nothing_else(wire: Wire, method: str) -> None:
    task = await by(wire, "ada").send("ask which?")
    answers = [
        await by(wire, "eve").refused(method, about(task_id).get(method, {})) for task_id in (task["id"], "nobodys")
    ]
    assert [answer.reason for answer in answers] == ["PERMISSION_DENIED"] * 2
    assert "work" in (answers[0].hint or "")
    assert answers[0].message == answers[1].message
    assert answers[0].details == answers[1].details


@pytest.mark.requirement("AUTH-NOT-REVEALED")
@pytest.mark.parametrize("method", about(""))
@pytest.mark.parametrize("state", ["working", "ask which?", "say x"])
async def test_somebody_elses_task_is_none(wire: Wire, method: str, state: str) -> None:
    task = await by(wire, "ada").begin(state)
    answers: list[str] = []
    for task_id in (task["id"], "nobodys"):
        refused = await by(wire, "bob").refused(method, about(task_id)[method])
        assert refused.reason == "TASK_NOT_FOUND"
        answers.append(f"{refused.code} {refused.message} {refused.details}".replace(task_id, "…"))
    assert answers[0] == answers[1]


@pytest.mark.requirement("AUTH-SCOPED", "LIST-VISIBLE")
async def test_lists_hold_what_is_the_callers_own(wire: Wire) -> None:
    mine = await by(wire, "ada").send(contextId="shared")
    theirs = await by(wire, "bob").send(contextId="shared")
    for name, task in (("ada", mine), ("bob", theirs)):
        for query in ({}, {"contextId": "shared"}, {"status": "TASK_STATE_COMPLETED"}):
            page = await by(wire, name).result("ListTasks", query)
            assert ([each["id"] for each in page["tasks"]], page["totalSize"]) == ([task["id"]], 1)


@pytest.mark.requirement("LIST-BAD-TOKEN")
async def test_a_page_token_is_its_callers(wire: Wire) -> None:
    for _ in range(2):
        await by(wire, "ada").send()
    token = (await by(wire, "ada").result("ListTasks", {"pageSize": 1}))["nextPageToken"]
    refused = await by(wire, "bob").refused("ListTasks", {"pageSize": 1, "pageToken": token})
    assert list(refused.violations) == ["pageToken"]
