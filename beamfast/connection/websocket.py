"""
WebSocket connections as programs see them: one class for both ends.

Messages arrive in one of three ways, fixed when the connection has opened: a
handler coroutine asks for them (pull), ``on_message`` is called with them
(callback), or they are checked and dropped (discard: a subscriber that only
listens). The first costs a task while the handler runs, the others nothing.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterable, Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self, TypeVar, cast

from beamfast._fanout import has_topics
from beamfast._frames import build_frame
from beamfast._outbound import Outbound
from beamfast._sending import AtOnce
from beamfast._slots import Slots
from beamfast.connection.pieces import (
    ahead,
    allow,
    check_piece,
    is_buffer,
    joined,
    set_mid_message,
    size_of,
)
from beamfast.connection.receiver import Receiver
from beamfast.connection.service import Surroundings
from beamfast.connection.terms import Terms, terms_of
from beamfast.errors import CloseCode
from beamfast.http import Request, Upgrade
from beamfast.protocol.epochs import SharedDeflate
from beamfast.protocol.extensions import Extension
from beamfast.protocol.rfc6455 import Rfc6455Driver, Side, State

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from beamfast.protocol.response import ServerResponse

__all__ = ["WebSocket", "take_over"]

TEXT: Final = 1
BINARY: Final = 2

#: Kinds of agreements whose sockets are copied.
MODELS: Final = 64

Method = TypeVar("Method", bound=Callable[..., object])


def at_once(function: Method) -> Method:
    """Let messages that need nothing else leave without a coroutine."""
    return cast("Method", AtOnce(function))


class WebSocket(Receiver):
    """
    One open WebSocket.

    Attributes:
        path: canonical path of the request.
        user: name of the authenticated user, or None.
        on_message: called with each message, ``str`` or ``bytes``; a coroutine
            function is called again when it has returned. Fixed when the
            connection has opened.
        on_close: called once with the socket, code and reason when the
            connection is gone.
    """

    __slots__ = ()

    @classmethod
    def of_request(
        cls,
        request: Request,
        upgrade: Upgrade,
        surroundings: Surroundings,
        extensions: Sequence[Extension] = (),
    ) -> Self:
        """Return the socket that follows the 101 for ``request``."""
        coding = extensions[0] if extensions else None
        is_renewable = coding is None or isinstance(coding, SharedDeflate)
        terms = terms_of(upgrade, is_renewable=is_renewable)
        if is_renewable:
            websocket = cls._copy_of_model(surroundings, terms)
            websocket.path = sys.intern(request.path)
            websocket.coding = coding
        else:
            # Other extensions remember what was sent and received.
            driver = _server_driver(terms, extensions)
            websocket = cls(driver, request.path, surroundings, terms)
        websocket.user = request.user
        return websocket

    @classmethod
    def _copy_of_model(cls, surroundings: Surroundings, terms: Terms) -> Self:
        """Return a socket without a driver, which costs a third of making one."""
        models = surroundings.models
        found = models.get(terms)
        if found is None or type(found[0]) is not cls:
            if len(models) >= MODELS:
                models.clear()
            model = cls(None, "", surroundings, terms)
            found = models[terms] = model, Slots(cls, Outbound)
        copied: Self = found[1].copy(found[0])
        return copied

    def _new_driver(self, terms: Terms) -> Rfc6455Driver:
        return _server_driver(terms, () if self.coding is None else (self.coding,))

    @staticmethod
    def frame_item(text: str, version: str, event: str | None) -> bytes:
        """Return a StreamItem as one text frame; a plain socket has no versions."""
        return build_frame(TEXT, text)

    @staticmethod
    def frame_message(message: str | bytes) -> bytes:
        """Return a str as one text frame, bytes as a binary one."""
        return build_frame(TEXT if isinstance(message, str) else BINARY, message)

    # What is known.

    @property
    def state(self) -> State:
        """Where the connection stands (RFC 6455, 4.1, 7.1)."""
        return self._state

    @property
    def is_client(self) -> bool:
        """True at a client's end, which masks what it sends (RFC 6455, 5.1)."""
        return self._own_driver is not None and self._own_driver.is_client

    @property
    def subprotocol(self) -> str | None:
        """The negotiated subprotocol (RFC 6455, 1.9)."""
        driver = self._own_driver
        return self._terms.subprotocol if driver is None else driver.subprotocol

    @property
    def close_code(self) -> int | None:
        """The peer's close code, 1005 or 1006 without one; None before the end."""
        return None if self.state is State.OPEN else self._driver.close_code

    @property
    def close_reason(self) -> str:
        """The peer's reason."""
        return self._driver.close_reason

    @property
    def url(self) -> str:
        """Address of the connection; of a subscriber only the path is known."""
        conversation = self._conversation
        return self.path if conversation is None else conversation.url or self.path

    @property
    def request(self) -> Request | None:
        """The client's request; None for clients and for subscribers."""
        return None if self._conversation is None else self._conversation.request

    @property
    def response(self) -> ServerResponse | None:
        """The server's response; None for servers."""
        return None if self._conversation is None else self._conversation.response

    # Sending.

    @at_once
    async def send(
        self,
        message: str | Buffer | Iterable[str | Buffer] | AsyncIterable[str | Buffer],
    ) -> None:
        """
        Send one message, and wait while the peer is slow.

        The message is queued before anything is waited for, so cancelling the
        wait takes nothing back.

        Args:
            message: a str goes out as text, bytes-like as binary, an iterable of
                one of both as one message in fragments (RFC 6455, 5.4).

        Raises:
            ConnectionClosed: the connection is closing or closed.
            TypeError: neither text nor bytes nor an iterable of them.
            ValueError: a str that has no UTF-8 form.
        """
        conversation = self._conversation
        if not (isinstance(message, str) or is_buffer(message)):
            await self._send_pieces(message)
        elif conversation is not None and conversation.is_sending:
            async with conversation.sending:
                await self._send_whole(message)
        else:
            await self._send_whole(message)

    async def _send_whole(self, message: str | Buffer) -> None:
        room = items = 0
        if self.is_paused:
            # Whoever waits is no slow consumer, however large the message.
            room, items = size_of(message), 1
        allow(self, room, items)
        try:
            if not self.send_nowait(message):
                raise self._closed()
            if self.is_paused:
                await self.drain()
        finally:
            allow(self, -room, -items)

    async def _send_pieces(
        self, pieces: Iterable[str | Buffer] | AsyncIterable[str | Buffer]
    ) -> None:
        async with self._converse().sending, ahead(pieces) as source:
            # Other messages wait until this one has left.
            self.is_plain: bool = False
            waiting: str | Buffer | None = None
            try:
                if has_topics(self):
                    # What topics publish meanwhile must not come between the frames.
                    await self._send_whole(await joined(source))
                    return
                async for piece in source:
                    check_piece(piece)
                    if waiting is not None:
                        await self._send_piece(waiting, fin=False)
                    waiting = piece
                await self._send_piece(b"" if waiting is None else waiting, fin=True)
            except BaseException:
                if self.is_mid_message:
                    # The peer waits for the rest, and nothing else can be sent.
                    self._driver.fail(CloseCode.INTERNAL_ERROR, "message broke off")
                    self._flush()
                raise
            finally:
                set_mid_message(self, False)
                self.is_plain = self._driver.is_plain

    async def _send_piece(self, piece: str | Buffer, *, fin: bool) -> None:
        set_mid_message(self, not fin)
        if not self._driver.send_fragment(piece, fin=fin):
            set_mid_message(self, False)
            raise self._closed()
        self._flush()
        if self.is_paused:
            await self.drain()

    # Compiled, as a frame without mask needs no driver.
    send_nowait: ClassVar[Callable[[Any, str | Buffer], bool]] = Outbound.write_message

    def write_coded(self, message: str | Buffer) -> bool:
        """As :meth:`send_nowait`, where the driver has to mask or to code it."""
        if isinstance(message, str):
            accepted = self._driver.send_text(message)
        else:
            accepted = self._driver.send_binary(message)
        self._flush()
        return accepted

    async def drain(self) -> None:
        """Wait until nothing waits for the peer; ConnectionClosed if it is gone."""
        waiter = self.wait_writable()
        if waiter is not None:
            await waiter
        if self.transport is None:
            raise self._closed()

    async def ping(self, payload: Buffer | None = None) -> asyncio.Future[float]:
        """
        Send a ping; ``latency = await (await websocket.ping())``.

        Args:
            payload: at most 125 bytes; random ones if None.

        Returns:
            a future with the seconds until the pong.

        Raises:
            ConnectionClosed: the connection is closing or closed.
            ValueError: the payload is too long.
        """
        sent = self._driver.send_ping(payload)
        if sent is None:
            raise self._closed()
        self._flush()
        return self._converse().expect(sent)

    # Closing.

    def close_nowait(
        self, code: int = CloseCode.NORMAL_CLOSURE, reason: str = ""
    ) -> bool:
        """
        Start the closing handshake (RFC 6455, 7.1.2).

        Args:
            code: that an application may send.
            reason: at most 123 bytes of UTF-8.

        Returns:
            False when the connection is closing or closed already.

        Raises:
            ValueError: the code may not be sent, or the reason is too long.
        """
        return self._start_closing(code, reason)

    async def close(
        self, code: int = CloseCode.NORMAL_CLOSURE, reason: str = ""
    ) -> None:
        """Close as :meth:`close_nowait` does and wait until the connection is gone."""
        self._start_closing(code, reason)
        try:
            await self.wait_closed()
        except asyncio.CancelledError:
            self.abort()
            raise

    async def wait_closed(self) -> None:
        """Wait until the connection is gone, for whatever reason."""
        if self.transport is not None:
            await self._converse().ended()


def _server_driver(terms: Terms, extensions: Sequence[Extension]) -> Rfc6455Driver:
    return Rfc6455Driver(
        Side.SERVER,
        max_size=terms.max_size,
        max_fragments=terms.max_fragments,
        subprotocol=terms.subprotocol,
        extensions=extensions,
    )


async def take_over(
    transport: asyncio.Transport, head_bytes: bytes = b"", **options: Any
) -> WebSocket:
    """As :func:`beamfast.connection.takeover.take_over`."""
    from beamfast.connection import takeover  # noqa: PLC0415 - it imports this

    return await takeover.take_over(transport, head_bytes, **options)
