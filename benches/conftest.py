"""
A yardstick beside each benchmark, so that figures of other machines compare.

It is a fixed piece of work of the kind that a server does in Python, timed just
before and just after: whatever slows the machine down slows both.
"""

import time

import pytest

REPEATS = 30


def work() -> int:
    """Call, format, look up, join and copy."""
    found: dict[str, bytes] = {}
    for number in range(300):
        found[f"name-{number % 40}"] = b"%d" % number
    return len(b"".join(found.values()) * 64)


def unit() -> float:
    """Return the best time of that work, in seconds."""
    best = 1.0
    for _ in range(REPEATS):
        begun = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - begun)
    return best


@pytest.fixture(autouse=True)
def yardstick(benchmark):
    """Note it with the result of each benchmark."""
    before = unit()
    yield
    benchmark.extra_info["yardstick"] = min(before, unit())
