"""
Servers that programs make: from a folder or nothing, with handlers, on their loop.

:class:`~beamfast.server.server.Server` is one of these; what it adds is how to serve.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import weakref
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from beamfast.errors import InvalidState
from beamfast.server.config import DEFAULT_PORT, HostConfig, ServerConfig
from beamfast.server.handlers import Handlers
from beamfast.server.rundir import hold_roots

if TYPE_CHECKING:
    from beamfast.pubsub.hub import Hub

#: What a program may give for a configuration.
Source = ServerConfig | str | PathLike[str] | None


class Embedding(Handlers):
    """
    What a program does with a server, whatever serves.

    Args:
        source: a configuration; a folder, for the default pipeline on it; or None
            for handlers alone.
        address: to listen on instead of the configuration's.
        port: likewise; 0 for any free one.

    Raises:
        ConfigError: there is no such folder.

    Attributes:
        config: what is served beside the handlers.
        url: where clients connect to, between ``async with`` and its end.
    """

    def __init__(
        self, source: Source, *, address: str | None = None, port: int | None = None
    ) -> None:
        super().__init__()
        if source is None:
            # Documents are possible, but nothing in the pipeline would serve any.
            empty = tempfile.mkdtemp(prefix="beamfast-")
            weakref.finalize(self, shutil.rmtree, empty, ignore_errors=True)
            source = ServerConfig((HostConfig(Path(empty), plugins=()),))
        elif not isinstance(source, ServerConfig):
            source = ServerConfig.for_folder(Path(source), port=DEFAULT_PORT)
        if address is not None:
            source = replace(source, address=address)
        if port is not None:
            source = replace(source, port=port)
        self.config: ServerConfig = source
        self.url: str = ""
        self._hub: Hub | None = None
        self._roots = ExitStack()
        self._serving: asyncio.Task[None] | None = None

    @property
    def hub(self) -> Hub:
        """
        The topics of this process, while it serves.

        Raises:
            InvalidState: it does not.
        """
        if self._hub is None:
            raise InvalidState("the server is not running")
        return self._hub

    async def serve(self, on_ready: Callable[[str], None] | None = None) -> None:
        """Serve until told to drain; what is made of this says how."""
        raise NotImplementedError

    def drain(self) -> None:
        """Begin to stop; what is made of this says how."""
        raise NotImplementedError

    async def __aenter__(self) -> Self:
        """
        Serve on the running loop, and return once connections are accepted.

        Raises:
            ConfigError: another server has one of the document roots.
            OSError: the port is in use, or may not be bound.
        """
        self._roots.enter_context(hold_roots(one.root for one in self.config.hosts))
        loop = asyncio.get_running_loop()
        ready: asyncio.Future[str] = loop.create_future()
        serving = self._serving = loop.create_task(self.serve(ready.set_result))
        try:
            either: set[asyncio.Future[Any]] = {ready, serving}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if serving.done():
                await serving
            self.url = ready.result().rstrip("/")
        except BaseException:
            serving.cancel()
            self._roots.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """Let what is open end, write the files, and stop."""
        self.drain()
        try:
            if self._serving is not None:
                await self._serving
        finally:
            self.url, self._serving = "", None
            self._roots.close()
