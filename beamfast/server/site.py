"""
The documents of one root, for as long as the process lives.

Hosts come and go with configurations; what is known of their documents stays, and
so does whoever follows them.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from beamfast.commit.committer import Committer
from beamfast.commit.lock import FileLock
from beamfast.documents.store import DocumentStore
from beamfast.journal.file import FileJournal
from beamfast.pubsub.hub import Hub
from beamfast.server.config import HostConfig, LimitsConfig, PluginConfig

#: Options of file-handler that the resolver of paths needs.
_NAMES: Final = ("index_file", "hide_dotfiles")


class Site:
    """
    A document root with its store, journal and committer.

    Args:
        config: of the first host that serves it.
        hub: topics of this process.
        loop: of this process.
        shared: folder of what several workers share; None for a single one.
        limits: of the server.
    """

    def __init__(
        self,
        config: HostConfig,
        hub: Hub,
        loop: asyncio.AbstractEventLoop,
        *,
        shared: Path | None = None,
        limits: LimitsConfig | None = None,
    ) -> None:
        edit_limit = (limits or LimitsConfig()).edit_limit
        self.store: DocumentStore = DocumentStore(
            config.root, edit_limit=edit_limit, **_names_of_files(config.plugins)
        )
        self._journal = FileJournal(
            Path(self.store.root),
            durability=config.durability,
            turns=shared,
            retain_entries=config.retain_entries,
            retain_bytes=config.retain_bytes,
        )
        self.committer: Committer = Committer(
            *(self.store, self._journal, hub, loop),
            files_lock=None if shared is None else self._files_lock(shared),
        )
        self._loop = loop
        self._stopping = threading.Event()
        self._clearing: asyncio.Future[int] | None = None

    def _files_lock(self, shared: Path) -> FileLock:
        root = os.fsencode(self.store.root)
        name = hashlib.blake2b(root, digest_size=8).hexdigest()
        return FileLock(shared / f"files-{name}")

    def share(self, shared: Path) -> None:
        """From now on other processes serve the same documents."""
        self._journal.share(shared)
        self.committer.share(self._files_lock(shared))

    def start(self) -> None:
        """Clear what a crash left behind, begin to notice what others do."""
        if self._clearing is None:
            # A root may have millions of files, and nobody waits for this.
            self._clearing = self._loop.run_in_executor(
                None, self.store.remove_stale_files, self._stopping.is_set
            )
            self.committer.start()

    async def stop(self) -> None:
        """Finish the edits that wait."""
        self._stopping.set()
        await self.committer.close()
        if self._clearing is not None:
            await self._clearing


def _names_of_files(plugins: Iterable[PluginConfig]) -> dict[str, Any]:
    """Return what the plugin that serves files says about names; all go by it."""
    for plugin in plugins:
        if plugin.name == "file-handler":
            said = plugin.options
            return {one: said[one] for one in _NAMES if one in said}
        if found := _names_of_files(plugin.nested):
            return found
    return {}
