"""
Where a request ends and whom it is for: the fields that smuggling abuses.

Standard: RFC 9112, sections 3.2 (``Host``) and 6 (message body), RFC 9110,
sections 6.5.1 (trailers) and 10.1.1 (``Expect``). Syntax that llhttp refuses by
itself, such as two ``Content-Length`` fields, is not looked at again.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from beamfast.errors import RequestError
from beamfast.headers import FieldIndex
from beamfast.protocol.target import is_authority

#: Fields that frame or route a message and may not come after it.
FORBIDDEN_TRAILERS: Final = frozenset(
    {
        *(b"content-length", b"transfer-encoding", b"host", b"expect"),
        *(b"connection", b"upgrade", b"te"),
    }
)


def check_framing(fields: FieldIndex, version: str, max_body: int | None) -> None:
    """
    Refuse a head whose end, address or expectation is in doubt.

    Args:
        fields: of the head.
        version: ``"1.1"`` or ``"1.0"``.
        max_body: greatest ``Content-Length``, None for any.

    Raises:
        RequestError: 400, 413, 417 or 501.
    """
    # One valid Host; only HTTP/1.0 may leave it out (RFC 9112, 3.2).
    hosts = fields.get(b"host", ())
    if len(hosts) > 1 or (not hosts and version == "1.1"):
        raise RequestError(400, "Missing or repeated Host field")
    if hosts and not is_host(hosts[0]):
        raise RequestError(400, "Invalid Host field")
    for value in fields.get(b"content-length", ()):
        if max_body is not None and int(value) > max_body:
            raise RequestError(413, "Request body too large")
    for value in fields.get(b"transfer-encoding", ()):
        _check_codings(value.lower(), version)
    for value in fields.get(b"expect", ()):
        # An HTTP/1.0 expectation is ignored (RFC 9110, 10.1.1).
        if value.lower() != b"100-continue" and version != "1.0":
            raise RequestError(417, "Unknown expectation")


# A server has few names, and hears them again and again.
@lru_cache(128)
def is_host(value: bytes) -> bool:
    """Tell whether ``value`` can be that of a ``Host`` field."""
    return is_authority(value.decode("latin-1"))


def _check_codings(codings: bytes, version: str) -> None:
    # A coding before HTTP/1.1 means faulty framing (RFC 9112, 6.1).
    if version == "1.0":
        raise RequestError(400, "Transfer-Encoding in HTTP/1.0")
    if codings != b"chunked":
        # Not chunked at last: the length cannot be known (RFC 9112, 6.3).
        status = 501 if codings.endswith(b"chunked") else 400
        raise RequestError(status, "Unknown transfer coding")


def framing_head(fields: FieldIndex, *, keep_alive: bool) -> bytes:
    """Return a request head that frames its content as ``fields`` do."""
    head = b"POST / HTTP/1.1\r\n"
    if not keep_alive:
        head += b"Connection: close\r\n"
    for key in (b"content-length", b"transfer-encoding"):
        for value in fields.get(key, ()):
            head += key + b": " + value + b"\r\n"
    return head + b"\r\n"
