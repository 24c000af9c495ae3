"""
Large files to a socket by ``sendfile(2)``, without passing through this process.

The call runs in a thread, because a disk may be slow, and on duplicates of the
descriptors, because the transport may close its own meanwhile. Only the loop can
wait for a socket that is full: then one piece goes through the transport, which
says when it is out. Encrypted transports cannot do this.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

from beamfast.errors import StorageError
from beamfast.http import FileBody

#: Bytes of one call, and of what the transport gets when the socket is full.
PORTION: Final = 2**20
PIECE: Final = 2**16

T = TypeVar("T")


class _Passage:
    """
    Duplicates of two descriptors, from file to socket.

    Closing waits for a call that a thread is in, and no later one begins.
    """

    def __init__(self, socket: int, file: int) -> None:
        self._file = os.dup(file)
        self._socket = os.dup(socket)
        self._lock = threading.Lock()
        self._is_used = self._is_closed = False

    def send(self, at: int, size: int) -> int | None:
        """Return how much the socket took; None when it is full."""
        return self._use(lambda: _send(self._socket, self._file, at, size))

    def read(self, at: int, size: int) -> bytes | None:
        """Read from the file."""
        return self._use(lambda: os.pread(self._file, size, at))

    def close(self) -> None:
        """Close both, at once or when the call that runs has returned."""
        with self._lock:
            self._is_closed = True
            if not self._is_used:
                self._close()

    def _use(self, call: Callable[[], T]) -> T | None:
        with self._lock:
            if self._is_closed:
                return None
            self._is_used = True
        try:
            return call()
        finally:
            self._leave()

    def _leave(self) -> None:
        with self._lock:
            self._is_used = False
            if self._is_closed:
                self._close()

    def _close(self) -> None:
        os.close(self._file)
        os.close(self._socket)


def takes_files(transport: Any) -> bool:
    """Tell whether the kernel may write to this transport's socket itself."""
    return (
        hasattr(os, "sendfile")
        and transport.get_extra_info("ssl_object") is None
        and transport.get_extra_info("socket") is not None
    )


async def send_file(
    transport: Any,
    body: FileBody,
    drained: Callable[[], Awaitable[None]],
    on_sent: Callable[[int], None],
) -> None:
    """
    Send ``body``; nobody else may write meanwhile.

    Args:
        transport: :func:`takes_files`.
        body: which bytes of which file.
        drained: returns when the transport holds nothing.
        on_sent: called with the size of each part that was sent or handed over.

    Raises:
        DocumentError: the file is another one now, or shorter.
        OSError: the client went away.
    """
    stream = await asyncio.to_thread(body.open)
    with stream:
        # What does not fit into the socket has to be reported at its first byte.
        transport.set_write_buffer_limits(high=0)
        await drained()
        if transport.is_closing():
            return
        socket = transport.get_extra_info("socket")
        passage = _Passage(socket.fileno(), stream.fileno())
    try:
        at, end = body.first, body.first + body.size
        while at < end and not transport.is_closing():
            size = min(end - at, PORTION)
            sent = await asyncio.to_thread(passage.send, at, size)
            if sent is None:
                piece = await asyncio.to_thread(passage.read, at, min(size, PIECE))
                sent = len(piece or b"")
                transport.write(piece)
            if not sent:
                raise StorageError("the file was cut while it was sent")
            at += sent
            on_sent(sent)
            await drained()
    finally:
        # The peer learns of the end of its connection when no duplicate is left.
        passage.close()
    transport.set_write_buffer_limits()


def _send(socket: int, file: int, at: int, size: int) -> int | None:
    try:
        return os.sendfile(socket, file, at, size)
    except BlockingIOError:
        return None
