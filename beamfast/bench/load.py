"""
Load on one server: viewers of a page, requests for it, edits of one element.

Everything runs in this process and on one clock, so the time from the request of
an edit to its arrival at a viewer is a difference of two readings. Each viewer is
a WebSocket with the subprotocol ``beam.v1``, whose items name the version that an
edit led to: who else edits the page meanwhile is not counted.
"""

from __future__ import annotations

import asyncio
import gc
import json
from array import array
from collections.abc import Callable, Iterable, Iterator
from time import perf_counter, process_time
from typing import Any, Final
from urllib.parse import quote

from beamfast.bench.kept import Answer, KeptConnection
from beamfast.bench.row import Row
from beamfast.bench.viewer import Arrivals, Viewer
from beamfast.client.dial import Route
from beamfast.errors import ConnectError
from beamfast.protocol.url import parse_websocket_url

#: Handshakes under way at a time; a listen queue holds more.
OPENING: Final = 64
#: Seconds that an edit may take to reach every viewer once it was answered.
SETTLING: Final = 5.0
#: Seconds without any answer after which nothing more is expected.
SILENCE: Final = 30.0

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
        self._route = Route()
        secure = self._parsed.is_secure
        self._ssl = self._route.context(None) if secure else None
        self._cpu_clock = cpu_clock
        self._viewers: list[Viewer] = []
        self._arrivals = Arrivals()

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
                viewer = await Viewer.open(self._parsed, self._route, self._arrivals)
                samples.append(perf_counter() - began)
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
                answer = await self._ask(connection, "GET")
                self._expect(answer, "GET", 200)

        try:
            with Span(self._cpu_clock) as span:
                await self._watched(asyncio.gather(*map(ask, kept)), samples)
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
            rate: edits a second; 0 for each as soon as every viewer has the one
                before, if that takes no more than :data:`SETTLING` seconds.
            progress: told about each edit.

        Returns:
            how long the answers took, and how long until each viewer had the edit.

        Raises:
            BenchError: the element is not there, or may not be edited.
        """
        writer = await self._connect()
        fields = [("Range", f"selector={quote(selector)}")]
        answers: dict[str, Answer] = {}
        paced = f"at {rate:g}/s" if rate else "one after the other"
        arrivals, viewers = self._arrivals, len(self._viewers)
        arrivals.times.clear()
        patience = SETTLING
        try:
            content = await self._read(writer, selector)
            with Span(self._cpu_clock) as span:
                began = perf_counter()
                for index in range(1, number + 1):
                    arrivals.hold()
                    answer = await self._ask(writer, "PUT", fields, content)
                    self._expect(answer, f"PUT {selector}", 206)
                    version = str(answer.headers.get("etag")).strip('"')
                    answers[version] = answer
                    progress(1)
                    if rate:
                        patience = max(0.0, began + index / rate - perf_counter())
                    if not await arrivals.reach(version, viewers, patience):
                        # Who has missed one is waited for at the end only.
                        patience = 0.0
                    if rate and index < number:
                        await asyncio.sleep(began + index / rate - perf_counter())
                end = perf_counter() + SETTLING
                for version in answers:
                    patience = max(0.0, end - perf_counter())
                    await arrivals.reach(version, viewers, patience)
        except ConnectionError as error:
            raise BenchError(f"{self.url}: {error}") from None
        finally:
            writer.close()
        received = array("d")
        for version, answer in answers.items():
            arrived = arrivals.times.get(version, ())
            received.extend(at - answer.sent_at for at in arrived)
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

    async def _ask(
        self,
        connection: KeptConnection,
        method: str,
        fields: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
    ) -> Answer:
        resource = self._parsed.resource
        try:
            async with asyncio.timeout(SILENCE):
                return await connection.request(method, resource, fields, body)
        except TimeoutError:
            raise self._silent() from None

    def _silent(self) -> BenchError:
        return BenchError(f"{self.url} has not answered for {SILENCE:g} s")

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
        answer = await self._ask(writer, "GET", fields)
        self._expect(answer, f"GET {selector}", 206)
        try:
            first: str = json.loads(answer.body)[0]
        except (ValueError, LookupError):
            raise BenchError(f"{self.url} has no selectors: is it beamfast?") from None
        return first.encode()

    async def _watched(
        self, asking: asyncio.Future[Any], samples: array[float]
    ) -> None:
        """Wait for the end of what adds to ``samples``, unless it no longer does."""
        seen = -1
        while not asking.done():
            if seen == len(samples):
                asking.cancel()
                raise self._silent()
            seen = len(samples)
            await asyncio.wait([asking], timeout=SILENCE)
        await asking


class Span:
    """The time, and the CPU time of both sides, that a ``with`` block takes."""

    def __init__(self, cpu_clock: CpuClock) -> None:
        self._cpu_clock = cpu_clock
        self._began = self._cpu_began = self._seconds = 0.0
        self._cpu_seconds: float | None = None
        self._load_seconds = 0.0

    def __enter__(self) -> Span:
        # A collection would be in the middle of somebody's time.
        gc.collect()
        gc.disable()
        self._cpu_began = self._cpu_clock() or 0.0
        self._load_seconds = -process_time()
        self._began = perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self._seconds = perf_counter() - self._began
        self._load_seconds += process_time()
        used = self._cpu_clock()
        self._cpu_seconds = None if used is None else used - self._cpu_began
        gc.enable()

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
