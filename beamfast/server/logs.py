"""Where the lines go that say what happens."""

from __future__ import annotations

import logging
import sys


def log_to_terminal(*, verbose: bool) -> None:
    """Print log lines: what happens to stdout, or what is wrong to stderr."""
    handler = logging.StreamHandler(sys.stdout if verbose else sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger = logging.getLogger("beamfast")
    logger.handlers[:] = [handler]
    logger.setLevel(logging.INFO if verbose else logging.WARNING)
