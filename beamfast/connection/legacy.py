"""
Connections of the drafts before RFC 6455, where a server speaks them at all.

hixie-75, hixie-76 and versions 7 and 8 by :mod:`beamfast.protocol.server`. A proxy
may keep the last bytes of a hixie-76 request back until it has seen the head of the
answer, so the connection opens later than others; nothing else here is different.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

from beamfast.connection.dialogue import Dialogue
from beamfast.connection.service import Service
from beamfast.connection.terms import Terms
from beamfast.connection.websocket import WebSocket
from beamfast.http import Request, Response
from beamfast.protocol.driver import State
from beamfast.protocol.rfc6455 import Rfc6455Driver
from beamfast.protocol.server import ServerDriver

#: Seconds for the bytes that a proxy may keep back.
HANDSHAKE_TIMEOUT: Final = 10.0


class HixieWebSocket(WebSocket):
    """A socket of a draft with other frames: it subscribes to bytes of its own."""

    __slots__ = ()

    @staticmethod
    def frame_item(text: str, version: str, event: str | None) -> bytes:
        """Return a StreamItem between the bytes that begin and end a text."""
        return b"\x00%b\xff" % text.encode()

    @staticmethod
    def frame_message(message: str | bytes) -> bytes:
        """Return a text; of bytes what they are as text, as there is nothing else."""
        if isinstance(message, bytes):
            message = message.decode("utf-8", "replace")
        return b"\x00%b\xff" % message.encode()


def open_legacy(
    transport: Any,
    service: Service,
    request: Request,
    response: Response,
    start: Callable[..., None],
) -> Dialogue:
    """
    Answer a request of an old draft; the socket opens when it is complete.

    Args:
        transport: of the request.
        service: of the connection.
        request: whose origin was checked.
        response: a 101 with what follows.
        start: puts the socket on the transport.

    Returns:
        what reads from the transport until then.
    """
    upgrade = response.upgrade
    assert upgrade is not None
    driver = ServerDriver.from_request(
        request,
        legacy_drafts=True,
        allowed_origins=("*",),
        subprotocols=[upgrade.subprotocol] if upgrade.subprotocol else [],
        headers=response.headers,
        max_size=upgrade.max_size,
        max_fragments=upgrade.max_fragments,
    )
    dialogue = Dialogue()
    dialogue.connection_made(transport)
    transport.set_protocol(dialogue)
    driver.accept()
    service.start_handler(_open(dialogue, driver, service, request, response, start))
    return dialogue


async def _open(
    dialogue: Dialogue,
    driver: ServerDriver,
    service: Service,
    request: Request,
    response: Response,
    start: Callable[..., None],
) -> None:
    upgrade, transport = response.upgrade, dialogue.transport
    assert upgrade is not None
    try:
        async with asyncio.timeout(HANDSHAKE_TIMEOUT):
            await dialogue.run(driver)
    except TimeoutError:
        dialogue.abort()
        return
    except asyncio.CancelledError:
        dialogue.abort()
        raise
    opened = driver.hand_over()
    if opened is None or opened.state is State.CLOSED or dialogue.is_over:
        transport.close()
        return
    is_hixie = not isinstance(opened, Rfc6455Driver)
    websocket = (HixieWebSocket if is_hixie else WebSocket)(
        opened,
        request.path,
        service,
        # The first drafts have no pings.
        Terms(0 if is_hixie else upgrade.ping_interval, upgrade.ping_timeout),
    )
    websocket.user = request.user
    start(websocket, transport, service, request, upgrade.on_open)
    websocket.read_early()
