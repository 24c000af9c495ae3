"""
``beamfast bench`` beside the load generator in C, on one server.

``python -m benches.agree`` lets both ask the same server for the same things,
alternating, and prints rates, percentiles and the server's CPU time with the ratio
of the two, the median of those of all pairs: first what C found. Behind them stands
how often each had to be woken for one operation, because the server pays for that.
Where the client in Python is a part of its figures, what it says about that itself
stands below.
"""

import argparse
import asyncio
import json
import os
import resource
import statistics
import subprocess
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import uvloop

from beamfast.bench.load import Load
from beamfast.bench.local import SELECTOR, cpu_seconds, local_server, make_room
from beamfast.bench.row import Row
from beamfast.cli.bench import doubts
from benches.build import program

SERVER_CPU, LOAD_CPU = 0, 1
#: What both have to agree on, as a share.
WANTED = 0.10
MEASURES = ("rate", "p50", "p99", "cpu")


def of_c(mode: str, address: str, pid: int, **options: object) -> dict[str, float]:
    """Run the generator in C and return what it found; times in seconds."""
    port = address.rstrip("/").rpartition(":")[2]
    words = [f"--port={port}", f"--pid={pid}", f"--cpu={LOAD_CPU}"]
    words += [f"--{name}={value}" for name, value in options.items()]
    command = [program("load"), mode]
    command += [part for word in words for part in word.split("=", 1)]
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_nvcsw
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    waits = resource.getrusage(resource.RUSAGE_CHILDREN).ru_nvcsw - before
    found = json.loads(done.stdout)
    return {
        "waits": waits / found["operations"],
        "rate": found["operations"] / found["wall_ns"] * 1e9,
        "p50": found["p50_ns"] / 1e9,
        "p99": found["p99_ns"] / 1e9,
        "cpu": found["cpu_ns"] / found["operations"] / 1e9,
    }


def of_python(row: Row, waits_before: int) -> dict[str, Any]:
    """Return the same of a row of ``beamfast bench`` that has just been measured."""
    waits = resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw - waits_before
    shares = row.percentiles()
    cpu = (row.cpu_seconds or 0.0) / max(row.count, 1)
    figures = {"rate": row.rate, "p50": shares[50.0], "p99": shares[99.0], "cpu": cpu}
    figures["waits"] = waits / max(row.count, 1)
    return figures | {"load": row.load_share, "doubts": doubts([row])}


async def requests(
    address: str, pid: int, number: int, connections: int
) -> dict[str, Any]:
    """Ask for the page."""
    load = Load(address, partial(cpu_seconds, pid))
    await load.get(number // 8, connections, int)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw
    row = await load.get(number, connections, int)
    return of_python(row, before)


async def edits(address: str, pid: int, number: int, viewers: int) -> dict[str, Any]:
    """Edit, one after the other, until every viewer has it."""
    load = Load(address, partial(cpu_seconds, pid))
    try:
        await load.open_viewers(viewers, int)
        await load.edit(SELECTOR, number // 8, 0, int)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw
        return of_python((await load.edit(SELECTOR, number, 0, int))[1], before)
    finally:
        await load.close()


def line(name: str, pairs: list[tuple[dict[str, float], dict[str, Any]]]) -> str:
    """Return a row: medians of each measure of C and of Python, and their ratio."""
    cells = []
    for measure in MEASURES:
        ours, theirs = (
            statistics.median(pair[side][measure] for pair in pairs) for side in (1, 0)
        )
        # The two of a pair had the same machine, as far as there is such a thing.
        ratio = statistics.median(pair[1][measure] / pair[0][measure] for pair in pairs)
        mark = "" if abs(ratio - 1) <= WANTED else " !"
        scale, unit = (1, "/s") if measure == "rate" else (1e6, " us")
        cells.append(
            f"{measure} {theirs * scale:.0f} {ours * scale:.0f}{unit} "
            f"= {ratio:.2f}{mark}"
        )
    share = statistics.median(pair[1]["load"] for pair in pairs)
    waits = [
        statistics.median(pair[side]["waits"] for pair in pairs) for side in (0, 1)
    ]
    cells.append(f"woken {waits[0]:.2f} {waits[1]:.2f}")
    text = f"{name}: {', '.join(cells)} (client at {share:.0%} of a core)"
    doubted = [pair[1]["doubts"][0] for pair in pairs if pair[1]["doubts"]]
    if 2 * len(doubted) > len(pairs):
        text += f"\n  as the command says, {doubted[-1]}"
    return text


def main() -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--requests", type=int, default=8000)
    parser.add_argument("--edits", type=int, default=40)
    parser.add_argument("--viewers", type=int, default=100)
    options = parser.parse_args()
    make_room(1000)
    os.sched_setaffinity(0, {LOAD_CPU})
    with (
        tempfile.TemporaryDirectory() as place,
        local_server(Path(place)) as (address, pid),
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        os.sched_setaffinity(pid, {SERVER_CPU})
        for connections in (1, 16):
            number = options.requests // (1 if connections > 1 else 4)
            rounds = number // connections
            pairs: list[Any] = [
                (
                    of_c("get", address, pid, connections=connections, rounds=rounds),
                    runner.run(requests(address, pid, number, connections)),
                )
                for _ in range(options.repeats)
            ]
            print(line(f"GET, {connections} connections", pairs), flush=True)
        count = {"connections": options.viewers, "rounds": options.edits}
        pairs = [
            (
                of_c("fanout", address, pid, put="/index.html", path="/", **count),
                runner.run(edits(address, pid, options.edits, options.viewers)),
            )
            for _ in range(options.repeats)
        ]
        print(line(f"edit at {options.viewers} viewers", pairs), flush=True)


if __name__ == "__main__":
    main()
