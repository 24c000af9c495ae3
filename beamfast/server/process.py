"""
One worker process: take the assignment, serve, show signs of life, drain.

The other end of the control socket is :mod:`beamfast.server.worker`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import sys
from pathlib import Path
from typing import Final

import uvloop

from beamfast.errors import BusError, ConfigError
from beamfast.pubsub.unix import UnixBus
from beamfast.server.binding import Bound
from beamfast.server.control import (
    CUT,
    DRAIN,
    HEARTBEAT,
    HEARTBEAT_INTERVAL,
    READY,
    Assignment,
    Control,
    config_to_json,
    overrides_from_json,
)
from beamfast.server.loading import load_with_environment
from beamfast.server.logs import log_to_terminal
from beamfast.server.server import Server

logger: logging.Logger = logging.getLogger("beamfast.server")

#: Exit codes: the supervisor is gone, and what it gave us cannot be used.
FAILURE: Final = 1
UNUSABLE: Final = 2


def run_worker(descriptor: int) -> int:
    """
    Serve until the supervisor says otherwise, or is gone.

    Args:
        descriptor: of the control socket.

    Returns:
        the exit code.
    """
    # The terminal sends Ctrl-C to all processes; what it means for this one the
    # supervisor says. It was held back until here.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    with contextlib.closing(Control(socket.socket(fileno=descriptor))) as control:
        assignment = control.assignment()
        if assignment is None:
            return FAILURE
        log_to_terminal(verbose=assignment.verbose)
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(serve(control, assignment))
        except (BusError, ConfigError) as error:
            logger.error("beamfast: %s", error)
            return UNUSABLE
    return 0


async def serve(control: Control, assignment: Assignment) -> None:
    """
    Serve what is assigned, on the running loop, until told to drain.

    Raises:
        ConfigError: the configuration cannot be used.
        BusError: the other workers cannot be reached.
    """
    bound = [
        Bound(place, (socket.socket(fileno=descriptor),))
        for descriptor, place in assignment.listeners
    ]
    try:
        server = Server(assignment.config, bound=bound, shared=assignment.shared)
        await _serve(server, control, assignment)
    finally:
        for one in bound:
            one.close(remove=False)


async def _serve(server: Server, control: Control, assignment: Assignment) -> None:
    loop = asyncio.get_running_loop()
    beat: asyncio.TimerHandle

    def listen() -> None:
        words = control.receive()
        # The end of the stream: nobody would restart us, forward a signal or
        # hold the port.
        if words is None:
            loop.remove_reader(control)
            server.drain()
            return
        if DRAIN in words:
            server.drain()
        if CUT in words:
            server.cut()

    def heartbeat() -> None:
        nonlocal beat
        control.send(HEARTBEAT)
        beat = loop.call_later(HEARTBEAT_INTERVAL, heartbeat)

    bus = None
    if assignment.shared is not None:
        bus = UnixBus(assignment.shared, assignment.slot, assignment.workers)
    loop.add_reader(control, listen)
    # What came with the assignment has been read; no poll would tell of it.
    listen()
    # systemd sends it to every process of a service; draining twice is once.
    loop.add_signal_handler(signal.SIGTERM, server.drain)
    heartbeat()
    try:
        await server.serve(lambda url: control.send(READY), bus=bus)
    finally:
        beat.cancel()
        loop.remove_reader(control)
        loop.remove_signal_handler(signal.SIGTERM)


def print_config(path: Path, overrides: str) -> int:
    """
    Print a configuration as JSON, or its mistakes; return the exit code.

    The supervisor has this done in another process, because reading one takes the
    parser of HTML and every plugin, and the supervisor stays small.

    Args:
        path: of a configuration file or folder.
        overrides: what the command line says, by name, in JSON.
    """
    try:
        loaded = load_with_environment(path, overrides_from_json(overrides))
        loaded.config.check()
    except ConfigError as error:
        sys.stdout.write(str(error))
        return UNUSABLE
    sys.stdout.write(config_to_json(loaded.config))
    return 0
