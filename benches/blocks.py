"""
How long a fan-out keeps the loop from everything else: CPU time of its longest turn.

``python -m benches.blocks`` publishes to ``--subscribers`` sockets and times each
callback of the fan-out with the clock of its thread. The aim is 4 ms.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import uvloop

from beamfast.connection.http import HttpConnection
from beamfast.connection.service import Service
from beamfast.pubsub.hub import Hub
from benches.build import program
from benches.live import Live


class TimedLoop:
    """An event loop as the hub sees it, with the time of what the hub schedules."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.blocks: list[int] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)

    def call_soon(self, callback: Callable[..., object], *arguments: Any) -> Any:
        """Schedule, and note how long it took."""

        def timed() -> None:
            begun = time.thread_time_ns()
            callback(*arguments)
            self.blocks.append(time.thread_time_ns() - begun)

        return self._loop.call_soon(timed)


async def measure(subscribers: int, size: int, rounds: int) -> dict[str, Any]:
    """Serve in this process, load from another one."""
    loop = TimedLoop(asyncio.get_running_loop())
    hub = Hub(loop)  # type: ignore[arg-type]  # as much of a loop as it needs
    live = Live(hub, 0, is_deaf=False)
    service = Service(live.answer, asyncio.get_running_loop(), hub.registry)
    server = await asyncio.get_running_loop().create_server(
        lambda: HttpConnection(service), "127.0.0.1", 0, backlog=2048
    )
    options: dict[str, int] = {
        "port": server.sockets[0].getsockname()[1],
        "pid": os.getpid(),
        "connections": subscribers,
        "size": size,
        "rounds": rounds,
    }
    words = [
        text for key, value in options.items() for text in (f"--{key}", str(value))
    ]
    load = await asyncio.create_subprocess_exec(
        str(program("load")), "fanout", *words, stdout=subprocess.DEVNULL
    )
    if await load.wait():
        sys.exit("the load generator failed")
    server.close()
    blocks = sorted(loop.blocks)
    return {
        "subscribers": subscribers,
        "size": size,
        "turns": len(blocks),
        "median_ms": blocks[len(blocks) // 2] / 1e6,
        "p99_ms": blocks[len(blocks) * 99 // 100] / 1e6,
        "longest_ms": blocks[-1] / 1e6,
    }


def main() -> None:
    """Read the command line, run, print JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--subscribers", type=int, default=10_000)
    parser.add_argument("--size", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=8)
    options = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(json.dumps(runner.run(measure(**vars(options))), indent=1))


if __name__ == "__main__":
    main()
