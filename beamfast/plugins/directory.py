"""
A pipeline for one part of a site: its plugins see nothing else.

Its plugins are configured inside it. They take part in both phases of requests
whose canonical path is the directory or below it.
"""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass

from beamfast.http import Request, Response
from beamfast.pipeline import Context, Pipeline, Plugin


@dataclass(frozen=True)
class Options:
    """
    Options of the directory plugin.

    Attributes:
        directory: path on the site; of a ``file://`` URL its last name counts.
    """

    directory: str = "/"


class Directory(Plugin[Options]):
    """Ask the plugins inside, where the path is theirs."""

    name = "directory"
    holds_plugins = True

    def __init__(self, options: Options | None = None) -> None:
        super().__init__(options)
        path = self.options.directory.rstrip("/")
        if path.startswith("file:"):
            path = path.removeprefix("file://").rpartition("/")[2]
        # Empty for the root, so that everything begins with it and a slash.
        self._path = f"/{path.strip('/')}" if path else ""
        self._pipeline: Pipeline | None = None

    def start(self, context: Context) -> None:
        """Start the plugins inside."""
        pipeline = Pipeline(self.nested, context)
        pipeline.start()
        self._pipeline = pipeline

    def stop(self) -> None:
        """Stop the plugins inside."""
        if self._pipeline is not None:
            self._pipeline.stop()

    async def finish(self) -> None:
        """Wait for the plugins inside."""
        if self._pipeline is not None:
            await self._pipeline.finish()

    def handle_request(
        self, request: Request, context: Context
    ) -> Response | Awaitable[Response | None] | None:
        """Take a request of the directory through the request phase inside."""
        if not self.covers(request.path):
            return None
        # Not started, it would let everybody in: that is an error, not a None.
        assert self._pipeline is not None
        return self._pipeline.ask(request)

    def handle_response(
        self, request: Request, response: Response, context: Context
    ) -> Response | Awaitable[Response] | None:
        """Take an answer of the directory through the response phase inside."""
        if not self.covers(request.path) or self._pipeline is None:
            return None
        return self._pipeline.answer(request, response)

    def covers(self, path: str) -> bool:
        """Tell whether a canonical path is the directory or below it."""
        own = self._path
        return not own or path == own or path.startswith(f"{own}/")
