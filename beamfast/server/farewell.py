"""
How a server takes leave of its connections (production rule 2.3).

Requests are answered. Sockets and streams close at a pace, each with a time of its
own to come back at, so that those who take over are not run down. What is still
open when the window ends is cut.
"""

from __future__ import annotations

import asyncio
import math
import random
from typing import Final

from beamfast._outbound import Outbound
from beamfast.connection.eventsource import EventSource
from beamfast.connection.service import Service
from beamfast.connection.websocket import WebSocket
from beamfast.errors import CloseCode
from beamfast.protocol.driver import State

#: Seconds between two slices.
TICK: Final = 0.05
#: So many may close in a second, whatever the window; few need no spreading.
PACE: Final = 200.0
#: Part of the window in which the last one is told to close.
SPREAD: Final = 0.8
#: Seconds that a client waits at least, until somebody else accepts.
PAUSE: Final = 0.1


class Farewell:
    """
    Ends the connections of a service.

    Args:
        service: whose connections.
        window: seconds until the rest is cut.
        restarts: others take over: sockets close with 1012, and idle connections are
            left until their client asks, for whom closing could cross a request.
    """

    def __init__(self, service: Service, window: float, *, restarts: bool) -> None:
        self._service = service
        self._window = window
        self._restarts = restarts
        self._spread = 0.0

    async def take(self, cut: asyncio.Event) -> None:
        """Return when nothing is open; at once when ``cut`` is set."""
        service, loop = self._service, self._service.loop
        service.is_draining = True
        streams = self._streams()
        self._spread = min(SPREAD * self._window, len(streams) / PACE)
        slice_size = math.ceil(len(streams) * TICK / (self._spread or TICK)) or 1
        random.shuffle(streams)
        if not self._restarts:
            for one in service.heartbeat.connections():
                if not isinstance(one, Outbound):
                    one.on_drain()
        deadline = loop.time() + self._window
        while len(service.heartbeat) and loop.time() < deadline and not cut.is_set():
            now, streams = streams[:slice_size], streams[slice_size:]
            for one in now:
                self._end(one)
            if not streams:
                # Requests that were in work may have become streams meanwhile.
                streams = self._streams()
            await asyncio.sleep(TICK / 2 if not streams else TICK)
        for one in service.heartbeat.connections():
            one.abort()
        # One turn, in which the transports report their end.
        await asyncio.sleep(0)

    def _streams(self) -> list[Outbound]:
        return [
            one
            for one in self._service.heartbeat.connections()
            if isinstance(one, Outbound) and not _is_ending(one)
        ]

    def _end(self, stream: Outbound) -> None:
        retry = PAUSE + random.uniform(0, self._spread)  # noqa: S311 - no secret
        if isinstance(stream, WebSocket):
            code = CloseCode.SERVICE_RESTART if self._restarts else CloseCode.GOING_AWAY
            stream.on_drain(code, retry)
        elif isinstance(stream, EventSource):
            stream.on_drain(retry)


def _is_ending(stream: Outbound) -> bool:
    """Tell whether somebody said goodbye already, of the two of them."""
    if isinstance(stream, WebSocket):
        return stream.state is not State.OPEN
    return stream.is_closing
