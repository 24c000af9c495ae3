"""
Load on one server: viewers of a page, requests for it, edits of one element.

Everything runs in this process and on one clock, so the time from the request of
an edit to its arrival at a viewer is a difference of two readings. Each viewer is
a WebSocket with the subprotocol ``beam.v1``, whose items name the version that an
edit led to: who else edits the page meanwhile is not counted.
"""

from __future__ import annotations

import asyncio
import json
import re
import ssl as tls
from array import array
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from time import perf_counter, process_time
from typing import Final
from urllib.parse import quote

from beamfast.bench.kept import Answer, KeptConnection
from beamfast.bench.row import Row
from beamfast.client.websocket import connect
from beamfast.connection.websocket import WebSocket
from beamfast.errors import ConnectError
from beamfast.protocol.url import parse_websocket_url

#: Handshakes under way at a time; a listen queue holds more.
OPENING: Final = 64
#: Seconds that the last items may take after the last edit was answered.
SETTLING: Final = 5.0

_VERSION: Final = re.compile(r'itemprop="version">([^<]+)<')

Progress = Callable[[int], object]
CpuClock = Callable[[], float | None]


class BenchError(Exception):
    """The server did not do what a benchmark needs; the text says what."""


class Load:
    """
    A load generator for one page.

    Args:
        url: ``http`` or ``https``, of the page.
        cpu_clock: returns the CPU seconds that the server has used, or None.

    Raises:
        ValueError: the URL is invalid.
    """

    def __init__(self, url: str, cpu_clock: CpuClock = lambda: None) -> None:
        self.url: str = url
        self._parsed = parse_websocket_url(url)
        self._ssl = tls.create_default_context() if self._parsed.is_secure else None
        self._cpu_clock = cpu_clock
        self._viewers: list[WebSocket] = []
        self._arrivals: dict[str, array[float]] = {}
        #: Some edit has reached the last viewer.
        self._everywhere = asyncio.Event()

    async def close(self) -> None:
        """Close every viewer."""
        for viewer in self._viewers:
            viewer.abort()
        self._viewers.clear()
        await asyncio.sleep(0)

    async def open_viewers(self, number: int, progress: Progress) -> Row:
        """
        Open WebSockets on the page; they stay open.

        Raises:
            BenchError: the server refuses them, or there are no more descriptors.
        """
        samples = array("d")
        numbers: Iterator[int] = iter(range(number))

        async def opener() -> None:
            for _ in numbers:
                began = perf_counter()
                viewer = await connect(
                    self.url,
                    subprotocols=["beam.v1"],
                    compression=None,
                    ping_interval=0,
                    open_timeout=60.0,
                )
                samples.append(perf_counter() - began)
                viewer.on("message", self._arrive)
                self._viewers.append(viewer)
                progress(1)

        try:
            with Span(self._cpu_clock) as span:
                async with asyncio.TaskGroup() as group:
                    for _ in range(min(OPENING, number)):
                        group.create_task(opener())
        except* (ConnectError, OSError) as group_error:
            error = group_error.exceptions[0]
            raise BenchError(
                f"viewer {len(samples) + 1} could not connect: {error}"
            ) from None
        return span.row("open a WebSocket", samples)

    async def get(self, number: int, connections: int, progress: Progress) -> Row:
        """
        Ask for the page again and again over kept-alive connections.

        Raises:
            BenchError: it is answered with something else than 200.
        """
        samples = array("d")
        turns: Iterator[int] = iter(range(number))
        kept = [await self._connect() for _ in range(connections)]

        def sample(seconds: float) -> None:
            samples.append(seconds)
            progress(1)

        async def ask(connection: KeptConnection) -> None:
            status = await connection.repeat(self._parsed.resource, turns, sample)
            if status != 200:
                # Once more, for what it says.
                answer = await connection.request("GET", self._parsed.resource)
                self._expect(answer, "GET", 200)

        try:
            with Span(self._cpu_clock) as span:
                await asyncio.gather(*map(ask, kept))
        except ConnectionError as error:
            raise BenchError(f"GET {self.url}: {error}") from None
        finally:
            for connection in kept:
                connection.close()
        return span.row("GET the page", samples)

    async def edit(
        self, selector: str, number: int, rate: float, progress: Progress
    ) -> tuple[Row, Row]:
        """
        Put back an element as it is, again and again; every viewer gets each edit.

        Args:
            selector: of the element; the first match counts.
            number: of edits.
            rate: edits a second; 0 for each as soon as the one before is answered.
            progress: told about each edit.

        Returns:
            how long the answers took, and how long until each viewer had the edit.

        Raises:
            BenchError: the element is not there, or may not be edited.
        """
        writer = await self._connect()
        fields = [("Range", f"selector={quote(selector)}")]
        resource = self._parsed.resource
        answers: dict[str, Answer] = {}
        paced = f"at {rate:g}/s" if rate else "one after the other"
        self._arrivals.clear()
        try:
            content = await self._read(writer, selector)
            with Span(self._cpu_clock) as span:
                began = perf_counter()
                for index in range(number):
                    if rate:
                        await asyncio.sleep(began + index / rate - perf_counter())
                    answer = await writer.request("PUT", resource, fields, content)
                    self._expect(answer, f"PUT {selector}", 206)
                    answers[str(answer.headers.get("etag")).strip('"')] = answer
                    progress(1)
                await self._settle(answers)
        except ConnectionError as error:
            raise BenchError(f"{self.url}: {error}") from None
        finally:
            writer.close()
        received = array("d")
        for version, answer in answers.items():
            arrived = self._arrivals.get(version, ())
            received.extend(at - answer.sent_at for at in arrived)
        viewers = len(self._viewers)
        lost = len(answers) * viewers - len(received)
        return (
            span.row(f"edit, {paced}", [one.seconds for one in answers.values()]),
            span.row(f"edit at a viewer, {paced}", received, lost, max(viewers, 1)),
        )

    async def _connect(self) -> KeptConnection:
        try:
            return await KeptConnection.open(self._parsed, self._ssl)
        except OSError as error:
            raise BenchError(f"{self.url}: {error}") from None

    def _expect(self, answer: Answer, what: str, status: int) -> None:
        if answer.status != status:
            text = answer.body.decode("utf-8", "replace").strip()[:200]
            raise BenchError(f"{what} of {self.url} answers {answer.status}: {text}")

    async def _read(self, writer: KeptConnection, selector: str) -> bytes:
        """Return the first match as it is, since that is what a PUT replaces."""
        fields = [
            ("Range", f"selector={quote(selector)}"),
            ("Accept", "application/json"),
        ]
        answer = await writer.request("GET", self._parsed.resource, fields)
        self._expect(answer, f"GET {selector}", 206)
        try:
            first: str = json.loads(answer.body)[0]
        except (ValueError, LookupError):
            raise BenchError(f"{self.url} has no selectors: is it beamfast?") from None
        return first.encode()

    def _arrive(self, message: str | bytes) -> None:
        """Note when an edit reached a viewer."""
        at = perf_counter()
        version = _VERSION.search(message) if isinstance(message, str) else None
        if version is None:
            return
        arrived = self._arrivals.get(version[1])
        if arrived is None:
            arrived = self._arrivals[version[1]] = array("d")
        arrived.append(at)
        if len(arrived) >= len(self._viewers):
            self._everywhere.set()

    async def _settle(self, versions: Iterable[str]) -> None:
        """Wait until every viewer has every edit, but not for ever."""
        with suppress(TimeoutError):
            async with asyncio.timeout(SETTLING):
                for version in versions:
                    while len(self._arrivals.get(version, ())) < len(self._viewers):
                        self._everywhere.clear()
                        await self._everywhere.wait()


class Span:
    """The time, and the CPU time of both sides, that a ``with`` block takes."""

    def __init__(self, cpu_clock: CpuClock) -> None:
        self._cpu_clock = cpu_clock
        self._began = self._cpu_began = self._seconds = 0.0
        self._cpu_seconds: float | None = None
        self._load_seconds = 0.0

    def __enter__(self) -> Span:
        self._cpu_began = self._cpu_clock() or 0.0
        self._load_seconds = -process_time()
        self._began = perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self._seconds = perf_counter() - self._began
        self._load_seconds += process_time()
        used = self._cpu_clock()
        self._cpu_seconds = None if used is None else used - self._cpu_began

    def row(
        self,
        name: str,
        samples: array[float] | list[float],
        lost: int = 0,
        together: int = 1,
    ) -> Row:
        """Return what was found during the block."""
        used = (self._cpu_seconds, self._load_seconds)
        return Row(name, len(samples), self._seconds, samples, lost, *used, together)
