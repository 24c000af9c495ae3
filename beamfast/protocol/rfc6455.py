"""
WebSocket as RFC 6455 defines it, from the first frame to the closing handshake.

:class:`~beamfast._frames.FrameParser` knows what a frame can do wrong by itself;
here is what frames mean: messages through extensions, pings, the closing
handshake. Versions 7 and 8 differ in the opening handshake only, which is
:mod:`beamfast.protocol.handshake`.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, TypedDict

from beamfast._frames import PIECE, FrameParser, build_frame, utf8_valid
from beamfast.errors import CloseCode, InvalidState, ProtocolError
from beamfast.protocol.closing import check_close, failure_payload, parse_close
from beamfast.protocol.driver import Driver, Side, State, Step
from beamfast.protocol.events import Ping, Pong
from beamfast.protocol.extensions import Extension
from beamfast.protocol.stream import MessageStream

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["DriverOptions", "Rfc6455Driver", "Side", "State"]

CONTINUATION: Final = 0x0
TEXT: Final = 0x1
BINARY: Final = 0x2
CLOSE: Final = 0x8
PING: Final = 0x9
PONG: Final = 0xA


def ping_frame() -> bytes:
    """Return a ping of a server whose payload nobody has to know."""
    return build_frame(PING, secrets.token_bytes(4))


class DriverOptions(TypedDict, total=False):
    """What :class:`Rfc6455Driver` lets its user choose."""

    max_size: int
    max_frame_size: int | None
    max_fragments: int
    strict_lengths: bool
    text_as_bytes: bool
    auto_pong: bool


class Rfc6455Driver(Driver):
    """
    One open WebSocket without I/O.

    Args:
        side: a server wants masked frames and a client masks its own.
        max_size: bytes of a message, after decoding; above it 1009.
        max_frame_size: bytes of one frame; as ``max_size`` if None.
        max_fragments: frames of a message; above it 1008.
        strict_lengths: refuse lengths that are not in their shortest form.
        text_as_bytes: deliver text as valid UTF-8 ``bytes``.
        version: as the opening handshake found it.
        subprotocol: as negotiated.
        extensions: active ones, in the order of the response (RFC 6455, 9.1).
        auto_pong: answer pings.
    """

    __slots__ = (
        "_auto_pong",
        "_extensions",
        "_is_client",
        "_max_size",
        "_message_open",
        "_pings",
        "_pong",
        "_text_as_bytes",
    )

    def __init__(
        self,
        side: Side,
        *,
        max_size: int = 2**20,
        max_frame_size: int | None = None,
        max_fragments: int = 4096,
        strict_lengths: bool = True,
        text_as_bytes: bool = False,
        version: str = "hybi-13",
        subprotocol: str | None = None,
        extensions: Sequence[Extension] = (),
        auto_pong: bool = True,
    ) -> None:
        super().__init__(version, subprotocol)
        self._is_client = side is Side.CLIENT
        self._extensions = tuple(extensions)
        self._max_size = max_size
        self._text_as_bytes = text_as_bytes
        self._auto_pong = auto_pong
        self._message_open = False
        self._pings: list[bytes] | None = None
        self._pong: bytes | None = None
        self._parser = FrameParser(
            masked=side is Side.SERVER,
            max_size=max_size,
            max_frame_size=max_size if max_frame_size is None else max_frame_size,
            max_fragments=max_fragments,
            rsv=sum(extension.rsv for extension in self._extensions),
            strict_lengths=strict_lengths,
            text_as_bytes=text_as_bytes,
        )

    @property
    def is_client(self) -> bool:
        """True when this end opened the connection."""
        return self._is_client

    @property
    def is_plain(self) -> bool:
        """True when a message leaves as one frame, neither masked nor coded."""
        return not (self._is_client or self._extensions)

    @property
    def is_at_rest(self) -> bool:
        """
        True when a new driver could go on from here, and nobody would notice.

        Pings without a pong do not count: only who sent them wants to know.
        """
        return (
            self.state is State.OPEN
            and self._parser.is_at_rest
            and not (self._message_open or self.has_news)
            and self._pong is None
            and self._held is None
        )

    # Bytes in.

    def receive_data(self, data: Buffer) -> None:
        """Read the next bytes of the peer; see :meth:`Driver.receive_data`."""
        self._feed(data)

    def _end_input(self, code: int) -> None:
        """Fail because of what the parser found."""
        if self.state is not State.CLOSED:
            self._fail_in_turn(code, self._parser.reason)

    def stream_message(
        self, on_arrival: Callable[[], object] | None = None, *, as_text: bool = True
    ) -> MessageStream:
        """Return one message that can be read while it arrives; see there."""
        stream = super().stream_message(on_arrival, as_text=as_text)
        self._parser.stream(self._receive_frame)
        return stream

    def cancel_stream(self) -> bool:
        """Undo that, as long as nothing has arrived."""
        is_cancelled = super().cancel_stream()
        if is_cancelled:
            self._parser.stream(None)
        return is_cancelled

    def _new_stream(
        self, on_arrival: Callable[[], object] | None, as_text: bool
    ) -> MessageStream:
        return MessageStream(
            self._extensions,
            self._max_size,
            as_text=as_text and not self._text_as_bytes,
            fail=self._break_off,
            on_arrival=on_arrival,
        )

    def _break_off(self, code: int, reason: str) -> None:
        """Fail because of what a stream found, when its reader came to it."""
        self._parser.finish()
        self._fail_in_turn(code, reason)

    def _receive_frame(self, opcode: int, rsv: int, payload: bytes) -> None:
        if opcode == PING:
            self._receive_ping(payload)
        elif opcode == PONG:
            self._receive_pong(payload)
        elif opcode == CLOSE:
            self._receive_close(payload)
        elif opcode & PIECE:
            assert self._stream is not None
            self._stream.feed(opcode, rsv, payload)
        else:
            self._receive_coded(opcode, rsv, payload)

    def _receive_coded(self, opcode: int, rsv: int, payload: bytes) -> None:
        """Undo the extensions that marked the message, the last one first."""
        if self._stream is not None and not self._stream.settle():
            return
        try:
            for extension in reversed(self._extensions):
                if rsv & extension.rsv:
                    payload = extension.decode(payload, self._max_size)
            message: str | bytes = payload
            if opcode == TEXT:
                # Text is checked after decoding (RFC 7692, 6.2).
                text = payload.decode()
                message = payload if self._text_as_bytes else text
        except UnicodeDecodeError:
            self.fail(CloseCode.INVALID_PAYLOAD_DATA, "text is not UTF-8")
        except ProtocolError as error:
            self.fail(error.close_code, str(error))
        else:
            self._pass_on(message)

    def _receive_ping(self, payload: bytes) -> None:
        # No Pong after a close frame (RFC 6455, 5.5.2).
        if self._auto_pong and self.state is State.OPEN:
            if self.output_blocked:
                # Only the most recent Ping needs an answer (RFC 6455, 5.5.3).
                self._pong = payload
            else:
                self._put(self._frame(PONG, payload))
                if self.on_answer is not None:
                    self.on_answer()
        self._emit(Ping(payload))

    def _receive_pong(self, payload: bytes) -> None:
        pings = self._pings or []
        answered: tuple[bytes, ...] = ()
        if payload in pings:
            # A Pong may answer only the newest of several Pings (RFC 6455,
            # 5.5.3), so it completes every older one too.
            count = pings.index(payload) + 1
            answered = tuple(pings[:count])
            self._pings = pings[count:] or None
        self._emit(Pong(payload, answered))

    def _receive_close(self, payload: bytes) -> None:
        try:
            code, reason = parse_close(payload)
        except ProtocolError as error:
            self.fail(error.close_code, str(error))
            return
        by = self._initiator()
        self._move(Step.CLOSE_RECEIVED)
        if by == "remote":
            # The same code comes back, without the reason (RFC 6455, 5.5.1).
            self._send_close_frame(payload[:2])
        self._end(code, reason, clean=True, by=by)

    # Bytes out.

    def data_to_send(self) -> list[bytes]:
        """Return the bytes to write since the last call, in order."""
        if self._pong is not None and not self.output_blocked:
            self._put(self._frame(PONG, self._pong))
            self._pong = None
        return super().data_to_send()

    def encode(self, message: str | Buffer) -> bytes:
        """
        Return ``message`` as one frame for this peer, for whoever writes it.

        Raises:
            InvalidState: a fragmented message is not finished.
            TypeError: neither str nor bytes-like.
            ValueError: a str with a lone surrogate.
        """
        return self._message(TEXT if isinstance(message, str) else BINARY, message)

    def send_text(self, text: str | Buffer) -> bool:
        """Send a text message."""
        if self.state is not State.OPEN:
            return False
        if not isinstance(text, str) and not utf8_valid(text):
            raise ValueError("the text is not UTF-8")
        self._put(self._message(TEXT, text))
        return True

    def send_binary(self, data: Buffer) -> bool:
        """Send a binary message."""
        if self.state is not State.OPEN:
            return False
        if isinstance(data, str):
            raise TypeError("a str is a text message")
        self._put(self._message(BINARY, data))
        return True

    def send_fragment(self, data: str | Buffer, *, fin: bool) -> bool:
        """Send the next piece of a fragmented message, uncompressed."""
        if self.state is not State.OPEN:
            return False
        opcode = CONTINUATION
        if not self._message_open:
            opcode = TEXT if isinstance(data, str) else BINARY
        self._put(self._frame(opcode, data, fin=fin))
        self._message_open = not fin
        return True

    def send_ping(self, payload: Buffer | None = None) -> bytes | None:
        """Send a ping and return its payload."""
        if self.state is not State.OPEN:
            return None
        data = secrets.token_bytes(4) if payload is None else bytes(memoryview(payload))
        self._put(self._frame(PING, data))
        if self._pings is None:
            self._pings = []
        self._pings.append(data)
        return data

    def send_pong(self, payload: Buffer = b"") -> bool:
        """Send a pong that nobody asked for."""
        if self.state is not State.OPEN:
            return False
        self._put(self._frame(PONG, payload))
        return True

    def send_close(
        self, code: int = CloseCode.NORMAL_CLOSURE, reason: str = ""
    ) -> bool:
        """Start the closing handshake."""
        payload = check_close(code, reason, is_client=self._is_client)
        if self.state is not State.OPEN:
            return False
        self._send_close_frame(payload)
        return True

    def _tell_failure(self, code: int, reason: str) -> None:
        self._put(self._frame(CLOSE, failure_payload(code, reason)))

    def _send_close_frame(self, payload: bytes) -> None:
        self._move(Step.CLOSE_SENT)
        # Nothing may follow a close frame (RFC 6455, 5.5.1).
        self._pong = None
        self._put(self._frame(CLOSE, payload))

    def _message(self, opcode: int, message: str | Buffer) -> bytes:
        if self._message_open:
            # Only control frames may come between fragments (RFC 6455, 5.4).
            raise InvalidState("message inside a fragmented message")
        rsv = 0
        if self._extensions:
            if isinstance(message, str):
                payload = message.encode()
            else:
                payload = bytes(memoryview(message))
            for extension in self._extensions:
                payload, bits = extension.encode(payload)
                rsv |= bits
            message = payload
        return self._frame(opcode, message, rsv=rsv)

    def _frame(
        self, opcode: int, payload: str | Buffer, *, fin: bool = True, rsv: int = 0
    ) -> bytes:
        # A fresh unpredictable key per frame, or none (RFC 6455, 5.3).
        key = secrets.token_bytes(4) if self._is_client else None
        return build_frame(opcode, payload, fin=fin, rsv=rsv, mask=key)

    def _free(self) -> None:
        self._parser.finish()
        self._pong = self._pings = None
        extensions, self._extensions = self._extensions, ()
        for extension in extensions:
            extension.close()
