"""`codin serve`."""

from __future__ import annotations

import json
import re
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import anyio
import pytest

from codin import a2a, connect
from codin.server import ServerLimits
from codin.task import Limits
from tests.cli.command import Running, Terminal, environment, run
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


def test_only_what_is_typed_is_spoken(tmp_path: Path, codin: Codin) -> None:
    (tmp_path / "hello.py").write_text(SHOUT)
    options = ("--binding", "HTTP+JSON", "--protocol-version", "1.0", "--push", "off")
    with Running("serve", "hello.py", "--port", "0", *options, cwd=tmp_path) as serving:
        url = serving.serving(r"shout serves A2A at (http://127\.0\.0\.1:\d+/)\n")
        card = json.loads(codin("card", url, "--json").out)
        spoken = [(each["protocolBinding"], each["protocolVersion"]) for each in card["supportedInterfaces"]]
        assert spoken == [("HTTP+JSON", "1.0")]
        assert card["capabilities"]["pushNotifications"] is False
        assert codin("call", url, "hello", "--binding", "HTTP+JSON").out == "HELLO\n"
        refused = codin("call", url, "hello", "--binding", "JSONRPC")
        assert refused.code != 0
        assert "HTTP+JSON" in refused.err


def test_limits_are_typed_by_their_names(tmp_path: Path, codin: Codin) -> None:
    code = "import asyncio\nasync def rest(text: str) -> None:\n    await asyncio.sleep(float(text))\n"
    (tmp_path / "rest.py").write_text(code)
    options = ("--limit", "run_timeout=0.05", "--limit", "max_body=2000")
    with Running("serve", "rest.py", "--port", "0", *options, cwd=tmp_path) as serving:
        url = serving.serving()
        assert "took longer than it may" in codin("call", url, "60").err
        assert "the body is larger than 2000 bytes" in codin("call", url, "0" * 3000).err


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("run_timeuot=9", "--limit run_timeuot=9: there is no limit 'run_timeuot'. Hint: did you mean run_timeout?\n"),
        ("run_timeout=15m", "--limit run_timeout=15m: run_timeout is a number of seconds, more than 0, up to"),
        ("max_running=0", "max_running is a whole number, more than 0, up to"),
        ("budget.money=-0.5", "budget.money is a number, 0 or more, up to"),
        ("drain", "--limit drain: drain is a number of seconds, 0 or more"),
    ],
)
def test_a_limit_that_is_wrong_is_one_line(tmp_path: Path, codin: Codin, typed: str, words: str) -> None:
    (tmp_path / "hello.py").write_text(SHOUT)
    done = codin("serve", tmp_path / "hello.py", "--limit", typed)
    assert done.code == 2
    assert words in done.err


def test_the_help_names_every_limit(codin: Codin) -> None:
    named = {each.name for kind in (Limits, ServerLimits) for each in fields(kind)} - {"budget"}
    said = codin("serve", "--help").out
    assert [name for name in sorted({*named, "budget.tokens", "budget.money"}) if name not in said] == []


HOME, INTERNET, INSIDE = "http://127.0.0.1:9/hook", "http://8.8.8.8/hook", "http://10.0.0.1/hook"


@pytest.mark.parametrize(
    ("word", "taken", "refused"),
    [
        ("loopback", [HOME], [INTERNET, INSIDE]),
        ("internet", [INTERNET], [HOME, INSIDE]),
        ("anywhere", [HOME, INTERNET, INSIDE], []),
    ],
)
def test_where_notifications_may_go(word: str, taken: list[str], refused: list[str]) -> None:
    async def ask(url: str) -> None:
        async with connect(url) as peer:
            task_id = (await peer.send("ask")).task_id  # it waits, so nothing is posted
            assert task_id is not None
            for place in taken:
                await peer.create_push_config(task_id, place)
            for place in refused:
                with pytest.raises(a2a.InvalidParams) as caught:
                    await peer.create_push_config(task_id, place)
                assert "codin serve --push loopback or anywhere" in str(caught.value.hint)

    with Running("serve", str(Path(__file__).parent / "served.py"), "--port", "0", "--push", word) as serving:
        anyio.run(ask, serving.serving())


def test_an_old_version_is_served_beside_the_new_one_only(tmp_path: Path) -> None:
    (tmp_path / "hello.py").write_text(SHOUT)
    done = run("serve", "hello.py", "--port", "0", "--protocol-version", "0.3", cwd=tmp_path)
    assert done.returncode == 2
    assert "A2A 0.3 is served beside 1.0 only. Hint: say nothing of versions to serve both" in done.stderr
    (tmp_path / "agent.toml").write_text('target = "hello.py"\nversions = ["0.3"]\n')
    assert "A2A 0.3 is served beside 1.0 only" in run("serve", ".", "--port", "0", cwd=tmp_path).stderr
    options = ["--protocol-version", "1.0", "--protocol-version", "0.3"]
    with Running("serve", "hello.py", "--port", "0", *options, cwd=tmp_path) as serving:
        serving.serving(r"shout serves A2A at (http://127\.0\.0\.1:\d+/)\n")


def test_an_agent_that_requires_an_extension_is_called_with_it(tmp_path: Path, codin: Codin) -> None:
    needs = SHOUT.replace("@agent", '@agent(extensions=[a2a.AgentExtension(uri="urn:loud", required=True)])')
    (tmp_path / "hello.py").write_text(f"from codin import a2a\n{needs}")
    with Running("serve", "hello.py", "--port", "0", cwd=tmp_path) as serving:
        url = serving.serving(r"shout serves A2A at (http://127\.0\.0\.1:\d+/)\n")
        assert codin("call", url, "hello").err.endswith(" Hint: --extension urn:loud\n")
        assert codin("call", url, "hello", "--extension", "urn:loud").out == "HELLO\n"


def test_a_port_that_is_taken_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "hello.py").write_text(SHOUT)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = run("serve", "hello.py", "--port", str(taken.getsockname()[1]), cwd=tmp_path)
    assert done.returncode == 2
    assert re.fullmatch(r"error: cannot listen on 127\.0\.0\.1:\d+: .* Hint: .*\n", done.stderr)


def test_a_port_that_is_taken_is_short_in_a_program_too(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        (tmp_path / "hello.py").write_text(SHOUT.replace("serve(shout)", f"serve(shout, port={port})"))
        done = subprocess.run(
            [sys.executable, "hello.py"], cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False
        )
    assert done.returncode == 1
    assert done.stderr.count("Traceback") == 1
    assert f"cannot listen on 127.0.0.1:{port}: " in done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("option", "words"),
    [
        (["--store", "paper://desk"], "no store is known"),
        (["--store", "sqlite:///no/such/folder/tasks.db"], "Hint: the directory of a store must exist"),
        (["--token-file", "nowhere"], "'nowhere' does not exist"),
        (["--port", "70000"], "'--port'"),
        (["--host", "no.such.host.invalid"], "Hint: --host is an address of this machine"),
        (["--public-url", "foo"], "the public URL 'foo' is none"),
        (["--public-url", "ftp://foo"], "the public URL 'ftp://foo' is none"),
    ],
)
def test_a_wrong_setting_is_one_line(tmp_path: Path, option: list[str], words: str) -> None:
    (tmp_path / "hello.py").write_text(SHOUT)
    done = run("serve", "hello.py", "--port", "0", *option, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = [line for line in done.stderr.splitlines() if not line.startswith("WARNING")]
    assert line.startswith("error: ")
    assert words in line


def test_the_address_that_is_printed_can_be_called(tmp_path: Path, codin: Codin) -> None:
    (tmp_path / "hello.py").write_text(SHOUT)
    with Running("serve", "hello.py", "--host", "0.0.0.0", "--port", "0", cwd=tmp_path) as serving:
        url = serving.serving(r"shout serves A2A at (http://127\.0\.0\.1:\d+/)\n")
        assert codin("call", url, "Hi").out == "HI\n"


@pytest.mark.parametrize("reload", [[], ["--reload"]])
def test_ctrl_c_says_what_it_waits_for_and_a_second_one_leaves(reload: list[str]) -> None:
    if reload:
        pytest.importorskip("watchfiles", reason="pip install 'codin[cli]'")
    with Terminal("serve", str(Path(__file__).parent / "served.py"), "--port", "0", *reload) as serving:
        serving.expect("kit serves A2A at ")
        url = serving.line()
        with Running("call", url, "hang", "--retry", "0") as call:
            call.expect("waiting")
            serving.type("\x03")
            serving.expect("waiting for 1 task; Ctrl-C again leaves at once\n")
            serving.type("\x03")
            assert serving.wait() == (0 if reload else -signal.SIGINT)
            assert call.wait() == 5


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


def test_reload_sees_what_changes_while_the_server_begins(tmp_path: Path) -> None:
    pytest.importorskip("watchfiles", reason="pip install 'codin[cli]'")
    for number in range(2000):
        (tmp_path / str(number)).mkdir()  # so many, that to watch them takes its time
    (tmp_path / "hello.py").write_text(SHOUT)
    python = tmp_path / "python"  # somebody saves the file when the server begins
    python.write_text(
        f'#!/bin/sh\nif [ "$1" = -m ] && [ ! -e saved ]; then : > saved; echo "# more" >> hello.py; fi\n'
        f'exec {shlex.quote(sys.executable)} "$@"\n'
    )
    python.chmod(0o755)
    with Running("serve", "hello.py", "--port", "0", "--reload", "--python", str(python), cwd=tmp_path) as serving:
        serving.expect(r"hello\.py changed; starting again", "err")
        serving.serving()
        serving.interrupt()
        assert serving.wait() == 0


def test_reload_says_what_it_needs(codin: Codin, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "watchfiles", None)
    done = codin("serve", tmp_path / "hello.py", "--reload")
    assert (done.code, done.err) == (
        2,
        "error: --reload needs watchfiles, which is not installed. Hint: pip install 'codin[cli]'\n",
    )
