"""
WebSocket before version 4: draft hixie-75, text between 0x00 and 0xFF.

Standard: draft-hixie-thewebsocketprotocol-75, section 4. There is no masking,
no binary message, no ping and no closing handshake; no current browser speaks
it. Frames with a length are skipped, as the draft asks.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

from beamfast._frames import utf8_valid
from beamfast.errors import CloseCode
from beamfast.http import Headers, Request
from beamfast.protocol.driver import Driver, State, Step

if TYPE_CHECKING:
    from typing_extensions import Buffer


def response_fields(
    request: Request,
    subprotocol: str | None,
    headers: Headers,
    *,
    prefix: str = "",
) -> Headers:
    """
    Add the answer to a handshake to other fields, and return them all.

    Args:
        request: of the client.
        subprotocol: the chosen one, or None.
        headers: to add to.
        prefix: ``Sec-`` since draft 76.
    """
    host = request.headers.get("host")
    scheme = "wss" if request.is_secure else "ws"
    headers.add("Upgrade", "WebSocket")
    headers.add("Connection", "Upgrade")
    headers.add(f"{prefix}WebSocket-Origin", request.headers.get("origin") or "null")
    headers.add(f"{prefix}WebSocket-Location", f"{scheme}://{host}{request.target}")
    if subprotocol is not None:
        headers.add(f"{prefix}WebSocket-Protocol", subprotocol)
    return headers


class _Part(enum.Enum):
    """What the next byte is."""

    TYPE = enum.auto()
    LENGTH = enum.auto()
    SKIPPED = enum.auto()
    TEXT = enum.auto()


class Hixie75Driver(Driver):
    """
    One open connection of draft 75.

    Args:
        max_size: bytes of a text, and of a frame to skip; above it 1009.
        subprotocol: as negotiated.
    """

    __slots__ = ("_left", "_max_size", "_part", "_text", "_type")

    def __init__(
        self,
        *,
        max_size: int = 2**20,
        version: str = "hixie-75",
        subprotocol: str | None = None,
    ) -> None:
        super().__init__(version, subprotocol)
        self._max_size = max_size
        self._part = _Part.TYPE
        self._type = 0
        self._left = 0
        self._text = bytearray()

    def receive_data(self, data: Buffer) -> None:
        """Read the next bytes of the peer; see :meth:`Driver.receive_data`."""
        read = bytes(data)
        at = 0
        while at < len(read) and self.state is not State.CLOSED:
            if self._part is _Part.TEXT:
                at = self._read_text(read, at)
            elif self._part is _Part.SKIPPED:
                step = min(self._left, len(read) - at)
                self._skip(step)
                at += step
            elif self._part is _Part.LENGTH:
                self._read_length(read[at])
                at += 1
            else:
                self._type = read[at]
                self._left = 0
                # The draft delivers only type 0 and drops the other texts; what
                # was deployed delivers them all.
                self._part = _Part.LENGTH if self._type & 0x80 else _Part.TEXT
                at += 1

    def _read_text(self, read: bytes, at: int) -> int:
        end = read.find(b"\xff", at)
        self._text += read[at:] if end < 0 else read[at:end]
        if len(self._text) > self._max_size:
            self.fail(CloseCode.MESSAGE_TOO_BIG, "message is too big")
        elif end >= 0:
            # Bad bytes are replaced, not refused (draft 75, 4.2).
            text = self._text.decode("utf-8", "replace")
            self._text.clear()
            self._part = _Part.TYPE
            self._pass_on(text)
        return len(read) if end < 0 else end + 1

    def _read_length(self, byte: int) -> None:
        self._left = self._left << 7 | byte & 0x7F
        if self._left > self._max_size:
            self.fail(CloseCode.MESSAGE_TOO_BIG, "frame is too big")
        elif not byte & 0x80:
            self._part = _Part.SKIPPED
            if self._left == 0:
                self._part = _Part.TYPE
                if self._type == 0xFF:
                    self._receive_close()

    def _skip(self, count: int) -> None:
        self._left -= count
        if self._left == 0:
            self._part = _Part.TYPE

    def _receive_close(self) -> None:
        """Draft 75 has no closing handshake: an empty frame like others."""

    def send_text(self, text: str | Buffer) -> bool:
        """Send a text message; the only kind there is."""
        if self.state is not State.OPEN:
            return False
        if not isinstance(text, str) and not utf8_valid(text):
            raise ValueError("the text is not UTF-8")
        payload = text.encode() if isinstance(text, str) else bytes(text)
        self._put(b"\x00" + payload + b"\xff")
        return True

    def send_close(
        self, code: int = CloseCode.NORMAL_CLOSURE, reason: str = ""
    ) -> bool:
        """End the connection; neither code nor reason can be told."""
        if self.state is not State.OPEN:
            return False
        self._move(Step.ENDED)
        self._end(CloseCode.NO_STATUS_RECEIVED, by="local")
        return True

    def _free(self) -> None:
        self._text.clear()
