"""
The WebSocket client: ``connect``.

Standard: RFC 6455, section 4.1. The socket is the same class as on a server; here
is the way to it: proxy, TLS, handshake, redirects, and again after a break.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator, Iterable, Sequence
from contextlib import suppress
from ssl import SSLContext
from types import TracebackType
from typing import Any, Final, Literal

from beamfast._inbox import MESSAGES
from beamfast.client.dial import Route, dial
from beamfast.client.redirect import follow
from beamfast.client.retry import BackOff, is_passing
from beamfast.connection.dialogue import Dialogue
from beamfast.connection.websocket import WebSocket
from beamfast.errors import ConnectError, ConnectionClosed
from beamfast.protocol.client import BODY_LIMIT, ClientDriver
from beamfast.protocol.deflate import PerMessageDeflate
from beamfast.protocol.events import Failed
from beamfast.protocol.extensions import ClientExtension
from beamfast.protocol.handshake import further_fields
from beamfast.protocol.url import parse_websocket_url

__all__ = ["connect"]

#: Seconds after which a connection counts as good, and the next wait is short.
_GOOD: Final = 10.0


class connect:  # noqa: N801 - it is called like a function
    """
    Connect to a WebSocket server.

    ``async with connect(url) as websocket`` closes at the end of the block,
    ``await connect(url)`` leaves that to the caller, and ``async for websocket in
    connect(url)`` connects again, with longer and longer waits, whenever the block
    is left: continue it with ``except ConnectionClosed: continue``.

    Args:
        url: ``ws``, ``wss``, ``http`` or ``https``; user information is sent.
        subprotocols: to offer, best first.
        require_subprotocol: fail when the server chooses none.
        compression: ``"dedicated"`` offers permessage-deflate (RFC 7692), None
            does not.
        extensions: further ones to offer.
        origin: of the page on whose behalf we connect; None for no page.
        headers: further fields.
        max_size: bytes of a message, decoded; above it the socket closes with 1009.
        max_fragments: frames of a message; above it the socket closes with 1008.
        queue: messages that may wait to be received before reading stops.
        ping_interval: seconds between pings, 0 for none.
        ping_timeout: seconds to wait for a pong before closing with 1011.
        open_timeout: seconds for all of TCP, proxy, TLS, handshake and redirects.
        close_timeout: seconds for the closing handshake; then TCP is cut.
        max_redirects: to follow; never from TLS to plain text.
        ssl: context for ``wss``; by default chain and host name are checked.
        proxy: URL of an HTTP proxy with its user information, ``"env"`` for what
            the environment names, None for none.
        proxy_headers: further fields for the proxy.
        proxy_ssl: context for an ``https`` proxy.

    Raises:
        ConnectError: server or proxy refused; ``response`` is what they answered.
        OSError: there is no way, or the certificate is wrong.
        TimeoutError: it took longer than ``open_timeout``.
        ValueError: an argument is invalid.
    """

    def __init__(
        self,
        url: str,
        *,
        subprotocols: Sequence[str] = (),
        require_subprotocol: bool = False,
        compression: Literal["dedicated"] | None = "dedicated",
        extensions: Sequence[ClientExtension] = (),
        origin: str | None = None,
        headers: Iterable[tuple[str, str]] = (),
        max_size: int = 2**20,
        max_fragments: int = 4096,
        queue: int = MESSAGES,
        ping_interval: float = 25.0,
        ping_timeout: float = 20.0,
        open_timeout: float | None = 10.0,
        close_timeout: float = 10.0,
        max_redirects: int = 10,
        ssl: SSLContext | None = None,
        proxy: str | None = None,
        proxy_headers: Iterable[tuple[str, str]] = (),
        proxy_ssl: SSLContext | None = None,
    ) -> None:
        if compression is not None:
            extensions = [PerMessageDeflate(), *extensions]
        if queue < 1:
            raise ValueError("the queue holds at least one message")
        parse_websocket_url(url)
        self._url = url
        self._headers = further_fields(headers)
        self._options: dict[str, Any] = {
            "subprotocols": subprotocols,
            "require_subprotocol": require_subprotocol,
            "extensions": extensions,
            "origin": origin,
            "max_size": max_size,
            "max_fragments": max_fragments,
        }
        # What is wrong with them is said now, not by an await.
        ClientDriver(url, headers=self._headers, **self._options)
        self._queue = queue
        self._pings = ping_interval, ping_timeout
        self._open_timeout = open_timeout
        self._close_timeout = close_timeout
        self._max_redirects = max_redirects
        self._route = Route(ssl, proxy, proxy_headers, proxy_ssl)
        self._websocket: WebSocket | None = None

    def __await__(self) -> Generator[Any, None, WebSocket]:
        return self._open().__await__()

    async def __aenter__(self) -> WebSocket:
        self._websocket = await self._open()
        return self._websocket

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        websocket, self._websocket = self._websocket, None
        assert websocket is not None
        if error is None or isinstance(error, Exception):
            await websocket.close()
        else:
            # Cancelled: say goodbye, and do not wait for an answer.
            websocket.close_nowait()
            websocket.abort()

    async def __aiter__(self) -> AsyncGenerator[WebSocket, None]:
        loop = asyncio.get_running_loop()
        back_off = BackOff()
        while True:
            try:
                websocket = await self._open()
            except Exception as error:
                if not is_passing(error):
                    raise
            else:
                began = loop.time()
                try:
                    yield websocket
                except GeneratorExit:
                    websocket.close_nowait()
                    raise
                with suppress(ConnectionClosed):
                    await websocket.close()
                if loop.time() - began >= _GOOD:
                    back_off.reset()
            await asyncio.sleep(back_off.next())

    async def _open(self) -> WebSocket:
        url, headers = self._url, self._headers
        async with asyncio.timeout(self._open_timeout):
            for _ in range(self._max_redirects + 1):
                driver = ClientDriver(url, headers=headers, **self._options)
                websocket = await self._attempt(url, driver)
                if websocket is not None:
                    return websocket
                response = driver.response
                target = None if response is None else follow(url, headers, response)
                if target is None:
                    raise ConnectError(_reason(driver), response)
                url, headers = target
        raise ConnectError(f"redirected more than {self._max_redirects} times")

    async def _attempt(self, url: str, driver: ClientDriver) -> WebSocket | None:
        """Return None when the server did not want to."""
        parsed = parse_websocket_url(url)
        dialogue = await dial(parsed, self._route)
        try:
            driver.holds_failures = True
            driver.start()
            await dialogue.run(driver)
            opened = driver.hand_over()
            if opened is None:
                await _read_refusal(dialogue, driver)
                dialogue.abort()
                return None
            websocket = dialogue.become(opened, parsed.resource, *self._pings)
        except BaseException:
            dialogue.abort()
            raise
        conversation = websocket.begin(limit=self._queue)
        conversation.url, conversation.response = url, driver.response
        conversation.close_timeout = self._close_timeout
        return websocket


async def _read_refusal(dialogue: Dialogue, driver: ClientDriver) -> None:
    """Wait for what the server says beside its status, if it says how much."""
    response = driver.response
    length = "" if response is None else response.headers.get("content-length", "")
    wanted = min(int(length), BODY_LIMIT) if length and length.isdecimal() else 0
    while response is not None and len(response.body) < wanted and not dialogue.is_over:
        await dialogue.progress()


def _reason(driver: ClientDriver) -> str:
    for event in driver.events_received():
        if isinstance(event, Failed):
            return event.message
    return "the connection ended during the handshake"
