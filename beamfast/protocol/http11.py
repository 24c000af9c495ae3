"""
HTTP/1.1 without I/O: requests from bytes, responses to bytes.

Standard: RFC 9112. llhttp (through httptools) reads the lines; what it leaves to
its caller is decided here, in :mod:`beamfast.protocol.framing` and in
:mod:`beamfast.protocol.target`: sizes, versions, what follows an upgrade that
nobody takes. ``CONNECT`` is refused, trailer fields are read and dropped.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from httptools import (
    HttpParserCallbackError,
    HttpParserError,
    HttpParserInvalidMethodError,
    HttpParserUpgrade,
    HttpRequestParser,
)

from beamfast.errors import RequestError
from beamfast.http import Headers, RawFields, Request, reason_phrase
from beamfast.protocol.framing import (
    FORBIDDEN_TRAILERS,
    FRAMING_FIELDS,
    check_framing,
    framing_head,
)
from beamfast.protocol.target import parse_target

#: Closes a chunked body that has no trailer fields (RFC 9112, 7.1).
LAST_CHUNK: Final = b"0\r\n\r\n"

_UNKNOWN_METHOD: Final = re.compile(
    rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+ [!-~]+ HTTP/1\.[01]\r\n"
)
_CHUNK_OVERHEAD: Final = 16
_NOTHING: Final = memoryview(b"")


@dataclass(frozen=True, slots=True)
class Limits:
    """
    How much one request may take.

    Args:
        request_line: bytes of the first line; above it 414.
        head: bytes of request line, header fields and trailer fields; 431.
        fields: number of header and trailer fields; 431.
        max_body: bytes of content, None for no limit; 413.
    """

    request_line: int = 8 * 1024
    head: int = 32 * 1024
    fields: int = 100
    max_body: int | None = 8 * 1024 * 1024


class _Part(enum.Enum):
    """Which part of a message comes next."""

    IDLE = enum.auto()
    HEAD = enum.auto()
    BODY = enum.auto()
    #: A head that was announced before.
    SKIP = enum.auto()
    #: Whatever comes next belongs to WebSocket, or not: undecided.
    UPGRADE = enum.auto()


class RequestParser:
    """
    Bytes of one connection to requests, body pieces and ends, in order.

    ``on_request`` is called at the end of each head, ``on_body`` for each piece
    of content as it arrives, ``on_end`` when the message is complete. Between
    messages the parser holds no llhttp object.

    A request for a WebSocket stops the parser: ``upgrade_pending`` is true when
    ``on_request`` is called, and the connection goes on with
    :meth:`take_rest` or :meth:`resume`. Every other upgrade is ignored, as
    RFC 9110, 7.8, allows.

    Attributes:
        should_keep_alive: the request whose head was read last leaves the
            connection open (RFC 9112, 9.3).
    """

    __slots__ = (
        "_announce",
        "_begun",
        "_body_size",
        "_deliver",
        "_fields",
        "_finish",
        "_finished",
        "_framing",
        "_head_fed",
        "_head_size",
        "_limits",
        "_overhead",
        "_parser",
        "_part",
        "_raw",
        "_rest",
        "_target",
        "_upgrading",
        "should_keep_alive",
    )

    def __init__(
        self,
        on_request: Callable[[Request], object],
        on_body: Callable[[bytes], object],
        on_end: Callable[[], object],
        *,
        limits: Limits | None = None,
    ) -> None:
        self._announce = on_request
        self._deliver = on_body
        self._finish = on_end
        self._limits = Limits() if limits is None else limits
        self._parser: HttpRequestParser | None = None
        self._part = _Part.IDLE
        self._rest = b""
        self._upgrading: Request | None = None
        self._finished = False
        self.should_keep_alive: bool = True

    @property
    def at_boundary(self) -> bool:
        """True when no message has begun."""
        return self._part is _Part.IDLE

    @property
    def upgrade_pending(self) -> bool:
        """True from the head of a WebSocket request until it is decided."""
        return self._part is _Part.UPGRADE and not self._finished

    def feed(self, data: bytes) -> None:
        """
        Read the next bytes.

        While an upgrade is pending they are kept for whoever takes over, and
        after an error or the last request of the connection they are dropped.

        Raises:
            RequestError: the peer's fault; answer with its status and close.
        """
        if self.upgrade_pending:
            self._rest += data
            return
        unread = memoryview(data)
        while unread and not self._finished:
            unread = self._read(unread)

    def _read(self, data: memoryview) -> memoryview:
        """Read until an upgrade at most; return what is left."""
        parser = self._parser
        if parser is None:
            parser = self._parser = HttpRequestParser(self)
        began_in = self._part
        self._begun = False
        try:
            parser.feed_data(data)
        except HttpParserUpgrade as upgrade:
            return self._leave_upgrade(data[upgrade.args[0] :])
        except HttpParserCallbackError as error:
            self._stop()
            raise error.__context__ or error from None
        except HttpParserError as error:
            self._refuse(error, data, began_in)
        if self._part is _Part.IDLE:
            # Parser and bound methods form a cycle, and a kept-alive connection
            # may be idle for long.
            self._parser = None
        elif self._part is began_in and not self._begun:
            self._count_fed(len(data))
        return _NOTHING

    def take_rest(self) -> bytes:
        """Give away what came after the head; HTTP ends here."""
        rest, self._rest = self._rest, b""
        self._stop()
        return rest

    def resume(self) -> None:
        """
        Go on as HTTP, because the upgrade was not taken.

        Raises:
            RequestError: as :meth:`feed`.
        """
        if not self.upgrade_pending:
            return
        self._part = _Part.IDLE
        self._finished = not self.should_keep_alive
        # Within on_request and on_end, _ask() goes on.
        if self._upgrading is None:
            rest, self._rest = self._rest, b""
            self.feed(rest)

    # What follows is called by httptools.

    def on_message_begin(self) -> None:
        """Start a head."""
        if self._part is _Part.SKIP:
            return
        self._part = _Part.HEAD
        self._begun = True
        self._target = b""
        self._raw: RawFields = []
        self._framing: RawFields = []
        self._head_size = self._head_fed = self._fields = 0
        self._body_size = self._overhead = 0

    def on_url(self, piece: bytes) -> None:
        """Collect the request target, which arrives in pieces."""
        if self._part is _Part.SKIP:
            return
        self._target += piece
        # Method, two spaces and version are the rest of the line.
        assert self._parser is not None
        line = len(self._parser.get_method()) + len(self._target) + 10
        if line > self._limits.request_line:
            raise RequestError(414, "Request line too long")
        self._head_size = line + 2

    def on_header(self, name: bytes, value: bytes) -> None:
        """Collect one header field, or drop one trailer field."""
        part = self._part
        if part is _Part.SKIP:
            return
        self._fields += 1
        self._head_size += len(name) + len(value) + 4
        if self._fields > self._limits.fields or self._head_size > self._limits.head:
            raise RequestError(431, "Request header fields too large")
        key = name.lower()
        if part is _Part.BODY:
            if key in FORBIDDEN_TRAILERS:
                raise RequestError(400, "Forbidden trailer field")
            return
        # Trailing whitespace is not part of a value (RFC 9112, 5.1).
        field = (name, value.rstrip(b" \t"))
        self._raw.append(field)
        if key in FRAMING_FIELDS:
            self._framing.append((key, field[1]))

    def on_headers_complete(self) -> None:
        """Check the head and announce the request."""
        began_in, self._part = self._part, _Part.BODY
        if began_in is _Part.SKIP:
            return
        parser = self._parser
        assert parser is not None
        self.should_keep_alive = parser.should_keep_alive()
        request = self._request(parser.get_method().decode(), parser.get_http_version())
        if parser.should_upgrade() and request.is_websocket:
            self._upgrading = request
        else:
            self._announce(request)

    def on_body(self, data: bytes) -> None:
        """Pass content on."""
        self._body_size += len(data)
        # Content is no overhead; _count_fed() adds all bytes of the read.
        self._overhead -= len(data)
        limit = self._limits.max_body
        if limit is not None and self._body_size > limit:
            raise RequestError(413, "Request body too large")
        self._deliver(data)

    def on_chunk_header(self) -> None:
        """Grant each chunk a size line and a line end."""
        self._overhead -= _CHUNK_OVERHEAD

    def on_message_complete(self) -> None:
        """Announce the end; an upgrade is not at its end yet."""
        parser = self._parser
        assert parser is not None
        if not parser.should_upgrade():
            self._end()

    # The head as a whole.

    def _request(self, method: str, version: str) -> Request:
        if version not in ("1.0", "1.1"):
            # llhttp calls a line without a version "0.9".
            status = 400 if version == "0.9" else 505
            raise RequestError(status, f"HTTP version {version} is not supported")
        if method == "CONNECT":
            raise RequestError(501, "CONNECT is not implemented")
        text = self._target.decode("ascii")
        target = parse_target(method, text)
        check_framing(self._framing, version, self._limits.max_body)
        raw = self._raw
        if target.authority is not None:
            # The absolute form overrides the field (RFC 9112, 3.2.2).
            raw = [pair for pair in raw if pair[0].lower() != b"host"]
            raw.insert(0, (b"Host", target.authority.encode("ascii")))
        return Request(
            method,
            text,
            url=target.url,
            path=target.path,
            query=target.query,
            headers=Headers.from_raw(raw),
            http_version=version,
        )

    # Ends, errors, sizes and upgrades.

    def _end(self) -> None:
        self._part = _Part.IDLE
        # What follows the last request is not read (RFC 9112, 9.6).
        self._finished = not self.should_keep_alive
        self._finish()

    def _stop(self) -> None:
        self._finished = True
        self._parser = None

    def _refuse(
        self, error: HttpParserError, data: memoryview, began_in: _Part
    ) -> None:
        self._parser = None
        if self._finished:
            return
        self._finished = True
        if isinstance(error, HttpParserInvalidMethodError):
            if began_in is _Part.IDLE and _UNKNOWN_METHOD.match(data):
                raise RequestError(501, "Method not implemented") from None
        elif str(error) in ("Invalid HTTP version", "Pause on PRI/Upgrade"):
            raise RequestError(505, "HTTP version is not supported") from None
        raise RequestError(400, f"Malformed request: {error}") from None

    def _count_fed(self, size: int) -> None:
        # llhttp keeps unfinished fields, and passes over chunk extensions
        # without a word, so what never ends is stopped by what was fed.
        if self._part is _Part.HEAD:
            self._head_fed += size
        else:
            self._overhead += size
        if max(self._head_fed, self._overhead) > self._limits.head:
            self._stop()
            raise RequestError(431, "Request header fields too large")

    def _leave_upgrade(self, rest: memoryview) -> memoryview:
        """Go on after the head, where llhttp stops for any ``Upgrade``."""
        self._parser = None
        if self._upgrading is not None:
            return self._ask(self._upgrading, rest)
        # A server may ignore Upgrade (RFC 9110, 7.8). A fresh parser gets a head
        # with the same framing and without the field, then the content.
        self._part = _Part.SKIP
        head = framing_head(self._framing, keep_alive=self.should_keep_alive)
        self._read(memoryview(head))
        return rest

    def _ask(self, request: Request, rest: memoryview) -> memoryview:
        """Announce a WebSocket request; return what is HTTP after all."""
        self._part = _Part.UPGRADE
        self._rest = bytes(rest)
        self._announce(request)
        # Not after take_rest(): the connection speaks another protocol now.
        if not self._finished or self.at_boundary:
            self._finish()
        self._upgrading = None
        if not self.at_boundary:
            return _NOTHING
        self._rest = b""
        return rest


def response_head(
    status: int, headers: Headers, *, phrase: str | None = None, more: bytes = b""
) -> bytes:
    """
    Return status line and fields, ``more`` lines of them, and the empty line.

    The version is that of the server, whatever the client spoke (RFC 9110, 6.2).
    """
    return b"%b%b%b\r\n" % (_status_line(status, phrase), headers.lines, more)


@lru_cache(128)
def _status_line(status: int, phrase: str | None) -> bytes:
    words = reason_phrase(status) if phrase is None else phrase
    return b"HTTP/1.1 %d %s\r\n" % (status, words.encode("ascii"))


def chunk(data: bytes) -> bytes:
    """Return ``data`` as one chunk; nothing for no data, which would be the end."""
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""
