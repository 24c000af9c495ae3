"""
Server-sent events: events to ``text/event-stream`` bytes, and back.

Standard: WHATWG HTML, section 9.2. No I/O; reconnection is the business of
whoever reads, the HTTP head that of whoever writes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from beamfast.errors import PayloadTooBig

if TYPE_CHECKING:
    from typing_extensions import Buffer

_LINE_END: Final = re.compile(rb"\r\n|\r|\n")
# More digits than any clock needs are not worth reading.
_MILLISECONDS: Final = re.compile("[0-9]{1,15}")
_BOM: Final = b"\xef\xbb\xbf"


def encode(
    data: str,
    *,
    event: str | None = None,
    id: str | None = None,
    retry: float | None = None,
) -> bytes:
    """
    Return one event.

    Args:
        data: any text; its line ends reach the reader as line feeds.
        event: its type; readers take none for ``message``.
        id: what the reader names when it comes back.
        retry: seconds until it comes back.

    Raises:
        ValueError: a line end in ``event`` or ``id`` or a NUL in ``id``, which
            would forge fields or be ignored, or a lone surrogate.
    """
    # Not splitlines(): only these three end a line in the stream (9.2.5).
    text = data.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    lines = [] if retry is None else [_retry_line(retry)]
    if event is not None:
        lines.append("event: " + _one_line(event))
    if id is not None:
        lines.append(_id_line(id))
    lines += ["data: " + line for line in text]
    return _block(lines)


def encode_id(id: str) -> bytes:
    """
    Return an ``id`` without an event: readers keep it and report nothing.

    Raises:
        ValueError: as :func:`encode`.
    """
    return _block([_id_line(id)])


def encode_retry(retry: float) -> bytes:
    """Return the seconds after which readers come back, without an event."""
    return _block([_retry_line(retry)])


def comment(text: str = "") -> bytes:
    """
    Return a line that readers ignore and that keeps proxies awake.

    Raises:
        ValueError: ``text`` holds a line end.
    """
    return _block([":" + _one_line(text)])


def _block(lines: list[str]) -> bytes:
    return "\r\n".join([*lines, "", ""]).encode()


def _one_line(text: str) -> str:
    if "\r" in text or "\n" in text:
        raise ValueError(f"line end in {text!r}")
    return text


def _id_line(id: str) -> str:
    if "\0" in id:
        raise ValueError(f"NUL in id {id!r}")
    return "id: " + _one_line(id)


def _retry_line(retry: float) -> str:
    return f"retry: {int(retry * 1000)}"


@dataclass(frozen=True, slots=True)
class MessageEvent:
    """
    One event as a reader sees it.

    Attributes:
        type: ``message`` unless the server said something else.
        data: lines joined by line feeds.
        last_event_id: the last id up to here, empty for none.
    """

    type: str
    data: str
    last_event_id: str


class EventStreamDecoder:
    """
    Bytes of one event stream to events.

    Args:
        last_event_id: of the stream that this one continues.
        max_size: bytes of one event.

    Attributes:
        last_event_id: what to send as ``Last-Event-ID`` when reconnecting.
        retry: seconds to wait before, None if the server did not say.
    """

    __slots__ = (
        "_after_cr",
        "_at_start",
        "_data",
        "_events",
        "_id",
        "_line",
        "_max_size",
        "_size",
        "_type",
        "last_event_id",
        "retry",
    )

    def __init__(self, *, last_event_id: str = "", max_size: int = 2**20) -> None:
        self.last_event_id: str = last_event_id
        self.retry: float | None = None
        self._max_size = max_size
        self._line = bytearray()
        self._at_start = True
        self._after_cr = False
        self._events: list[MessageEvent] = []
        self._id = last_event_id
        self._type = ""
        self._data: list[str] = []
        self._size = 0

    def receive_data(self, data: Buffer) -> None:
        """
        Read the next bytes; an event without its empty line is never reported.

        Raises:
            PayloadTooBig: an event is over the limit; the stream is useless now.
        """
        piece = bytes(data)
        # A CRLF may be split over two reads.
        if self._after_cr and piece:
            piece = piece.removeprefix(b"\n")
            self._after_cr = False
        if piece:
            self._after_cr = piece.endswith(b"\r")
        first, *others = _LINE_END.split(piece)
        self._line += first
        for line in others:
            self._read_line(bytes(self._line))
            self._line[:] = line
        if self._size + len(self._line) > self._max_size:
            raise PayloadTooBig("event is too big")

    def events_received(self) -> list[MessageEvent]:
        """Return the events since the last call."""
        events, self._events = self._events, []
        return events

    def _read_line(self, line: bytes) -> None:
        if self._at_start:
            self._at_start = False
            line = line.removeprefix(_BOM)
        if not line:
            self._dispatch()
            return
        self._size += len(line)
        if self._size > self._max_size:
            raise PayloadTooBig("event is too big")
        # Comments begin with a colon: a field without a name, which is unknown.
        name, _, value = line.decode("utf-8", "replace").partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "event":
            self._type = value
        elif name == "id" and "\0" not in value:
            self._id = value
        elif name == "retry" and _MILLISECONDS.fullmatch(value):
            self.retry = int(value) / 1000

    def _dispatch(self) -> None:
        self.last_event_id = self._id
        if self._data:
            event = MessageEvent(
                self._type or "message", "\n".join(self._data), self._id
            )
            self._events.append(event)
        self._type = ""
        self._data.clear()
        self._size = 0
