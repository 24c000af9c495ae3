"""
One kept-alive HTTP connection of a load generator: ask, wait, ask again.

A request is written past the event loop, which would send it at the end of its
turn: what the loop does in between would be a part of the server's time.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from ssl import SSLContext
from time import perf_counter
from typing import Any

from httptools import HttpParserError, HttpResponseParser

from beamfast.headers import Headers
from beamfast.protocol.url import Url


@dataclass(frozen=True, slots=True)
class Answer:
    """
    One response, and how long it took.

    Attributes:
        status: of the response.
        headers: its fields.
        body: its content.
        sent_at: when the request was written, by :func:`time.perf_counter`, since
            the clock of uvloop counts milliseconds only.
        seconds: until the whole response had been read.
    """

    status: int
    headers: Headers
    body: bytes
    sent_at: float
    seconds: float


class KeptConnection(asyncio.Protocol):
    """
    A connection that has one request on its way at most.

    Args:
        url: whose host the requests name.
    """

    def __init__(self, url: Url) -> None:
        self._url = url
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._parser: HttpResponseParser | None = None
        self._raw: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] = []
        self._waiter: asyncio.Future[float] | None = None
        self._arrived_at = 0.0
        #: Where plain bytes can be written; None where TLS encrypts them.
        self._descriptor: int | None = None

    @classmethod
    async def open(cls, url: Url, ssl: SSLContext | None = None) -> KeptConnection:
        """
        Connect.

        Raises:
            OSError: nobody listens there, or the certificate is wrong.
        """
        loop = asyncio.get_running_loop()
        context = ssl if url.is_secure else None
        _, connection = await loop.create_connection(
            lambda: cls(url), url.host, url.port, ssl=context
        )
        return connection

    async def request(
        self,
        method: str,
        resource: str,
        fields: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
    ) -> Answer:
        """
        Send one request and return its answer.

        Args:
            method: in upper case.
            resource: path and query.
            fields: beside ``Host`` and ``Content-Length``.
            body: of the request.

        Raises:
            ConnectionError: the connection broke, or what came is no HTTP.
        """
        if body:
            fields = [*fields, ("Content-Length", str(len(body)))]
        data = self._head(method, resource, fields) + body
        self._parser = parser = HttpResponseParser(self)
        self._raw, self._body = [], []
        self._waiter = self._loop.create_future()
        sent_at = perf_counter()
        self.write(data)
        arrived_at = await self._waiter
        return Answer(
            parser.get_status_code(),
            Headers.from_raw(self._raw),
            b"".join(self._body),
            *(sent_at, arrived_at - sent_at),
        )

    async def repeat(
        self, resource: str, turns: Iterator[int], sample: Callable[[float], object]
    ) -> int:
        """
        Ask for the same with GET as often as ``turns`` goes on.

        The next request leaves when the answer has been read, without a turn of the
        loop in between: the load is what the server makes of it. An answer that is
        the same as the one before, byte for byte, is not parsed again.

        Args:
            resource: path and query.
            turns: one for each request; others may take from it meanwhile.
            sample: gets the seconds that each answer took.

        Returns:
            the status of the last answer; the first that is not 200 ends it.

        Raises:
            ConnectionError: the connection broke, or what came is no HTTP.
        """
        data = self._head("GET", resource, ())
        again = _Again(self, data, turns, sample)
        self._waiter = self._loop.create_future()
        if self._transport is not None:
            self._transport.set_protocol(again)
        try:
            again.ask()
            await self._waiter
        finally:
            if self._transport is not None:
                self._transport.set_protocol(self)
        return again.status

    def close(self) -> None:
        """Close the connection."""
        if self._transport is not None:
            self._transport.abort()

    # Called by asyncio and by httptools.

    def connection_made(self, transport: Any) -> None:
        """Keep the transport."""
        self._transport = transport
        if transport.get_extra_info("sslcontext") is None:
            self._descriptor = transport.get_extra_info("socket").fileno()

    def data_received(self, data: bytes) -> None:
        """Parse what belongs to the answer that is waited for."""
        # Before it is parsed: that is the load's own time.
        self._arrived_at = perf_counter()
        try:
            if self._parser is not None:
                self._parser.feed_data(data)
        except HttpParserError as error:
            self.give_up(error)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell who waits."""
        self._transport = self._descriptor = None
        self._fail(ConnectionResetError("the server has closed the connection"))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Collect one field."""
        self._raw.append((name, value))

    def on_body(self, body: bytes) -> None:
        """Collect a piece of the content."""
        self._body.append(body)

    def on_message_complete(self) -> None:
        """Hand over the answer."""
        self._parser = None
        self.finish(self._arrived_at)

    # What a repeated request needs as well.

    def write(self, data: bytes) -> None:
        """Write a request; nothing else is on its way to the server."""
        if self._transport is None or self._transport.is_closing():
            # Its descriptor may be another connection's by now.
            self._fail(ConnectionResetError("the server has closed the connection"))
            return
        # What the socket does not take is left to the transport, and errors too.
        try:
            sent = 0 if self._descriptor is None else os.write(self._descriptor, data)
        except OSError:
            sent = 0
        if sent < len(data):
            self._transport.write(data[sent:])

    def finish(self, arrived_at: float) -> None:
        """Tell who waits that all has come, and when."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(arrived_at)

    def give_up(self, error: HttpParserError) -> None:
        """Close because what came is no HTTP."""
        self._fail(ConnectionError(f"invalid HTTP response: {error}"))
        self.close()

    def _head(
        self, method: str, resource: str, fields: Iterable[tuple[str, str]]
    ) -> bytes:
        lines = [f"{method} {resource} HTTP/1.1", f"Host: {self._url.host_field}"]
        if self._url.authorization is not None:
            lines.append(f"Authorization: {self._url.authorization}")
        lines += [f"{name}: {value}" for name, value in fields]
        return "\r\n".join([*lines, "\r\n"]).encode()

    def _fail(self, error: ConnectionError) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(error)


class _Again(asyncio.Protocol):
    """
    One request, repeated: the protocol of a connection meanwhile.

    Args:
        connection: open, with no request on its way.
        data: the request.
        turns: as :meth:`KeptConnection.repeat`, and ``sample`` too.
    """

    def __init__(
        self,
        connection: KeptConnection,
        data: bytes,
        turns: Iterator[int],
        sample: Callable[[float], object],
    ) -> None:
        self._connection = connection
        self._data = data
        self._turns = turns
        self._sample = sample
        self._parser = HttpResponseParser(self)
        self._sent_at = self._arrived_at = 0.0
        #: An answer that came in one read.
        self._last: bytes | None = None
        self._reads = 0
        self.status = 200

    def ask(self) -> None:
        """Send the request, unless it has been sent often enough."""
        if next(self._turns, None) is None:
            self._connection.finish(self._arrived_at)
            return
        self._sent_at = perf_counter()
        self._connection.write(self._data)

    # Called by asyncio and by httptools.

    def data_received(self, data: bytes) -> None:
        """Take an answer, or a part of it."""
        self._arrived_at = perf_counter()
        if data == self._last:
            self._go_on()
            return
        is_first = self._reads == 0
        self._last = None
        self._reads += 1
        try:
            self._parser.feed_data(data)
        except HttpParserError as error:
            self._connection.give_up(error)
        if is_first and self._reads == 0:
            self._last = data

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell who waits."""
        self._connection.connection_lost(exc)

    def on_message_complete(self) -> None:
        """Go on, or end."""
        self._reads = 0
        self.status = self._parser.get_status_code()
        if self.status == 200:
            self._go_on()
        else:
            self._connection.finish(self._arrived_at)

    def _go_on(self) -> None:
        sent_at = self._sent_at
        self.ask()
        self._sample(self._arrived_at - sent_at)
