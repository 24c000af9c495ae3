"""
Viewers of a page that note when something came, and read it afterwards.

A viewer that read each item as soon as it came would keep the others waiting, and
their times would be those of the load generator: at a hundred viewers a tenth of
the whole. So what arrives during an edit is kept with its time, one entry for each
read of a socket, and taken apart once nothing is measured any more.
"""

from __future__ import annotations

import asyncio
import re
import sys
from array import array
from contextlib import suppress
from time import perf_counter
from typing import Any, Final

from beamfast.client.dial import Route, dial
from beamfast.errors import ConnectError
from beamfast.protocol.client import ClientDriver
from beamfast.protocol.events import Failed
from beamfast.protocol.rfc6455 import Rfc6455Driver
from beamfast.protocol.url import Url

#: Of the subprotocol ``beam.v1``: the version that an edit led to.
_VERSION: Final = re.compile(r'itemprop="version">([^<]+)<')
#: Seconds for TCP, TLS and the handshake of one viewer.
OPENING_TIMEOUT: Final = 60.0


class Arrivals:
    """
    What the viewers of a page got, and when.

    Attributes:
        times: by version, when it arrived at each viewer that has it, on the clock
            of :func:`time.perf_counter`.
    """

    def __init__(self) -> None:
        self.times: dict[str, array[float]] = {}
        self._reads: list[tuple[float, Viewer, bytes]] = []
        #: Reads that are worth looking into.
        self._enough = 1
        self._waiter: asyncio.Future[None] | None = None

    def hold(self) -> None:
        """From now on keep what is read, until :meth:`reach` is awaited."""
        self._enough = sys.maxsize

    def note(self, viewer: Viewer, data: bytes) -> None:
        """Keep what a viewer has read just now."""
        self._reads.append((perf_counter(), viewer, data))
        if len(self._reads) < self._enough:
            return
        if self._waiter is None:
            self._sift()
        elif not self._waiter.done():
            self._waiter.set_result(None)

    async def reach(self, version: str, viewers: int, patience: float) -> bool:
        """
        Wait until a version has arrived at so many viewers.

        Returns:
            False when that took more than ``patience`` seconds.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                while missing := self._missing(version, viewers):
                    self._waiter = asyncio.get_running_loop().create_future()
                    # Each of the missing ones will read at least once.
                    self._enough = missing
                    await self._waiter
        self._enough, self._waiter = 1, None
        return not self._missing(version, viewers)

    def _missing(self, version: str, viewers: int) -> int:
        self._sift()
        return max(0, viewers - len(self.times.get(version, ())))

    def _sift(self) -> None:
        """Take apart what was read, and answer pings."""
        reads, self._reads = self._reads, []
        # Nearly all viewers got the same bytes.
        known: dict[bytes, list[array[float]]] = {}
        for at, viewer, data in reads:
            was_at_rest = viewer.is_at_rest
            found = known.get(data) if was_at_rest else None
            if found is None:
                found = [self._times_of(one) for one in viewer.read(data)]
                if was_at_rest and viewer.is_at_rest:
                    known[data] = found
            for times in found:
                times.append(at)

    def _times_of(self, message: str) -> array[float]:
        version = _VERSION.search(message)
        if version is None:
            return array("d")
        return self.times.setdefault(version[1], array("d"))


class Viewer(asyncio.Protocol):
    """
    One WebSocket on a page, with the subprotocol ``beam.v1`` and no compression.

    Args:
        driver: open.
        transport: of the connection.
        arrivals: gets what is read.

    Attributes:
        is_at_rest: what was read ended with a whole message that wants no answer,
            so that the next bytes mean what they mean to any other viewer.
    """

    def __init__(
        self, driver: Rfc6455Driver, transport: Any, arrivals: Arrivals
    ) -> None:
        self._driver = driver
        self._transport = transport
        self._arrivals = arrivals
        self._messages: list[str | bytes] = []
        self.is_at_rest: bool = False
        driver.deliver = self._messages.append

    @classmethod
    async def open(cls, url: Url, route: Route, arrivals: Arrivals) -> Viewer:
        """
        Connect.

        Raises:
            ConnectError: the server did not want to.
            OSError: there is no way, or the certificate is wrong.
        """
        driver = ClientDriver(url.text, subprotocols=["beam.v1"])
        async with asyncio.timeout(OPENING_TIMEOUT):
            dialogue = await dial(url, route)
            try:
                driver.start()
                await dialogue.run(driver)
                opened = driver.hand_over()
                if not isinstance(opened, Rfc6455Driver):
                    raise ConnectError(_reason(driver), driver.response)
            except BaseException:
                dialogue.abort()
                raise
        viewer = cls(opened, dialogue.transport, arrivals)
        dialogue.transport.set_protocol(viewer)
        return viewer

    def abort(self) -> None:
        """Close at once."""
        self._transport.abort()

    def read(self, data: bytes) -> list[str]:
        """Return the text messages that end in ``data``."""
        driver = self._driver
        driver.receive_data(data)
        # Pings and the end; nobody asks for them, and they must not pile up.
        events = driver.events_received()
        if pieces := driver.data_to_send():
            self._transport.write(b"".join(pieces))
        messages = [one for one in self._messages if isinstance(one, str)]
        self._messages.clear()
        self.is_at_rest = driver.is_at_rest and not events
        return messages

    # Called by asyncio.

    def data_received(self, data: bytes) -> None:
        """Note the time, and nothing else."""
        self._arrivals.note(self, data)


def _reason(driver: ClientDriver) -> str:
    for event in driver.events_received():
        if isinstance(event, Failed):
            return event.message
    return "the connection ended during the handshake"
