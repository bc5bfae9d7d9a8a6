"""`codin trust`, and `--trust`."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from codin.trust import SigningKey, TrustStore, jwks
from tests.cli.command import Terminal
from tests.cli.conftest import Done
from tests.trust.publisher import CARD, KEY_SET, Publisher

Codin = Callable[..., Done]
KEY = SigningKey.generate()
OTHER = SigningKey.generate("EdDSA")
SKILL: dict[str, Any] = {"id": "count", "name": "count", "description": "Counts.", "tags": []}


@pytest.fixture
def agent() -> Iterator[tuple[str, Publisher]]:
    """A signed agent that answers nothing but its card and its keys, and what it publishes next."""
    publisher = Publisher(KEY, skills=[SKILL])

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            place = f"http://{self.headers['Host']}"
            published = publisher.published
            bodies = {CARD: publisher.card(place).to_json()}
            if published is not None:
                bodies[KEY_SET] = json.dumps(jwks(published)).encode()
            body = bodies.get(self.path, b"")
            self.send_response(200 if body else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", publisher
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("CODIN_TRUST", raising=False)
    monkeypatch.setenv("CODIN_TRUST_STORE", str(tmp_path / "trust.json"))
    return tmp_path / "trust.json"


def objects(done: Done) -> list[dict[str, Any]]:
    assert (done.code, done.err) == (0, "")
    return [json.loads(line) for line in done.out.splitlines()]


def test_an_agent_is_approved_compared_and_forgotten(agent: tuple[str, Publisher], codin: Codin) -> None:
    url, publisher = agent
    assert codin("trust", "list").out == ""
    done = codin("trust", "approve", url, "--yes")
    assert (done.code, done.out) == (0, f"approved scripted, key {KEY.kid} (ES256)\n")
    [row] = objects(codin("trust", "list", "--json"))
    assert (row["kind"], row["of"], row["keys"]) == ("approved", url, [KEY.kid])
    assert KEY.kid in codin("trust", "list").out
    done = codin("trust", "diff", url)
    assert (done.code, done.out, done.err) == (0, "", "nothing has changed\n")
    assert f"by {KEY.kid}, verified (pinned)" in codin("card", url).out

    publisher.fields["skills"] = [{**SKILL, "description": "Counts \x1b[31mmoney."}]
    publisher.sign(OTHER)
    done = codin("trust", "diff", url)
    changes = ["skill count description: Counts. -> Counts \N{REPLACEMENT CHARACTER}[31mmoney.",
               f"key: {KEY.kid} -> {OTHER.kid}"]  # fmt: skip
    assert (done.code, done.out.splitlines()) == (1, changes)
    done = codin("trust", "diff", url, "--json")
    assert (done.code, [json.loads(line) for line in done.out.splitlines()]) == (1, [{"change": c} for c in changes])
    done = codin("call", url, "hi")
    assert (done.code, done.out) == (5, "")
    assert f"codin trust diff {url}" in done.err
    assert "codin cannot call this agent" in codin("card", url).err
    assert "is not signed by" in codin("trust", "approve", url, "--kid", KEY.kid).err
    assert codin("trust", "approve", url, "--kid", OTHER.kid).code == 0
    assert codin("trust", "diff", url).code == 0

    assert codin("trust", "revoke", f"{url}/").code == 0
    assert codin("trust", "list").out == ""
    assert codin("trust", "revoke", url).code == 2
    assert codin("trust", "diff", url).code == 2


def test_a_card_that_was_changed_is_shown_as_refused(agent: tuple[str, Publisher], codin: Codin) -> None:
    url, publisher = agent
    codin("trust", "approve", url, "--yes")
    publisher.tampered = {"description": "Other."}
    done = codin("card", url)
    assert (done.code, codin("card", "verify", url).code) == (5, 5)
    [signed] = [line for line in done.out.splitlines() if line.startswith("signed")]
    assert "refused: the signature by" in signed
    assert "approve" not in done.out
    assert "does not fit this card" in " ".join(done.out.split())
    assert json.loads(codin("card", url, "--json").out)["description"] == "Other."


@pytest.mark.parametrize("words", [["approve", "--yes"], ["diff"]])
@pytest.mark.parametrize(
    ("target", "said"), [("nobody", "nobody is called 'nobody' here"), ("127.0.0.1:8000", "is not an http(s) URL")]
)
def test_what_is_no_agent_is_said_alike(codin: Codin, words: list[str], target: str, said: str) -> None:
    done = codin("trust", *words, target)
    assert (done.code, done.out) == (2, "")
    assert said in done.err


def test_nobody_approves_without_a_word(agent: tuple[str, Publisher], codin: Codin, place: Path) -> None:
    done = codin("trust", "approve", agent[0])
    assert (done.code, "--yes" in done.err) == (2, True)
    assert not place.exists()


def test_a_person_is_asked(agent: tuple[str, Publisher], place: Path) -> None:
    url, publisher = agent
    for key, typed in (("n", False), ("y", True)):
        with Terminal("trust", "approve", url, "--store", str(place)) as terminal:
            terminal.expect(KEY.kid)
            terminal.expect("skill count: Counts.")
            terminal.expect("Approve it?")
            terminal.type(f"{key}\n")
            assert terminal.wait() == (0 if typed else 1)
        assert place.exists() is typed
    publisher.fields["skills"] = []
    with Terminal("trust", "approve", url, "--store", str(place)) as terminal:
        terminal.expect("skill removed: count")
        terminal.type("\x04")
        terminal.wait()
    assert TrustStore(place).read().cards[url].card["skills"]


def test_an_edited_card_is_not_approved(agent: tuple[str, Publisher], codin: Codin, place: Path) -> None:
    url, publisher = agent
    publisher.tampered = {"description": "Other."}
    assert codin("trust", "approve", url, "--yes").code == 5
    publisher.tampered, publisher.published = {}, [OTHER.public]
    assert codin("trust", "approve", url, "--yes").code == 5
    assert not place.exists()


def test_an_unsigned_agent_may_be_approved_as_it_is(agent: tuple[str, Publisher], codin: Codin) -> None:
    url, publisher = agent
    publisher.keys = []
    assert codin("trust", "approve", url, "--yes").out == "approved scripted, not signed\n"
    assert codin("trust", "diff", url).code == 0
    publisher.fields["skills"] = []
    assert codin("trust", "diff", url).out == "skill removed: count\n"


def test_a_key_from_a_file(agent: tuple[str, Publisher], codin: Codin, tmp_path: Path) -> None:
    url, publisher = agent
    publisher.published = None
    right, wrong = tmp_path / "right.jwk", tmp_path / "wrong.pem"
    right.write_text(json.dumps(KEY.public.to_jwk()))
    wrong.write_bytes(OTHER.public.to_pem())
    assert codin("trust", "approve", url, "--key", wrong).code == 5
    assert codin("trust", "approve", url, "--key", right, "--name", "counter").code == 0
    assert "by counter, verified" in codin("card", url).out
    assert codin("trust", "revoke", "counter").code == 0
    done = codin("call", url, "hi")
    assert (done.code, "revoked" in done.err) == (5, True)
    assert codin("trust", "approve", url, "--yes", "--key", right).code != 0


def test_a_key_for_every_agent(agent: tuple[str, Publisher], codin: Codin, tmp_path: Path) -> None:
    url = agent[0]
    key = tmp_path / "company.pem"
    key.write_bytes(KEY.public.to_pem())
    assert codin("trust", "approve", "--key", key).code == 2
    assert codin("trust", "approve", "--key", key, "--name", "company").code == 0
    assert objects(codin("trust", "list", "--json"))[0]["kind"] == "name"
    assert "not verified" in codin("card", url).out
    assert codin("trust", "approve", "--key", key, "--name", "company", "--anywhere").code == 0
    assert objects(codin("trust", "list", "--json"))[0]["kind"] == "any agent"
    assert "by company, verified (known key)" in codin("card", url, "--trust", "require").out
    assert codin("trust", "approve", url, "--anywhere").code == 2


def test_the_mode_of_a_call(agent: tuple[str, Publisher], codin: Codin, place: Path) -> None:
    url, publisher = agent
    assert "verified (first use)" in codin("card", url, "--trust", "prefer").out
    assert objects(codin("trust", "list", "--json"))[0]["kind"] == "first use"
    assert json.loads(codin("card", url, "--json", "--trust", "require").out)["name"] == "scripted"
    publisher.keys = []
    assert codin("call", url, "hi", "--trust", "require").code == 5
    assert "not signed" in codin("trust", "diff", url).out
    assert codin("call", url, "hi", "--trust", "never").code == 2
    place.chmod(0o644)
    done = codin("call", url, "hi")
    assert (done.code, "chmod 600" in done.err) == (2, True)


def test_a_new_key_beside_the_old_one_is_told(agent: tuple[str, Publisher], codin: Codin) -> None:
    url, publisher = agent
    codin("trust", "approve", url, "--yes")
    publisher.sign(OTHER, KEY)
    done = codin("trust", "diff", url)
    assert (done.code, done.out) == (0, "")
    assert OTHER.kid in done.err


def test_a_thumbprint_nobody_has_met(codin: Codin) -> None:
    assert codin("trust", "revoke", "abc").code == 2
    assert codin("trust", "revoke", "x" * 43).code == 0
    assert objects(codin("trust", "list", "--json"))[0]["keys"] == ["x" * 43]


@pytest.mark.parametrize("dashes", ["-", "--"])
def test_a_thumbprint_that_begins_as_an_option_does(codin: Codin, tmp_path: Path, dashes: str) -> None:
    kid = dashes.ljust(43, "K")
    assert codin("trust", "revoke", kid, "--json").out == f'{{"revoked": "{kid}"}}\n'
    assert objects(codin("trust", "list", "--json"))[0]["keys"] == [kid]
    short = codin("trust", "revoke", kid[:8], "--store", tmp_path / "other.json")
    assert "0 keys begin with" in short.err
    for typo in ("--jsn", "-j"):
        assert "No such option" in codin("trust", "revoke", "abc", typo).err
