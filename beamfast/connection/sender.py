"""
The write side of an HTTP connection: answers on their way to a client.

An answer is one write, or a task that waits whenever the client is slow. A
client may be as slow as it likes while it reads at all; one that stopped is
found by looking twice at what the transport still holds.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterable, Awaitable, Callable
from contextlib import aclosing
from functools import partial
from typing import Any

from beamfast.connection import reply
from beamfast.connection.exchange import Exchange
from beamfast.connection.sendfile import send_file, takes_files
from beamfast.connection.service import Service
from beamfast.http import FileBody, Response

logger: logging.Logger = logging.getLogger("beamfast.connection")


class Sender:
    """
    What goes out on one connection.

    Args:
        service: what all connections share.
    """

    __slots__ = (
        "_drained",
        "_handed_over",
        "_left",
        "_service",
        "_task",
        "_transport",
    )

    def __init__(self, service: Service) -> None:
        self._service = service
        self._transport: Any = None
        self._drained: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._handed_over = self._left = 0

    @property
    def is_full(self) -> bool:
        """True while the client has to read before more may be written."""
        return self._drained is not None

    def attach(self, transport: Any) -> None:
        """Say where to write."""
        self._transport = transport

    def pause(self) -> None:
        """The transport holds too much."""
        if self._drained is None:
            self._drained = self._service.loop.create_future()

    def resume(self) -> None:
        """The transport has room again."""
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)
        self._drained = None

    def is_moving(self) -> bool:
        """Tell whether something waits for the client and more has left than before."""
        unsent = self._transport.get_write_buffer_size()
        before, self._left = self._left, self._handed_over - unsent
        return unsent > 0 and self._left != before

    def send(
        self,
        exchange: Exchange,
        response: Response,
        on_sent: Callable[[Exchange], None],
    ) -> None:
        """
        Write the answer, now or as it comes.

        Args:
            exchange: that is answered.
            response: the answer.
            on_sent: called once the whole answer is written.
        """
        body = response.body
        if isinstance(body, bytes):
            start = reply.head(self._service, exchange, response, len(body))
            bare = reply.is_bare(exchange, response)
            self._transport.write(start if bare else start + body)
            on_sent(exchange)
        elif (
            isinstance(body, FileBody)
            and response.headers.get("content-length") == str(body.size)
            and not reply.is_bare(exchange, response)
            and takes_files(self._transport)
        ):
            self._transport.write(reply.head(self._service, exchange, response))
            self._start(
                partial(send_file, self._transport, body, self._drain, self._count),
                *(exchange, on_sent),
            )
        else:
            work = partial(self._stream, exchange, response, body)
            self._start(work, exchange, on_sent)

    def _start(
        self,
        work: Callable[[], Awaitable[None]],
        exchange: Exchange,
        on_sent: Callable[[Exchange], None],
    ) -> None:
        self._task = self._service.loop.create_task(
            self._finish(work, exchange, on_sent)
        )

    def _count(self, size: int) -> None:
        self._handed_over += size

    async def _drain(self) -> None:
        """Wait until the transport holds nothing."""
        while self._transport.get_write_buffer_size():
            await (self._drained or asyncio.sleep(0))

    async def _stream(
        self, exchange: Exchange, response: Response, body: AsyncIterable[bytes]
    ) -> None:
        pieces = reply.pieces(self._service, exchange, response, body)
        async with aclosing(pieces):
            async for piece in pieces:
                self._transport.write(piece)
                self._handed_over += len(piece)
                if self._drained is not None:
                    await self._drained
                elif self._transport.is_closing():
                    # It drops what is written and never fills; whoever would
                    # stop this task needs the loop that it holds.
                    return

    async def _finish(
        self,
        work: Callable[[], Awaitable[None]],
        exchange: Exchange,
        on_sent: Callable[[Exchange], None],
    ) -> None:
        """Wait for a body that goes out, and say that it is out."""
        try:
            await work()
        except ConnectionError:
            # Nobody is left to read it.
            self._transport.abort()
        except Exception:
            # The status is out already: a cut body is the only honest answer.
            logger.exception("the body for %s broke off", exchange.target)
            self._transport.abort()
        else:
            if not self._transport.is_closing():
                on_sent(exchange)
        finally:
            self._task = None

    def stop(self) -> None:
        """Send nothing more: the client is gone."""
        self.resume()
        if self._task is not None:
            self._task.cancel()
