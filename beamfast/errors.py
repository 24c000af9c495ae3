"""
Every exception that beamfast raises because of something outside the program.

::

    BeamfastError
    ├── ProtocolError            the peer broke the WebSocket protocol (close_code)
    │   └── PayloadTooBig
    ├── RequestError             a malformed or oversized HTTP request (status)
    ├── HandshakeError           a WebSocket handshake was refused (status, headers)
    ├── ConnectError             a client could not connect (response)
    ├── ConnectionClosed         the connection is gone (code, reason)
    ├── InvalidState             an illegal move of a state machine
    │   └── Unsupported          what the place that this runs in cannot do
    ├── DocumentError            a document request cannot be met (status, code)
    │   ├── AccessDenied         403
    │   ├── DocumentNotFound     404
    │   ├── NoElementMatched     404
    │   ├── SelectorError        404, or 400 over a limit
    │   ├── NotHtml              416
    │   ├── PreconditionFailed   412
    │   ├── EditConflict         409
    │   ├── EditRefused          422
    │   ├── TooLarge             413
    │   ├── Busy                 503
    │   ├── TooManyFilters       503
    │   └── StorageError         507 disk full, 500 otherwise
    ├── OutcomeUnknown           the reply to a commit was lost; the log knows
    ├── ProxyHeaderError         a proxy's connection does not begin as agreed
    ├── ConfigError              a configuration cannot be used (file, line)
    └── BusError                 the other processes cannot be reached

Wrong use by the programmer is :exc:`ValueError` or :exc:`TypeError`, not part
of the tree.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Any


class CloseCode(enum.IntEnum):
    """WebSocket close codes (RFC 6455, 7.4.1, and the IANA registry)."""

    NORMAL_CLOSURE = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    UNSUPPORTED_DATA = 1003
    NO_STATUS_RECEIVED = 1005
    ABNORMAL_CLOSURE = 1006
    INVALID_PAYLOAD_DATA = 1007
    POLICY_VIOLATION = 1008
    MESSAGE_TOO_BIG = 1009
    MANDATORY_EXTENSION = 1010
    INTERNAL_ERROR = 1011
    SERVICE_RESTART = 1012
    TRY_AGAIN_LATER = 1013
    BAD_GATEWAY = 1014
    TLS_HANDSHAKE = 1015
    AUTHENTICATION_EXPIRED = 4401
    RIGHTS_REMOVED = 4403


class BeamfastError(Exception):
    """Base of every error in the tree above."""


class ProtocolError(BeamfastError):
    """The peer broke the protocol. ``close_code`` is what to tell it."""

    def __init__(
        self, reason: str, close_code: CloseCode = CloseCode.PROTOCOL_ERROR
    ) -> None:
        super().__init__(reason)
        self.close_code = close_code


class PayloadTooBig(ProtocolError):
    """A frame or message is over its limit (RFC 6455, 7.4.1, code 1009)."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason, CloseCode.MESSAGE_TOO_BIG)


class RequestError(BeamfastError):
    """An HTTP request cannot be read. ``status`` is the answer; then close."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class HandshakeError(BeamfastError):
    """A WebSocket handshake was refused. ``status`` and ``headers`` answer it."""

    def __init__(
        self, status: int, reason: str, headers: Sequence[tuple[str, str]] = ()
    ) -> None:
        super().__init__(reason)
        self.status = status
        self.headers: tuple[tuple[str, str], ...] = tuple(headers)


class ConnectError(BeamfastError):
    """
    A client could not open its connection.

    Attributes:
        response: refusal of the server or proxy, None when there was none; it has
            ``status``, ``headers`` and ``body``.
    """

    def __init__(self, reason: str, response: Any = None) -> None:
        super().__init__(reason)
        self.response: Any = response

    @property
    def status(self) -> int | None:
        """Status code of the refusal, None without one."""
        return None if self.response is None else self.response.status


class ConnectionClosed(BeamfastError):
    """The connection ended with ``code`` and ``reason`` (RFC 6455, 7.1.5)."""

    def __init__(self, code: int, reason: str = "") -> None:
        super().__init__(f"connection closed with {code} {reason}".rstrip())
        self.code = code
        self.reason = reason


class InvalidState(BeamfastError):
    """A state machine was asked for a move that its table does not allow."""


class Unsupported(InvalidState):
    """What is asked for does not exist in the place where this runs."""


class DocumentError(BeamfastError):
    """
    A document request cannot be met.

    ``status`` is the HTTP answer and ``code`` the value of ``X-Beamfast-Error``.
    Of several operations, ``item`` is the number of the one that failed.
    """

    status: int = 400
    code: str = "bad-request"
    item: int = 0

    def __init__(
        self, reason: str, *, code: str | None = None, status: int | None = None
    ) -> None:
        super().__init__(reason)
        if code is not None:
            self.code = code
        if status is not None:
            self.status = status


class AccessDenied(DocumentError):
    """The path leaves the document root, or the file system refuses."""

    status = 403
    code = "access-denied"


class DocumentNotFound(DocumentError):
    """There is no file behind the path."""

    status = 404
    code = "not-found"


class NoElementMatched(DocumentError):
    """The selector is valid and matches nothing."""

    status = 404
    code = "no-match"


class SelectorError(DocumentError):
    """The selector is empty, invalid, or over a limit (then ``status`` is 400)."""

    status = 404
    code = "invalid-selector"


class NotHtml(DocumentError):
    """A selector was sent for a file that has no elements."""

    status = 416
    code = "not-html"


class PreconditionFailed(DocumentError):
    """``If-Match`` names another version (RFC 9110, 13.1.1)."""

    status = 412
    code = "precondition-failed"


class EditConflict(DocumentError):
    """The edit contradicts the document, such as deleting ``body``."""

    status = 409
    code = "structural-element"


class EditRefused(DocumentError):
    """No HTML text has the wanted tree; nothing was stored."""

    status = 422
    code = "unrepresentable"


class TooLarge(DocumentError):
    """The document or the body is over its limit."""

    status = 413
    code = "document-too-large"


class Busy(DocumentError):
    """The queue of the document is full; try again."""

    status = 503
    code = "busy"


class TooManyFilters(DocumentError):
    """As many different filters as a document may have are in use."""

    status = 503
    code = "too-many-filters"


class StorageError(DocumentError):
    """The file could not be written; the old one is intact."""

    status = 500
    code = "storage"


class OutcomeUnknown(BeamfastError):
    """A commit may or may not have happened; ask the log before answering."""


class ProxyHeaderError(BeamfastError):
    """What came is no header of the PROXY protocol."""


class ConfigError(BeamfastError):
    """A configuration cannot be used; ``file`` and ``line`` say where."""

    def __init__(
        self, reason: str, *, file: str | None = None, line: int | None = None
    ) -> None:
        place = "" if file is None else f"{file}:{line}: " if line else f"{file}: "
        super().__init__(place + reason)
        self.file = file
        self.line = line


class BusError(BeamfastError):
    """The other processes or machines cannot be reached."""
