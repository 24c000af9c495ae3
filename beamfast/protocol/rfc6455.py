"""
WebSocket as RFC 6455 defines it, from the first frame to the closing handshake.

:class:`~beamfast._frames.FrameParser` knows what a frame can do wrong by itself;
here is what frames mean: messages through extensions, pings, the closing
handshake. Versions 7 and 8 differ in the opening handshake only, which is
:mod:`beamfast.protocol.handshake`.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from beamfast._frames import FrameParser, build_frame, utf8_valid
from beamfast.errors import CloseCode, InvalidState, ProtocolError
from beamfast.protocol.closing import check_close, failure_payload, parse_close
from beamfast.protocol.driver import Deliver, Driver, Initiator, Side, State, Step
from beamfast.protocol.events import Ping, Pong
from beamfast.protocol.extensions import Extension

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["Rfc6455Driver", "Side", "State"]

CONTINUATION: Final = 0x0
TEXT: Final = 0x1
BINARY: Final = 0x2
CLOSE: Final = 0x8
PING: Final = 0x9
PONG: Final = 0xA


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

    Attributes:
        output_blocked: set by whoever writes, while the peer does not read:
            only the latest ping is answered when it is reset.
        version: as given.
    """

    __slots__ = (
        "_alone",
        "_auto_pong",
        "_deliver",
        "_extensions",
        "_is_client",
        "_max_size",
        "_message_open",
        "_parser",
        "_pings",
        "_pong",
        "_text_as_bytes",
        "output_blocked",
        "version",
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
        super().__init__(State.OPEN, subprotocol)
        self.version = version
        self.output_blocked = False
        self._is_client = side is Side.CLIENT
        self._extensions = tuple(extensions)
        self._max_size = max_size
        self._text_as_bytes = text_as_bytes
        self._auto_pong = auto_pong
        self._alone = True
        self._deliver: Deliver | None = None
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
    def deliver(self) -> Deliver | None:
        """
        What gets each complete message, right when it is parsed.

        Until it is set, messages stand among the events. None means that they
        are checked and dropped without being built.
        """
        return self._deliver

    @deliver.setter
    def deliver(self, deliver: Deliver | None) -> None:
        self._deliver = deliver
        self._alone = False

    # Bytes in.

    def receive_data(self, data: Buffer) -> None:
        """
        Read the next bytes of the peer; after the end they are dropped.

        Raises nothing by itself: what the peer does wrong fails the connection.
        An exception of ``deliver`` passes through.
        """
        if self.state is State.CLOSED:
            return
        deliver = self._event_list().append if self._alone else self._deliver
        code = self._parser.feed(data, deliver, self._receive_frame)
        if code:
            self.fail(code, self._parser.reason)

    def receive_eof(self) -> None:
        """Note that TCP ended; without a closing handshake that is 1006."""
        if self.state is not State.CLOSED:
            by = self._initiator()
            self._move(Step.ENDED)
            self._end(CloseCode.ABNORMAL_CLOSURE, by=by)

    def _receive_frame(self, opcode: int, rsv: int, payload: bytes) -> None:
        if opcode == PING:
            self._receive_ping(payload)
        elif opcode == PONG:
            self._receive_pong(payload)
        elif opcode == CLOSE:
            self._receive_close(payload)
        else:
            self._receive_coded(opcode, rsv, payload)

    def _receive_coded(self, opcode: int, rsv: int, payload: bytes) -> None:
        """Undo the extensions that marked the message, the last one first."""
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
            deliver = self._emit if self._alone else self._deliver
            # The parser hands nothing over when nobody wants it.
            assert deliver is not None
            deliver(message)

    def _receive_ping(self, payload: bytes) -> None:
        # No Pong after a close frame (RFC 6455, 5.5.2).
        if self._auto_pong and self.state is State.OPEN:
            if self.output_blocked:
                # Only the most recent Ping needs an answer (RFC 6455, 5.5.3).
                self._pong = payload
            else:
                self._put(self._frame(PONG, payload))
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
        """
        Send a text message; False when the connection is closing or closed.

        Raises:
            InvalidState: a fragmented message is not finished.
            ValueError: a lone surrogate, or bytes that are not UTF-8.
        """
        if self.state is not State.OPEN:
            return False
        if not isinstance(text, str) and not utf8_valid(text):
            raise ValueError("the text is not UTF-8")
        self._put(self._message(TEXT, text))
        return True

    def send_binary(self, data: Buffer) -> bool:
        """
        Send a binary message; False when the connection is closing or closed.

        Raises:
            InvalidState: a fragmented message is not finished.
            TypeError: ``data`` is not bytes-like.
        """
        if self.state is not State.OPEN:
            return False
        if isinstance(data, str):
            raise TypeError("a str is a text message")
        self._put(self._message(BINARY, data))
        return True

    def send_fragment(self, data: str | Buffer, *, fin: bool) -> bool:
        """
        Send the next piece of a fragmented message (RFC 6455, 5.4).

        The first piece says by its type whether the message is text or binary.
        Fragments are not compressed.

        Returns:
            False when the connection is closing or closed.
        """
        if self.state is not State.OPEN:
            return False
        opcode = CONTINUATION
        if not self._message_open:
            opcode = TEXT if isinstance(data, str) else BINARY
        self._put(self._frame(opcode, data, fin=fin))
        self._message_open = not fin
        return True

    def send_ping(self, payload: Buffer | None = None) -> bytes | None:
        """
        Send a ping and return its payload, by which a Pong names it.

        Args:
            payload: at most 125 bytes; random ones if None.

        Returns:
            None when the connection is closing or closed.

        Raises:
            ValueError: the payload is too long.
        """
        if self.state is not State.OPEN:
            return None
        data = secrets.token_bytes(4) if payload is None else bytes(payload)
        self._put(self._frame(PING, data))
        if self._pings is None:
            self._pings = []
        self._pings.append(data)
        return data

    def send_pong(self, payload: Buffer = b"") -> bool:
        """
        Send a pong that nobody asked for (RFC 6455, 5.5.3).

        Returns:
            False when the connection is closing or closed.

        Raises:
            ValueError: the payload is longer than 125 bytes.
        """
        if self.state is not State.OPEN:
            return False
        self._put(self._frame(PONG, payload))
        return True

    def send_close(
        self, code: int = CloseCode.NORMAL_CLOSURE, reason: str = ""
    ) -> bool:
        """
        Start the closing handshake (RFC 6455, 7.1.2).

        Args:
            code: one that an application may send.
            reason: at most 123 bytes of UTF-8.

        Returns:
            False when the connection is closing or closed already.

        Raises:
            ValueError: a wrong code or a reason that is too long.
        """
        payload = check_close(code, reason, is_client=self._is_client)
        if self.state is not State.OPEN:
            return False
        self._send_close_frame(payload)
        return True

    def fail(self, code: int, reason: str = "") -> None:
        """
        Fail the connection (RFC 6455, 7.1.7): at most one close frame, the end.

        Args:
            code: what the peer is told.
            reason: cut to 123 bytes.
        """
        if self.state is State.CLOSED:
            return
        if self.state is State.OPEN:
            self._put(self._frame(CLOSE, failure_payload(code, reason)))
        self._move(Step.ENDED)
        self._report_failure(reason, code)
        self._end(CloseCode.ABNORMAL_CLOSURE, by="local")

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
            payload = message.encode() if isinstance(message, str) else bytes(message)
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

    # Ends.

    def _end(
        self,
        code: int,
        reason: str = "",
        *,
        clean: bool = False,
        by: Initiator,
    ) -> None:
        """Free what is held and report the end; the state is CLOSED."""
        self._parser.finish()
        self._pong = self._pings = None
        extensions, self._extensions = self._extensions, ()
        for extension in extensions:
            extension.close()
        self._report_end(code, reason, clean=clean, by=by)
