"""
One message that is received piece by piece, while it arrives (RFC 6455, 5.4).

What arrived is kept as it came, and decoded as far as somebody asks: a message
that is compressed well does not become large by waiting.
"""

from __future__ import annotations

import codecs
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Final, Self

from beamfast._frames import LAST, PIECE
from beamfast.errors import CloseCode, ProtocolError
from beamfast.protocol.extensions import Extension, PieceDecoder, Piecewise

_TEXT: Final = 0x1
_BINARY: Final = 0x2

#: Bytes of a decoded piece.
_STEP: Final = 64 * 1024


class MessageStream:
    """
    A message, piece by piece; iterating ends where the rest has not arrived yet.

    No piece is empty, but an empty message is one empty piece.

    Args:
        extensions: of the connection, in the order of the response.
        max_size: bytes of the message, after decoding.
        as_text: text is ``str``, cut between characters, and not UTF-8.
        fail: called with close code and reason when what arrived is broken.
        on_arrival: called after something has arrived.

    Attributes:
        has_begun: something has arrived.
        has_arrived: the end has arrived.
        is_complete: the end was taken too.
        is_cut: set by whoever has no room for more of it; it stays incomplete.
        size: bytes that wait to be taken, as they arrived.
    """

    __slots__ = (
        "_as_text",
        "_decoders",
        "_extensions",
        "_fail",
        "_has_given",
        "_is_skipped",
        "_max_size",
        "_on_arrival",
        "_text",
        "_waiting",
        "has_arrived",
        "has_begun",
        "is_complete",
        "is_cut",
        "size",
    )

    def __init__(
        self,
        extensions: Sequence[Extension],
        max_size: int,
        *,
        as_text: bool,
        fail: Callable[[int, str], object] | None,
        on_arrival: Callable[[], object] | None,
    ) -> None:
        self.has_begun: bool = False
        self.has_arrived: bool = False
        self.is_complete: bool = False
        self.is_cut: bool = False
        self.size: int = 0
        self._extensions = extensions
        self._max_size = max_size
        self._as_text = as_text
        self._fail = fail
        self._on_arrival = on_arrival
        self._waiting: deque[bytes] = deque()
        self._decoders: list[PieceDecoder] = []
        self._text: codecs.IncrementalDecoder | None = None
        self._has_given = False
        self._is_skipped = False

    @classmethod
    def of(cls, message: str | bytes, *, as_text: bool) -> Self:
        """Return the stream of a message that was put together already."""
        stream = cls((), 0, as_text=as_text, fail=None, on_arrival=None)
        stream.feed_whole(message)
        return stream

    @property
    def count(self) -> int:
        """Pieces that wait to be taken."""
        return len(self._waiting)

    def __iter__(self) -> Iterator[str | bytes]:
        while (piece := self.take()) is not None:
            yield piece

    def take(self) -> str | bytes | None:
        """Return the next piece, None where there is none yet and at the end."""
        while not self.is_complete:
            try:
                payload, is_end = self._next()
                if not (payload or is_end):
                    return None
                piece = self._readable(payload, is_end)
            except UnicodeDecodeError:
                self._break(CloseCode.INVALID_PAYLOAD_DATA, "text is not UTF-8")
                return None
            except ProtocolError as error:
                self._break(error.close_code, str(error))
                return None
            self.is_complete = is_end
            if piece or (is_end and not self._has_given):
                self._has_given = True
                return piece
        return None

    def skip(self) -> None:
        """Check and drop the rest, also what will arrive."""
        self._is_skipped = True
        for _ in self:
            pass

    def cut(self) -> None:
        """Drop what waits and what will arrive; the message stays incomplete."""
        self.is_cut = True
        self.has_arrived = False
        self._waiting.clear()
        self._decoders = []
        self.size = 0

    # For the driver.

    def feed(self, opcode: int, rsv: int, payload: bytes) -> None:
        """Keep what :meth:`beamfast._frames.FrameParser.stream` passes on."""
        if self.is_cut:
            return
        if not self.has_begun:
            self._begin(opcode & ~(PIECE | LAST), rsv)
        if payload:
            self._waiting.append(payload)
            self.size += len(payload)
        self.has_arrived = bool(opcode & LAST)
        if self._is_skipped:
            self.skip()
        if self._on_arrival is not None:
            self._on_arrival()

    def feed_whole(self, message: str | bytes) -> None:
        """Keep a message that was put together and decoded already."""
        opcode = _TEXT if isinstance(message, str) else _BINARY
        payload = message.encode() if isinstance(message, str) else message
        self.feed(opcode | PIECE | LAST, 0, payload)

    def settle(self) -> bool:
        """
        Decode what waits, because the next message may refer to it (RFC 7692, 7.2.2).

        Returns:
            False when it was broken.
        """
        decoded: list[bytes] = []
        is_end = not self._decoders
        try:
            while not (is_end or self.is_complete):
                payload, is_end = self._next()
                decoded.append(payload)
        except ProtocolError as error:
            self._break(error.close_code, str(error))
            return False
        if self._decoders:
            self._decoders = []
            self._waiting.extend(filter(None, decoded))
            self.size = sum(map(len, self._waiting))
        return True

    def _begin(self, opcode: int, rsv: int) -> None:
        self.has_begun = True
        if opcode == _TEXT:
            self._text = codecs.getincrementaldecoder("utf-8")()
        # The last extension is undone first.
        self._decoders = [
            extension.decoder(self._max_size)
            if isinstance(extension, Piecewise)
            else _Collected(extension, self._max_size)
            for extension in reversed(self._extensions)
            if rsv & extension.rsv
        ]

    def _next(self) -> tuple[bytes, bool]:
        """Return what follows of the payload, and whether it is the end."""
        return self._undone(len(self._decoders))

    def _undone(self, stages: int) -> tuple[bytes, bool]:
        """Return the same after the first so many decoders."""
        if stages == 0:
            payload = self._waiting.popleft() if self._waiting else b""
            self.size -= len(payload)
            return payload, self.has_arrived and not self._waiting
        decoder = self._decoders[stages - 1]
        while True:
            payload = decoder.read(_STEP)
            if payload or decoder.is_over:
                return payload, decoder.is_over
            payload, is_last = self._undone(stages - 1)
            if not (payload or is_last):
                return b"", False
            decoder.feed(payload, is_last=is_last)

    def _readable(self, payload: bytes, is_end: bool) -> str | bytes:
        if self._text is None:
            return payload
        text = self._text.decode(payload, is_end)
        return text if self._as_text else text.encode()

    def _break(self, code: int, reason: str) -> None:
        self.cut()
        assert self._fail is not None
        self._fail(code, reason)


class _Collected:
    """What decodes a message piece by piece for an extension that cannot."""

    def __init__(self, extension: Extension, max_size: int) -> None:
        self.is_over: bool = False
        self._extension = extension
        self._max_size = max_size
        self._payload = b""
        self._has_end = False

    def feed(self, payload: bytes, *, is_last: bool) -> None:
        """Take the next piece; the parser limits what they are together."""
        self._payload += payload
        self._has_end = is_last

    def read(self, limit: int) -> bytes:
        """Return all of the message, once it is there."""
        if not self._has_end:
            return b""
        self.is_over = True
        return self._extension.decode(self._payload, self._max_size)
