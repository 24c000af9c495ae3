"""
Users, their passwords and roles, read from an HTML page with microdata.

Schema: ``Credential`` with ``username``, ``password``, ``role`` (any number) and
``encryption``. What cannot be read names nobody: there are no default users.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import importlib
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from beamfast.documents.microdata import Item, items_of
from beamfast.errors import ConfigError

#: Ways to store a password; ``plaintext`` is for demonstrations.
ENCRYPTIONS: Final = ("plaintext", "bcrypt", "argon2", "scrypt", "pbkdf2-sha256")

#: Of these, what a new password may be stored as.
HASHES: Final = ("argon2", "bcrypt", "scrypt")

_SCRYPT: Final = re.compile(r"\$scrypt\$ln=(\d+),r=(\d+),p=(\d+)\$([^$]+)\$([^$]+)")
_PBKDF2: Final = re.compile(r"\$pbkdf2-sha256\$(?:i=)?(\d+)\$([^$]+)\$([^$]+)")


@dataclass(frozen=True, slots=True)
class Credential:
    """
    One user.

    Attributes:
        username: case counts.
        password: plain or hashed, as ``encryption`` says.
        roles: of the user.
        encryption: one of :data:`ENCRYPTIONS`.
    """

    username: str
    password: str
    roles: frozenset[str] = frozenset()
    encryption: str = "plaintext"

    def verify(self, password: str) -> bool:
        """
        Tell whether ``password`` is the right one; takes time on purpose.

        Raises:
            ConfigError: the hash needs a library that is not installed.
        """
        if not password or not self.password:
            return False
        return _VERIFIERS[self.encryption](self.password, password)


def hash_password(password: str, encryption: str) -> str:
    """
    Return what :meth:`Credential.verify` compares a password with.

    Args:
        password: not empty.
        encryption: one of :data:`HASHES`.

    Raises:
        ConfigError: it needs a library that is not installed.
    """
    if encryption == "argon2":
        return str(_library("argon2").PasswordHasher().hash(password))
    if encryption == "bcrypt":
        bcrypt = _library("bcrypt")
        return str(bcrypt.hashpw(password.encode()[:72], bcrypt.gensalt()).decode())
    salt = secrets.token_bytes(16)
    # OWASP's parameters for scrypt, in 64 MiB.
    made = hashlib.scrypt(
        password.encode(), salt=salt, n=2**16, r=8, p=1, maxmem=2**28, dklen=32
    )
    return f"$scrypt$ln=16,r=8,p=1${_base64(salt)}${_base64(made)}"


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode().rstrip("=")


def read_credentials(text: str) -> dict[str, Credential]:
    """
    Return the users of a page; the first item of a name counts.

    Args:
        text: of the page; items of other kinds are passed over.
    """
    users: dict[str, Credential] = {}
    for item in items_of(text):
        if item.kind() != "Credential":
            continue
        encryption = item.get("encryption", "plaintext").lower()
        username = item.get("username")
        if username and encryption in ENCRYPTIONS:
            users.setdefault(
                username,
                Credential(username, item.get("password"), _roles(item), encryption),
            )
    return users


def _roles(item: Item) -> frozenset[str]:
    """Return ``role`` values; older pages have one list named ``roles``."""
    words = [*item.texts("role"), *item.texts("roles")]
    return frozenset(
        part for word in words for part in re.split(r"[,\s]+", word) if part
    )


def _plain(stored: str, password: str) -> bool:
    return hmac.compare_digest(stored.encode(), password.encode())


def _bcrypt(stored: str, password: str) -> bool:
    bcrypt = _library("bcrypt")
    try:
        # bcrypt reads 72 bytes; cutting here is what its other users do.
        return bool(bcrypt.checkpw(password.encode()[:72], stored.encode()))
    except ValueError:
        return False


def _argon2(stored: str, password: str) -> bool:
    argon2 = _library("argon2")
    try:
        return bool(argon2.PasswordHasher().verify(stored, password))
    except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
        return False


def _scrypt(stored: str, password: str) -> bool:
    """Check ``$scrypt$ln=14,r=8,p=1$salt$hash`` (the PHC string format)."""
    match = _SCRYPT.fullmatch(stored)
    if match is None or int(match[1]) > 20:
        return False
    expected = _unbase64(match[5])
    found = hashlib.scrypt(
        password.encode(),
        salt=_unbase64(match[4]),
        n=2 ** int(match[1]),
        r=int(match[2]),
        p=int(match[3]),
        maxmem=2**28,
        dklen=len(expected) or 1,
    )
    return hmac.compare_digest(found, expected)


def _pbkdf2(stored: str, password: str) -> bool:
    """Check ``$pbkdf2-sha256$rounds$salt$hash`` (the PHC string format)."""
    match = _PBKDF2.fullmatch(stored)
    if match is None or int(match[1]) > 10**8:
        return False
    found = hashlib.pbkdf2_hmac(
        "sha256", password.encode(), _unbase64(match[2]), int(match[1])
    )
    return hmac.compare_digest(found, _unbase64(match[3]))


def _unbase64(text: str) -> bytes:
    """Decode base64 without padding; ``.`` stands for ``+`` in some writers."""
    text = text.replace(".", "+")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except ValueError:
        return b""


def _library(name: str) -> Any:
    """Import what only some sites need."""
    try:
        return importlib.import_module(name)
    except ImportError:
        raise ConfigError(f"{name} is missing: pip install 'beamfast[auth]'") from None


_VERIFIERS: Final[Mapping[str, Callable[[str, str], bool]]] = MappingProxyType(
    {
        "plaintext": _plain,
        "bcrypt": _bcrypt,
        "argon2": _argon2,
        "scrypt": _scrypt,
        "pbkdf2-sha256": _pbkdf2,
    }
)
