"""Where the lines go that say what happens."""

from __future__ import annotations

import io
import logging
import sys
import threading
import traceback


def log_to_terminal(*, verbose: bool) -> None:
    """Print log lines: what happens to stdout, or what is wrong to stderr."""
    handler = logging.StreamHandler(sys.stdout if verbose else sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger = logging.getLogger("beamfast")
    logger.handlers[:] = [handler]
    logger.setLevel(logging.INFO if verbose else logging.WARNING)


def dump_tasks() -> None:
    """Say where every task of the running loop and every thread stands."""
    import asyncio  # noqa: PLC0415 - a supervisor has no loop

    text = io.StringIO()
    for task in asyncio.all_tasks():
        task.print_stack(file=text)
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    for number, frame in sys._current_frames().items():
        print(f"Thread {names.get(number, number)}:", file=text)
        traceback.print_stack(frame, file=text)
    logging.getLogger("beamfast").warning("%s", text.getvalue())
