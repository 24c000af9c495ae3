"""A worker's side of the listeners: accept connections on bound sockets."""

from __future__ import annotations

import asyncio
import socket

from beamfast.connection.http import HttpConnection
from beamfast.connection.service import Service
from beamfast.server.binding import BACKLOG


async def listen(listener: socket.socket, service: Service) -> asyncio.Server:
    """
    Serve what connects to ``listener``.

    Args:
        listener: bound; the caller closes it after the returned server.
        service: shared by all its connections.
    """
    loop = asyncio.get_running_loop()
    return await loop.create_server(
        lambda: HttpConnection(service), sock=listener, backlog=BACKLOG
    )
