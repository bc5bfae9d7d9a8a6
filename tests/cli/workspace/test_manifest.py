"""What an `agent.toml` says to `codin up`."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from textwrap import dedent

import httpx
import pytest

from codin import a2a
from codin.trust import SKILL_KEY
from tests.cli.command import Running, free_port, run
from tests.cli.conftest import Done
from tests.cli.workspace.conftest import Place
from tests.server.rpc import HEADERS, message

TELL = """
import os
print("my key is", os.environ.get("KEY"))

def tell(text: str) -> str:
    return repr(os.environ.get(text))
"""
SECRET = "sk-not-to-be-seen"
IN_FILE = "file-not-to-be-seen"


def test_variables_and_secrets_go_to_who_names_them(place: Place) -> None:
    folder = place.agent("tell", TELL, 'env = {TONE = "low"}\n[secrets]\nKEY = "env:SHOP_KEY"\nPIN = "file:pin.txt"')
    (folder / "pin.txt").write_text(f"{IN_FILE}\n")
    place.agent("other", TELL)
    place.up(env={"SHOP_KEY": SECRET})
    assert [place.call("tell", name) for name in ("TONE", "KEY", "PIN")] == ["'low'", repr(SECRET), repr(IN_FILE)]
    # Whoever does not name it has it under no name.
    assert [place.call("other", name) for name in ("KEY", "SHOP_KEY", "TONE")] == ["None"] * 3


def test_what_an_agent_remembers_is_in_its_folder(place: Place) -> None:
    source = """
    from codin.agent import Task
    from codin.memory import Memory

    async def recall(text: str, task: Task) -> str:
        notes = task.use(Memory).notes
        before = await notes.get("last")
        await notes.set("last", text)
        return str(before)
    """
    folder = place.agent("recall", dedent(source), 'memory = "sqlite:///memory.db"\nembedder = "none"')
    place.up()
    assert [place.call("recall", text) for text in ("one", "two")] == ["None", "one"]
    assert (folder / "memory.db").is_file()


def test_a_secret_is_written_nowhere(place: Place) -> None:
    place.agent("tell", TELL, 'secrets = {KEY = "env:SHOP_KEY"}')
    place.up(env={"SHOP_KEY": SECRET})
    assert "my key is [KEY]\n" in place.log("tell")
    said = [run(*command, cwd=place.folder).stdout for command in (["ps"], ["ps", "--json"], ["logs"])]
    run("down", cwd=place.folder)
    files = [path.read_bytes() for path in (place.folder / ".codin").rglob("*") if path.is_file()]
    assert "[KEY]" in said[2]
    assert not any(SECRET in text for text in said)
    assert not any(SECRET.encode() in data for data in files)


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("env:GONE", "the secret KEY is not to be had: the environment variable GONE is not set"),
        ("file:gone.txt", "gone.txt cannot be read: No such file or directory"),
        ("file:agent.toml/x", "cannot be read: Not a directory"),
    ],
)
def test_a_secret_that_is_not_to_be_had(place: Place, reference: str, words: str) -> None:
    place.agent("tell", TELL, f'secrets = {{KEY = "{reference}"}}')
    row = place.up()["tell"]
    assert row["state"] == "refused"
    assert words in row["words"]


@pytest.mark.parametrize(
    ("manifest", "words"),
    [
        (
            "ports = 8001",
            "has no key 'ports'. Hint: it may have target, python, env, secrets, port, replicas, store, bindings, "
            "versions, push, grpc_port, callers, token_file, api_key_file, oidc_issuer, oidc_audience, access, "
            "memory, embedder, sandbox, tools, limits\n",
        ),
        ('port = "8001"', "port is a whole number"),
        ("port = 70000", "port is wrong: Input should be less than or equal to 65535"),
        ("port = 65535\nreplicas = 2", "port leaves no room for 2 replicas"),
        ("replicas = 0", "replicas is wrong: Input should be greater than or equal to 1"),
        ("target = 3", "target is text"),
        ('python = ""', "python is text, and not empty"),
        ("env = {TONE = 3}", "env.TONE is text"),
        ('env = "TONE=low"', "env is a table of names and values"),
        ('env = {"my tone" = "low"}', "env.my tone is no name of an environment variable"),
        (f'secrets = {{KEY = "{SECRET}"}}', "secrets.KEY is no reference"),
        ('secrets = {KEY = "env:"}', "secrets.KEY is no reference"),
        ('env = {KEY = "a"}\nsecrets = {KEY = "env:KEY"}', "KEY is both in env and in secrets"),
        ('store = "tasks.db"', "store is none. Hint: write memory:// or sqlite:///file.db"),
        ('replicas = 2\nstore = "sqlite:///t.db"', "store is one file, and replicas are 2"),
        ('callers = "all"', "callers is wrong: Input should be 'any' or 'known'"),
        ('tokens = "tokens.txt"', "has no key 'tokens'. Hint: it may have target, "),
        (f'token_file = "{SECRET}"', "token_file names no file. Hint: it is a path from the agent's folder"),
        ('token_file = "keys/me.txt"', "token_file names no file: keys/me.txt. Hint: it is a path from the agent's"),
        ('access = "scopes"', "access names no file: scopes. Hint: it is a path from the agent's folder"),
        ('push = "nowhere"', "push is wrong: Input should be 'off', 'internet', 'loopback' or 'anywhere'"),
        ('bindings = "JSONRPC"', "bindings is a list of text"),
        ("bindings = []", "bindings is an empty list"),
        ('bindings = ["GRPC"]', "bindings.0 is wrong: Input should be 'JSONRPC' or 'HTTP+JSON'"),
        ('versions = ["2.0"]', "versions.0 is wrong: Input should be '1.0' or '0.3'"),
        ('grpc_port = "8002"', "grpc_port is a whole number"),
        ("grpc_port = 65535\nreplicas = 2", "grpc_port leaves no room for 2 replicas"),
        ("port = 8001\ngrpc_port = 8002\nreplicas = 2", "port and grpc_port are too close for 2 replicas"),
        ("access = {agents = {}}", "access is text"),
        (
            'tools.look.sandbox = "never"',
            "tools.look.sandbox is wrong: Input should be 'required', 'preferred'",
        ),
        ('tools.look.sandpit = "off"', "has no key 'tools.look.sandpit'. Hint: a tool may have sandbox\n"),
        ('sandbox = "never"', "sandbox.policy is wrong: Input should be 'required', 'preferred' or 'off'"),
        ("sandbox = 3", "sandbox is a word or a table"),
        (
            'sandbox.mount = ["data"]',
            "has no key 'sandbox.mount'. Hint: it may have policy, mounts, variables, memory, processes, cpu\n",
        ),
        ('sandbox.mounts = "data"', "sandbox.mounts is a list of text"),
        ('sandbox.variables = ["my key"]', "sandbox.variables.0 is no name of an environment variable"),
        ('sandbox.memory = "1G"', "sandbox.memory is a whole number"),
        ('sandbox.cpu = "all"', "sandbox.cpu is a number"),
        ('memory = "postgresql://ada:secret@db/agents"', "memory has a user or a password in it"),
        ("limits = 900", "limits is a table of names and values"),
        (
            'port = 0\n\n[limits]\ndrain = 20\nrun_timeout = "15m"',
            "agent.toml, line 5: limits: run_timeout is a number of seconds, more than 0, up to 2147483647\n",
        ),
        (
            "[limits]\n# run_timeuot\nrun_timeuot = 900",
            "line 3: limits: there is no limit 'run_timeuot'. Hint: did you mean run_timeout?\n",
        ),
        ("limits.max_parts = 2.5", "line 1: limits: max_parts is a whole number, more than 0, up to"),
        ("[limits]\nbudget = { tokens = -1 }", "line 2: limits: budget.tokens is a whole number, 0 or more, up to"),
        ("[limits]\nkeep_alive = inf", "line 2: limits: keep_alive is a number of seconds, more than 0"),
        ('oidc_issuer = "https://login.example.com"', "oidc_issuer and oidc_audience go together"),
    ],
)
def test_a_key_that_is_wrong_is_named(place: Place, codin: Callable[..., Done], manifest: str, words: str) -> None:
    folder = place.agent("tell", TELL, manifest)
    done = codin("card", folder)
    assert done.code == 2
    assert words in done.err
    assert f"{folder / 'agent.toml'}" in done.err
    assert SECRET not in done.err


def test_a_tool_runs_where_the_manifest_says(place: Place) -> None:
    code = """
import os
from codin.agent import Task, agent
from codin.tool import tool

@tool
def where() -> int:
    return os.getpid()

@agent(tools=[where])
async def tell(text: str, task: Task) -> str:
    try:
        return "here" if await task.tool("where") == os.getpid() else "there"
    except Exception as error:
        return type(error).__name__
"""
    place.agent("plain", code)
    place.agent("strict", code, 'sandbox = "off"\n[tools.where]\nsandbox = "required"')
    place.agent("nested", code, '[tools.where]\nsandbox = "required"')
    place.agent("wrong", code, '[tools.were]\nsandbox = "required"')
    rows = place.up()
    assert place.call("plain", "where") == "here"
    assert place.call("strict", "where") == ("there" if shutil.which("bwrap") else "ToolRefused")
    assert place.call("nested", "where") == "ToolRefused"
    wrong = rows["wrong"]
    assert (wrong["state"], wrong["starts"], wrong["pid"]) == ("refused", 1, None)
    assert "the tool 'were', which no agent here has. Hint: there are where" in wrong["words"]


def test_a_tool_that_is_none_is_mended_by_a_restart(place: Place) -> None:
    pytest.importorskip("watchfiles", reason="pip install 'codin[cli]'")
    folder = place.agent("shout", manifest='[tools.were]\nsandbox = "required"')
    assert place.up("--reload")["shout"]["state"] == "refused"
    (folder / "agent.toml").write_text("")
    place.await_process("shout", lambda row: row["state"] == "ready")
    assert place.call("shout", "Hi") == "HI"


def test_how_long_an_agent_may_work(place: Place) -> None:
    code = """
    import asyncio

    async def rest(text: str) -> str:
        await asyncio.sleep(float(text))
        return "rested"
    """
    place.agent("brief", dedent(code), "[limits]\nrun_timeout = 0.05\ncancel_grace = 1")
    place.agent("calm", dedent(code), "[limits]\nrun_timeout = 900\nbudget.tokens = 2000")
    place.up()
    assert place.call("calm", "0.2") == "rested"
    with pytest.raises(AssertionError, match="took longer than it may"):
        place.call("brief", "60")


def test_an_option_takes_the_place_of_one_limit(place: Place, codin: Callable[..., Done]) -> None:
    code = "import asyncio\nasync def rest(text: str) -> None:\n    await asyncio.sleep(float(text))\n"
    folder = place.agent("rest", code, "limits = { run_timeout = 0.05, max_body = 2000 }")
    with Running("serve", str(folder), "--port", "0", "--limit", "max_body=9000") as serving:
        assert "took longer than it may" in codin("call", serving.serving(), f"{60:03000d}").err


def test_a_wrong_manifest_keeps_nobody_else_from_running(place: Place) -> None:
    place.agent("tell", TELL, "port = -1")
    place.agent("shout")
    processes = place.up()
    assert processes["shout"]["state"] == "ready"
    assert processes["tell"]["state"] == "refused"
    assert "port is wrong" in processes["tell"]["words"]


def test_another_interpreter(place: Place) -> None:
    code = "import sys\ndef who(text: str) -> str:\n    return sys.executable\n"
    folder = place.agent("who", code, 'python = "env/bin/python"')
    (folder / "env").symlink_to(sys.prefix)
    place.up()
    assert place.call("who", "?") == str(folder / "env" / "bin" / "python")


GUARDED = """
from codin import a2a
from codin.agent import Task, agent

SKILLS = [a2a.AgentSkill(id=name, name=name, description=name, tags=[]) for name in ("plain", "legal")]

@agent(skills=SKILLS)
def who(task: Task) -> str:
    return task.caller.id
"""
ACCESS = """
[agents.who]
scopes = ["read"]
skills.plain = []
skills.legal = ["law"]

[grants]
ada = ["read"]
bob = ["read", "law"]
"""


@pytest.fixture
def guarded(place: Place) -> Path:
    """An agent with callers of its own."""
    folder = place.agent(
        "who", GUARDED, 'token_file = "tokens.txt"\napi_key_file = "keys.txt"\naccess = "access.toml"\n'
    )
    (folder / "access.toml").write_text(ACCESS)
    for name, text in (("tokens.txt", "ada t0ken\neve 0ther\n"), ("keys.txt", "bob k3y\n")):
        (folder / name).write_text(text)
        (folder / name).chmod(0o600)
    return folder


def _speak(url: str, skill: str, headers: Mapping[str, str]) -> tuple[int, str]:
    """The answer of an agent that is asked for a skill."""
    params = {"message": {**message(), "metadata": {SKILL_KEY: skill}}}
    body = {"jsonrpc": "2.0", "id": 1, "method": "SendMessage", "params": params}
    with httpx.Client(trust_env=False) as http:
        answer = http.post(url, json=body, headers={**HEADERS, **headers})
    return answer.status_code, answer.text


def _check_guarded(url: str) -> None:
    ada, bob, eve = {"Authorization": "Bearer t0ken"}, {"X-API-Key": "k3y"}, {"Authorization": "Bearer 0ther"}
    assert '"ada"' in _speak(url, "plain", ada)[1]
    assert '"bob"' in _speak(url, "legal", bob)[1]
    refused = [_speak(url, "legal", ada), _speak(url, "plain", eve), _speak(url, "plain", {})]
    assert [status for status, _ in refused] == [403, 403, 401]


def test_codin_up_keeps_to_who_may_call(place: Place, guarded: Path) -> None:
    row = place.up()["who"]
    _check_guarded(row["url"])
    shown = a2a.AgentCard.from_json(run("card", row["url"], "--json").stdout)
    assert {"apiKey", "bearer"} <= shown.security_schemes.keys()
    # The card that is shown without serving says what is served.
    alone = a2a.AgentCard.from_json(run("card", str(guarded), "--json").stdout)
    for name in ("security_schemes", "security_requirements", "skills"):
        assert getattr(alone, name) == getattr(shown, name)


def test_codin_serve_keeps_to_who_may_call(place: Place, guarded: Path) -> None:
    with Running("serve", str(guarded), "--port", "0", cwd=place.folder) as serving:
        _check_guarded(serving.serving(r"who serves A2A at (http://\S+)\n"))


def test_an_option_takes_the_place_of_a_key(place: Place, guarded: Path) -> None:
    other = guarded / "other.txt"
    other.write_text("bob an0ther\n")
    other.chmod(0o600)
    (guarded / "tokens.txt").unlink()
    with Running("serve", str(guarded), "--token-file", str(other), "--port", "0") as serving:
        url = serving.serving(r"who serves A2A at (http://\S+)\n")
        assert '"bob"' in _speak(url, "legal", {"Authorization": "Bearer an0ther"})[1]
        assert _speak(url, "plain", {"Authorization": "Bearer t0ken"})[0] == 401


def test_the_signed_card_says_who_may_call(place: Place, guarded: Path) -> None:
    assert run("keys", "new").returncode == 0
    signed = json.loads(run("card", "sign", str(guarded)).stdout)
    assert {"apiKey", "bearer"} <= signed["securitySchemes"].keys()
    assert {"schemes": {"bearer": {"list": ["read"]}}} in signed["securityRequirements"]


@pytest.fixture
def narrow(place: Place) -> Path:
    """An agent that speaks one version over one binding, and notifies nobody."""
    return place.agent("shout", manifest='bindings = ["HTTP+JSON"]\nversions = ["1.0"]\npush = "off"\n')


def _spoken(where: str, *options: str) -> tuple[list[tuple[str, str]], bool]:
    """What a card says: which bindings in which versions, and whether there are notifications."""
    card = a2a.AgentCard.from_json(run("card", where, "--json", *options).stdout)
    spoken = [(each.protocol_binding, each.protocol_version) for each in card.supported_interfaces]
    return spoken, bool(card.capabilities.push_notifications)


def test_codin_up_speaks_what_the_manifest_says(place: Place, narrow: Path) -> None:
    assert _spoken(place.up()["shout"]["url"]) == ([("HTTP+JSON", "1.0")], False)
    assert _spoken(str(narrow)) == ([("HTTP+JSON", "1.0")], False)  # what is shown without serving


def test_codin_serve_speaks_what_the_manifest_says_and_options_say_it_louder(narrow: Path) -> None:
    with Running("serve", str(narrow), "--port", "0") as serving:
        assert _spoken(serving.serving(r"shout serves A2A at (http://\S+)\n")) == ([("HTTP+JSON", "1.0")], False)
    options = ["--binding", "JSONRPC", "--push", "loopback"]
    with Running("serve", str(narrow), "--port", "0", *options) as serving:
        assert _spoken(serving.serving(r"shout serves A2A at (http://\S+)\n")) == ([("JSONRPC", "1.0")], True)


def test_agents_that_speak_differently_do_not_share_a_server(place: Place, narrow: Path) -> None:
    other = place.agent("other", manifest='bindings = ["HTTP+JSON"]\nversions = ["1.0"]')
    done = run("serve", str(narrow), str(other))
    assert done.returncode == 2
    assert f"{narrow} and {other} do not say the same of push. Hint: serve each with a command" in done.stderr


def test_each_replica_has_its_port_for_grpc(place: Place) -> None:
    pytest.importorskip("grpc", reason="pip install 'codin[grpc]'")
    port = free_port(2)
    folder = place.agent("shout", manifest=f"replicas = 2\ngrpc_port = {port}")
    found = [row["url"] for row in place.up().values()]
    cards = [a2a.AgentCard.from_json(run("card", where, "--json").stdout) for where in (*found, str(folder))]
    grpc = [each.url for card in cards for each in card.supported_interfaces if each.protocol_binding == "GRPC"]
    assert grpc == [f"127.0.0.1:{port}", f"127.0.0.1:{port + 1}", f"127.0.0.1:{port}"]
    assert run("call", found[1], "hello", "--binding", "GRPC").stdout == "HELLO\n"


def test_agents_for_different_callers_do_not_share_a_server(place: Place, guarded: Path) -> None:
    shout = place.agent("shout")
    done = run("serve", str(guarded), str(shout))
    assert done.returncode == 2
    assert f"{guarded} and {shout} do not say the same of who may call. Hint: serve each with a command" in done.stderr


def test_an_agent_for_those_with_a_key(place: Place) -> None:
    place.agent("tell", "def tell(text: str) -> str:\n    return text\n", 'callers = "known"')
    assert place.up()["tell"]["state"] == "ready"
    assert place.call("tell", "hi") == "hi"
    assert run("call", place.processes()["tell"]["url"], "hi", "--no-keys").returncode == 4


def test_another_interpreter_shows_who_may_call(place: Place, guarded: Path) -> None:
    (guarded / "env").symlink_to(sys.prefix)
    manifest = guarded / "agent.toml"
    manifest.write_text(f'python = "env/bin/python"\n{manifest.read_text()}')
    assert "API key in header 'X-API-Key'" in run("card", str(guarded)).stdout


def test_a_file_of_callers_that_is_gone_refuses_the_agent(place: Place, guarded: Path) -> None:
    (guarded / "tokens.txt").unlink()
    row = place.up()["who"]
    assert (row["state"], "token_file names no file" in row["words"]) == ("refused", True)
