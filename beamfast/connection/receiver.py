"""
How messages reach the program: asked for, by callback, or not at all.

Which of them is fixed when the connection has opened. Only the first needs a task,
for as long as the handler runs; the last needs nothing.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Coroutine
from functools import partial
from types import FunctionType, MethodType
from typing import Any, Final

from beamfast._inbox import IS_ASKED, MESSAGES
from beamfast.connection.conversation import Conversation
from beamfast.connection.link import Link
from beamfast.connection.listeners import Listener, Listeners
from beamfast.connection.streaming import PieceIterator
from beamfast.errors import CloseCode, ConnectionClosed, InvalidState
from beamfast.http import Request
from beamfast.protocol.delivery import CommonHandler
from beamfast.protocol.driver import Deliver, State
from beamfast.protocol.stream import MessageStream

#: Codes after which ``async for`` just ends. 1005 is what browsers send when a
#: page calls ``close()`` without a code.
_ENDINGS: Final = frozenset(
    {CloseCode.NORMAL_CLOSURE, CloseCode.GOING_AWAY, CloseCode.NO_STATUS_RECEIVED}
)


class Receiver(Link):
    """The receiving side of a WebSocket; see there."""

    __slots__ = ()

    # Opening, and handlers.

    def open(
        self,
        on_open: Callable[[Any], object],
        request: Request | None = None,
    ) -> None:
        """
        Let the program set its callbacks and subscribe, or start its handler.

        Args:
            on_open: a function that sets ``on_message`` or not, or a coroutine
                function that receives with ``async for``.
            request: kept only for as long as somebody may ask for it.
        """
        self._watch_pings()
        try:
            started = on_open(self)
        except Exception as error:
            self._fail("the WebSocket of %s could not be opened", error)
            started = None
        on_message = self._receive = self.on_message
        if started is not None and inspect.iscoroutine(started):
            self.pull()
            self._surroundings.start_handler(self._handle(started))
        elif self._own_driver is not None:
            self._own_driver.deliver = self._receiving()
        if (
            on_message is not None
            and not isinstance(on_message, CommonHandler)
            and _is_async(on_message)
        ):
            self._converse()
        if self._conversation is not None and request is not None:
            self._conversation.introduce(request)

    def _receiving(self) -> Deliver | None:
        receive = self._receive
        if isinstance(receive, CommonHandler) or _is_async(receive):
            return self._put_in_turn
        return receive

    def pull(self, *, limit: int = MESSAGES) -> Conversation:
        """
        Keep messages until they are asked for; for whoever makes the socket.

        Args:
            limit: messages that may wait before the socket is read no more.
        """
        conversation = self._converse()
        conversation.limit = limit
        conversation.is_pulled = True
        self._driver.holds_failures = True
        self._driver.deliver = conversation.put
        return conversation

    def begin(self, *, limit: int = MESSAGES) -> Conversation:
        """Be read from by a program that holds the socket; as :meth:`pull`."""
        conversation = self.pull(limit=limit)
        if self.transport is not None:
            self._watch_pings()
        self._flush()
        if self._driver.has_held_failure:
            self._hold_failure()
        return conversation

    def read_early(self) -> None:
        """Pass on what was parsed before there was a socket."""
        try:
            self._flush()
        except Exception as error:
            self._fail("a callback of the WebSocket of %s failed", error)

    def _converse(self) -> Conversation:
        conversation = self._conversation
        if conversation is None:
            loop = self._surroundings.loop
            conversation = self._conversation = Conversation(self.transport, loop)
        return conversation

    async def _handle(self, handler: Coroutine[Any, Any, Any]) -> None:
        """Run a handler; the connection closes when it ends."""
        try:
            await handler
        except ConnectionClosed:
            self._start_closing(CloseCode.NORMAL_CLOSURE)
        except asyncio.CancelledError:
            self._start_closing(CloseCode.GOING_AWAY)
            raise
        except Exception as error:
            self._fail("the handler of the WebSocket of %s failed", error)
        else:
            self._start_closing(CloseCode.NORMAL_CLOSURE)
        finally:
            self._driver.deliver = None
            self._fail_at_last()
            self._converse().discard()

    def _put_in_turn(self, message: str | bytes) -> None:
        conversation = self._converse()
        conversation.put(message)
        if conversation.task is None:
            conversation.task = self._surroundings.start_handler(self._call_in_turn())

    async def _call_in_turn(self) -> None:
        """Call a coroutine ``on_message`` with what has arrived, one by one."""
        conversation = self._converse()
        on_message: Any = self._receive
        if isinstance(on_message, CommonHandler):
            on_message = on_message.of(self)
        try:
            while on_message is not None and conversation.count:
                await on_message(conversation.take_in_turn(self))
        except ConnectionClosed:
            pass
        except Exception as error:
            self._fail("a callback of the WebSocket of %s failed", error)
            conversation.discard()
        finally:
            self._release()
            conversation.task = None

    # Receiving (pull mode).

    def __aiter__(self) -> AsyncIterator[str | bytes]:
        conversation = self._conversation
        return self if conversation is None else conversation.iterate(self)

    def __anext__(self) -> Coroutine[Any, Any, str | bytes]:
        conversation = self._conversation or self._talk()
        return anext(conversation.iterate(self))

    async def recv(self, *, decode: bool = True) -> str | bytes:
        """
        Return the next message, text as ``str`` and binary as ``bytes``.

        Cancelling it loses no message.

        Args:
            decode: False returns text as UTF-8 bytes.

        Raises:
            ConnectionClosed: there are no more messages.
            InvalidState: messages go to ``on_message``, or nobody wants them.
        """
        message: str | bytes = await self._talk().next_message(self)
        return message if decode or isinstance(message, bytes) else message.encode()

    def recv_streaming(self, *, decode: bool = True) -> PieceIterator:
        """
        Return the next message as an asynchronous iterator over its pieces.

        They come as they arrive: a frame, or what one read brought of it. Text is
        cut between characters. An empty message is one empty piece; no other one
        is empty. ``max_size`` holds for the whole message. While pieces wait, the
        socket is not read beyond the limits of waiting messages.

        Until the end was received, or ``aclose`` gave the rest up, nothing else
        can be. Cancelling the wait for a piece loses nothing: the same iterator
        goes on, and before the first piece any other call does.

        Args:
            decode: False gives text as UTF-8 bytes, cut anywhere.

        Raises:
            ConnectionClosed: by the iterator; the rest will not come.
            InvalidState: messages go to ``on_message``, or nobody wants them, or
                one is being received in pieces already.
        """
        self._talk()
        return PieceIterator(self, as_text=decode)

    def _begin_stream(self, *, as_text: bool) -> MessageStream | None:
        """Return the message to take pieces of, None while one is being skipped."""
        conversation = self._talk()
        if conversation.count:
            message = conversation.take_in_turn(self)
            stream = MessageStream.of(message, as_text=as_text)
        elif self._driver.is_streaming:
            return None
        else:
            conversation.check_alone()
            stream = self._driver.stream_message(
                conversation.note_arrival, as_text=as_text
            )
        conversation.begin_stream(stream)
        return stream

    def _take_piece(self) -> str | bytes | None:
        return self._converse().take_piece()

    def _cancel_stream(self) -> bool:
        is_cancelled = self._driver.cancel_stream()
        if is_cancelled:
            self._end_stream()
        return is_cancelled

    def _end_stream(self) -> None:
        self._converse().end_stream()

    async def _next_arrival(self) -> None:
        self._before_waiting()
        await self._converse().arrival()

    def _before_waiting(self, is_loop: bool = False) -> None:
        """
        Let everything leave that may have waited for the program.

        Raises:
            ConnectionClosed: nothing will come.
            StopAsyncIteration: the same, when a loop may just end.
        """
        self._fail_at_last()
        self._release()
        if self._state is State.CLOSED:
            end = self._closed()
            if is_loop and end.code in _ENDINGS:
                raise StopAsyncIteration
            raise end

    def pause_reading(self) -> None:
        """Read nothing from the socket for now, not even pongs."""
        self._converse().pause(IS_ASKED)

    def resume_reading(self) -> None:
        """Go on after :meth:`pause_reading`."""
        self._converse().resume(IS_ASKED)

    def _talk(self) -> Conversation:
        conversation = self._conversation
        if conversation is None or not conversation.is_pulled:
            if conversation is not None and conversation.stream is not None:
                raise InvalidState("a message is being received in pieces")
            raise InvalidState("no handler: messages go to on_message, or are dropped")
        return conversation

    def _hold(self) -> None:
        # Replies to what one read brought leave together: when the buffer is
        # empty, at the latest at the end of this turn.
        self._converse().is_held = True
        self.cork()
        self._surroundings.loop.call_soon(self._release)

    def _release(self) -> None:
        conversation = self._conversation
        if conversation is not None and conversation.is_held:
            conversation.is_held = False
            self.uncork()

    # Event-style callbacks.

    def on(self, event: str, listener: Listener | None = None) -> Any:
        """
        Have a function or coroutine function called for an event.

        ``open`` comes without arguments, ``message`` with the message, ``error``
        with what went wrong, at most once and before ``close``, once with code and
        reason. What comes before its first listener waits for it.

        Args:
            event: one of the four.
            listener: without it a decorator is returned.

        Raises:
            ValueError: there is no such event.
        """
        if listener is None:
            return partial(self.on, event)
        self._emitter().add(event, listener)
        self._converse().dispatch_waiting()
        return listener

    def off(self, event: str, listener: Listener) -> None:
        """Undo :meth:`on`; a listener that is not there is fine."""
        self._emitter().remove(event, listener)

    def _emitter(self) -> Listeners:
        conversation = self._converse()
        if conversation.listeners is None:
            failed = partial(self._fail, "a listener of the WebSocket of %s failed")
            listeners = Listeners(self._surroundings.start_handler, failed)
            self._call_with_messages(conversation.listen(listeners))
        assert conversation.listeners is not None
        return conversation.listeners

    def _closed(self) -> ConnectionClosed:
        code = self._driver.close_code or CloseCode.ABNORMAL_CLOSURE
        return ConnectionClosed(code, self._driver.close_reason)


def _is_async(function: Any) -> bool:
    """As :func:`inspect.iscoroutinefunction`, which has more to look for."""
    plain = function.func if type(function) is partial else function
    if type(plain) is MethodType:
        plain = plain.__func__
    if type(plain) is FunctionType and not plain.__dict__:
        # Nobody has marked it as what it is not.
        return plain.__code__.co_flags & inspect.CO_COROUTINE != 0
    return inspect.iscoroutinefunction(function)
