"""
Bind the listening sockets; standard library only.

With one worker, or where the kernel does not spread connections, there is one
socket; on Linux each worker has its own, so that none takes nearly everything.
What is inherited, and a Unix socket, is one socket for all.
"""

from __future__ import annotations

import contextlib
import os
import socket
import stat
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Self

from beamfast.errors import ConfigError
from beamfast.server.config import ListenerConfig
from beamfast.server.systemd import inherited_descriptors

#: Connections that the kernel holds until they are accepted.
BACKLOG: Final = 2048

#: Linux spreads connections over the sockets of a port (socket(7)); where the
#: option exists elsewhere, the last socket gets everything.
SPREADS: Final = sys.platform == "linux"

#: Every address, of both families.
ANY: Final = "*"


@dataclass(frozen=True, slots=True)
class Bound:
    """
    One place to listen at, with its sockets.

    Attributes:
        config: how connections are taken there.
        sockets: one for each worker, which may be the same.
    """

    config: ListenerConfig
    sockets: tuple[socket.socket, ...]

    @property
    def url(self) -> str:
        """Return what a client on this machine connects to."""
        return url_of(self.sockets[0], tls=self.config.tls)

    def to_state(self) -> dict[str, Any]:
        """Return what :meth:`from_state` needs; its descriptors are inherited."""
        sockets = [one.fileno() for one in self.sockets]
        return {"config": asdict(self.config), "sockets": sockets}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Take over sockets that are bound."""
        by_number = {
            number: socket.socket(fileno=number) for number in set(state["sockets"])
        }
        return cls(
            ListenerConfig(**state["config"]),
            tuple(by_number[number] for number in state["sockets"]),
        )

    def close(self, *, remove: bool = True) -> None:
        """Close the sockets; a Unix socket's path goes with them, if ``remove``."""
        path = self.config.listen.removeprefix("unix:")
        if remove and path != self.config.listen:
            Path(path).unlink(missing_ok=True)
        for one in set(self.sockets):
            one.close()


def bind(places: Sequence[ListenerConfig], workers: int = 1) -> list[Bound]:
    """
    Return listening sockets for every place.

    Args:
        places: where to listen.
        workers: how many processes accept.

    Raises:
        OSError: a place is in use, or may not be bound.
        ConfigError: there is no such place.
    """
    bound: list[Bound] = []
    try:
        for place in places:
            bound += _bind_place(place, workers)
    except BaseException:
        for one in bound:
            one.close()
        raise
    return bound


def _bind_place(place: ListenerConfig, workers: int) -> list[Bound]:
    listen = place.listen
    if listen == "systemd":
        inherited = list(map(_inherit, inherited_descriptors()))
        if not inherited:
            raise ConfigError("no sockets were handed over (LISTEN_FDS is not set)")
        return [Bound(place, (one,) * workers) for one in inherited]
    if listen.startswith("fd:"):
        number = listen.removeprefix("fd:")
        if not number.isdecimal():
            raise ConfigError(f"{listen}: not a number")
        return [Bound(place, (_inherit(int(number)),) * workers)]
    if listen.startswith("unix:"):
        path = Path(listen.removeprefix("unix:"))
        return [Bound(place, (bind_unix(path, place.mode),) * workers)]
    address, _, port = listen.rpartition(":")
    if not port.isdecimal() or int(port) >= 2**16:
        raise ConfigError(f"{listen}: neither ADDRESS:PORT nor unix:PATH")
    sockets = bind_tcp_for(workers, address.strip("[]") or ANY, int(port))
    return [Bound(place, tuple(sockets))]


def _inherit(descriptor: int) -> socket.socket:
    try:
        found = socket.socket(fileno=descriptor)
    except OSError as error:
        raise ConfigError(f"descriptor {descriptor}: {error.strerror}") from error
    found.setblocking(False)
    return found


def bind_unix(path: Path, mode: int) -> socket.socket:
    """
    Return a bound and listening Unix socket.

    Args:
        path: of the socket; one that nobody listens on is replaced.
        mode: its permissions.

    Raises:
        OSError: somebody listens there, or the place cannot be used.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with contextlib.suppress(FileNotFoundError):
            if stat.S_ISSOCK(path.lstat().st_mode) and not _is_alive(path):
                path.unlink()
        listener.bind(str(path))
        # Nobody connects before it listens, so nobody gets in with other rights.
        path.chmod(mode)
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener


def _is_alive(path: Path) -> bool:
    """Tell whether somebody listens, by trying."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(str(path))
        except BlockingIOError:
            return True
        except OSError:
            return False
    return True


def bind_tcp(address: str, port: int) -> socket.socket:
    """
    Return a bound and listening TCP socket.

    Args:
        address: IP address or name.
        port: 0 for any free one.

    Raises:
        OSError: the port is in use, or may not be bound.
    """
    return bind_tcp_for(1, address, port)[0]


def bind_tcp_for(workers: int, address: str, port: int) -> list[socket.socket]:
    """
    Return bound and listening TCP sockets on one port, one for each worker.

    Without the means to spread connections all workers share one socket.

    Args:
        workers: how many.
        address: IP address or name; ``*`` for every address, where the machine has
            IPv6 of both families.
        port: 0 for any free one.

    Raises:
        OSError: the port is in use, or may not be bound.
    """
    if address == ANY:
        address = "::" if socket.has_dualstack_ipv6() else "0.0.0.0"  # noqa: S104 - asked for
    found = socket.getaddrinfo(
        address, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    family, kind, protocol, _, place = found[0]
    listeners: list[socket.socket] = []
    try:
        for _ in range(workers if SPREADS else 1):
            listener = socket.socket(family, kind, protocol)
            listeners.append(listener)
            _bind(listener, place, shares=workers > 1, is_first=len(listeners) == 1)
            # All of them on the port that the first one got.
            place = listener.getsockname()
    except OSError:
        for listener in listeners:
            listener.close()
        raise
    return listeners if SPREADS else listeners * workers


def _bind(
    listener: socket.socket, place: tuple[object, ...], *, shares: bool, is_first: bool
) -> None:
    # A restart must not wait for the last connections of the old process.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if listener.family == socket.AF_INET6 and hasattr(socket, "IPV6_V6ONLY"):
        # "::" means both families; a plain IPv6 address is not affected.
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    shares = shares and SPREADS
    # With the option the first one would join whoever else has set it, and a port
    # in use would go unnoticed. It needs it only when the others come.
    if shares and not is_first:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind(place)
    if shares and is_first:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.listen(BACKLOG)
    listener.setblocking(False)


def urls_of(bound: Iterable[Bound]) -> list[str]:
    """Return what clients on this machine connect to."""
    return [one.url for one in bound]


def url_of(listener: socket.socket, *, tls: bool = False) -> str:
    """Return the URL that a browser on this machine can open."""
    if listener.family == socket.AF_UNIX:
        return f"unix:{os.fsdecode(listener.getsockname())}"
    scheme = "https" if tls else "http"
    host, port, *_ = listener.getsockname()
    if host in ("0.0.0.0", "::"):  # noqa: S104 - compared, not bound
        host = "127.0.0.1"
    return (
        f"{scheme}://[{host}]:{port}/" if ":" in host else f"{scheme}://{host}:{port}/"
    )
