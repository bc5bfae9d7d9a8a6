"""Decisions are kept, shared between processes, and never lost or guessed."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from codin import a2a
from codin.errors import ConfigError
from codin.trust import SigningKey, TrustStore
from tests.client.scripted import card

ORIGIN = "https://agents.example"
KEY = SigningKey.generate().public
OTHER = SigningKey.generate("EdDSA").public
THIRD = SigningKey.generate().public


def made(**fields: Any) -> a2a.AgentCard:
    return card(f"{ORIGIN}/", **fields)


@pytest.fixture(params=["file", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> TrustStore:
    return TrustStore(tmp_path / "trust.json") if request.param == "file" else TrustStore()


def test_what_was_decided_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "trust.json"
    store = TrustStore(path)
    store.pin(ORIGIN, [KEY])
    store.approve("https://other.example/agent", made(skills=[{"id": "s", "name": "s"}]), [OTHER])
    store.name("translator", KEY)
    store.name("company", OTHER, anywhere=True)
    store.revoke(THIRD.kid)
    read = TrustStore(path).read()
    assert read == store.read()
    assert read.pinned(ORIGIN) == (KEY,)
    assert read.origins[ORIGIN].first_use
    assert not read.origins["https://other.example"].first_use
    assert read.cards["https://other.example/agent"].kids == (OTHER.kid,)
    assert (read.name_of(KEY.kid), read.name_of(THIRD.kid)) == ("translator", None)
    assert read.anywhere() == [OTHER]
    assert THIRD.kid in read.revoked


def test_the_file_is_its_owners_and_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / ".codin" / "trust.json"
    store = TrustStore(path)
    store.pin(ORIGIN, [KEY])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    before = path.stat().st_ino
    store.name("a", KEY)
    assert path.stat().st_ino != before
    assert {file.name for file in path.parent.iterdir()} <= {"trust.json", ".lock"}


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"{}", b'{"version": 2}', b'{"version": 1, "origins": {}}', b"\xff", b'{"version": 1}' * 2],
)
def test_a_file_that_is_not_understood_is_not_an_empty_one(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "trust.json"
    path.write_bytes(content)
    path.chmod(0o600)
    store = TrustStore(path)
    with pytest.raises(ConfigError):
        store.read()
    with pytest.raises(ConfigError):
        store.pin(ORIGIN, [KEY])
    assert path.read_bytes() == content


def test_a_card_in_the_file_is_a_card(tmp_path: Path) -> None:
    path = tmp_path / "trust.json"
    TrustStore(path).approve(ORIGIN, made(), [KEY])
    document = json.loads(path.read_bytes())
    wrong: list[dict[str, Any]] = [{"card": []}, {"kids": 1}, {"card": {"name": 3}}, {"since": "x"}]
    for each in wrong:
        path.write_text(json.dumps({**document, "cards": {ORIGIN: {**document["cards"][ORIGIN], **each}}}))
        with pytest.raises(ConfigError):
            TrustStore(path).read()


def test_a_file_that_others_can_read_is_not_taken(tmp_path: Path) -> None:
    path = tmp_path / "trust.json"
    TrustStore(path).pin(ORIGIN, [KEY])
    path.chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        TrustStore(path).read()


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError):
        TrustStore(tmp_path / "file" / "trust.json").pin(ORIGIN, [KEY])


def test_the_place_is_beside_the_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CODIN_KEYS", raising=False)
    monkeypatch.delenv("CODIN_TRUST_STORE", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".codin").mkdir()
    assert TrustStore.default().path == tmp_path / ".codin" / "trust.json"
    assert list((tmp_path / ".codin").iterdir()) == []
    monkeypatch.setenv("CODIN_KEYS", str(tmp_path / "elsewhere" / "keys"))
    assert TrustStore.default().path == tmp_path / "elsewhere" / "trust.json"
    monkeypatch.setenv("CODIN_TRUST_STORE", str(tmp_path / "named.json"))
    assert TrustStore.default().path == tmp_path / "named.json"


# What a decision means.


def test_pins_are_set_once(store: TrustStore) -> None:
    assert store.pin(ORIGIN, [KEY]) == (KEY,)
    assert store.pin(ORIGIN, [OTHER]) == (KEY,)
    store.revoke(KEY.kid)
    assert store.pin(ORIGIN, [OTHER]) == ()


def test_an_approval_replaces_the_last_one(store: TrustStore) -> None:
    store.pin(ORIGIN, [KEY])
    store.approve(f"{ORIGIN}/a", made(), [KEY])
    store.approve(f"{ORIGIN}/b", made(), [OTHER])
    assert set(store.read().pinned(ORIGIN)) == {KEY, OTHER}
    store.approve(f"{ORIGIN}/a", made(), [THIRD])  # nobody else at this origin needs the old one
    assert set(store.read().pinned(ORIGIN)) == {THIRD, OTHER}
    store.approve(f"{ORIGIN}/b", made())
    store.approve(f"{ORIGIN}/a", made())
    assert store.read().pinned(ORIGIN) == ()
    assert ORIGIN not in store.read().origins


@pytest.mark.parametrize(
    "address",
    [
        "https://agents.example/one",
        "https://agents.example/one/",
        "HTTPS://Agents.Example:443/one/.well-known/agent-card.json",
        "https://agents.example./one",
    ],
)
def test_one_agent_has_one_address(address: str, store: TrustStore) -> None:
    store.approve(address, made(), [KEY])
    assert list(store.read().cards) == ["https://agents.example/one"]
    assert list(store.read().origins) == ["https://agents.example"]


def test_what_is_forgotten_was_never_seen(store: TrustStore) -> None:
    store.approve(f"{ORIGIN}/a", made(), [KEY])
    store.approve(f"{ORIGIN}/b", made(), [KEY])
    store.forget(f"{ORIGIN}/a")
    assert list(store.read().cards) == [f"{ORIGIN}/b"]
    assert store.read().pinned(ORIGIN) == (KEY,)
    store.forget(f"{ORIGIN}/b/")
    assert store.read().cards == store.read().origins == {}


def test_a_revoked_key_is_not_taken_back_by_accident(store: TrustStore) -> None:
    store.name("old", KEY, anywhere=True)
    store.revoke(KEY.kid)
    assert store.read().anywhere() == []
    assert store.read().name_of(KEY.kid) is None
    with pytest.raises(ConfigError, match="revoked"):
        store.approve(ORIGIN, made(), [KEY])
    with pytest.raises(ConfigError, match="revoked"):
        store.name("again", KEY)


def test_a_name_is_one_keys(store: TrustStore) -> None:
    store.name("a", KEY)
    store.name("a", KEY, anywhere=True)
    assert store.read().names["a"].anywhere
    with pytest.raises(ConfigError, match="'a'"):
        store.name("a", OTHER)
    with pytest.raises(ConfigError):
        store.name("", OTHER)


# Many at once.


def test_nothing_is_lost_between_threads(tmp_path: Path) -> None:
    shared = TrustStore(tmp_path / "trust.json")

    def pin(number: int) -> None:
        one = shared if number % 2 else TrustStore(shared.path)
        one.pin(f"https://{number}.example", [KEY])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(pin, range(40)))
    assert len(shared.read().origins) == 40


def test_nothing_is_lost_between_processes(tmp_path: Path) -> None:
    path = tmp_path / "trust.json"
    program = (
        "import sys; from codin.trust import TrustStore\n"
        "for n in range(15): TrustStore(sys.argv[1]).revoke(f'{sys.argv[2]}-{n}')"
    )
    running = [subprocess.Popen([sys.executable, "-c", program, str(path), str(number)]) for number in range(3)]
    assert [process.wait(60) for process in running] == [0, 0, 0]
    assert len(TrustStore(path).read().revoked) == 45


def test_a_change_by_another_is_seen(tmp_path: Path) -> None:
    mine, theirs = TrustStore(tmp_path / "trust.json"), TrustStore(tmp_path / "trust.json")
    assert mine.read().origins == {}
    stamp = mine.stamp
    theirs.pin(ORIGIN, [KEY])
    assert mine.stamp != stamp
    assert mine.read().pinned(ORIGIN) == (KEY,)
