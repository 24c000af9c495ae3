"""
What programs make servers and applications of: a configuration, a folder, nothing.

:class:`~beamfast.server.server.Server` and :class:`beamfast.asgi.App` add how to
serve it.
"""

from __future__ import annotations

import shutil
import tempfile
import weakref
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from beamfast.errors import InvalidState
from beamfast.server.config import DEFAULT_PORT, HostConfig, ServerConfig
from beamfast.server.handlers import Handlers

if TYPE_CHECKING:
    from beamfast.pubsub.hub import Hub

#: What a program may give for a configuration.
Source = ServerConfig | str | PathLike[str] | None


class Embedding(Handlers):
    """
    What is served and by which handlers, however it is served.

    Args:
        source: a configuration; a folder, for the default pipeline on it; or None
            for handlers alone.
        address: to listen on instead of the configuration's.
        port: likewise; 0 for any free one.
        ordered: one order over all topics, likewise.

    Raises:
        ConfigError: there is no such folder.

    Attributes:
        config: what is served beside the handlers.
    """

    def __init__(
        self,
        source: Source,
        *,
        address: str | None = None,
        port: int | None = None,
        ordered: bool | None = None,
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
        if ordered is not None:
            source = replace(source, ordered=ordered)
        self.config: ServerConfig = source
        self._hub: Hub | None = None

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
