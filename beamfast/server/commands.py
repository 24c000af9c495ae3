"""
How commands find a running server and talk to its supervisor.

A server leaves a file about itself in the run directory, and a Unix socket beside it
that takes one word and answers one line of JSON. Standard library only.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from beamfast.errors import ConfigError
from beamfast.server.rundir import run_directory

if TYPE_CHECKING:
    from beamfast.server.worker import Supervisor

logger: logging.Logger = logging.getLogger("beamfast.server")

#: Seconds that a command may take to be sent; it is one word.
PATIENCE: Final = 1.0
PREFIX: Final = "server-"


@dataclass(frozen=True, slots=True)
class Announcement:
    """
    What a running server says of itself.

    Attributes:
        pid: of the process that takes signals.
        path: of its configuration or folder.
        roots: of its documents.
        urls: where it listens.
        workers: how many processes serve under it.
        started: when, in seconds since 1970.
    """

    pid: int
    path: str
    roots: tuple[str, ...]
    urls: tuple[str, ...]
    workers: int
    started: float

    @property
    def file(self) -> Path:
        """Where it stands."""
        return run_directory() / f"{PREFIX}{self.pid}.json"

    @property
    def socket(self) -> Path:
        """Where its supervisor listens, if it has one."""
        return self.file.with_suffix(".sock")

    def concerns(self, path: Path) -> bool:
        """Tell whether ``path`` is what it serves."""
        return str(path.resolve()) in (self.path, *self.roots)

    def publish(self) -> None:
        """Let commands find the server."""
        made = self.file.with_suffix(".new")
        made.write_text(json.dumps(asdict(self)), "utf-8")
        made.rename(self.file)

    def withdraw(self) -> None:
        """Let nobody find it any more."""
        with contextlib.suppress(ConfigError):
            for path in (self.file, self.socket):
                path.unlink(missing_ok=True)

    @classmethod
    def from_file(cls, file: Path) -> Self:
        """
        Read what a server has left.

        Raises:
            OSError: there is none.
            ValueError: it is no such file.
        """
        values = json.loads(file.read_text("utf-8"))
        for name in ("roots", "urls"):
            values[name] = tuple(values[name])
        return cls(**values)


def running_servers() -> Iterator[Announcement]:
    """Yield the servers of this user; files of killed ones are removed."""
    for file in sorted(run_directory().glob(f"{PREFIX}*.json")):
        try:
            found = Announcement.from_file(file)
            os.kill(found.pid, 0)
        except ProcessLookupError:
            found.withdraw()
        except (OSError, ValueError, KeyError, TypeError):
            continue
        else:
            yield found


def ask(server: Announcement, word: str, timeout: float = 60.0) -> Any:
    """
    Ask a supervisor, and return its answer.

    Raises:
        OSError: it has none, or it does not answer.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as stream:
        stream.settimeout(timeout)
        stream.connect(str(server.socket))
        stream.sendall(word.encode() + b"\n")
        with stream.makefile("rb") as answers:
            line = answers.readline()
    if not line:
        raise ConnectionError("the server gave no answer")
    return json.loads(line)


class CommandSocket:
    """
    The supervisor's end.

    Args:
        path: of the socket; the folder is this user's own.
    """

    def __init__(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(path))
        path.chmod(0o600)
        self._listener.listen()
        self._listener.setblocking(False)

    def fileno(self) -> int:
        """Return the descriptor, for selectors."""
        return self._listener.fileno()

    def close(self) -> None:
        """Listen no more."""
        self._listener.close()

    def accept(self) -> tuple[str, Callable[[Any], None]] | None:
        """Return a word and what answers it; None when nobody asks after all."""
        try:
            stream, _ = self._listener.accept()
        except OSError:
            return None
        stream.settimeout(PATIENCE)
        try:
            word = stream.recv(64).decode(errors="replace").strip()
        except OSError:
            stream.close()
            return None

        def answer(value: Any) -> None:
            with contextlib.suppress(OSError), stream:
                stream.sendall(json.dumps(value).encode() + b"\n")

        return word, answer


def obey(commands: CommandSocket, supervisor: Supervisor, now: float) -> None:
    """Do what somebody asks for, if anybody does."""
    if (asked := commands.accept()) is None:
        return
    word, answer = asked
    if word == "reload":
        supervisor.reload(now, answer)
    elif word == "drain":
        supervisor.stop(now, restarts=True)
        answer([])
    else:
        lines = [f"worker {slot}" for slot in supervisor.all_slots()]
        answer([*lines, f"failed reloads: {supervisor.reloading.failures}"])


@contextlib.contextmanager
def announced(
    path: Path, roots: Iterable[Path], urls: Iterable[str], workers: int
) -> Iterator[CommandSocket | None]:
    """
    Let commands find this process while the context lasts.

    Args:
        path: of its configuration or folder.
        roots: of its documents.
        urls: where it listens.
        workers: how many processes serve under it; without any there is no socket.
    """
    try:
        own = Announcement(
            os.getpid(),
            str(path.resolve()),
            tuple(str(root.resolve()) for root in roots),
            tuple(urls),
            workers,
            time.time(),
        )
        listener = CommandSocket(own.socket) if workers else None
        own.publish()
    except (ConfigError, OSError) as error:
        logger.warning("commands will not find this server: %s", error)
        yield None
        return
    try:
        yield listener
    finally:
        own.withdraw()
        if listener is not None:
            listener.close()
