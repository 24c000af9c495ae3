"""What all connections of a process share: the application, limits, clocks, topics."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from email.utils import formatdate
from typing import Any, Protocol

from beamfast._answer import AnswerWriter
from beamfast._fanout import TopicRegistry
from beamfast._scan import HeadScanner
from beamfast._shortway import ShortWay
from beamfast.connection.expiry import Expiry
from beamfast.connection.heartbeat import Clock, Heartbeat
from beamfast.http import Headers, Request, Response
from beamfast.protocol.epochs import Codings
from beamfast.protocol.head import Limits, head_scanner
from beamfast.protocol.http11 import status_line

#: What runs as long as a connection, or for one message.
Handler = Coroutine[Any, Any, None]


class Handlers:
    """
    Tasks of handlers that run; the loop itself holds a waiting task only weakly.

    Args:
        loop: that they run on.

    Attributes:
        models: connections that others are copies of, by what was agreed.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop: asyncio.AbstractEventLoop = loop
        self.handlers: set[asyncio.Task[None]] = set()
        self.models: dict[object, Any] = {}

    def start_handler(self, work: Handler) -> asyncio.Task[None]:
        """Run a handler as a task that is held until it has ended."""
        task = self.loop.create_task(work)
        self.handlers.add(task)
        task.add_done_callback(self.handlers.discard)
        return task

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
        models: sockets that others are copies of, by what was agreed.
        heartbeat: keeps its deadlines.
    """

    loop: asyncio.AbstractEventLoop
    models: dict[object, Any]

    @property
    def heartbeat(self) -> Clock:
        """What keeps deadlines."""
        ...

    def start_handler(self, work: Handler) -> asyncio.Task[None]:
        """Run a handler as a task that is held until it has ended."""
        ...


#: What the server does with a request; never raises.
Application = Callable[[Request], Response | Awaitable[Response]]


class Service(ShortWay[Request, Response], Handlers):
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
        clock: the time of day in seconds; that of the system when None.

    Attributes:
        handlers: tasks of WebSocket handlers that run.
        answers: writes most of them, and knows the date.
        second: returns the time of day in whole seconds.
        own_lines: returns the fields ``Date`` and ``Server``.
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
        clock: Callable[[], float] | None = None,
    ) -> None:
        Handlers.__init__(self, loop)
        self.registry = registry
        self.heartbeat: Heartbeat = Heartbeat(loop)
        answers = AnswerWriter(Response, status_line, _date_line, clock)
        ShortWay.__init__(self, Request, Response, answers, self.heartbeat)
        self.application = application
        self.expiry: Expiry = Expiry(loop)
        self.second: Callable[[], int] = answers.second
        self.own_lines: Callable[[], bytes] = answers.own_lines
        self.name_server(server)
        self.codings: Codings = Codings()
        self.limits = limits or Limits()
        self.head_timeout = head_timeout
        self.body_timeout = body_timeout
        self.idle_timeout = idle_timeout

    @property
    def limits(self) -> Limits:
        """What requests may take."""
        return self._limits

    @limits.setter
    def limits(self, limits: Limits) -> None:
        self._limits = limits
        self.scanner: HeadScanner[Request] = head_scanner(limits)

    def name_server(self, server: str) -> None:
        """Set the value of the ``Server`` field, empty for none."""
        fields = [("Server", server)] if server else ()
        self.answers.name_server(Headers(fields).lines)


def _date_line(second: int) -> bytes:
    """Return the ``Date`` field (RFC 9110, 6.6.1)."""
    return b"Date: %b\r\n" % formatdate(second, usegmt=True).encode()
