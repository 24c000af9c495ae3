"""What a supervisor becomes when it has executed itself; standard library only."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from beamfast.server.binding import Bound, urls_of
from beamfast.server.control import config_from_json, overrides_from_json
from beamfast.server.daemon import pid_file_removed
from beamfast.server.logs import log_to_terminal
from beamfast.server.rundir import RootLocks, WorkerFolder
from beamfast.server.slot import Slot
from beamfast.server.worker import Supervisor


def resume(descriptor: int) -> int:
    """
    Go on from a state, and return the exit code.

    Args:
        descriptor: of the file with the state.
    """
    with os.fdopen(descriptor, "rb") as file:
        state = json.load(file)
    log_to_terminal(verbose=state["verbose"])
    supervisor = _supervisor(state)
    with pid_file_removed(supervisor.pid_file):
        return supervisor.run()


def _supervisor(state: dict[str, Any]) -> Supervisor:
    now = time.monotonic()
    supervisor = Supervisor(
        config_from_json(state["config"]),
        path=Path(state["path"]),
        overrides=overrides_from_json(state["overrides"]),
        verbose=state["verbose"],
    )
    supervisor.bound = [Bound.from_state(one) for one in state["bound"]]
    supervisor.urls = urls_of(supervisor.bound)
    supervisor.roots = RootLocks(state["roots"])
    supervisor.folder = WorkerFolder.from_state(*state["folder"])
    pid_file = state["pid_file"]
    supervisor.pid_file = None if pid_file is None else Path(pid_file)
    supervisor.slots = [Slot.from_state(one, now) for one in state["slots"]]
    supervisor.generation.from_state(state["old"], now)
    # It took over from an only worker, or there are several.
    supervisor.shares = supervisor.was_ready = True
    return supervisor
