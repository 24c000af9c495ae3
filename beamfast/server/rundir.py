"""
The run directory: what belongs to running servers and to nobody else.

It holds sockets and locks, nothing that must survive a restart. Standard
library only, because the supervisor uses it.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import logging
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final, Self

from beamfast.errors import ConfigError

logger: logging.Logger = logging.getLogger("beamfast.server")

#: Name of the lock that shows that a folder's owner lives.
LOCK: Final = "lock"
PREFIX: Final = "workers-"


def run_directory() -> Path:
    """
    Return the folder of this user's running servers, made if it is not there.

    Raises:
        ConfigError: the folder cannot be made, or others could write to it.
    """
    folder = _place()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.lstat()
    except OSError as error:
        raise ConfigError(f"run directory {folder}: {error.strerror}") from error
    # Under a shared /tmp somebody else may have been first. Whoever may write here
    # could take the place of a worker's socket.
    if (
        not stat.S_ISDIR(status.st_mode)
        or status.st_uid != os.geteuid()
        or status.st_mode & 0o022
    ):
        raise ConfigError(f"run directory {folder}: others may write to it")
    return folder


def _place() -> Path:
    # systemd.exec(5): RUNTIME_DIRECTORY is ours alone, and may list several.
    if own := os.environ.get("RUNTIME_DIRECTORY"):
        return Path(own.partition(":")[0])
    users = os.environ.get("XDG_RUNTIME_DIR")
    if users and os.access(users, os.W_OK):
        return Path(users, "beamfast")
    shared = os.environ.get("TMPDIR") or "/tmp"  # noqa: S108 - ownership is checked
    return Path(shared, f"beamfast-{os.geteuid()}")


class WorkerFolder:
    """
    The folder of one supervisor's workers; it goes with the supervisor.

    Constructing one removes the folders of supervisors that were killed.

    Args:
        parent: the run directory.
    """

    def __init__(self, parent: Path) -> None:
        for stale in parent.glob(f"{PREFIX}*"):
            self._remove_stale(stale)
        name = os.urandom(4).hex()
        hidden = parent / f".{name}"
        hidden.mkdir(mode=0o700)
        self._lock: int | None = _lock(hidden, os.O_CREAT)
        # Seen by others only with the lock held, so nobody takes it for stale.
        self.path: Path = hidden.rename(parent / f"{PREFIX}{name}")

    @classmethod
    def from_state(cls, path: str, lock: int) -> Self:
        """Take over a folder whose lock is inherited."""
        folder = cls.__new__(cls)
        folder.path, folder._lock = Path(path), lock
        return folder

    def to_state(self) -> tuple[str, int]:
        """Return what :meth:`from_state` needs."""
        assert self._lock is not None
        return str(self.path), self._lock

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Remove the folder."""
        if self._lock is not None:
            _remove(self.path)
            os.close(self._lock)
            self._lock = None

    @staticmethod
    def _remove_stale(folder: Path) -> None:
        # A lock ends with its holder, however that ended; a process id would not
        # do, since containers that share the folder may have the same ones.
        with contextlib.suppress(OSError):
            lock = _lock(folder, 0)
            _remove(folder)
            os.close(lock)


class RootLocks:
    """
    Be the only server of document roots; two would each count their revisions.

    Args:
        held: what another one held, by root, with the descriptor of the lock.
    """

    def __init__(self, held: Mapping[str, int] | None = None) -> None:
        self._held: dict[str, int] = dict(held or {})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def hold(self, roots: Iterable[Path]) -> None:
        """
        Hold more roots; those that are held already are fine.

        Raises:
            ConfigError: another server has one of them; no more are held than before.
        """
        wanted = {str(root.resolve()) for root in roots} - self._held.keys()
        try:
            folder = run_directory()
        except ConfigError as error:
            logger.warning("nothing keeps a second server away: %s", error)
            return
        new: dict[str, int] = {}
        try:
            for root in sorted(wanted):
                new[root] = _hold_root(_lock_file(folder, root), root)
        except ConfigError:
            for root, lock in new.items():
                _release_root(_lock_file(folder, root), lock)
            raise
        self._held |= new

    def to_state(self) -> dict[str, int]:
        """Return what another one can go on with; its descriptors are inherited."""
        return self._held

    def close(self) -> None:
        """Give every root back."""
        while self._held:
            root, lock = self._held.popitem()
            with contextlib.suppress(ConfigError):
                _release_root(_lock_file(run_directory(), root), lock)


@contextlib.contextmanager
def hold_roots(roots: Iterable[Path]) -> Iterator[None]:
    """
    Be the only server of these document roots while the context lasts.

    Raises:
        ConfigError: another server has one of them.
    """
    with RootLocks() as locks:
        locks.hold(roots)
        yield


def _lock_file(folder: Path, root: str) -> Path:
    name = hashlib.blake2b(os.fsencode(root), digest_size=8).hexdigest()
    return folder / f"root-{name}"


def _hold_root(path: Path, root: str) -> int:
    while True:
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(lock, 20).decode() or "that just starts"
            os.close(lock)
            raise ConfigError(
                f"{root} is served already, by process {holder}"
            ) from None
        # Its last holder may have removed it after we opened it.
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(lock), path.stat()):
                break
        os.close(lock)
    os.truncate(lock, 0)
    os.write(lock, str(os.getpid()).encode())
    return lock


def _release_root(path: Path, lock: int) -> None:
    path.unlink(missing_ok=True)
    os.close(lock)


def _lock(folder: Path, flags: int) -> int:
    lock = os.open(folder / LOCK, os.O_RDWR | os.O_CLOEXEC | flags, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise
    return lock


def _remove(folder: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()
