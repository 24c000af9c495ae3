"""
The EventSource client: ``event_source``.

Standard: WHATWG HTML, section 9.2: a stream that ends or breaks is asked for again
after the reconnection time, with the last id; 204 ends it, and so does any other
answer than 200 with ``text/event-stream``.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from ssl import SSLContext
from types import TracebackType
from typing import Final, Self

from beamfast.client.dial import Route
from beamfast.client.fetch import Exchange, fetch
from beamfast.client.retry import BackOff, is_passing
from beamfast.errors import ConnectError
from beamfast.headers import Headers
from beamfast.protocol.eventsource import EventStreamDecoder, MessageEvent
from beamfast.protocol.fetch import FetchDriver
from beamfast.protocol.response import ServerResponse

__all__ = ["event_source"]

#: Seconds before the first new attempt while the server names none.
RETRY: Final = 3.0

_NO_CONTENT: Final = 204
_MEDIA_TYPE: Final = "text/event-stream"


class event_source:  # noqa: N801 - it is called like a function
    """
    Follow an event stream.

    ``async with event_source(url) as source: async for event in source: …``. Each
    event has ``type``, ``data`` and ``last_event_id``. The iteration goes on over
    breaks; it ends when the server says that there is nothing more.

    Args:
        url: ``http`` or ``https``; user information is sent.
        last_event_id: to resume from.
        headers: further fields.
        max_size: bytes of one event.
        open_timeout: seconds for all of TCP, proxy, TLS, head and redirects.
        silence_timeout: seconds without a byte, comments included, after which the
            server counts as gone; None waits for ever.
        max_redirects: to follow; never from TLS to plain text.
        ssl: context for ``https``; by default chain and host name are checked.
        proxy: as for :class:`~beamfast.connect`.
        proxy_headers: as for :class:`~beamfast.connect`.
        proxy_ssl: as for :class:`~beamfast.connect`.

    Attributes:
        url: of the stream, after redirects.
        last_event_id: of the last event.
        response: status and fields of the last answer.

    Raises:
        ConnectError: the server gave no event stream.
        OSError: there is no way, or the certificate is wrong.
        TimeoutError: it took longer than ``open_timeout``.
        PayloadTooBig: an event is over ``max_size``.
        ValueError: an argument is invalid.
    """

    def __init__(
        self,
        url: str,
        *,
        last_event_id: str = "",
        headers: Iterable[tuple[str, str]] = (),
        max_size: int = 2**20,
        open_timeout: float | None = 10.0,
        silence_timeout: float | None = None,
        max_redirects: int = 10,
        ssl: SSLContext | None = None,
        proxy: str | None = None,
        proxy_headers: Iterable[tuple[str, str]] = (),
        proxy_ssl: SSLContext | None = None,
    ) -> None:
        self.url: str = url
        self.last_event_id: str = last_event_id
        self.response: ServerResponse | None = None
        self._first_url = url
        self._headers = Headers(headers)
        self._headers.set("Accept", _MEDIA_TYPE)
        self._headers.set("Cache-Control", "no-store")
        FetchDriver("GET", url, headers=self._headers)
        self._max_size = max_size
        self._open_timeout = open_timeout
        self._silence_timeout = silence_timeout
        self._max_redirects = max_redirects
        self._route = Route(ssl, proxy, proxy_headers, proxy_ssl)
        self._retry: float = RETRY
        self._exchange: Exchange | None = None
        self._is_closed = False

    async def __aenter__(self) -> Self:
        await self._open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the stream; the iteration ends."""
        self._is_closed = True
        if self._exchange is not None:
            self._exchange.close()

    async def __aiter__(self) -> AsyncGenerator[MessageEvent, None]:
        back_off = BackOff()
        while not self._is_closed:
            try:
                if self._exchange is None:
                    await self._open()
                if self._exchange is None:
                    return  # 204: there is nothing more
                async with aclosing(self._events(self._exchange)) as events:
                    async for event in events:
                        back_off.reset()
                        yield event
            except (OSError, ConnectError) as error:
                refused = isinstance(error, ConnectError) and error.status is not None
                if refused or not is_passing(error):
                    raise
            finally:
                if self._exchange is not None:
                    self._exchange.close()
                    self._exchange = None
            if not self._is_closed:
                # Longer each time that nothing came, and not all at once.
                await asyncio.sleep(self._retry + back_off.next() - 0.5)

    async def _open(self) -> None:
        headers = self._headers
        if self.last_event_id:
            headers = headers.copy()
            headers.set("Last-Event-ID", self.last_event_id)
        async with asyncio.timeout(self._open_timeout):
            exchange = await fetch(
                "GET",
                self._first_url,
                self._route,
                headers=headers,
                max_redirects=self._max_redirects,
            )
        response = self.response = exchange.response
        media_type = (response.headers.get("content-type") or "").partition(";")[0]
        if response.status == _NO_CONTENT:
            exchange.close()
            self._is_closed = True
        elif response.status != 200 or media_type.strip().lower() != _MEDIA_TYPE:
            exchange.close()
            what = f"{response.status} {media_type}".rstrip()
            raise ConnectError(f"no event stream but {what}", response)
        else:
            self.url, self._exchange = exchange.url, exchange

    async def _events(self, exchange: Exchange) -> AsyncGenerator[MessageEvent, None]:
        decoder = EventStreamDecoder(
            last_event_id=self.last_event_id, max_size=self._max_size
        )
        async with aclosing(exchange.chunks()) as chunks:
            while True:
                async with asyncio.timeout(self._silence_timeout):
                    chunk = await anext(chunks, None)
                if chunk is None:
                    return
                decoder.receive_data(chunk)
                if decoder.retry is not None:
                    self._retry = decoder.retry
                for event in decoder.events_received():
                    self.last_event_id = event.last_event_id
                    yield event
                # An id may come without an event.
                self.last_event_id = decoder.last_event_id
