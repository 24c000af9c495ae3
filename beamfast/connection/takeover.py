"""
WebSockets inside somebody else's server: an asyncio transport changes its owner.

The successor of socket hijacking. The request may have been read in part or whole,
with whatever came behind it; the rest is read here.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from beamfast._inbox import MESSAGES
from beamfast.connection.dialogue import Dialogue
from beamfast.connection.websocket import WebSocket
from beamfast.errors import HandshakeError
from beamfast.protocol.events import Failed
from beamfast.protocol.server import ServerDriver

if TYPE_CHECKING:
    from typing_extensions import Buffer


class AcceptingDriver(ServerDriver):
    """A server's driver that answers the request as soon as it is complete."""

    __slots__ = ("_is_answered", "_is_secure")

    def __init__(self, *, is_secure: bool, **options: Any) -> None:
        super().__init__(**options)
        self._is_secure = is_secure
        self._is_answered = False

    def receive_data(self, data: Buffer) -> None:
        """Read the next bytes, and accept."""
        super().receive_data(data)
        request = self.request
        if request is not None and not self._is_answered:
            self._is_answered = True
            request.is_secure = self._is_secure
            self.accept()


async def take_over(
    transport: asyncio.Transport,
    head_bytes: bytes = b"",
    *,
    open_timeout: float | None = 10.0,
    ping_interval: float = 25.0,
    ping_timeout: float = 20.0,
    queue: int = MESSAGES,
    **options: Any,
) -> WebSocket:
    """
    Answer the WebSocket request that is arriving on ``transport``.

    Args:
        transport: of a TCP connection, plain or TLS; its protocol is replaced.
        head_bytes: everything that was read from it: the request, as far as it has
            come, and what stood behind it.
        open_timeout: seconds for the rest of the request.
        ping_interval: seconds between pings, 0 for none.
        ping_timeout: seconds to wait for a pong before closing with 1011.
        queue: messages that may wait to be received before reading stops.
        options: of :class:`~beamfast.protocol.ServerDriver`, such as
            ``subprotocols``, ``allowed_origins`` and ``max_size``.

    Returns:
        the open socket, to receive from.

    Raises:
        HandshakeError: the request is refused; the client was told.
        TimeoutError: the request did not become complete.
    """
    is_secure = transport.get_extra_info("ssl_object") is not None
    driver = AcceptingDriver(is_secure=is_secure, **options)
    driver.holds_failures = True
    dialogue = Dialogue()
    dialogue.connection_made(transport)
    transport.set_protocol(dialogue)
    if not transport.is_closing():
        # A stream that had read enough may have stopped it.
        transport.resume_reading()
    dialogue.keep(head_bytes)
    try:
        async with asyncio.timeout(open_timeout):
            await dialogue.run(driver)
    except BaseException:
        dialogue.abort()
        raise
    opened, request = driver.hand_over(), driver.request
    if opened is None or request is None:
        transport.close()
        reasons = [e.message for e in driver.events_received() if isinstance(e, Failed)]
        status = driver.refused_with or 400
        raise HandshakeError(status, (reasons or ["the client went away"])[0])
    websocket = dialogue.become(opened, request.path, ping_interval, ping_timeout)
    websocket.begin(limit=queue).introduce(request)
    return websocket
