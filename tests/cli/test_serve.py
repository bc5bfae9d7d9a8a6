"""`codin serve`."""

from __future__ import annotations

import re
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.command import Running, run
from tests.cli.conftest import Done

Codin = Callable[..., Done]

SHOUT = """
import codin
from codin.agent import agent

@agent
def shout(text: str) -> str:
    return text.upper()

if __name__ == "__main__":
    codin.serve(shout)
"""
WHISPER = SHOUT.replace("shout", "whisper").replace("upper", "lower")


def test_prints_where_it_serves_and_ends_at_ctrl_c(tmp_path: Path, codin: Codin) -> None:
    (tmp_path / "hello.py").write_text(SHOUT)
    with Running("serve", "hello.py", "--port", "0", cwd=tmp_path) as serving:
        url = serving.serving(r"shout serves A2A at (http://127\.0\.0\.1:\d+/)\n")
        assert codin("call", url, "hello").out == "HELLO\n"
        serving.interrupt()
        assert serving.wait() == 0
        assert (serving.out, serving.err) == ("", "")


def test_several_agents_each_have_their_place(tmp_path: Path, codin: Codin) -> None:
    (tmp_path / "loud.py").write_text(SHOUT)
    (tmp_path / "soft.py").write_text(WHISPER)
    with Running("serve", "loud.py", "soft:whisper", "--port", "0", cwd=tmp_path) as serving:
        loud = serving.expect(r"shout serves A2A at (http://\S+/shout/)\n")[1]
        soft = serving.serving(r"whisper serves A2A at (http://\S+/whisper/)\n")
        assert codin("call", loud, "Hi").out == "HI\n"
        assert codin("call", soft, "Hi").out == "hi\n"


def test_a_port_that_is_taken_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "hello.py").write_text(SHOUT)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = run("serve", "hello.py", "--port", str(taken.getsockname()[1]), cwd=tmp_path)
    assert done.returncode == 2
    assert re.fullmatch(r"error: cannot listen on 127\.0\.0\.1:\d+: .* Hint: .*\n", done.stderr)


@pytest.mark.parametrize("option", [["--store", "paper://desk"], ["--token-file", "nowhere"], ["--port", "70000"]])
def test_a_wrong_setting_is_one_line(codin: Codin, tmp_path: Path, option: list[str]) -> None:
    path = tmp_path / "hello.py"
    path.write_text(SHOUT)
    done = codin("serve", path, *option)
    assert (done.code, done.out) == (2, "")
    assert len(done.err.splitlines()) == 1


def test_reload_starts_again_with_the_new_code_on_the_same_port(tmp_path: Path, codin: Codin) -> None:
    pytest.importorskip("watchfiles", reason="pip install 'codin[cli]'")
    path = tmp_path / "hello.py"
    path.write_text(SHOUT)
    with Running("serve", "hello.py", "--port", "0", "--reload", cwd=tmp_path) as serving:
        url = serving.serving()
        assert codin("call", url, "Hi").out == "HI\n"
        path.write_text("x = (")
        serving.expect(r"hello\.py changed; starting again", "err")
        serving.expect(r"error: hello\.py:1: .*", "err")
        path.write_text(SHOUT.replace("upper", "lower"))
        assert serving.serving() == url
        assert codin("call", url, "Hi").out == "hi\n"
        serving.interrupt()
        assert serving.wait() == 0
    assert codin("call", url, "Hi").code == 5  # the child has ended as well


def test_reload_says_what_it_needs(codin: Codin, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "watchfiles", None)
    done = codin("serve", tmp_path / "hello.py", "--reload")
    assert (done.code, done.err) == (
        2,
        "error: --reload needs watchfiles, which is not installed. Hint: pip install 'codin[cli]'\n",
    )
