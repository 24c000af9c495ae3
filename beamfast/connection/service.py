"""What all connections of a process share: the application, limits, clocks, topics."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from email.utils import formatdate
from typing import Any, Protocol

from beamfast._fanout import TopicRegistry
from beamfast._scan import HeadScanner
from beamfast.connection.expiry import Expiry
from beamfast.connection.heartbeat import Clock, Heartbeat
from beamfast.http import Headers, Request, Response
from beamfast.protocol.epochs import Codings
from beamfast.protocol.head import Limits, head_scanner

#: What runs as long as a connection, or for one message.
Handler = Coroutine[Any, Any, None]


class Handlers:
    """
    Tasks of handlers that run; the loop itself holds a waiting task only weakly.

    Args:
        loop: that they run on.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop: asyncio.AbstractEventLoop = loop
        self.handlers: set[asyncio.Task[None]] = set()

    def start_handler(self, work: Handler) -> asyncio.Task[None]:
        """Run a handler as a task that is held until it has ended."""
        task = self.loop.create_task(work)
        self.handlers.add(task)
        task.add_done_callback(self.handlers.discard)
        return task

    def name_server(self, server: str) -> None:
        """Set the value of the ``Server`` field, empty for none."""
        fields = [("Server", server)] if server else ()
        self.server_line: bytes = Headers(fields).lines

    async def cancel_handlers(self) -> None:
        """End what handlers still do; their connections say goodbye first."""
        tasks = list(self.handlers)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Surroundings(Protocol):
    """
    What a WebSocket needs around it.

    Attributes:
        loop: it runs on.
        heartbeat: keeps its deadlines.
    """

    loop: asyncio.AbstractEventLoop

    @property
    def heartbeat(self) -> Clock:
        """What keeps deadlines."""
        ...

    def start_handler(self, work: Handler) -> asyncio.Task[None]:
        """Run a handler as a task that is held until it has ended."""
        ...


#: What the server does with a request; never raises.
Application = Callable[[Request], Response | Awaitable[Response]]


class Service(Handlers):
    """
    What all connections of a process share.

    Args:
        application: answers requests.
        loop: of this process.
        registry: topics, whose state the sockets' write side uses.
        server: value of the ``Server`` field, empty for none.
        limits: of request heads and bodies.
        head_timeout: seconds for a request head to arrive.
        body_timeout: seconds without a byte of an expected body.
        idle_timeout: seconds that a kept-alive connection may be silent.

    Attributes:
        handlers: tasks of WebSocket handlers that run.
    """

    def __init__(
        self,
        application: Application,
        loop: asyncio.AbstractEventLoop,
        registry: TopicRegistry,
        *,
        server: str = "",
        limits: Limits | None = None,
        head_timeout: float = 10.0,
        body_timeout: float = 30.0,
        idle_timeout: float = 75.0,
    ) -> None:
        super().__init__(loop)
        self.application = application
        self.registry = registry
        self.heartbeat: Heartbeat = Heartbeat(loop)
        self.expiry: Expiry = Expiry(loop)
        self.name_server(server)
        self.codings: Codings = Codings()
        self.limits = limits or Limits()
        self.head_timeout = head_timeout
        self.body_timeout = body_timeout
        self.idle_timeout = idle_timeout
        self.is_draining = False
        self._second = 0
        # As floats, which are compared in a third of the time.
        self._from = self._until = 0.0
        self._date_line = b""
        self._own_lines = b""

    @property
    def limits(self) -> Limits:
        """What requests may take."""
        return self._limits

    @limits.setter
    def limits(self, limits: Limits) -> None:
        self._limits = limits
        self.scanner: HeadScanner[Request] = head_scanner(limits)

    def second(self) -> int:
        """Return the time in seconds since the epoch, one object per second."""
        self.own_lines()
        return self._second

    def date_line(self) -> bytes:
        """Return the ``Date`` field, formatted once a second (RFC 9110, 6.6.1)."""
        self.own_lines()
        return self._date_line

    def own_lines(self) -> bytes:
        """Return the ``Date`` and ``Server`` fields that nearly every answer has."""
        if not self._from <= time.time() < self._until:
            self._begin_second(int(time.time()))
        return self._own_lines

    def _begin_second(self, second: int) -> None:
        self._second = second
        self._from, self._until = float(second), second + 1.0
        self._date_line = b"Date: %b\r\n" % formatdate(second, usegmt=True).encode()
        self._own_lines = self._date_line + self.server_line
