"""Agents by a list, and several directories as one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from codin.errors import BadResponse, ConfigError
from codin.mesh import Found, Static, Union, WellKnown
from tests.mesh.publishing import Web, card, place

pytestmark = pytest.mark.anyio


def _web(*names: str) -> Web:
    return Web({place(name): card(name).to_dict() for name in names})


async def test_a_list_of_addresses_and_cards() -> None:
    static = Static(["http://echo.test", card("poet"), "http://absent.test/"], transport=_web("echo"))
    assert [found.id for found in await static.find()] == ["echo", "poet"]
    wishes: list[tuple[dict[str, Any], list[str]]] = [
        ({"name": "ECHO"}, ["echo"]),
        ({"skill": "poet-skill"}, ["poet"]),
        ({"skill": "skill"}, ["echo", "poet"]),
        ({"tag": "ECHO-TAG"}, ["echo"]),
        ({"text": "what does"}, ["echo", "poet"]),
        ({"text": "what poet"}, ["poet"]),
        ({"text": "poetry"}, []),
        ({"name": "poet", "tag": "echo-tag"}, []),
    ]
    for wish, ids in wishes:
        assert [found.id for found in await static.find(**wish)] == ids, wish
    assert len(await static.find(limit=1)) == 1


async def test_a_card_is_read_once_in_a_while() -> None:
    web = _web("echo")
    static = Static(["http://echo.test"], transport=web)
    (found,) = await static.find()
    assert (found.url, found.health, found.verified) == (place("echo"), "healthy", False)
    assert found.latency is not None
    await static.find()
    assert len(web.asked) == 1


async def test_an_agent_that_was_there_is_known_while_it_does_not_answer() -> None:
    web = _web("echo")
    static = Static(["http://echo.test"], transport=web, fresh=0)
    await static.find()
    web.down = True
    (found,) = await static.find()
    assert found.health == "suspect"


async def test_a_card_is_looked_for_below_the_path_and_at_the_origin() -> None:
    web = Web({"http://echo.test/deep/.well-known/agent-card.json": card("deep").to_dict(), **_web("echo").pages})
    static = Static(["http://echo.test/deep/", "http://echo.test/other"], transport=web)
    assert [found.id for found in await static.find()] == ["deep", "echo"]


@pytest.mark.parametrize("address", ["echo.test", "ftp://echo.test", ""])
def test_an_address_is_a_url(address: str) -> None:
    with pytest.raises(ConfigError):
        Static([address])


async def test_a_host_without_a_catalog_has_perhaps_one_agent() -> None:
    web = _web("echo")
    assert [found.id for found in await WellKnown("http://echo.test", transport=web).find()] == ["echo"]
    assert await WellKnown("http://other.test", transport=web).find() == []


class _Says:
    def __init__(self, *found: Found, error: Exception | None = None) -> None:
        self.found = found
        self.error = error

    async def find(self, **_: Any) -> Sequence[Found]:
        if self.error is not None:
            raise self.error
        return self.found

    async def aclose(self) -> None:
        self.found = ()


async def test_of_an_agent_that_several_know_the_best_informed_counts() -> None:
    echo = Found("echo", "Echo", place("echo"))
    healthy, verified = replace(echo, health="healthy"), replace(echo, verified=True)
    other = Found("other", "Other", place("other"), health="suspect")
    union = Union(_Says(echo, other), _Says(healthy), _Says(verified))
    assert await union.find() == [verified, other]


async def test_one_that_fails_is_left_out_and_all_that_fail_are_an_error() -> None:
    echo = Found("echo", "Echo", place("echo"))
    broken = _Says(error=BadResponse("it is broken"))
    assert await Union(broken, _Says(echo)).find() == [echo]
    with pytest.raises(BadResponse, match="broken"):
        await Union(broken, broken).find()
    assert await Union().find() == []
