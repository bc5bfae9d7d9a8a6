"""Key rings: where they are found, who can read them, rotation, revocation, and what other processes see of it."""

from __future__ import annotations

import json
import logging
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from time import time
from typing import Any

import pytest

from codin.errors import ConfigError
from codin.trust import KeyRing, SigningKey
from codin.trust._keys import keyring


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working directory and a home without keys."""
    for name in ("CODIN_KEY", "CODIN_KEYS"):
        monkeypatch.delenv(name, raising=False)
    home, here = tmp_path / "home", tmp_path / "work" / "here"
    home.mkdir()
    here.mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(here)
    before = os.umask(0o022)
    yield here
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# -- files -------------------------------------------------------------------------------------------------------------


def test_only_the_owner_can_read_it(tmp_path: Path) -> None:
    os.umask(0)
    folder = tmp_path / "a" / "keys"
    ring = KeyRing.create(folder)
    ring.rotate()
    assert mode(folder) == 0o700
    assert {mode(file) for file in folder.iterdir()} == {0o600}
    assert (folder / ".gitignore").read_text() == "*\n"
    assert KeyRing.open(folder).active.kid == ring.active.kid


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    ring = KeyRing.create(tmp_path / "keys")
    file = tmp_path / "keys" / f"{ring.active.kid}.pem"
    for wrong in (0o640, 0o604, 0o622):
        file.chmod(wrong)
        with pytest.raises(ConfigError, match="can be read by others") as caught:
            KeyRing.open(tmp_path / "keys")
        assert caught.value.hint is not None
        assert "chmod 600" in caught.value.hint
    file.chmod(0o600)
    (tmp_path / "keys").chmod(0o777)
    with pytest.raises(ConfigError, match="others can write"):
        KeyRing.open(tmp_path / "keys")


def test_a_single_file_that_others_can_read_is_warned_about(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Secrets that are mounted into a container often are readable by all in it."""
    key = SigningKey.generate()
    file = tmp_path / "key.pem"
    file.write_bytes(key.to_pem())
    file.chmod(0o644)
    assert KeyRing.open(file).active.kid == key.kid
    assert "can be read by others" in caplog.text
    caplog.clear()
    file.chmod(0o600)
    assert KeyRing.open(str(file)).active.kid == key.kid
    assert caplog.text == ""


def test_a_folder_with_something_else_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    before = mode(tmp_path)
    with pytest.raises(ConfigError, match="not empty"):
        KeyRing.create(tmp_path)
    assert mode(tmp_path) == before
    with pytest.raises(ConfigError):
        KeyRing.create(tmp_path / "notes.txt")
    KeyRing.create(tmp_path / "keys")
    with pytest.raises(ConfigError, match="already"):
        KeyRing.create(tmp_path / "keys")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"keys": []}',
        '{"keys": [7]}',
        '{"keys": [{"kid": "../../x", "algorithm": "ES256", "created": 1}]}',
    ],
)
def test_an_index_that_is_not_understood_is_refused(tmp_path: Path, text: str) -> None:
    KeyRing.create(tmp_path / "keys")
    (tmp_path / "keys" / "ring.json").write_text(text)
    with pytest.raises(ConfigError, match="not understood"):
        KeyRing.open(tmp_path / "keys")


def test_a_file_with_another_key_is_refused(tmp_path: Path) -> None:
    ring = KeyRing.create(tmp_path / "keys")
    (tmp_path / "keys" / f"{ring.active.kid}.pem").write_bytes(SigningKey.generate().to_pem())
    with pytest.raises(ConfigError, match="not those of its"):
        KeyRing.open(tmp_path / "keys")


def test_it_shows_no_key(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    ring = KeyRing.create(tmp_path / "keys")
    secret = ring.active.to_pem().decode().splitlines()[1]
    shown = f"{ring!r} {ring.signing!r} {ring.published!r} {ring.records!r} {json.dumps(ring.export())}"
    index = (tmp_path / "keys" / "ring.json").read_text()
    assert secret not in shown + index + caplog.text


# -- finding -----------------------------------------------------------------------------------------------------------


def test_nothing_is_found_and_nothing_is_made(elsewhere: Path) -> None:
    assert KeyRing.find() is None
    assert list(elsewhere.parents[1].rglob("*.json")) == []
    with pytest.raises(ConfigError, match="no keys") as caught:
        KeyRing.open("keys")
    assert caught.value.hint is not None
    assert "codin keys new" in caught.value.hint


def test_the_nearest_is_found(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at_home = KeyRing.create(Path.home() / ".codin" / "keys")
    assert found() == at_home.active.kid
    above = KeyRing.create(elsewhere.parent / ".codin" / "keys")
    assert found() == above.active.kid
    here = KeyRing.create(elsewhere / ".codin" / "keys")
    assert found() == here.active.kid
    named = KeyRing.create(elsewhere / "others")
    monkeypatch.setenv("CODIN_KEYS", "others")
    assert found() == named.active.kid
    single = SigningKey.generate("EdDSA")
    monkeypatch.setenv("CODIN_KEY", single.to_pem().decode())
    assert found() == single.kid


def found() -> str:
    ring = KeyRing.find()
    assert ring is not None
    return ring.active.kid


def test_a_place_that_is_named_must_have_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CODIN_KEYS", "nowhere")
    with pytest.raises(ConfigError, match="nowhere"):
        KeyRing.find()
    monkeypatch.setenv("CODIN_KEY", "c2VjcmV0")
    with pytest.raises(ConfigError) as caught:
        KeyRing.find()
    assert "c2VjcmV0" not in repr(caught.value)


def test_keys_of_somebody_else_are_not_taken(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder above may be one where everybody can write, such as /tmp."""
    KeyRing.create(elsewhere.parent / ".codin" / "keys")
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    assert KeyRing.find() is None


def test_where_a_new_ring_belongs(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert KeyRing.default_path() == Path.home() / ".codin" / "keys"
    (elsewhere.parent / ".codin").mkdir()
    assert KeyRing.default_path() == elsewhere.parent / ".codin" / "keys"
    monkeypatch.setenv("CODIN_KEYS", "~/elsewhere")
    assert KeyRing.default_path() == Path.home() / "elsewhere"


# -- rotation and revocation -------------------------------------------------------------------------------------------


def test_rotation_overlaps(tmp_path: Path) -> None:
    ring = KeyRing.create(tmp_path / "keys")
    old = ring.active
    new = ring.rotate("EdDSA", overlap=60)
    assert (ring.active.kid, new.algorithm) == (new.kid, "EdDSA")
    assert [key.kid for key in ring.signing] == [new.kid, old.kid]
    latest, earlier = ring.published
    assert latest.expires is None
    assert earlier.expires is not None
    assert 0 < earlier.expires - time() <= 60
    assert [record.state(time()) for record in ring.records] == ["active", "overlapping"]
    assert [jwk.get("exp") for jwk in ring.export()["keys"]] == [None, earlier.expires]


def test_what_has_ended_signs_no_more_and_is_forgotten(tmp_path: Path) -> None:
    ring = KeyRing.create(tmp_path / "keys")
    first = ring.active.kid
    ring.rotate(overlap=0)
    assert [key.kid for key in ring.signing] == [ring.active.kid]
    assert [key.kid for key in ring.published] == [ring.active.kid]
    assert ring.records[1].state(time()) == "ended"
    ring.rotate(overlap=0)
    assert first not in {record.kid for record in ring.records}
    assert not (tmp_path / "keys" / f"{first}.pem").exists()
    assert len(KeyRing.open(tmp_path / "keys").records) == 2


def test_a_revoked_key_is_destroyed(tmp_path: Path) -> None:
    ring = KeyRing.create(tmp_path / "keys")
    old = ring.active.kid
    ring.rotate()
    ring.revoke(old[:8])
    assert [key.kid for key in ring.published] == [ring.active.kid]
    assert not (tmp_path / "keys" / f"{old}.pem").exists()
    assert ring.records[-1].state(time()) == "revoked"
    with pytest.raises(ConfigError, match="revoked already"):
        ring.revoke(old)


def test_a_name_that_fits_two_keys_is_none_though_one_of_them_is_revoked(tmp_path: Path) -> None:
    ring = KeyRing.create(tmp_path / "keys")
    while len({record.kid[0] for record in ring.records}) == len(ring.records):
        ring.revoke(ring.active.kid)
    with pytest.raises(ConfigError, match="2 keys begin with"):
        ring.revoke(ring.active.kid[0])


def test_in_the_place_of_the_active_key_comes_a_new_one(tmp_path: Path) -> None:
    ring = KeyRing.create(tmp_path / "keys", "EdDSA")
    old = ring.active.kid
    ring.revoke(old)
    assert ring.active.kid != old
    assert ring.active.algorithm == "EdDSA"
    assert [key.kid for key in KeyRing.open(tmp_path / "keys").signing] == [ring.active.kid]


@pytest.mark.parametrize("kid", ["", ".", "no such key"])
def test_a_key_that_is_not_there_is_not_revoked(tmp_path: Path, kid: str) -> None:
    ring = KeyRing.create(tmp_path / "keys")
    with pytest.raises(ConfigError, match="no key"):
        ring.revoke(kid)


def test_another_process_is_followed(tmp_path: Path) -> None:
    here, there = KeyRing.create(tmp_path / "keys"), KeyRing.open(tmp_path / "keys")
    old = here.active.kid
    new = there.rotate()
    assert [key.kid for key in here.signing] == [new.kid, old]
    there.revoke(old)
    assert [key.kid for key in here.published] == [new.kid]


def meanwhile(patch: pytest.MonkeyPatch, change: Callable[[], object]) -> None:
    """Another process comes between the reading of the index and that of the keys it names."""
    read = keyring.read_records

    def read_before(folder: Path) -> Any:
        records = read(folder)
        patch.setattr(keyring, "read_records", read)
        change()
        return records

    patch.setattr(keyring, "read_records", read_before)


def test_what_is_revoked_while_it_is_read_is_seen_by_the_next_question(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = KeyRing.create(tmp_path / "keys"), KeyRing.open(tmp_path / "keys")
    old = here.active.kid
    there.rotate()
    meanwhile(monkeypatch, lambda: there.revoke(there.active.kid))
    assert here.active.kid == old  # the file of the one after it was gone when it was opened
    assert here.active.kid == there.active.kid


def test_what_is_made_while_it_is_opened_is_seen_by_the_first_question(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = KeyRing.create(tmp_path / "keys")
    meanwhile(monkeypatch, there.rotate)
    here = KeyRing.open(tmp_path / "keys")
    assert here.active.kid == there.active.kid


def test_what_becomes_unreadable_is_not_followed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    ring = KeyRing.create(tmp_path / "keys")
    kid = ring.active.kid
    index = tmp_path / "keys" / "ring.json"
    index.write_text("{")
    assert ring.active.kid == kid
    assert "going on with those from before" in caplog.text
    index.unlink()
    assert ring.active.kid == kid
    with pytest.raises(ConfigError):
        ring.rotate()


def test_a_single_key_is_neither_rotated_nor_revoked() -> None:
    key = SigningKey.generate()
    ring = KeyRing.of(key)
    assert (ring.active, ring.signing, ring.published, ring.path) == (key, [key], [key.public], None)
    actions: list[Any] = [ring.rotate, lambda: ring.revoke(key.kid)]
    for action in actions:
        with pytest.raises(ConfigError, match="single key"):
            action()
