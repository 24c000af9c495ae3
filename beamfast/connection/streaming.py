"""One message as it arrives: what ``WebSocket.recv_streaming`` returns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from beamfast.errors import ConnectionClosed

if TYPE_CHECKING:
    from beamfast.connection.receiver import Receiver
    from beamfast.protocol.stream import MessageStream


class PieceIterator:
    """
    The pieces of the next message, in order; see ``WebSocket.recv_streaming``.

    Args:
        receiver: in pull mode.
        as_text: text comes as ``str`` and not as UTF-8.
    """

    __slots__ = ("_as_text", "_is_over", "_receiver", "_stream")

    def __init__(self, receiver: Receiver, *, as_text: bool) -> None:
        self._receiver = receiver
        self._as_text = as_text
        self._stream: MessageStream | None = None
        self._is_over = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str | bytes:
        while not self._is_over:
            piece = self._take()
            if piece is not None:
                return piece
            if not self._is_over:
                await self._wait()
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Give up the rest, which is checked and dropped as it arrives."""
        self._is_over = True
        if self._stream is not None:
            self._stream.skip()
            self._receiver._end_stream()

    def _take(self) -> str | bytes | None:
        if self._stream is None:
            self._stream = self._receiver._begin_stream(as_text=self._as_text)
        if self._stream is None:
            return None
        piece = self._receiver._take_piece()
        if self._stream.is_complete:
            self._is_over = True
            self._receiver._end_stream()
        return piece

    async def _wait(self) -> None:
        try:
            await self._receiver._next_arrival()
        except ConnectionClosed:
            self._is_over = True
            self._receiver._end_stream()
            raise
        except BaseException:
            # Cancelled: a message that has not begun can be received otherwise.
            if self._stream is not None and self._receiver._cancel_stream():
                self._stream = None
            raise
