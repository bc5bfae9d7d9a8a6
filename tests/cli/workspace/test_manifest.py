"""What an `agent.toml` says to `codin up`."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from tests.cli.command import run
from tests.cli.conftest import Done
from tests.cli.workspace.conftest import Place

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
        ("ports = 8001", "has no key 'ports'. Hint: it may have target, python, env, secrets, port, replicas, store"),
        ('port = "8001"', "port is a whole number"),
        ("port = 70000", "port is wrong: Input should be less than or equal to 65535"),
        ("port = 65535\nreplicas = 2", "port leaves no room for 2 replicas"),
        ("replicas = 0", "replicas is wrong: Input should be greater than or equal to 1"),
        ("target = 3", "target is text"),
        ('python = ""', "python is text, and not empty"),
        ("env = {TONE = 3}", "env.TONE is text"),
        ('env = "TONE=low"', "env is a table of names and text"),
        ('env = {"my tone" = "low"}', "env.my tone is no name of an environment variable"),
        (f'secrets = {{KEY = "{SECRET}"}}', "secrets.KEY is no reference"),
        ('secrets = {KEY = "env:"}', "secrets.KEY is no reference"),
        ('env = {KEY = "a"}\nsecrets = {KEY = "env:KEY"}', "KEY is both in env and in secrets"),
        ('store = "tasks.db"', "store is none. Hint: write memory:// or sqlite:///file.db"),
        ('replicas = 2\nstore = "sqlite:///t.db"', "store is one file, and replicas are 2"),
    ],
)
def test_a_key_that_is_wrong_is_named(place: Place, codin: Callable[..., Done], manifest: str, words: str) -> None:
    folder = place.agent("tell", TELL, manifest)
    done = codin("card", folder)
    assert done.code == 2
    assert words in done.err
    assert f"{folder / 'agent.toml'}" in done.err
    assert SECRET not in done.err


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
