"""
Leave the terminal: a process of its own session, user and folder.

Whoever started the server waits until it is ready, or learns why it is not.
Standard library only.
"""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from beamfast.errors import ConfigError
from beamfast.server.config import DaemonConfig
from beamfast.server.rundir import run_directory

#: What is written to whoever waits, when all is well.
READY: Final = b"\0"


class Detached:
    """
    This process, detached.

    Args:
        descriptor: where whoever waits reads.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor

    def ready(self, text: str) -> None:
        """Let whoever waits go on, and say so."""
        self._end(READY + text.encode())

    def fail(self, text: str) -> None:
        """Let whoever waits know why nothing came of it."""
        self._end(text.encode())

    def close(self) -> None:
        """Let whoever waits wait no longer."""
        self._end(b"")

    def _end(self, said: bytes) -> None:
        if self._descriptor is not None:
            with contextlib.suppress(BrokenPipeError):
                os.write(self._descriptor, said)
            os.close(self._descriptor)
            self._descriptor = None


def with_defaults(config: DaemonConfig) -> DaemonConfig:
    """Return where a server without a configuration leaves what it writes."""
    folder = run_directory()
    return replace(
        config,
        pid_file=config.pid_file or folder / "beamfast.pid",
        stdout=config.stdout or folder / "beamfast.stdout",
        stderr=config.stderr or folder / "beamfast.stderr",
    )


def detach() -> Detached:
    """
    Go on in another process; the one that called ends when that is ready.

    Returns:
        in the other process only.
    """
    reader, writer = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    if os.fork():
        os.close(writer)
        with os.fdopen(reader, "rb") as news:
            said = news.read()
        is_ready = said.startswith(READY)
        text = said.removeprefix(READY).decode()
        terminal = sys.stdout if is_ready else sys.stderr
        terminal.write(f"{text}\n")
        terminal.flush()
        # Not through the interpreter's end: everything belongs to the other one.
        os._exit(0 if is_ready else 1)
    os.close(reader)
    os.setsid()
    if os.fork():
        # A leader of a session could get a terminal again; its child cannot.
        os._exit(0)
    return Detached(writer)


def settle(config: DaemonConfig) -> None:
    """
    Become who and where the configuration says.

    Raises:
        ConfigError: there is no such user, group or folder, or it is not allowed.
    """
    os.umask(config.umask)
    try:
        if config.working_directory is not None:
            os.chdir(config.working_directory)
        if config.pid_file is not None:
            config.pid_file.write_text(f"{os.getpid()}\n", "ascii")
        _drop_privileges(config)
    except (OSError, KeyError) as error:
        raise ConfigError(f"daemon: {error}") from error


def redirect(config: DaemonConfig) -> None:
    """
    Let output go to files, or nowhere.

    Raises:
        ConfigError: a file cannot be opened.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    try:
        for number, path in ((1, config.stdout), (2, config.stderr)):
            opened = os.open(path or Path(os.devnull), flags, 0o666)
            os.dup2(opened, number)
            os.close(opened)
    except OSError as error:
        raise ConfigError(f"daemon: {error}") from error
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)


def _drop_privileges(config: DaemonConfig) -> None:
    if config.user is None and config.group is None:
        return
    uid, gid = os.getuid(), os.getgid()
    name = None
    if config.user is not None:
        is_number = config.user.isdecimal()
        found = (
            pwd.getpwuid(int(config.user)) if is_number else pwd.getpwnam(config.user)
        )
        uid, gid, name = found.pw_uid, found.pw_gid, found.pw_name
    if config.group is not None:
        gid = (
            int(config.group)
            if config.group.isdecimal()
            else grp.getgrnam(config.group).gr_gid
        )
    if config.chown_pid_file and config.pid_file is not None:
        os.chown(config.pid_file, uid, gid)
    if os.getuid() != uid or os.getgid() != gid:
        # Groups first: without the rights of root they cannot be changed.
        if name is not None:
            os.initgroups(name, gid)
        os.setgid(gid)
        os.setuid(uid)


@contextlib.contextmanager
def pid_file_removed(path: Path | None) -> Iterator[None]:
    """Remove the pid file at the end, where that is allowed."""
    try:
        yield
    finally:
        if path is not None:
            with contextlib.suppress(OSError):
                path.unlink()
