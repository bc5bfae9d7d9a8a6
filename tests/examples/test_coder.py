"""The coder: its programs run in a sandbox, and are mended."""

from __future__ import annotations

import shutil

import pytest

from codin import a2a
from codin.testing import ModelServer, mesh, scripted
from tests.examples.shipped import shipped

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(shutil.which("bwrap") is None, reason="no bubblewrap"),
]

CODER = shipped("coder")
FIGURE = """```python
bars = "".join(f'<rect x="{20 * n}" y="{100 - n * n}" width="15" height="{n * n}"/>' for n in range(1, 11))
open("squares.svg", "w").write(f'<svg xmlns="http://www.w3.org/2000/svg">{bars}</svg>')
print("ten bars")
```"""


@pytest.fixture(autouse=True)
def no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_MODEL"):
        monkeypatch.delenv(name, raising=False)


async def test_a_program_draws_a_figure() -> None:
    async with mesh(CODER.code) as peers:
        reply = await peers["coder"].send(f"Draw ten squares.\n{FIGURE}")
    assert reply.state is a2a.TaskState.COMPLETED
    (figure,) = [file for file in reply.files if file.filename == "squares.svg"]
    assert figure.media_type == "image/svg+xml"
    assert (figure.raw or b"").count(b"<rect") == 10
    assert "ten bars" in reply.text


async def test_a_program_that_fails_is_mended(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("openai", reason="pip install openai")
    with ModelServer(scripted("```python\n1 / 0\n```", FIGURE)) as model:
        monkeypatch.setenv("OPENAI_BASE_URL", model.url)
        monkeypatch.setenv("OPENAI_API_KEY", "none")
        async with mesh(CODER.code) as peers:
            reply = await peers["coder"].send("Draw ten squares.")
    assert reply.state is a2a.TaskState.COMPLETED
    assert "squares.svg" in [file.filename for file in reply.files]


async def test_mending_comes_to_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("openai", reason="pip install openai")
    with ModelServer(scripted(*["```python\n1 / 0\n```"] * 3)) as model:
        monkeypatch.setenv("OPENAI_BASE_URL", model.url)
        monkeypatch.setenv("OPENAI_API_KEY", "none")
        async with mesh(CODER.code) as peers:
            reply = await peers["coder"].send("Draw ten squares.")
    assert reply.state is a2a.TaskState.REJECTED
    assert "after 3 of them: ZeroDivisionError" in reply.text


async def test_without_a_model_it_takes_a_program() -> None:
    async with mesh(CODER.code) as peers:
        reply = await peers["coder"].send("Draw ten squares.")
    assert reply.state is a2a.TaskState.REJECTED
    assert "There is no model here" in reply.text
