"""The echo."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codin import a2a
from codin.testing import mesh
from tests.examples.shipped import shipped

pytestmark = pytest.mark.anyio

ECHO = shipped("echo").echo

parts = st.one_of(
    st.builds(a2a.Part, data=st.dictionaries(st.text(), st.integers(-9, 9), min_size=1)),
    st.builds(a2a.Part, raw=st.binary(min_size=1), filename=st.text(min_size=1)),
    st.builds(a2a.Part, url=st.text("abc", min_size=1)),
)


@given(text=st.text(min_size=1), others=st.lists(parts, max_size=3))
async def test_what_is_sent_comes_back(text: str, others: list[a2a.Part]) -> None:
    async with mesh(ECHO) as peers:
        reply = await peers["echo"].send([a2a.Part(text=text), *others])
        assert reply.state is a2a.TaskState.COMPLETED
        assert reply.text == text
        assert reply.task is not None
        back = [part for artifact in reply.task.artifacts for part in artifact.parts if part.text is None]
        assert back == others


async def test_it_streams() -> None:
    async with mesh(ECHO) as peers:
        said = [event.text async for event in peers["echo"].stream("hello") if event.kind == "artifact"]
        assert said[0] == "hello"
