"""
The WebSocket client for scripts that know no asyncio.

``with connect(url) as websocket: websocket.send("hi"); print(websocket.recv())``.
The connection lives on a loop in a thread of its own, so pings are answered while
the script does something else.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from beamfast.client.websocket import connect as connect_async
from beamfast.connection.streaming import PieceIterator
from beamfast.connection.websocket import WebSocket
from beamfast.errors import ConnectionClosed

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["connect"]

Result = TypeVar("Result")


class connect:  # noqa: N801 - it is called like a function
    """
    Connect and wait until that is done.

    Args:
        url: as for :class:`beamfast.connect`.
        options: the same ones.

    Raises:
        Exception: as :class:`beamfast.connect`.
    """

    def __init__(self, url: str, **options: Any) -> None:
        opening = connect_async(url, **options)
        self._websocket: WebSocket | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        try:
            self._call(self._open(opening))
        except BaseException:
            self._stop()
            raise

    @property
    def websocket(self) -> WebSocket:
        """The connection; what it knows may be read from any thread."""
        assert self._websocket is not None
        return self._websocket

    def send(self, message: str | Buffer) -> None:
        """Send one message; as :meth:`~beamfast.WebSocket.send`."""
        self._call(self.websocket.send(message))

    def recv(self, timeout: float | None = None) -> str | bytes:
        """
        Return the next message.

        Args:
            timeout: seconds to wait for it; None for ever.

        Raises:
            ConnectionClosed: there are no more messages.
            TimeoutError: none came in time; it can still be received.
        """
        return self._call(asyncio.wait_for(self.websocket.recv(), timeout))

    def recv_streaming(self, timeout: float | None = None) -> Iterator[str | bytes]:
        """
        Iterate over the pieces of the next message, as they arrive.

        The rest of a message whose iteration ends early is dropped.

        Args:
            timeout: seconds to wait for each piece; None for ever.

        Raises:
            ConnectionClosed: the rest will not come.
            TimeoutError: a piece did not come in time.
        """
        pieces = self.websocket.recv_streaming()
        try:
            while True:
                try:
                    yield self._call(_next(pieces, timeout))
                except StopAsyncIteration:
                    return
        finally:
            if not self._loop.is_closed():
                self._call(pieces.aclose())

    def __iter__(self) -> Iterator[str | bytes]:
        while True:
            try:
                yield self._call(anext(self.websocket))
            except StopAsyncIteration:
                return

    def ping(self) -> float:
        """Return the seconds until the server answered a ping."""
        return self._call(_latency(self.websocket))

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Close and wait until the connection is gone; harmless when it is."""
        if self._loop.is_closed():
            return
        try:
            self._call(self.websocket.close(code, reason))
        finally:
            self._stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _call(self, work: Coroutine[Any, Any, Result]) -> Result:
        if self._loop.is_closed():
            work.close()
            raise ConnectionClosed(self.websocket.close_code or 1006)
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def _stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _open(self, opening: connect_async) -> None:
        # Kept here: Ctrl-C may come before the other thread hears of it.
        self._websocket = await opening

    async def _end(self) -> None:
        """Cancel what Ctrl-C left under way, and let the sockets go."""
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.get_running_loop().shutdown_asyncgens()
        if self._websocket is not None:
            self._websocket.abort()
            await self._websocket.wait_closed()


async def _latency(websocket: WebSocket) -> float:
    return await (await websocket.ping())


async def _next(pieces: PieceIterator, seconds: float | None) -> str | bytes:
    return await asyncio.wait_for(anext(pieces), seconds)
