"""
HTTP/1.1 without I/O: requests from bytes, responses to bytes.

Standard: RFC 9112. llhttp (through httptools) reads the lines; what it leaves to
its caller is decided here, in :mod:`beamfast.protocol.framing` and in
:mod:`beamfast.protocol.target`: sizes, versions, what follows an upgrade that
nobody takes. ``CONNECT`` is refused, trailer fields are read and dropped.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from http import HTTPStatus
from typing import Final, Self

from httptools import (
    HttpParserCallbackError,
    HttpParserError,
    HttpParserInvalidMethodError,
    HttpParserUpgrade,
    HttpRequestParser,
)

from beamfast._head import BODY, HEAD, IDLE, SKIP, UPGRADE, HeadCollector
from beamfast.errors import RequestError
from beamfast.http import Headers, Request, reason_phrase
from beamfast.protocol.framing import FORBIDDEN_TRAILERS, framing_head
from beamfast.protocol.head import Limits, build_request

__all__ = [
    "LAST_CHUNK",
    "STATUS_LINES",
    "Limits",
    "RequestParser",
    "chunk",
    "response_head",
    "status_line",
]

#: Closes a chunked body that has no trailer fields (RFC 9112, 7.1).
LAST_CHUNK: Final = b"0\r\n\r\n"

_UNKNOWN_METHOD: Final = re.compile(
    rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+ [!-~]+ HTTP/1\.[01]\r\n"
)
_BEGUN_LINE: Final = re.compile(rb"[ -~]*\r?")
_INVALID_METHOD: Final = "Malformed request: Invalid method"
_CHUNK_OVERHEAD: Final = 16
_FIELDS_TOO_LARGE: Final = "Request header fields too large"


class RequestParser(HeadCollector):
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
        "_deliver",
        "_finish",
        "_finished",
        "_has_ended",
        "_limits",
        "_line",
        "_rest",
        "_upgrading",
        "should_keep_alive",
    )

    # Of the compiled base, said again for checkers of types: they are set here too.
    part: int
    head_fed: int
    overhead: int
    body_size: int

    def __new__(
        cls,
        on_request: Callable[[Request], object],
        on_body: Callable[[bytes], object],
        on_end: Callable[[], object],
        *,
        limits: Limits | None = None,
    ) -> Self:
        """Make a parser."""
        limits = Limits() if limits is None else limits
        parser = super().__new__(cls, limits.request_line, limits.head, limits.fields)
        parser._limits = limits
        return parser

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
        self._limits: Limits
        self._rest = b""
        self._upgrading: Request | None = None
        self._finished = self._has_ended = False
        self._line: bytes | None = None
        self.should_keep_alive: bool = True

    @property
    def at_boundary(self) -> bool:
        """True when no message has begun."""
        return self.part == IDLE

    @property
    def upgrade_pending(self) -> bool:
        """True from the head of a WebSocket request until it is decided."""
        return self.part == UPGRADE and not self._finished

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
        unread: bytes | memoryview = data
        while unread and not self._finished:
            unread = self._read(unread)

    def _read(self, data: bytes | memoryview) -> bytes | memoryview:
        """Read until an upgrade at most; return what is left."""
        if self._line is not None:
            self._judge(self._line + data)
            return b""
        parser = self.llhttp
        if parser is None:
            parser = self.llhttp = HttpRequestParser(self)
        began_in = self.part
        self.begun = self._has_ended = False
        try:
            parser.feed_data(data)
        except HttpParserUpgrade as upgrade:
            return self._leave_upgrade(memoryview(data)[upgrade.args[0] :])
        except HttpParserCallbackError as error:
            self._stop()
            raise error.__context__ or error from None
        except HttpParserError as error:
            self._refuse(error, data, began_in)
        if self.part == IDLE:
            # Parser and bound methods form a cycle, and a kept-alive connection
            # may be idle for long.
            self.llhttp = None
        elif self.part == began_in and not self.begun:
            self._count_fed(len(data))
        return b""

    def expect_decision(self) -> None:
        """Keep what comes: the head of a WebSocket request was read elsewhere."""
        self.part = UPGRADE

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
        self.part = IDLE
        self._finished = not self.should_keep_alive
        # Within on_request and on_end, _ask() goes on.
        if self._upgrading is None:
            rest, self._rest = self._rest, b""
            self.feed(rest)

    # What follows is called by httptools.

    def on_excess(self, status: int) -> None:
        """Refuse what is too long."""
        what = "Request line too long" if status == 414 else _FIELDS_TOO_LARGE
        raise RequestError(status, what)

    def on_trailer(self, key: bytes) -> None:
        """Let nothing come late that frames or routes a message."""
        if key in FORBIDDEN_TRAILERS:
            raise RequestError(400, "Forbidden trailer field")

    def on_headers_complete(self) -> None:
        """Check the head and announce the request."""
        began_in, self.part = self.part, BODY
        if began_in == SKIP:
            return
        parser = self.llhttp
        assert parser is not None
        self.should_keep_alive = parser.should_keep_alive()
        version = parser.get_http_version()
        request = build_request(self, version, self._limits.max_body)
        if parser.should_upgrade() and request.is_websocket:
            self._upgrading = request
        else:
            self._announce(request)

    def on_body(self, data: bytes) -> None:
        """Pass content on."""
        self.body_size += len(data)
        # Content is no overhead; _count_fed() adds all bytes of the read.
        self.overhead -= len(data)
        limit = self._limits.max_body
        if limit is not None and self.body_size > limit:
            raise RequestError(413, "Request body too large")
        self._deliver(data)

    def on_chunk_header(self) -> None:
        """Grant each chunk a size line and a line end."""
        self.overhead -= _CHUNK_OVERHEAD

    def on_message_complete(self) -> None:
        """Announce the end; an upgrade is not at its end yet."""
        parser = self.llhttp
        assert parser is not None
        if not parser.should_upgrade():
            self._end()

    # Ends, errors, sizes and upgrades.

    def _end(self) -> None:
        self.part = IDLE
        self._has_ended = True
        # What follows the last request is not read (RFC 9112, 9.6).
        self._finished = not self.should_keep_alive
        self._finish()

    def _stop(self) -> None:
        self._finished = True
        self.llhttp = None

    def _refuse(
        self, error: HttpParserError, data: bytes | memoryview, began_in: int
    ) -> None:
        self.llhttp = None
        if self._finished:
            return
        # Where a second request begins in a read is not told.
        if isinstance(error, HttpParserInvalidMethodError) and not self._has_ended:
            self.part = HEAD
            # Whatever came in earlier reads are letters of a method.
            line = bytes(data)
            self._judge(b"X" + line if began_in == HEAD else line.lstrip(b"\r\n"))
            return
        self._finished = True
        if str(error) in ("Invalid HTTP version", "Pause on PRI/Upgrade"):
            raise RequestError(505, "HTTP version is not supported") from None
        raise RequestError(400, f"Malformed request: {error}") from None

    def _judge(self, line: bytes) -> None:
        """Refuse a line with an unknown method, when all of it is there."""
        if b"\n" not in line and _BEGUN_LINE.fullmatch(line):
            self._line = line
            if len(line) <= self._limits.request_line:
                return
            self._finished = True
            self.on_excess(414)
        self._finished = True
        if _UNKNOWN_METHOD.match(line):
            raise RequestError(501, "Method not implemented")
        raise RequestError(400, _INVALID_METHOD)

    def _count_fed(self, size: int) -> None:
        # llhttp keeps unfinished fields, and passes over chunk extensions
        # without a word, so what never ends is stopped by what was fed.
        if self.part == HEAD:
            self.head_fed += size
        else:
            self.overhead += size
        if max(self.head_fed, self.overhead) > self._limits.head:
            self._stop()
            raise RequestError(431, _FIELDS_TOO_LARGE)

    def _leave_upgrade(self, rest: memoryview) -> bytes | memoryview:
        """Go on after the head, where llhttp stops for any ``Upgrade``."""
        self.llhttp = None
        if self._upgrading is not None:
            return self._ask(self._upgrading, rest)
        # A server may ignore Upgrade (RFC 9110, 7.8). A fresh parser gets a head
        # with the same framing and without the field, then the content.
        self.part = SKIP
        head = framing_head(self.index, keep_alive=self.should_keep_alive)
        self._read(head)
        return rest

    def _ask(self, request: Request, rest: memoryview) -> bytes | memoryview:
        """Announce a WebSocket request; return what is HTTP after all."""
        self.part = UPGRADE
        self._rest = bytes(rest)
        self._announce(request)
        # Not after take_rest(): the connection speaks another protocol now.
        if not self._finished or self.at_boundary:
            self._finish()
        self._upgrading = None
        if not self.at_boundary:
            return b""
        self._rest = b""
        return rest


def response_head(
    status: int, headers: Headers, *, phrase: str | None = None, more: bytes = b""
) -> bytes:
    """
    Return status line and fields, ``more`` lines of them, and the empty line.

    The version is that of the server, whatever the client spoke (RFC 9110, 6.2).
    """
    start = status_line(status) if phrase is None else _status_line(status, phrase)
    return b"%b%b%b\r\n" % (start, headers.lines, more)


def status_line(status: int) -> bytes:
    """Return the first line of an answer, with the standard phrase or an empty one."""
    return STATUS_LINES.get(status) or _status_line(status, reason_phrase(status))


def _status_line(status: int, phrase: str) -> bytes:
    return b"HTTP/1.1 %d %s\r\n" % (status, phrase.encode("ascii"))


#: First lines of answers with the standard phrases.
STATUS_LINES: Final = {
    status.value: _status_line(status, status.phrase) for status in HTTPStatus
}


def chunk(data: bytes) -> bytes:
    """Return ``data`` as one chunk; nothing for no data, which would be the end."""
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""
