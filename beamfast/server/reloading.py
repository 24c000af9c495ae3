"""
Another configuration for all workers at once, as their supervisor brings it about.

It is read in another process, built in every worker beside the old one, and put in
place when all have built it. Whoever cannot read or build it says why, and then
nothing changes anywhere. Standard library only.
"""

from __future__ import annotations

import json
import logging
import subprocess
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from beamfast.errors import ConfigError
from beamfast.server.config import ServerConfig
from beamfast.server.control import (
    ABANDON,
    COMMIT,
    PREPARE,
    PREPARED,
    REFUSED,
    config_from_json,
    config_to_json,
)
from beamfast.server.filewatch import FileWatch
from beamfast.server.slot import Slot

logger: logging.Logger = logging.getLogger("beamfast.supervisor")

#: Seconds for a configuration to be read, and for the workers to build it.
PATIENCE: Final = 30.0

#: Told the problems, of which none means that it is done.
Asker = Callable[[list[str]], None]


class Reloading:
    """
    The reloads of one supervisor, one after the other.

    Args:
        command: prints the configuration.
        accept: told of a configuration before the workers build it, and may raise
            :exc:`ConfigError`; then, with True, that it is in place.
        file: where the configuration is read.
    """

    def __init__(
        self,
        command: Sequence[str],
        accept: Callable[[ServerConfig, bool], None],
        file: FileWatch,
    ) -> None:
        self.file: FileWatch = file
        self._command = command
        self._accept = accept
        self._askers: list[Asker] = []
        self._waiting: list[Asker] = []
        self._reader: subprocess.Popen[bytes] | None = None
        self._read = b""
        self._config: ServerConfig | None = None
        self._workers: list[Slot] = []
        self._builders: set[Slot] = set()
        self._deadline = 0.0
        self.failures: int = 0
        """Reloads that changed nothing."""

    @property
    def is_running(self) -> bool:
        """True from the first question to the last answer."""
        return self._reader is not None or self._config is not None

    def ask(self, asker: Asker) -> None:
        """
        Want a reload, or one more after the one that runs.

        What runs may have read the file before it was changed.
        """
        self._waiting.append(asker)

    def begin(self, now: float) -> int | None:
        """
        Begin what is wanted, if nothing runs.

        Returns:
            a descriptor to call :meth:`readable` for, if it begins now.
        """
        if self.is_running or not self._waiting:
            return None
        self._askers, self._waiting = self._waiting, []
        logger.info("Received SIGHUP, reloading configuration...")
        self._deadline = now + PATIENCE
        self._read = b""
        self._reader = subprocess.Popen(  # noqa: S603 - our own code
            self._command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
        )
        assert self._reader.stdout is not None
        return self._reader.stdout.fileno()

    def readable(self, workers: Iterable[Slot]) -> bool:
        """Take in what was read; True when there is no more of it."""
        assert self._reader is not None and self._reader.stdout is not None
        data = self._reader.stdout.read1(2**16)  # type: ignore[attr-defined] # buffered
        if data:
            self._read += data
            return False
        self._reader.stdout.close()
        code, self._reader = self._reader.wait(), None
        text = self._read.decode()
        try:
            if code:
                raise ConfigError(text or "the configuration cannot be read")
            config = config_from_json(text)
            self._accept(config, False)
        except ConfigError as error:
            self._finish(str(error).splitlines())
            return True
        self._config = config
        self._workers = [slot for slot in workers if slot.is_ready]
        self._builders = set(self._workers)
        message = f"{PREPARE} {config_to_json(config)}"
        for slot in self._workers:
            slot.tell(message)
        self._look()
        return True

    def heard(self, slot: Slot, word: str, rest: str) -> None:
        """Take in what a worker answers."""
        if word == PREPARED:
            self._builders.discard(slot)
            self._look()
        elif word == REFUSED and self._config is not None:
            self._give_up(json.loads(rest))

    def gone(self, slot: Slot) -> None:
        """A worker has ended; its successor starts with what is in place then."""
        self._builders.discard(slot)
        if slot in self._workers:
            self._workers.remove(slot)
            self._look()

    def look(self, now: float) -> None:
        """Give up what takes too long."""
        if not self.is_running or now < self._deadline:
            return
        if self._reader is not None:
            # Its end is read like that of any other.
            self._reader.kill()
            self._deadline = now + PATIENCE
        else:
            self._give_up(["the workers took too long"])

    def _look(self) -> None:
        if self._config is None or self._builders:
            return
        config, self._config = self._config, None
        for slot in self._workers:
            slot.tell(COMMIT)
        self._accept(config, True)
        self._finish([])

    def _give_up(self, problems: list[str]) -> None:
        self._config = None
        for slot in self._workers:
            slot.tell(ABANDON)
        self._finish(problems)

    def _finish(self, problems: list[str]) -> None:
        self._workers, self._builders = [], set()
        if problems:
            self.failures += 1
            logger.error("The configuration stays as it was:\n%s", "\n".join(problems))
        else:
            logger.info("Configuration reloaded successfully")
        askers, self._askers = self._askers, []
        for asker in askers:
            asker(problems)


def restart_needed(old: ServerConfig, new: ServerConfig) -> list[str]:
    """Return what has changed and counts from the next start on."""
    names = ("workers", "daemon", "ordered", "verbose")
    changed = [name for name in names if getattr(old, name) != getattr(new, name)]
    if old.places != new.places:
        changed.append("listeners")
    journals = {host.root: host for host in old.hosts}
    for host in new.hosts:
        before = journals.get(host.root)
        if before is not None and (
            *(before.durability, before.retain_entries, before.retain_bytes),
        ) != (host.durability, host.retain_entries, host.retain_bytes):
            changed.append(f"the journal of {host.root}")
    return changed
