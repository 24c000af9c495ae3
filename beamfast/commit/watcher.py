"""
Notice what others do to files and log: native notification, and a poll.

Notification needs the package ``watchfiles``; without it, and on file systems
that tell nothing, the poll finds a change within two seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import logging
from collections.abc import Callable
from typing import Final

from beamfast.documents.location import STATE_DIRECTORY, TEMPORARY_PREFIX

logger: logging.Logger = logging.getLogger("beamfast.files")

#: Seconds between two looks; the second where other processes write the log.
POLL: Final = 2.0
POLL_SHARED: Final = 0.25


class Watcher:
    """
    Call back when it is worth looking.

    Args:
        root: the document root.
        loop: of this process.
        look: gets the key of a file that has changed, or None for all of them.
        shared: other processes write the same log.
    """

    def __init__(
        self,
        root: str,
        loop: asyncio.AbstractEventLoop,
        look: Callable[[str | None], None],
        *,
        shared: bool = False,
    ) -> None:
        self._root = root
        self._loop = loop
        self._look = look
        self._seconds = POLL_SHARED if shared else POLL
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._stopping: asyncio.Event | None = None

    def start(self) -> None:
        """Begin to look."""
        self._timer = self._loop.call_later(self._seconds, self._poll)
        if importlib.util.find_spec("watchfiles") is not None:
            self._stopping = asyncio.Event()
            self._task = self._loop.create_task(self._watch(self._stopping))

    def share(self) -> None:
        """Look more often: others write the same log now."""
        self._seconds = POLL_SHARED
        if self._timer is not None:
            self._timer.cancel()
            self._timer = self._loop.call_later(self._seconds, self._poll)

    async def close(self) -> None:
        """Stop looking."""
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None and self._stopping is not None:
            self._stopping.set()
            await self._task

    def _poll(self) -> None:
        # First the next look: this one may raise.
        self._timer = self._loop.call_later(self._seconds, self._poll)
        self._look(None)

    def _concerns_us(self, change: object, path: str) -> bool:
        """Leave out what we write ourselves."""
        names = path[len(self._root) :].split("/")
        return STATE_DIRECTORY not in names and not names[-1].startswith(
            TEMPORARY_PREFIX
        )

    async def _watch(self, stopping: asyncio.Event) -> None:
        import watchfiles  # noqa: PLC0415 - optional

        with contextlib.suppress(asyncio.CancelledError):
            try:
                async for changes in watchfiles.awatch(
                    self._root,
                    watch_filter=self._concerns_us,
                    stop_event=stopping,
                    step=20,
                    debounce=200,
                ):
                    for _, path in changes:
                        self._look(path[len(self._root) :])
            except (OSError, RuntimeError) as error:
                logger.warning("no notification of changed files: %s", error)
