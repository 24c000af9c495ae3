"""
The start of an answer: its head, and what takes the connection over after it.

A response carries what a plugin decided; here come the fields that only the
connection knows: length, date, whether it stays open.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Callable
from typing import Any, Final

from beamfast.connection.dialogue import Dialogue
from beamfast.connection.eventsource import EventSource
from beamfast.connection.exchange import Exchange
from beamfast.connection.legacy import open_legacy
from beamfast.connection.service import Service
from beamfast.connection.websocket import WebSocket
from beamfast.errors import HandshakeError
from beamfast.http import Headers, Request, Response, Upgrade
from beamfast.protocol.deflate import Deflate
from beamfast.protocol.epochs import DEDICATED, SHARED
from beamfast.protocol.extensions import (
    OFFERS,
    Extension,
    negotiate,
    parse_extensions,
)
from beamfast.protocol.handshake import (
    bare_upgrade,
    check_upgrade,
    is_legacy,
    upgrade_fields,
)
from beamfast.protocol.http11 import (
    LAST_CHUNK,
    chunk,
    response_head,
)

_WITHOUT_LENGTH: Final = frozenset({101, 204, 304})
_BARE: Final = frozenset({204, 304})
_NO_EXTENSIONS: Final[tuple[Extension, ...]] = ()


def head(
    service: Service, exchange: Exchange, response: Response, length: int | None = None
) -> bytes:
    """
    Return status line and header fields.

    Args:
        service: names the server, knows the date.
        exchange: that is answered; says whether the connection stays open.
        response: what a plugin decided.
        length: of the body in bytes, None when it is not known or there is none.
    """
    if response.status != 101:
        if not exchange.keep_alive:
            response.headers.set("Connection", "close")
        elif exchange.http_version == "1.0":
            response.headers.set("Connection", "keep-alive")
    return _lines(service, response, length)


def _lines(service: Service, response: Response, length: int | None) -> bytes:
    headers, status = response.headers, response.status
    index = headers.index
    if b"date" in index or b"server" in index:
        more = _missing_lines(service, headers)
    else:
        more = service.own_lines()
    # 101, 204 and 304 have no body to measure (RFC 9110, 8.6).
    if (
        length is not None
        and status not in _WITHOUT_LENGTH
        and b"content-length" not in index
    ):
        more += b"Content-Length: %d\r\n" % length
    return response_head(status, headers, more=more)


def _missing_lines(service: Service, headers: Headers) -> bytes:
    """Return what a head lacks that has its own ``Date`` or ``Server``."""
    more = b"" if b"date" in headers.index else service.answers.date_line()
    if b"server" not in headers.index:
        return more + service.answers.server_line
    if not headers["server"]:
        # A host whose header is configured empty does not say what it is.
        headers.remove("Server")
    return more


def is_bare(exchange: Exchange, response: Response) -> bool:
    """Tell whether the answer ends with its head (RFC 9110, 6.4.1)."""
    return exchange.method == "HEAD" or response.status in _BARE


async def pieces(
    service: Service, exchange: Exchange, response: Response, body: AsyncIterable[bytes]
) -> AsyncGenerator[bytes, None]:
    """
    Yield the head, then ``body`` as it comes, framed as the client can read it.

    Raises:
        ValueError: the body has not the length that the head announced.
    """
    headers = response.headers
    if is_bare(exchange, response):
        yield head(service, exchange, response)
        return
    announced = headers.get("content-length")
    is_chunked = announced is None
    if is_chunked and exchange.http_version == "1.0":
        # HTTP/1.0 knows no chunks; the end of the connection ends the body.
        is_chunked = exchange.keep_alive = False
    elif is_chunked:
        headers.set("Transfer-Encoding", "chunked")
    yield head(service, exchange, response)
    sent = 0
    async for piece in body:
        sent += len(piece)
        if announced is not None and sent > int(announced):
            # More would be read as the start of the next response.
            raise ValueError(f"the body is longer than {announced} bytes")
        yield chunk(piece) if is_chunked else piece
    if announced is not None and sent < int(announced):
        raise ValueError(f"the body ended after {sent} of {announced} bytes")
    if is_chunked:
        yield LAST_CHUNK


def become_websocket(
    transport: Any, service: Service, request: Request, response: Response
) -> WebSocket | Dialogue | Response:
    """
    Answer 101 and put a WebSocket on the transport.

    Returns:
        the WebSocket, or what will be one of an old draft; or, when the request
        asks for what cannot be spoken, the response that says so, and nothing was
        written.
    """
    upgrade = response.upgrade
    assert upgrade is not None
    headers = request.headers
    if upgrade.legacy_drafts and is_legacy(headers):
        return open_legacy(transport, service, request, response, start)
    answer, extensions = "", _NO_EXTENSIONS
    try:
        if upgrade.compression is not None and headers.has(OFFERS):
            answer, extensions = compression_of(service, request, upgrade)
        # A plugin has checked it before it said 101.
        key = request.handshake_key or check_upgrade(request)
    except HandshakeError as error:
        return Response(error.status, str(error), headers=error.headers)
    if answer or upgrade.subprotocol is not None or len(response.headers):
        response.headers.update(
            upgrade_fields(key, subprotocol=upgrade.subprotocol, extensions=answer)
        )
        first = _lines(service, response, None)
    else:
        # As above, without an object for each field.
        first = bare_upgrade(key, service.own_lines())
    websocket = WebSocket.of_request(request, upgrade, service, extensions)
    start(websocket, transport, service, request, upgrade.on_open, first)
    return websocket


def compression_of(
    service: Service, request: Request, upgrade: Upgrade
) -> tuple[str, tuple[Extension, ...]]:
    """
    Negotiate permessage-deflate (RFC 7692, 7.1).

    Returns:
        What the 101 says about it, and the extension at work, if there is one.

    Raises:
        HandshakeError: 400, the client's offer cannot be read.
    """
    is_shared = upgrade.compression == "shared"
    offers = parse_extensions(request.headers)
    answers, active = negotiate(offers, [SHARED if is_shared else DEDICATED])
    if is_shared and active:
        deflate = active[0]
        assert isinstance(deflate, Deflate)
        active = (service.codings.deflate(deflate.agreement),)
    return ", ".join(map(str, answers)), active


def become_event_source(
    transport: Any, service: Service, exchange: Exchange, response: Response
) -> EventSource:
    """Answer with the head of an event stream and put it on the transport."""
    stream = response.stream
    assert stream is not None
    describe_stream(response.headers)
    request = exchange.request
    source = EventSource(request, stream, service)
    if response.encoding == "gzip":
        response.headers.set("Content-Encoding", "gzip")
        response.headers.add_token("Vary", "Accept-Encoding")
        source.coding = service.codings.gzip
    exchange.answer()
    exchange.keep_alive = False
    transport.write(head(service, exchange, response))
    start(source, transport, service, request, stream.on_open)
    return source


def start(
    connection: WebSocket | EventSource,
    transport: Any,
    service: Service,
    request: Request,
    on_open: Callable[[Any], object],
    first: bytes = b"",
) -> None:
    """
    Put a WebSocket or an event stream on its transport and open it.

    Args:
        connection: not attached yet.
        transport: of the request.
        service: of the process.
        request: that asked for it.
        on_open: called with the connection.
        first: bytes that leave before all others.
    """
    transport.set_protocol(connection)
    connection.attach(transport, service.registry.state)
    if first and connection.is_paused:
        # Behind what the transport holds: not in a queue that may be dropped.
        transport.write(first)
    elif first:
        connection.write(first)
    connection.opened = service.second()
    if isinstance(connection, WebSocket):
        connection.open(on_open, request)
    else:
        connection.open(on_open)
    if request.expires is not None:
        service.expiry.add(connection, request.expires)


def describe_stream(headers: Headers) -> None:
    """Say that an event stream follows, which nobody may keep back."""
    headers.set("Content-Type", "text/event-stream; charset=utf-8")
    headers.set("Cache-Control", "no-cache, no-store")
    headers.set("X-Accel-Buffering", "no")
