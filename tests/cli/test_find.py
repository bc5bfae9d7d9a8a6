"""Names instead of addresses: on one machine without any setting, and by a registry."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from codin.mesh import Found, Note
from codin.testing import model_server
from codin.trust import SigningKey
from tests.cli.command import PATIENCE, Running, run

HELLO = '''
def hello(name: str) -> str:
    """Greets whoever comes."""
    return f"Hello, {name}!"
'''


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "hello.py").write_text(HELLO)
    (tmp_path / "run").mkdir(mode=0o700)
    return tmp_path


@pytest.fixture
def env(folder: Path) -> dict[str, str]:
    return {"CODIN_RUNTIME": str(folder / "run"), "XDG_STATE_HOME": str(folder / "state"), "HOME": str(folder)}


@pytest.fixture
def keys(folder: Path, env: dict[str, str]) -> dict[str, str]:
    place = {"CODIN_KEYS": str(folder / "keys")}
    assert run("keys", "new", env={**env, **place}).returncode == 0
    return place


@pytest.fixture
def registry(env: dict[str, str]) -> Iterator[str]:
    with Running("registry", "--port", "0", "--probe", "0", env=env) as running:
        yield running.serving()


def test_agents_of_one_user_are_called_by_their_names(folder: Path, env: dict[str, str]) -> None:
    with Running("serve", "hello.py", "--port", "0", cwd=folder, env=env) as server:
        url = server.serving().rstrip("/")
        called = run("call", "hello", "Ada", env=env)
        assert (called.returncode, called.stdout) == (0, "Hello, Ada!\n")
        shown = run("card", "hello", "--json", env=env, cwd=folder / "run")
        assert json.loads(shown.stdout)["name"] == "hello"
        assert run("tasks", "Hello", "--json", env=env).returncode == 0
        trusted = {**env, "CODIN_TRUST_STORE": str(folder / "trust.json")}
        approved = run("trust", "approve", "hello", "--yes", env=trusted)
        assert (approved.returncode, approved.stderr) == (0, f"hello is {url}\n")
        assert url in run("trust", "list", env=trusted).stdout
        assert run("trust", "diff", "hello", env=trusted).returncode == 0
        assert "it has no signature" in run("card", "verify", "hello", "--key", _key(folder), env=trusted).stderr
        found = run("find", "--json", env=env)
        assert [json.loads(line)["url"].removesuffix("/.well-known/agent-card.json") for line in
                found.stdout.splitlines()] == [url]  # fmt: skip
        assert url in run("find", "greets", env=env).stdout
        assert url in run("find", "whoever", "greets", env=env).stdout
        assert run("find", "greets", "nobody", env=env).returncode == 1
        assert url in run("find", "--at", url, env=env).stdout
    gone = run("call", "hello", "Ada", env=env)
    assert gone.returncode == 2
    assert "nobody is called 'hello' here" in gone.stderr
    assert run("find", env=env).returncode == 1
    assert list((folder / "run").iterdir()) == []


def test_two_of_one_name_are_not_guessed(folder: Path, env: dict[str, str], keys: dict[str, str]) -> None:
    with (
        Running("serve", "hello.py", "--port", "0", cwd=folder, env=env) as one,
        Running("serve", "hello.py", "--port", "0", cwd=folder, env=env) as two,
    ):
        urls = [one.serving().rstrip("/"), two.serving().rstrip("/")]
        called = run("call", "hello", "Ada", env=env)
        assert called.returncode == 2
        assert all(url in called.stderr for url in urls)
    # Replicas are one agent: they have the same key.
    with (
        Running("serve", "hello.py", "--port", "0", cwd=folder, env={**env, **keys}) as one,
        Running("serve", "hello.py", "--port", "0", cwd=folder, env={**env, **keys}) as two,
    ):
        one.serving()
        two.serving()
        assert run("call", "hello", "Ada", env=env).stdout == "Hello, Ada!\n"


def test_replicas_are_one_agent_in_the_middle_of_a_rotation(
    folder: Path, env: dict[str, str], keys: dict[str, str]
) -> None:
    behind = {**env, "CODIN_KEYS": str(shutil.copytree(folder / "keys", folder / "behind"))}
    assert run("keys", "rotate", env={**env, **keys}).returncode == 0
    with (
        Running("serve", "hello.py", "--port", "0", cwd=folder, env={**env, **keys}) as one,
        Running("serve", "hello.py", "--port", "0", cwd=folder, env=behind) as two,
    ):
        one.serving()
        two.serving()
        called = run("call", "hello", "Ada", env=env)
        assert (called.returncode, called.stdout) == (0, "Hello, Ada!\n"), called.stderr
        (old,) = (each["kid"] for each in _keys(env | keys) if each["state"] == "overlapping")
        assert run("trust", "revoke", old, env=env).returncode == 0
        assert "2 agents are called 'hello'" in run("call", "hello", "Ada", env=env).stderr


def _key(folder: Path) -> str:
    (folder / "key.pem").write_bytes(SigningKey.generate().public.to_pem())
    return str(folder / "key.pem")


def _keys(env: dict[str, str]) -> list[dict[str, str]]:
    return [json.loads(line) for line in run("keys", "list", "--json", env=env).stdout.splitlines()]


@pytest.mark.parametrize("signed", [False, True])
def test_who_says_that_it_is_a_replica_is_none(
    folder: Path, env: dict[str, str], keys: dict[str, str], *, signed: bool
) -> None:
    apart = {**env, "CODIN_RUNTIME": str(folder / "other")}
    if signed:
        apart["CODIN_KEYS"] = str(folder / "others")
        assert run("keys", "new", env=apart).returncode == 0
    with (
        Running("serve", "hello.py", "--port", "0", cwd=folder, env={**env, **keys}) as real,
        Running("serve", "hello.py", "--port", "0", cwd=folder, env=apart) as liar,
    ):
        urls = [real.serving().rstrip("/"), liar.serving().rstrip("/")]
        (stolen,) = (json.loads(line)["identity"] for line in run("find", "--json", env=env).stdout.splitlines())
        there = f"{urls[1]}/.well-known/agent-card.json"
        note = Note.leave([Found("hello", "hello", there, identity=stolen)], folder / "run")
        called = run("call", "hello", "Ada", env=env)
        note.remove()
        assert called.returncode == 2
        assert all(url in called.stderr for url in urls)


def test_an_agent_joins_a_registry_and_leaves_it(
    folder: Path, env: dict[str, str], keys: dict[str, str], registry: str
) -> None:
    elsewhere = {**env, "CODIN_RUNTIME": str(folder / "other")}  # as on another machine
    with Running("serve", "hello.py", "--port", "0", "--registry", registry, cwd=folder, env={**env, **keys}) as server:
        server.serving()
        found = _until_found(registry, elsewhere)
        assert (found["id"], found["verified"], found["health"]) == ("hello", True, "healthy")
        named = {**elsewhere, "CODIN_REGISTRY": registry}
        assert run("call", "hello", "Ada", env=named).stdout == "Hello, Ada!\n"
        assert run("card", "hello", "--json", env=named).returncode == 0
        assert "hello" in run("find", "greets", env=named).stdout
        token = run("call", "hello", "Ada", "--token", "secret-token", env=named)
        assert token.returncode == 2
        assert "a token is not sent to where somebody else says" in token.stderr
        assert "secret-token" not in token.stderr
        server.interrupt()
        server.wait()
    assert run("find", "--registry", registry, env=elsewhere).returncode == 1


def _until_found(registry: str, env: dict[str, str]) -> dict[str, object]:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:  # each is a process, so this is no busy loop
        found = run("find", "--registry", registry, "--json", env=env)
        if found.returncode == 0:
            return json.loads(found.stdout)
    raise AssertionError("the agent is not in the registry")


def test_an_agent_serves_though_its_registry_is_down(folder: Path, env: dict[str, str]) -> None:
    nowhere = {**env, "CODIN_REGISTRY": "http://127.0.0.1:9"}
    with Running("serve", "hello.py", "--port", "0", cwd=folder, env=nowhere) as server:
        server.serving()
        server.expect("is not in the registry at http://127.0.0.1:9", "err")
        assert run("call", "hello", "Ada", env=env).stdout == "Hello, Ada!\n"


def test_an_agent_without_a_key_is_told_why_it_is_not_in_the_registry(
    folder: Path, env: dict[str, str], registry: str
) -> None:
    with Running("serve", "hello.py", "--port", "0", "--registry", registry, cwd=folder, env=env) as server:
        server.serving()
        server.expect("codin keys new makes a key", "err")
        assert run("find", "--registry", registry, env=env).returncode == 1


def test_a_registry_wants_its_tokens(folder: Path, env: dict[str, str], keys: dict[str, str]) -> None:
    tokens = folder / "tokens"
    tokens.write_text("alice t0ken\n")
    tokens.chmod(0o600)
    with Running("registry", "--port", "0", "--token-file", str(tokens), "--store", "memory://", env=env) as running:
        url = running.serving()
        stranger = run("find", "--registry", url, env=env)
        assert stranger.returncode == 5
        assert "wants a credential" in stranger.stderr
        alice = {**env, "CODIN_REGISTRY_TOKEN": "t0ken"}
        assert run("find", "--registry", url, env=alice).returncode == 1
        with Running(
            "serve", "hello.py", "--port", "0", "--registry", url, cwd=folder, env={**alice, **keys}
        ) as server:
            server.serving()
            assert _until_found(url, alice)["id"] == "hello"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("registry", "--store", "nonsense"), "no registry store"),
        (("serve", "hello.py:hello", "--registry", "nonsense"), "no http(s) URL"),
        (("find", "--registry", "nonsense"), "no http(s) URL"),
        (("call", "localhost", "hi"), "nobody is called 'localhost'"),
        (("call", "127.0.0.1:8000", "hi"), "not an http(s) URL"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(
    folder: Path, env: dict[str, str], arguments: tuple[str, ...], says: str
) -> None:
    done = run(*arguments, env=env, cwd=folder)
    assert done.returncode == 2
    assert says in done.stderr
    assert done.stderr.count("\n") == 1


ASKER = '''
from codin.agent import Task


async def asker(task: Task) -> str:
    """Has somebody else greet."""
    return f"{(await task.call('hello', task.text)).text} {task.caller.id}"
'''


def test_a_served_agent_calls_others_by_their_names(folder: Path, env: dict[str, str]) -> None:
    (folder / "asker.py").write_text(ASKER)
    with (
        Running("serve", "hello.py", "--port", "0", cwd=folder, env=env) as hello,
        Running("serve", "asker.py", "--port", "0", cwd=folder, env=env) as asker,
    ):
        hello.serving()
        asker.serving()
        assert run("call", "asker", "Ada", env=env).stdout == "Hello, Ada! anonymous\n"


WHO = '''
from codin.agent import Task


async def hello(task: Task) -> str:
    """Says who calls."""
    return task.caller.id
'''


def test_in_a_registry_they_do_so_with_tokens_of_their_own(
    folder: Path, env: dict[str, str], keys: dict[str, str], registry: str
) -> None:
    (folder / "asker.py").write_text(ASKER)
    (folder / "who.py").write_text(WHO)
    meshed = {**env, **keys, "CODIN_REGISTRY": registry}
    with (
        Running("serve", "who.py", "--port", "0", "--callers", "known", cwd=folder, env=meshed) as hello,
        Running("serve", "asker.py", "--port", "0", cwd=folder, env=meshed) as asker,
    ):
        hello.serving()
        url = asker.serving()
        registered = _until_registered(registry, env, 2)
        assert [agent["verified"] for agent in registered] == [True, True]
        caller, asked_by = run("call", url, "Ada", env=env).stdout.split()
        assert caller.startswith("asker@")
        assert asked_by == "anonymous"
        stranger = run("call", "hello", "Ada", env=env)
        assert stranger.returncode != 0
        assert "credential" in stranger.stderr


def _until_registered(registry: str, env: dict[str, str], count: int) -> list[dict[str, object]]:
    """The agents of the registry, once there are so many: they register after they have begun to listen."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        found = run("find", "--registry", registry, "--json", env=env).stdout.splitlines()
        if len(found) >= count:
            return [json.loads(line) for line in found]
    raise AssertionError(f"fewer than {count} agents have registered")


@pytest.mark.anyio
async def test_agents_are_found_by_what_they_mean(folder: Path, env: dict[str, str], keys: dict[str, str]) -> None:
    (folder / "poem.py").write_text(
        'def poem(text: str) -> str:\n    """Writes verses that rhyme."""\n    return text\n'
    )
    async with model_server() as model:
        with Running("registry", "--port", "0", "--probe", "0", "--embeddings", model.url, env=env) as running:
            there = {**env, **keys, "CODIN_REGISTRY": running.serving()}
            with (
                Running("serve", "hello.py", "--port", "0", cwd=folder, env=there) as hello,
                Running("serve", "poem.py", "--port", "0", cwd=folder, env=there) as poem,
            ):
                hello.serving()
                poem.serving()
                find = partial(run, "find", "--near", "a verse that rhymes", "--limit", "1", "--json", env=there)
                with anyio.fail_after(PATIENCE):
                    while "poem" not in (found := await anyio.to_thread.run_sync(find)).stdout:
                        assert found.returncode in (0, 1)
                assert json.loads(found.stdout)["id"] == "poem"


def test_what_it_means_is_a_matter_of_registries(env: dict[str, str]) -> None:
    refused = run("find", "--near", "poem", env=env)
    assert refused.returncode == 2
    assert "--registry" in refused.stderr
