"""
What the plugins of a host work with: documents, topics, and how the process is.

Made once for each host; nothing here depends on a request.
"""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from beamfast.commit.committer import Committer
from beamfast.documents.store import DocumentStore
from beamfast.pubsub.hub import Hub
from beamfast.rights import Rights
from beamfast.runstate import RunState


async def _nothing_to_reload() -> Sequence[str]:
    """Serve as before: nobody said how else."""
    return ("this server cannot be reloaded",)


@dataclass(slots=True)
class Status:
    """
    How the process is doing, as far as plugins may know.

    Attributes:
        started: value of :func:`time.monotonic` at its start.
        is_draining: no new connections are accepted, the open ones may end.
        connections: how many are open.
        config_file: what the server is configured by; None for a folder.
        reload: reads it again in all workers; returns the problems, if any, and
            then nothing has changed.
    """

    started: float = field(default_factory=time.monotonic)
    is_draining: Callable[[], bool] = lambda: False
    connections: Callable[[], int] = lambda: 0
    config_file: Path | None = None
    reload: Callable[[], Awaitable[Sequence[str]]] = _nothing_to_reload


@dataclass(frozen=True, slots=True)
class Context:
    """
    What a plugin works with; one per host, shared by all its plugins.

    Attributes:
        store: the documents of the host, for reading.
        committer: the only writer of documents, and who they are published by.
        hub: topics of this process.
        host_names: names the host answers to.
        allowed_origins: foreign origins that may connect and write.
        server_name: what the host calls the server; empty for nothing.
        status: of the process.
        run_state: what all workers know: sessions, tickets, shared limits.
        rights: who may still read, of those that are connected.
    """

    store: DocumentStore
    committer: Committer
    hub: Hub
    host_names: tuple[str, ...] = ()
    allowed_origins: tuple[str, ...] = ()
    server_name: str = "beamfast"
    status: Status = field(default_factory=Status)
    run_state: RunState = field(default_factory=RunState)
    rights: Rights = field(default_factory=Rights)

    def topic(self, plugin: str, name: str) -> str:
        """Return a topic that no other plugin and no other host can have."""
        # Not joined by a character: it could stand in any of the three.
        return json.dumps([plugin, str(self.store.root), name])
