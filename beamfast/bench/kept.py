"""One kept-alive HTTP connection of a load generator: ask, wait, ask again."""

from __future__ import annotations

import asyncio
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
        if self._transport is None or self._transport.is_closing():
            raise ConnectionResetError("the server has closed the connection")
        lines = [f"{method} {resource} HTTP/1.1", f"Host: {self._url.host_field}"]
        lines += [f"{name}: {value}" for name, value in fields]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        data = "\r\n".join([*lines, "\r\n"]).encode() + body
        self._parser = parser = HttpResponseParser(self)
        self._raw, self._body = [], []
        self._waiter = self._loop.create_future()
        sent_at = perf_counter()
        self._transport.write(data)
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
        loop in between: the load is what the server makes of it.

        Args:
            resource: path and query.
            turns: one for each request; others may take from it meanwhile.
            sample: gets the seconds that each answer took.

        Returns:
            the status of the last answer; the first that is not 200 ends it.

        Raises:
            ConnectionError: the connection broke, or what came is no HTTP.
        """
        if self._transport is None or self._transport.is_closing():
            raise ConnectionResetError("the server has closed the connection")
        again = _Again(self, resource, turns, sample)
        self._parser = HttpResponseParser(again)
        self._waiter = self._loop.create_future()
        again.ask()
        await self._waiter
        return again.status

    def close(self) -> None:
        """Close the connection."""
        if self._transport is not None:
            self._transport.abort()

    # Called by asyncio and by httptools.

    def connection_made(self, transport: Any) -> None:
        """Keep the transport."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Parse what belongs to the answer that is waited for."""
        if self._parser is None:
            return
        # Before it is parsed: that is the load's own time.
        self._arrived_at = perf_counter()
        try:
            self._parser.feed_data(data)
        except HttpParserError as error:
            self._fail(ConnectionError(f"invalid HTTP response: {error}"))
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell who waits."""
        self._transport = None
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
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(self._arrived_at)

    def _fail(self, error: ConnectionError) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(error)


class _Again:
    """What httptools calls while one request is repeated: at the end of each answer."""

    def __init__(
        self,
        connection: KeptConnection,
        resource: str,
        turns: Iterator[int],
        sample: Callable[[float], object],
    ) -> None:
        self._connection = connection
        self._turns = turns
        self._sample = sample
        host = connection._url.host_field
        self._data = f"GET {resource} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
        self._sent_at = 0.0
        self.status = 200

    def ask(self) -> None:
        connection = self._connection
        if next(self._turns, None) is None or connection._transport is None:
            connection.on_message_complete()
            return
        self._sent_at = perf_counter()
        connection._transport.write(self._data)

    def on_message_complete(self) -> None:
        assert self._connection._parser is not None
        self.status = self._connection._parser.get_status_code()
        if self.status != 200:
            self._connection.on_message_complete()
            return
        self._sample(self._connection._arrived_at - self._sent_at)
        self.ask()
