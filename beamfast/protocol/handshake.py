"""
The opening handshake of WebSocket: who may connect, and what was agreed.

Standard: RFC 6455, section 4. The functions serve every server that has parsed a
request already; :mod:`beamfast.protocol.server` is for those who bring their own
I/O.
"""

from __future__ import annotations

import binascii
import hashlib
import string
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Final, Literal
from urllib.parse import urlsplit

from beamfast.errors import HandshakeError
from beamfast.http import Headers, Request, Response, Upgrade
from beamfast.protocol.extensions import OFFERS, parse_extensions
from beamfast.protocol.target import is_authority

#: Version of RFC 6455 in ``Sec-WebSocket-Version``.
VERSION: Final = "13"

#: Versions with ``legacy_drafts``; they differ in the handshake only.
LEGACY_VERSIONS: Final = (VERSION, "8", "7")

#: Names that a server takes, in its order of preference, or what chooses.
Subprotocols = Sequence[str] | Callable[[list[str]], str | None]

#: What versions 7 and 8 called ``Origin``.
OLD_ORIGIN: Final = "sec-websocket-origin"

_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_SHA1: Final = hashlib.sha1(usedforsecurity=False)
_BASE64: Final = (string.ascii_letters + string.digits + "+/").encode()
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}

# Fields that the handshake writes itself; nobody else may.
_OWNED: Final = frozenset(
    {
        "upgrade",
        "connection",
        "host",
        "sec-websocket-key",
        "sec-websocket-accept",
        "sec-websocket-protocol",
        "sec-websocket-extensions",
        "sec-websocket-version",
        "content-length",
        "transfer-encoding",
    }
)


def accept_key(key: str) -> str:
    """Return what proves that ``key`` was understood (RFC 6455, 4.2.2)."""
    return _accept(key).decode()


def _accept(key: str) -> bytes:
    # To begin one costs more than to copy one that has begun.
    proof = _SHA1.copy()
    proof.update(key.encode() + _GUID)
    return binascii.b2a_base64(proof.digest(), newline=False)


def check_upgrade(request: Request, *, versions: Sequence[str] = (VERSION,)) -> str:
    """
    Check everything about a WebSocket request but its origin; return its key.

    Raises:
        HandshakeError: 426 for another version, 400 for all other faults.
    """
    if request.handshake_key and versions == (VERSION,):
        # A plugin asks before it says 101, and the connection when it does.
        return request.handshake_key
    headers = request.headers
    if not request.is_websocket:
        raise HandshakeError(400, "Not a WebSocket request")
    version = headers.only(b"sec-websocket-version")
    if version is None or version.decode("latin-1") not in versions:
        if is_hixie(headers):
            # The marks of the drafts before version 4 (hixie-75 and hixie-76).
            raise HandshakeError(400, "Unsupported WebSocket draft")
        # RFC 6455, 4.2.2: say what is spoken here; RFC 9110, 15.5.22: and how.
        spoken = [
            ("Sec-WebSocket-Version", ", ".join(versions)),
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
        ]
        raise HandshakeError(426, "Unsupported WebSocket version", spoken)
    key = headers.only(b"sec-websocket-key")
    if key is None or not _is_key(key):
        raise HandshakeError(400, "Missing or invalid Sec-WebSocket-Key")
    if headers.has(OFFERS):
        parse_extensions(headers)
    request.handshake_key = key.decode("ascii")
    return request.handshake_key


def _is_key(key: bytes) -> bool:
    """Tell whether these are sixteen bytes as Base64."""
    # As a regular expression it costs three times as much.
    return (
        len(key) == 24 and key[22:] == b"==" and not key[:22].translate(None, _BASE64)
    )


def is_hixie(headers: Headers) -> bool:
    """Tell whether a WebSocket request is of a draft before version 4."""
    return not (
        headers.has(b"sec-websocket-version") or headers.has(b"sec-websocket-key")
    )


def is_legacy(headers: Headers) -> bool:
    """Tell whether a WebSocket request is of any draft that is still spoken."""
    version = headers.get("sec-websocket-version")
    return is_hixie(headers) or version in LEGACY_VERSIONS[1:]


def origin_allowed(
    headers: Headers,
    allowed: Collection[str] = (),
    *,
    is_secure: bool = False,
    field: str = "origin",
) -> bool:
    """
    Tell whether a page of this ``Origin`` may talk to us (RFC 6455, 10.2).

    No ``Origin`` means no browser, and is allowed. The own host is allowed; over
    plain TCP with both schemes, because a proxy may have ended TLS before us.

    Args:
        headers: of the request.
        allowed: serialised origins, or ``*`` for any.
        is_secure: the request came over TLS.
        field: versions 7 and 8 used another one.
    """
    origins = headers.get_all(field)
    if not origins or "*" in allowed:
        return True
    if len(origins) > 1:
        return False
    origin = origins[0].lower()
    return origin in {one.lower().rstrip("/") for one in allowed} or _is_own(
        origin, headers.get("host", ""), is_secure=is_secure
    )


def _is_own(origin: str, host: str | None, *, is_secure: bool) -> bool:
    scheme, _, authority = origin.partition("://")
    schemes = ("https",) if is_secure else ("http", "https")
    if scheme not in schemes or not host or not is_authority(authority):
        return False
    try:
        return _host_and_port(scheme, authority) == _host_and_port(scheme, host.lower())
    except ValueError:
        return False


def _host_and_port(scheme: str, authority: str) -> tuple[str | None, int]:
    parts = urlsplit(f"//{authority}")
    return parts.hostname, parts.port or _DEFAULT_PORTS[scheme]


def offered_subprotocols(
    headers: Headers, *, field: str = "sec-websocket-protocol"
) -> list[str]:
    """Return the names that a client offers, best first; case matters."""
    joined = ",".join(headers.get_all(field))
    return [name for part in joined.split(",") if (name := part.strip(" \t"))]


def choose_subprotocol(
    offered: list[str],
    spoken: Subprotocols,
    *,
    preference: Literal["client", "server"] = "client",
    require: bool = False,
) -> str | None:
    """
    Choose a subprotocol (RFC 6455, 4.2.2), or None to go on without.

    Args:
        offered: by the client, best first.
        spoken: by the server, best first, or a function of ``offered``.
        preference: whose order counts.
        require: refuse clients that share none.

    Raises:
        HandshakeError: 400, one is required and none is shared.
        ValueError: the function chose what was not offered.
    """
    if callable(spoken):
        chosen = spoken(offered)
        if chosen is not None and chosen not in offered:
            raise ValueError(f"subprotocol {chosen!r} was not offered")
    else:
        first, second = offered, spoken
        if preference == "server":
            first, second = list(spoken), offered
        chosen = next((name for name in first if name in second), None)
    if chosen is None and require:
        raise HandshakeError(400, "No subprotocol in common")
    return chosen


def further_fields(headers: Iterable[tuple[str, str]]) -> Headers:
    """
    Check fields that an application adds to a handshake.

    Raises:
        ValueError: one belongs to the handshake or could end its line.
    """
    fields = Headers(headers)
    for name, _ in fields:
        if name.lower() in _OWNED:
            raise ValueError(f"{name} belongs to the handshake")
    return fields


def upgrade_fields(
    key: str,
    *,
    subprotocol: str | None = None,
    extensions: str = "",
    headers: Iterable[tuple[str, str]] = (),
) -> Headers:
    """
    Return the fields of the 101 response to ``key`` (RFC 6455, 4.2.2).

    Args:
        key: of the request.
        subprotocol: the chosen one.
        extensions: value of the field, empty for none.
        headers: further fields; they come first.

    Raises:
        ValueError: as :func:`further_fields`.
    """
    fields = [("Upgrade", "websocket"), ("Connection", "Upgrade")]
    fields.append(("Sec-WebSocket-Accept", accept_key(key)))
    if subprotocol is not None:
        fields.append(("Sec-WebSocket-Protocol", subprotocol))
    if extensions:
        fields.append(("Sec-WebSocket-Extensions", extensions))
    return Headers([*further_fields(headers), *fields] if headers else fields)


def bare_upgrade(key: str, more: bytes) -> bytes:
    """
    Return a 101 with nothing but what has to be, and ``more``.

    Args:
        key: of the request.
        more: lines of the server, each with its line end.
    """
    return (
        b"HTTP/1.1 101 Switching Protocols\r\n"
        b"Upgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: %b\r\n%b\r\n" % (_accept(key), more)
    )


def server_handshake(
    request: Request,
    *,
    subprotocol: str | None = None,
    extensions: str = "",
    headers: Iterable[tuple[str, str]] = (),
) -> Headers:
    """
    Check a request and return the fields of its 101 response.

    Raises:
        HandshakeError: as :func:`check_upgrade`.
        ValueError: as :func:`upgrade_fields`.
    """
    return upgrade_fields(
        check_upgrade(request),
        subprotocol=subprotocol,
        extensions=extensions,
        headers=headers,
    )


def accept_upgrade(
    request: Request,
    upgrade: Upgrade,
    *,
    allowed_origins: Collection[str] = (),
    headers: Iterable[tuple[str, str]] = (),
) -> Response:
    """
    Return the 101 that opens a WebSocket.

    Args:
        request: which has to be a handshake.
        upgrade: what follows.
        allowed_origins: foreign origins whose pages may connect.
        headers: further fields of the response.

    Raises:
        HandshakeError: as :func:`check_upgrade`; 403 for another origin.
        ValueError: as :func:`further_fields`.
    """
    check_upgrade(request)
    check_origin(request, allowed_origins)
    return Response(101, headers=further_fields(headers), upgrade=upgrade)


def check_origin(request: Request, allowed: Collection[str] = ()) -> None:
    """
    Refuse pages of other origins.

    Raises:
        HandshakeError: 403.
    """
    headers = request.headers
    if not (headers.has(b"origin") or headers.has(b"sec-websocket-origin")):
        return
    # Versions 7 and 8 have a field of their own.
    for field in ("origin", OLD_ORIGIN):
        if not origin_allowed(
            request.headers, allowed, is_secure=request.is_secure, field=field
        ):
            raise HandshakeError(403, "Origin not allowed")
