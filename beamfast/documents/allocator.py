"""
The C allocator, told to keep the large blocks that trees come and go in.

A tree is built and dropped with every edit. glibc gives such blocks back to the
kernel each time, which more than doubles the time of a parse.
"""

from __future__ import annotations

import ctypes
from typing import Final

# Names and numbers of mallopt(3).
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3

_MMAP_THRESHOLD: Final = 32 * 2**20
_TRIM_THRESHOLD: Final = 64 * 2**20


def tune_allocator() -> bool:
    """Tune this process, once, at its start; False where there is no mallopt."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False  # musl and macOS have none, and need none
    return bool(
        mallopt(_M_MMAP_THRESHOLD, _MMAP_THRESHOLD)
        and mallopt(_M_TRIM_THRESHOLD, _TRIM_THRESHOLD)
    )
