"""
Compare single functions with what they took when ``baseline.json`` was written.

``python -m benches.baseline`` runs the benchmarks of this folder and fails when one
takes more than the tolerance above its stored figure; ``--refresh`` stores new
ones. A figure is the best time divided by that of the yardstick of ``conftest.py``
in the same seconds, so that it holds on other machines as far as they resemble
each other. What seems slower is timed again, and the best time counts.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benches import report

HERE = Path(__file__).parent
STORED = HERE / "baseline.json"
#: Left out: what is only there to be compared with, and documents that measure the
#: memory of the machine.
CHOSEN = "not (websockets or wsproto or zlib or copy or apply_mask or decode or 1000kB)"
#: Times that what seems slower is timed again: a neighbour does not stay that long.
AGAIN = 3
UNIT_OF_EDITS = f"{HERE.name}/test_edit.py::test_parse"


def run(tests: Sequence[str]) -> dict[str, float]:
    """Run benchmarks and return the figure of each, by its name."""
    with tempfile.TemporaryDirectory() as place:
        written = Path(place) / "run.json"
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
        command += ["-k", CHOSEN, f"--deselect={UNIT_OF_EDITS}"]
        command += ["--benchmark-disable-gc", f"--benchmark-json={written}", *tests]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            raise SystemExit(done.stdout)
        found = json.loads(written.read_text())["benchmarks"]
    return {
        one["fullname"]: one["stats"]["min"] / one["extra_info"]["yardstick"]
        for one in found
    }


def slower(
    found: dict[str, float], stored: dict[str, float], tolerance: float
) -> list[str]:
    """Return the names of what takes longer than it may."""
    return [
        name
        for name, figure in found.items()
        if name in stored and figure > stored[name] * (1 + tolerance)
    ]


def table(found: dict[str, float], stored: dict[str, float]) -> str:
    """Return the figures and what they were."""
    lines = []
    for name, figure in found.items():
        before = stored.get(name)
        change = "new" if before is None else f"{figure / before - 1:+.0%}"
        lines.append(f"{figure:12.5f} {change:>6}  {name.partition('/')[2]}")
    return "\n".join(lines)


def compare(tests: Sequence[str], tolerance: float) -> None:
    """Print all figures; leave with 1 when something got slower."""
    document: dict[str, Any] = json.loads(STORED.read_text())
    stored: dict[str, float] = document["figures"]
    found = run(tests)
    for _ in range(AGAIN):
        suspects = slower(found, stored, tolerance)
        if not suspects:
            break
        again = run([str(HERE.parent / name) for name in suspects])
        for name, figure in again.items():
            found[name] = min(found[name], figure)
    print(table(found, stored))
    for name in sorted(stored.keys() - found.keys()) if tests == [str(HERE)] else ():
        print(f"{name} is stored and was not run", file=sys.stderr)
    if late := slower(found, stored, tolerance):
        print(f"more than {tolerance:.0%} slower than stored:", file=sys.stderr)
        print("\n".join(f"  {name}" for name in late), file=sys.stderr)
        sys.exit(1)


def refresh() -> None:
    """Store the better of two runs."""
    found = run([str(HERE)])
    again = run([str(HERE)])
    figures = {name: round(min(value, again[name]), 6) for name, value in found.items()}
    document = {"machine": report.machine(), "figures": figures}
    STORED.write_text(json.dumps(document, indent=1) + "\n")
    print(table(figures, {}))


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--refresh", action="store_true", help="store new figures")
    parser.add_argument("--tolerance", type=float, default=0.4)
    parser.add_argument("tests", nargs="*", default=[str(HERE)])
    options = parser.parse_args()
    if options.refresh:
        refresh()
    else:
        compare(options.tests, options.tolerance)


if __name__ == "__main__":
    main()
