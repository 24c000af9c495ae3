"""
The control socket between the supervisor and one worker.

Both ends write lines. The first one from the supervisor is the assignment, in
JSON; then words follow, some with JSON behind them. The end of the stream means
that the other process is gone.
Standard library only, because the supervisor uses it.
"""

from __future__ import annotations

import json
import socket
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Self

from beamfast.server.config import (
    DaemonConfig,
    HostConfig,
    LimitsConfig,
    ListenerConfig,
    PluginConfig,
    ServerConfig,
)
from beamfast.server.written import Written

READY: Final = "ready"
HEARTBEAT: Final = "heartbeat"
DRAIN: Final = "drain"
CUT: Final = "cut"
#: Drain, and say that others take over.
REPLACE: Final = "replace"
#: From now on others write the same documents; and the answer.
SHARE: Final = "share"
SHARED: Final = "shared"
#: Up: read the configuration again. Down: what came of it.
RELOAD: Final = "reload"
RELOADED: Final = "reloaded"
#: Build what another configuration asks for; and the two answers.
PREPARE: Final = "prepare"
PREPARED: Final = "prepared"
REFUSED: Final = "refused"
#: Serve what is prepared, or forget it.
COMMIT: Final = "commit"
ABANDON: Final = "abandon"

#: Bytes that a socket takes whole, or not at all.
SHORT: Final = 2**10
_PATH: Final = "pathlib.Path"

#: Seconds between two heartbeats of a worker.
HEARTBEAT_INTERVAL: Final = 1.0
#: Seconds that an assignment may take through the socket.
ASSIGNMENT_TIMEOUT: Final = 10.0


@dataclass(frozen=True, slots=True)
class Assignment:
    """
    What one worker shall do.

    Attributes:
        config: what to serve.
        slot: of this worker, from 0.
        workers: how many there are.
        listeners: descriptors of its listening sockets, each with its place in
            the configuration.
        folder: of what belongs to this server while it runs.
        seat: on the bus.
        shares: others write the same documents.
        verbose: say what happens.
    """

    config: ServerConfig
    slot: int
    workers: int
    listeners: tuple[tuple[int, ListenerConfig], ...]
    folder: Path
    seat: int = 0
    shares: bool = False
    verbose: bool = False

    def to_json(self) -> str:
        """Return the assignment as one line."""
        return _dump(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what :meth:`to_json` wrote."""
        values = _load(text)
        config = _read_config(values.pop("config"))
        listeners = tuple(
            (descriptor, ListenerConfig(**place))
            for descriptor, place in values.pop("listeners")
        )
        return cls(config, listeners=listeners, **values)


def config_to_json(config: ServerConfig) -> str:
    """Return a configuration as one line."""
    return _dump(asdict(config))


def config_from_json(text: str) -> ServerConfig:
    """Read what :func:`config_to_json` wrote."""
    return _read_config(_load(text))


def overrides_to_json(overrides: Written) -> str:
    """Return settings as one line."""
    return json.dumps([overrides.texts, dict(overrides.places)])


def overrides_from_json(text: str) -> Written:
    """Read what :func:`overrides_to_json` wrote."""
    texts, places = json.loads(text)
    return Written("command line", texts=texts, places=places)


def _dump(values: dict[str, Any]) -> str:
    """Write what JSON cannot say, paths, as objects with a name of their own."""
    return json.dumps(values, default=lambda path: {_PATH: str(path)})


def _load(text: str) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(
        text,
        object_hook=lambda found: Path(found[_PATH]) if _PATH in found else found,
    )
    return values


def _read_config(values: dict[str, Any]) -> ServerConfig:
    hosts = tuple(_read_host(host) for host in values.pop("hosts"))
    return ServerConfig(
        hosts,
        listeners=tuple(ListenerConfig(**one) for one in values.pop("listeners")),
        limits=LimitsConfig(**values.pop("limits")),
        daemon=DaemonConfig(**values.pop("daemon")),
        **_with_tuples(values),
    )


def _read_host(values: dict[str, Any]) -> HostConfig:
    plugins = tuple(map(_read_plugin, values.pop("plugins")))
    return HostConfig(plugins=plugins, **_with_tuples(values))


def _read_plugin(values: dict[str, Any]) -> PluginConfig:
    nested = tuple(map(_read_plugin, values["nested"]))
    options = _with_tuples(values["options"])
    return PluginConfig(values["name"], options, nested, values["place"])


def _with_tuples(values: dict[str, Any]) -> dict[str, Any]:
    """JSON has lists only; what is configured is never one, since it is frozen."""
    return {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in values.items()
    }


class Control:
    """
    One end of a control socket.

    Args:
        stream: connected; owned from now on.
        rest: what has come of a line already.
    """

    def __init__(self, stream: socket.socket, rest: bytes = b"") -> None:
        self._stream = stream
        self._stream.setblocking(False)
        self.rest: bytes = rest
        """What has come of a line."""

    def fileno(self) -> int:
        """Return the descriptor, for selectors and event loops."""
        return self._stream.fileno()

    def close(self) -> None:
        """Close this end."""
        self._stream.close()

    def assign(self, assignment: Assignment) -> bool:
        """Send a worker its assignment; False when it is gone already."""
        self._stream.settimeout(ASSIGNMENT_TIMEOUT)
        try:
            self._stream.sendall(assignment.to_json().encode() + b"\n")
        except OSError:
            return False
        self._stream.setblocking(False)
        return True

    def assignment(self) -> Assignment | None:
        """Wait for the assignment; None when the supervisor is gone."""
        self._stream.settimeout(ASSIGNMENT_TIMEOUT)
        while b"\n" not in self.rest:
            if not (data := self._stream.recv(2**16)):
                return None
            self.rest += data
        self._stream.setblocking(False)
        line, _, self.rest = self.rest.partition(b"\n")
        return Assignment.from_json(line.decode())

    def send(self, word: str) -> None:
        """Send one word; nobody waits for an end that does not read."""
        data = word.encode() + b"\n"
        # What is long may need room that has to be made; a part of it would do harm.
        self._stream.settimeout(ASSIGNMENT_TIMEOUT if len(data) > SHORT else 0)
        try:
            self._stream.sendall(data)
        except OSError:
            # Full, or gone: then the end of the stream is the news.
            return
        self._stream.setblocking(False)

    def receive(self) -> list[str] | None:
        """Return the words that have arrived; None at the end of the stream."""
        try:
            data = self._stream.recv(2**16)
        except BlockingIOError:
            data = None
        except OSError:
            return None
        if data == b"":
            return None
        *lines, self.rest = (self.rest + (data or b"")).split(b"\n")
        return [line.decode() for line in lines]
