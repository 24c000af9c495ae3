"""Users from a page, and every way to store a password."""

import base64
import hashlib
import importlib

import argon2
import bcrypt
import pytest

from beamfast.documents.credentials import Credential, read_credentials
from beamfast.errors import ConfigError


def page(
    *properties: tuple[str, str], itemtype="https://rustybeam.net/schema/Credential"
):
    spans = "".join(f"<i itemprop={name}>{text}</i>" for name, text in properties)
    return f'<div itemscope itemtype="{itemtype}">{spans}</div>'


def phc(raw: bytes) -> str:
    return base64.b64encode(raw).decode().rstrip("=")


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("folder", ["", "schema/"])
def test_a_user_is_read_in_all_spellings_of_the_type(scheme, folder):
    itemtype = f"{scheme}://rustybeam.net/{folder}Credential"
    users = read_credentials(
        page(("username", " ann "), ("password", " pw "), itemtype=itemtype)
    )
    assert users == {"ann": Credential("ann", "pw")}


def test_roles_may_be_repeated_listed_or_a_list():
    users = read_credentials(
        page(("username", "a"), ("role", "one"), ("role", "two, three"))
        + page(("username", "b"), ("roles", "<ul><li>x</li> <li>y</li></ul>"))
    )
    assert users["a"].roles == {"one", "two", "three"}
    assert users["b"].roles == {"x", "y"}


def test_the_first_item_of_a_name_counts_and_odd_ones_name_nobody():
    users = read_credentials(
        page(("username", "a"), ("password", "1"))
        + page(("username", "a"), ("password", "2"))
        + page(("password", "3"))
        + page(("username", "b"), ("encryption", "rot13"))
        + "<p itemscope itemtype=https://schema.org/Person><i itemprop=username>c</i>"
    )
    assert list(users) == ["a"]
    assert users["a"].password == "1"


SALT = b"0123456789abcdef"
SCRYPT = hashlib.scrypt(b"pw:1", salt=SALT, n=2**4, r=8, p=1, dklen=32)
PBKDF2 = hashlib.pbkdf2_hmac("sha256", b"pw:1", SALT, 1000)


@pytest.mark.parametrize(
    ("encryption", "stored"),
    [
        ("plaintext", "pw:1"),
        ("bcrypt", bcrypt.hashpw(b"pw:1", bcrypt.gensalt(4)).decode()),
        ("argon2", argon2.PasswordHasher(1, 8, 1).hash("pw:1")),
        ("scrypt", f"$scrypt$ln=4,r=8,p=1${phc(SALT)}${phc(SCRYPT)}"),
        ("pbkdf2-sha256", f"$pbkdf2-sha256$1000${phc(SALT)}${phc(PBKDF2)}"),
        ("pbkdf2-sha256", f"$pbkdf2-sha256$i=1000${phc(SALT)}${phc(PBKDF2)}"),
    ],
)
def test_the_right_password_and_no_other(encryption, stored):
    user = Credential("ann", stored, frozenset(), encryption)
    assert user.verify("pw:1")
    for wrong in ("", "pw", "PW:1", stored + "x"):
        assert not user.verify(wrong)


@pytest.mark.parametrize("encryption", ["bcrypt", "argon2", "scrypt", "pbkdf2-sha256"])
@pytest.mark.parametrize(
    "stored", ["", "plain", "$scrypt$ln=40,r=8,p=1$a$b", "$pbkdf2-sha256$9$!$!"]
)
def test_a_broken_hash_lets_nobody_in(encryption, stored):
    assert not Credential("ann", stored, frozenset(), encryption).verify("plain")


def test_a_hash_is_no_password():
    stored = bcrypt.hashpw(b"pw", bcrypt.gensalt(4)).decode()
    assert not Credential("ann", stored, frozenset(), "bcrypt").verify(stored)


def test_a_missing_library_names_the_command(monkeypatch):
    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(ConfigError, match=r"pip install 'beamfast\[auth\]'"):
        Credential("ann", "x", frozenset(), "bcrypt").verify("x")
