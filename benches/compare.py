"""
Run every row against every contestant, interleaved, and write JSON and Markdown.

``python -m benches.compare`` measures beamfast against the raw server;
``--peers`` adds whoever else is installed. What counts are ratios: the repeats
of all contestants alternate, so that a busy machine is busy for all of them.
"""

import argparse
import contextlib
import json
import re
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benches import report
from benches.build import program
from benches.contestants import OTHERS, OWN, RAW, Contestant, running
from benches.rows import ROWS, Row

LOAD_CPU = 1
PAGE = '<!DOCTYPE html>\n<title>Bench</title>\n<div id="live">0</div>\n<p>{}</p>\n'


def make_folder(place: Path) -> Path:
    """Write the documents that are served, 2 KiB each."""
    folder = place / "site"
    folder.mkdir()
    page = PAGE.format("x" * (2048 - len(PAGE) + 2))
    for name in ("plain.html", "live.html", "index.html"):
        (folder / name).write_text(page)
    return folder


def run_once(row: Row, contestant: Contestant, port: int, pid: int) -> dict[str, Any]:
    """
    Run the load generator once and return what it found.

    Raises:
        RuntimeError: the server cannot do it.
    """
    options: dict[str, object] = {"port": port, "pid": pid, "cpu": LOAD_CPU}
    options |= row.options
    if contestant is RAW:
        options |= row.raw_options
    found = generate(row.mode, options, contestant.name)
    if row.without is not None and contestant is not RAW:
        rest = generate(row.mode, options | row.without, contestant.name)
        found["cpu_ns"] -= rest["cpu_ns"]
    return found


def generate(mode: str, options: dict[str, object], name: str) -> dict[str, Any]:
    """
    Call the load generator and return what it found.

    Raises:
        RuntimeError: the server of that name cannot do it.
    """
    words = [
        text
        for key, value in options.items()
        if value is not None
        for text in (f"--{key}", str(value))
    ]
    try:
        done = subprocess.run(
            [program("load"), mode, *words],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"{name}: not done in two minutes") from None
    if done.returncode:
        raise RuntimeError(f"{name}: {done.stderr.strip()}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def measure(row: Row, able: Iterable[Contestant], repeats: int) -> dict[str, Any]:
    """Return all results of a row by contestant, in the order of the repeats."""
    results: dict[str, list[dict[str, Any]]] = {}
    with contextlib.ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder = make_folder(place)
        started = []
        for one in able:
            try:
                port, pid = stack.enter_context(running(one, folder))
            except RuntimeError as error:
                print(f"  {one.name}: {error}", file=sys.stderr)
                continue
            started.append((one, port, pid))
        # A second count in the same process would find memory that is free.
        for _ in range(1 if row.mode == "hold" else repeats * row.often):
            for one, port, pid in list(started):
                try:
                    found = run_once(row, one, port, pid)
                except RuntimeError as error:
                    print(f"  {error}", file=sys.stderr)
                    started.remove((one, port, pid))
                    continue
                results.setdefault(one.name, []).append(found)
    return {name: summary(row, found) for name, found in results.items()}


def summary(row: Row, found: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the cost of one operation and what else is worth a column."""
    if row.mode == "hold":
        costs = [one["bytes"] / one["operations"] for one in found]
        return {"bytes": min(costs), "all": costs}
    if row.statistic == "received":
        costs = [one["received"] / one["operations"] for one in found]
        return {"received": statistics.median(costs), "all": costs}
    costs = [one["cpu_ns"] / one["operations"] for one in found]
    best = min(costs) if row.statistic == "min" else statistics.median(costs)
    rates = [one["operations"] / one["wall_ns"] * 1e9 for one in found]
    return {
        "cpu_ns": best,
        "rate": statistics.median(rates),
        "p50_ns": statistics.median(one["p50_ns"] for one in found),
        "p99_ns": statistics.median(one["p99_ns"] for one in found),
        "all": costs,
    }


def able_to(row: Row, wanted: Iterable[Contestant]) -> list[Contestant]:
    """Return who takes part in a row."""
    able = [one for one in wanted if (row.needs or row.mode) in one.can]
    # The raw server alone has nothing to be compared with.
    return [] if able == [RAW] else able


def main() -> None:
    """Read the command line, measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", default="", help="regular expression on row names")
    parser.add_argument("--peers", action="store_true", help="also measure others")
    parser.add_argument("--contestants", default="", help="the same, on their names")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="no large rows")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--markdown", type=Path)
    options = parser.parse_args()
    wanted = [RAW, *OWN, *(OTHERS if options.peers else ())]
    wanted = [
        one for one in wanted if one is RAW or re.search(options.contestants, one.name)
    ]
    present = [one for one in wanted if one.version() is not None]
    for one in wanted:
        if one not in present:
            print(f"{one.name} is not installed: left out", file=sys.stderr)
    document: dict[str, Any] = {
        "machine": report.machine(),
        "versions": {one.name: one.version() for one in present},
        "repeats": options.repeats,
        "rows": [],
    }
    # As Ctrl-C: servers are stopped, and what was measured so far is there.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        for row in ROWS:
            able = able_to(row, present)
            is_wanted = re.search(options.rows, row.name) and able
            if not is_wanted or (options.quick and row.is_large):
                continue
            found = report.line(row, measure(row, able, options.repeats))
            document["rows"].append(found)
            print(report.text(found), flush=True)
            write(document, options.json, options.markdown)
    except KeyboardInterrupt:
        print("interrupted: the rows so far are written", file=sys.stderr)
        sys.exit(130)


def write(document: dict[str, Any], json_file: Path | None, page: Path | None) -> None:
    """Write what is known so far, where it was asked for."""
    if json_file:
        json_file.parent.mkdir(parents=True, exist_ok=True)
        json_file.write_text(json.dumps(document, indent=1) + "\n")
    if page:
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(report.markdown(document))


if __name__ == "__main__":
    main()
