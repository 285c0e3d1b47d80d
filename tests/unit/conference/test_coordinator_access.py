from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key

from conference.access import (
    AccessDeniedError,
    ApiClaims,
    KeyFileError,
    KeyRing,
    Role,
    require_conference,
    require_role,
)
from relay.access import require, verify_relay_token
from relay.errors import AccessError

NOW = 1_000_000


def claims(role: Role = "organiser", **changes: object) -> ApiClaims:
    """Claims that are good for a minute."""
    return ApiClaims(**{"sub": "lan", "role": role, "exp": NOW + 60, **changes})  # type: ignore[arg-type] # test values


def test_an_api_token_reads_back_as_its_claims() -> None:
    """What is signed is what is verified, and the actor of the audit follows from it."""
    keys = KeyRing.generate()
    for given in (claims(), claims("relay"), claims("hall", hall="h1", conference="c1")):
        assert keys.verify_api_token(keys.issue_api_token(given), NOW) == given
    assert (claims().actor, claims("relay").actor) == ("user:lan", "relay:lan")


def test_only_staff_are_bound_to_a_unit() -> None:
    """A hall, a relay or a gateway with a unit is a token that nobody of ours made."""
    keys = KeyRing.generate()
    assert keys.verify_api_token(keys.issue_api_token(claims("technician", unit="01")), NOW).unit == "01"
    for given in (claims("relay", unit="01"), claims("hall", hall="h1", conference="c1", unit="01")):
        with pytest.raises(AccessDeniedError, match="no unit"):
            keys.verify_api_token(keys.issue_api_token(given), NOW)


def test_a_relay_token_opens_a_relay_and_not_the_api() -> None:
    """The two audiences exclude one another, although one key signs both."""
    keys = KeyRing.generate()
    token = keys.issue_relay_token(sub="h1", conference="c1", feeds=["program"], action="play", exp=NOW + 60)
    found = verify_relay_token(token, keys.public_keys, NOW)
    require(found, action="play", conference="c1", feed="program")
    assert (found.sub, found.link) == ("h1", False)
    with pytest.raises(AccessDeniedError):
        keys.verify_api_token(token, NOW)
    with pytest.raises(AccessError):
        verify_relay_token(keys.issue_api_token(claims()), keys.public_keys, NOW)


def test_an_expired_token_is_refused_from_its_last_second_on() -> None:
    """A token is good before `exp` and not at it."""
    keys = KeyRing.generate()
    token = keys.issue_api_token(claims())
    keys.verify_api_token(token, NOW + 59.9)
    with pytest.raises(AccessDeniedError, match="expired") as caught:
        keys.verify_api_token(token, NOW + 60)
    assert caught.value.status == 401


def test_a_token_that_was_good_once_expires_all_the_same() -> None:
    """What is remembered of a verified token is good for as long as the token, also when the clock goes back."""
    keys = KeyRing.generate()
    token = keys.issue_api_token(claims())
    for _ in range(2):
        assert keys.verify_api_token(token, NOW) == claims()
        with pytest.raises(AccessDeniedError, match="expired"):
            keys.verify_api_token(token, NOW + 60)


def test_remembered_tokens_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many tokens are shown, those that are remembered are few, and all stay good."""
    monkeypatch.setattr("conference.access.MAX_REMEMBERED", 2)
    keys = KeyRing.generate()
    tokens = [keys.issue_api_token(claims(hall=f"h{number}")) for number in range(5)]
    for token in [*tokens, *tokens]:
        keys.verify_api_token(token, NOW)
    assert len(keys._verified) <= 2


def test_roles_and_conferences_bound_what_a_token_reaches() -> None:
    """Another role, or another conference, is 403."""
    require_role(claims(), frozenset({"organiser"}))
    with pytest.raises(AccessDeniedError) as caught:
        require_role(claims("operator"), frozenset({"organiser"}))
    assert caught.value.status == 403
    require_conference(claims(), "any")
    require_conference(claims(conference="c1"), "c1")
    with pytest.raises(AccessDeniedError) as caught:
        require_conference(claims(conference="c1"), "c2")
    assert caught.value.status == 403


def test_the_key_file_is_private_and_read_again(tmp_path: Path) -> None:
    """The file is created with mode 0600 in a folder of its own, and the next start has the same key."""
    path = tmp_path / "state" / "key.pem"
    first, second = KeyRing.load_or_create(path), KeyRing.load_or_create(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert first.public_keys == second.public_keys
    assert [file.name for file in path.parent.iterdir()] == ["key.pem"]


def test_starts_at_the_same_moment_agree_on_one_key(tmp_path: Path) -> None:
    """Of many that create the file at once, one wins and all have its key."""
    path, found = tmp_path / "key.pem", []
    threads = [
        threading.Thread(target=lambda: found.append(KeyRing.load_or_create(path).public_keys[0])) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(found), len(set(found))) == (8, 1)


@pytest.mark.parametrize("content", [b"", b"rubbish", b"x" * 20_000, b"other"])
def test_a_file_that_holds_no_such_key_is_named(tmp_path: Path, content: bytes) -> None:
    """Rubbish, or a key of another kind, is refused with the file's name."""
    path = tmp_path / "key.pem"
    if content == b"other":
        content = generate_private_key(SECP256R1()).private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    path.touch(mode=0o600)
    path.write_bytes(content)
    with pytest.raises(KeyFileError, match=r"key\.pem"):
        KeyRing.load_or_create(path)


def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    """A key file with wider rights than its owner's is not used, and the message says what to do."""
    path = tmp_path / "key.pem"
    KeyRing.load_or_create(path)
    os.chmod(path, 0o640)  # noqa: PTH101 - the system call under test
    with pytest.raises(KeyFileError, match="chmod 600"):
        KeyRing.load_or_create(path)


def test_a_folder_that_cannot_be_made_is_a_typed_error(tmp_path: Path) -> None:
    """A file where the folder should be is no traceback."""
    (tmp_path / "file").touch()
    with pytest.raises(KeyFileError):
        KeyRing.load_or_create(tmp_path / "file" / "key.pem")
