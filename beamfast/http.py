"""
Requests and responses as plain values; no parsing, no I/O.

Vocabulary of HTTP Semantics (RFC 9110). The parser that fills a
:class:`Request` is :mod:`beamfast.protocol.http11`.
"""

from __future__ import annotations

import abc
import uuid
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Callable,
    Iterable,
)
from contextlib import aclosing
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, BinaryIO, Final, Literal, Protocol

from beamfast._slots import Slots
from beamfast.errors import TooLarge
from beamfast.headers import Headers, RawFields

__all__ = [
    "READ_METHODS",
    "WRITE_METHODS",
    "BodySource",
    "EventStream",
    "FileBody",
    "Headers",
    "RawFields",
    "Request",
    "Response",
    "Upgrade",
    "reason_phrase",
]

READ_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
WRITE_METHODS: Final = frozenset({"PUT", "POST", "DELETE", "PATCH"})
#: What a request has that may want an event stream; few have it.
NAMES_EVENT_STREAM: Final = ((b"accept", b"event-stream"),)
_NO_FIELDS: Final = Headers()


class BodySource(Protocol):
    """Where the bytes of a request body come from."""

    def chunks(self) -> AsyncGenerator[bytes, None]:
        """Yield the body; the first step sends ``100 Continue`` if it is awaited."""
        ...


class Request:
    """
    One request: the head as plain values, the body on demand.

    Attributes:
        method: in upper case, as sent.
        target: request target as sent.
        url: path as its sender spelled it, percent-decoded, without the query.
        path: ``url`` with dot segments and repeated slashes removed; plugins
            decide by this one.
        query: what follows the ``?``, still encoded.
        headers: the fields.
        http_version: ``"1.1"`` or ``"1.0"``.
        is_secure: the request came over TLS.
        remote_addr: address of the peer, or ``-``.
        user: name of the authenticated user, or None.
        roles: of that user.
        expires: value of ``time.time()`` at which what names the user ends, or
            None; streams of the request end then.
        handshake_key: of a WebSocket request whose head has been checked, or empty.
        probe: the request only asks whether a GET would be allowed.
        started: value of the loop's clock at the end of the head, in seconds.
    """

    __slots__ = (
        "_body",
        "_id",
        "_is_cut",
        "_is_websocket",
        "_source",
        "expires",
        "handshake_key",
        "headers",
        "http_version",
        "is_secure",
        "method",
        "path",
        "probe",
        "query",
        "remote_addr",
        "roles",
        "started",
        "target",
        "url",
        "user",
    )

    def __init__(
        self,
        method: str,
        target: str,
        *,
        url: str,
        path: str,
        query: str = "",
        headers: Headers | None = None,
        http_version: str = "1.1",
        source: BodySource | None = None,
    ) -> None:
        self.method: str = method
        self.target: str = target
        self.url: str = url
        self.path: str = path
        self.query: str = query
        self.headers: Headers = Headers() if headers is None else headers
        self.http_version: str = http_version
        self.is_secure: bool = False
        self.remote_addr: str = "-"
        self.user: str | None = None
        self.roles: frozenset[str] = frozenset()
        self.expires: float | None = None
        self.handshake_key: str = ""
        self.probe: bool = False
        self.started: float = 0.0
        self._source = source
        self._body: bytes | None = None
        self._id = ""
        self._is_cut = False
        self._is_websocket: bool | None = None

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.target}>"

    @property
    def id(self) -> str:
        """Name of this request alone, for logs; made when it is asked for."""
        if not self._id:
            self._id = str(uuid.uuid4())
        return self._id

    @property
    def is_websocket(self) -> bool:
        """
        True when this asks for a WebSocket (RFC 6455, 4.1), any version.

        Decided once, by the head as it was sent.
        """
        if self._is_websocket is None:
            headers = self.headers
            self._is_websocket = (
                headers.has(b"upgrade")
                and self.method == "GET"
                and self.http_version == "1.1"
                and (headers.get("upgrade") or "").lower() == "websocket"
                and "upgrade" in headers.tokens("connection")
                and "transfer-encoding" not in headers
                and (headers.get("content-length") or "0") == "0"
            )
        return self._is_websocket

    @property
    def accepts_event_stream(self) -> bool:
        """True when ``Accept`` names ``text/event-stream``; ``*/*`` is not enough."""
        # Few requests name it at all; only those are worth reading closely.
        return (
            self.headers.has_any(NAMES_EVENT_STREAM)
            and self.headers.weights("accept").get("text/event-stream", 0.0) > 0
        )

    @property
    def is_https(self) -> bool:
        """True over TLS, to us or to a proxy that says so; anybody can claim it."""
        proto = self.headers.tokens("x-forwarded-proto")
        return proto[0] == "https" if proto else self.is_secure

    @property
    def expects_continue(self) -> bool:
        """True when the client waits for 100 before it sends the body."""
        # HTTP/1.0 knows no interim responses (RFC 9110, 10.1.1).
        return (
            self.headers.has(b"expect")
            and self.http_version != "1.0"
            and "100-continue" in self.headers.tokens("expect")
        )

    @property
    def has_content(self) -> bool:
        """True when a body follows the head, be it an empty one (RFC 9112, 6.3)."""
        headers = self.headers
        return headers.has(b"content-length") or headers.has(b"transfer-encoding")

    def cookie(self, name: str) -> str | None:
        """Return the value of a cookie, the first of equal names (RFC 6265, 5.4)."""
        if not self.headers.has(b"cookie"):
            return None
        for field in self.headers.get_all("cookie"):
            for pair in field.split(";"):
                key, equals, value = pair.partition("=")
                if equals and key.strip() == name:
                    return value.strip().strip('"')
        return None

    def attach(self, source: BodySource) -> None:
        """Say where the body comes from; whoever parsed the head does this once."""
        self._source = source

    def replace_body(self, body: bytes) -> None:
        """Let whoever reads the body from now on read this one."""
        self._body = body

    def chunks(self) -> AsyncGenerator[bytes, None]:
        """Iterate over the body; after :meth:`body` it is one chunk."""
        if self._body is None and self._source is not None:
            return self._source.chunks()
        return _single_chunk(self._body)

    async def body(self, limit: int | None = None) -> bytes:
        """
        Return the whole body; a second call returns the same bytes.

        Args:
            limit: at most so many bytes.

        Raises:
            TooLarge: the body is over ``limit``; the rest was not read. Later
                calls raise it as well, because a part is nobody's body.
        """
        if self._is_cut:
            raise _too_large()
        if self._body is None:
            parts: list[bytes] = []
            size = 0
            async with aclosing(self.chunks()) as chunks:
                async for chunk in chunks:
                    size += len(chunk)
                    if limit is not None and size > limit:
                        self._is_cut = True
                        raise _too_large()
                    parts.append(chunk)
            self._body = b"".join(parts)
        elif limit is not None and len(self._body) > limit:
            raise _too_large()
        return self._body


async def _single_chunk(body: bytes | None) -> AsyncGenerator[bytes, None]:
    if body:
        yield body


def _too_large() -> TooLarge:
    return TooLarge("Request body too large", code="body-too-large")


@dataclass(frozen=True, slots=True)
class Upgrade:
    """
    What follows a 101: the connection makes the socket and calls ``on_open``.

    Args:
        on_open: gets the WebSocket: a coroutine function is its handler and
            receives with ``async for`` (pull mode); a function may set
            ``on_message`` (callback mode) or not (discard mode, for subscribers
            only).
        subprotocol: the chosen one, echoed in the response (RFC 6455, 4.2.2).
        max_size: of a message, in bytes; above it the socket closes with 1009.
        max_fragments: frames of a message; above it the socket closes with 1008.
        ping_interval: seconds between server pings, 0 for none.
        ping_timeout: seconds to wait for a pong before closing with 1011.
        legacy_drafts: speak the drafts before RFC 6455 too; whoever sets it has
            checked the origin.
        stall_timeout: seconds for which a peer may read nothing, 0 for ever.
        compression: ``shared``: what topics send is compressed once for all;
            ``dedicated``: what is sent to each, with a window of its own; None.
    """

    on_open: Callable[[Any], object]
    subprotocol: str | None = None
    max_size: int = 2**20
    max_fragments: int = 4096
    ping_interval: float = 25.0
    ping_timeout: float = 20.0
    legacy_drafts: bool = False
    stall_timeout: float = 30.0
    compression: Literal["shared", "dedicated"] | None = "shared"


class FileBody(abc.ABC):
    """
    Bytes of a file as content; who can, lets the kernel send them.

    Iterating over it reads them in pieces.

    Attributes:
        first: offset of the first byte.
        size: how many bytes.
    """

    first: int
    size: int

    @abc.abstractmethod
    def open(self) -> BinaryIO:
        """
        Open the file; may block.

        Raises:
            DocumentError: it is gone, or another one now.
        """

    @abc.abstractmethod
    def __aiter__(self) -> AsyncIterator[bytes]:
        """Read the bytes piece by piece."""


@dataclass(frozen=True, slots=True)
class EventStream:
    """
    What follows the head of a ``text/event-stream`` response.

    Args:
        on_open: gets the EventSource once the head is written: a coroutine
            function sends for as long as it runs, a function subscribes it.
        retry: seconds that a client waits before it reconnects.
        ping_interval: seconds between comments that keep proxies awake.
        stall_timeout: seconds for which a client may read nothing, 0 for ever.
    """

    on_open: Callable[[Any], object]
    retry: float = 5.0
    ping_interval: float = 15.0
    stall_timeout: float = 30.0


class Response:
    """
    One response: status, header fields and exactly one kind of content.

    Args:
        status: 100 to 599.
        body: the bytes, a str (sent as UTF-8), or an asynchronous iterable of
            bytes; the latter is sent chunked unless ``Content-Length`` is set.
        content_type: media type; ``text/plain; charset=utf-8`` for a str.
        headers: further fields.
        stream: for a response that is an event stream.
        upgrade: for a 101.
        encoding: content coding for a stream, set by the response phase.
    """

    __slots__ = ("body", "encoding", "headers", "status", "stream", "upgrade")

    def __init__(
        self,
        status: int,
        body: bytes | str | AsyncIterable[bytes] = b"",
        *,
        content_type: str | None = None,
        headers: Headers | Iterable[tuple[str, str]] = _NO_FIELDS,
        stream: EventStream | None = None,
        upgrade: Upgrade | None = None,
        encoding: str | None = None,
    ) -> None:
        if isinstance(body, str):
            body = body.encode()
            content_type = content_type or "text/plain; charset=utf-8"
        self.status: int = status
        self.body: bytes | AsyncIterable[bytes] = body
        fields = headers if isinstance(headers, Headers) else Headers(headers)
        self.headers: Headers = fields.copy()
        if content_type is not None:
            self.headers.set("Content-Type", content_type)
        self.stream: EventStream | None = stream
        self.upgrade: Upgrade | None = upgrade
        self.encoding: str | None = encoding

    def copy(self) -> Response:
        """Return the same answer, whose fields can be changed by themselves."""
        copied = _RESPONSES.copy(self)
        copied.headers = self.headers.copy()
        return copied

    def __repr__(self) -> str:
        return f"<Response {self.status}>"


_RESPONSES: Final = Slots(Response)


def reason_phrase(status: int) -> str:
    """Return the standard phrase, or an empty one (RFC 9112, 4)."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
