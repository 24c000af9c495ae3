"""
A worker's side of the listeners: accept connections on bound sockets.

Where connections begin with a header of the PROXY protocol they are accepted here,
because the header stands in front of TLS and only it may be read.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from typing import Any, Final, Protocol

from beamfast.connection.admission import Admission
from beamfast.errors import ProxyHeaderError
from beamfast.protocol.proxy_header import ProxyHeader
from beamfast.server.binding import BACKLOG
from beamfast.server.forwarded import TrustedProxies

logger: logging.Logger = logging.getLogger("beamfast.server")

#: Seconds for a PROXY header to arrive.
HEADER_TIMEOUT: Final = 5.0
#: Connections that are accepted in one turn of the loop.
TURN: Final = 64


class Closable(Protocol):
    """A listener that can be told to accept no more."""

    def close(self) -> None:
        """Accept no more; what is open stays open."""
        ...


async def listen(
    listener: socket.socket,
    admission: Admission,
    *,
    tls: ssl.SSLContext | None = None,
    proxies: TrustedProxies | None = None,
    handshake_timeout: float = 10.0,
) -> Closable:
    """
    Serve what connects to ``listener``.

    Args:
        listener: bound; the caller closes it after the returned one.
        admission: decides who may connect.
        tls: for encrypted connections.
        proxies: connections come from these, and begin with a PROXY header.
        handshake_timeout: seconds for the TLS handshake.
    """
    loop = asyncio.get_running_loop()
    timeout = handshake_timeout if tls is not None else None
    if proxies is not None:
        return ProxiedListener(listener, admission, tls, proxies, timeout)
    create: Any = loop.create_server
    factory: Any = admission.connection
    server: asyncio.Server = await create(
        factory,
        sock=listener,
        backlog=BACKLOG,
        ssl=tls,
        ssl_handshake_timeout=timeout,
    )
    return server


class ProxiedListener:
    """
    Accepts connections that begin with a PROXY header.

    Args:
        listener: bound.
        admission: decides who may connect.
        tls: what follows the header is encrypted.
        proxies: who may connect.
        timeout: seconds for the TLS handshake.
    """

    def __init__(
        self,
        listener: socket.socket,
        admission: Admission,
        tls: ssl.SSLContext | None,
        proxies: TrustedProxies,
        timeout: float | None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._listener = listener
        self._admission = admission
        self._tls = tls
        self._proxies = proxies
        self._timeout = timeout
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_closed = False
        self._loop.add_reader(listener, self._accept)

    def close(self) -> None:
        """Accept no more."""
        if not self._is_closed:
            self._is_closed = True
            self._loop.remove_reader(self._listener)

    def _accept(self) -> None:
        for _ in range(TURN):
            try:
                stream, peer = self._listener.accept()
            except (BlockingIOError, ConnectionAbortedError, InterruptedError):
                return
            except OSError as error:
                logger.warning("a connection could not be accepted: %s", error)
                return
            address = peer[0] if isinstance(peer, tuple) else "-"
            if not self._proxies.trusts(address):
                logger.warning("%s is no trusted proxy, refused", address)
                stream.close()
                continue
            stream.setblocking(False)
            task = self._loop.create_task(self._begin(stream))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _begin(self, stream: socket.socket) -> None:
        with contextlib.ExitStack() as stack:
            stack.callback(stream.close)
            try:
                async with asyncio.timeout(HEADER_TIMEOUT):
                    client = await self._read(stream)
            except (ProxyHeaderError, OSError, TimeoutError) as error:
                logger.warning("a proxy's connection was refused: %r", error)
                return
            stack.pop_all()
        try:
            await self._loop.connect_accepted_socket(
                lambda: self._admission.connection(client),
                stream,
                ssl=self._tls,
                ssl_handshake_timeout=self._timeout,
            )
        except OSError as error:
            # TLS errors are among them; asyncio's own listeners keep silent, too.
            logger.debug("a handshake behind a proxy failed: %s", error)
            stream.close()

    async def _read(self, stream: socket.socket) -> str | None:
        """Read a header and not a byte more; return the client that it names."""
        header = ProxyHeader()
        while not header.is_complete:
            await self._readable(stream)
            seen = stream.recv(2048, socket.MSG_PEEK)
            if not seen:
                raise ProxyHeaderError("the connection ended within its PROXY header")
            # What was only looked at would be reported as readable again.
            stream.recv(header.take(seen))
        return header.address

    async def _readable(self, stream: socket.socket) -> None:
        ready: asyncio.Future[None] = self._loop.create_future()

        def found() -> None:
            if not ready.done():
                ready.set_result(None)

        self._loop.add_reader(stream, found)
        try:
            await ready
        finally:
            self._loop.remove_reader(stream)
