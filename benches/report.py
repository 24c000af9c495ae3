"""Results as text and Markdown, with the machine they come from."""

import os
import platform
import sys
from pathlib import Path
from typing import Any

from benches.rows import Row


def machine() -> dict[str, str]:
    """Return what a reader has to know to place the figures."""
    model = platform.processor()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    return {
        "cpu": f"{model}, {os.cpu_count()} cores",
        "kernel": f"{platform.system()} {platform.release()}",
        "python": sys.version.split()[0],
    }


def line(row: Row, results: dict[str, Any]) -> dict[str, Any]:
    """Return a row with the ratios to the raw server."""
    raw = results.get("raw")
    counted = "received" if row.statistic == "received" else "cpu_ns"
    for found in results.values():
        if raw is not None:
            found["ratio"] = found[counted] / raw[counted]
    return {
        "name": row.name,
        "statistic": row.statistic,
        "limit": row.limit,
        "results": results,
    }


def text(row: dict[str, Any]) -> str:
    """Return a row for a terminal."""
    cells = [f"{name} {cell(found)}" for name, found in row["results"].items()]
    limit = "" if row["limit"] is None else f" (limit {row['limit']})"
    return f"{row['name']}{limit}: " + ", ".join(cells)


def cell(found: dict[str, Any]) -> str:
    """Return one result: bytes or CPU time, and the ratio."""
    if "bytes" in found:
        return f"{found['bytes']:.0f} B"
    ratio = f" = {found['ratio']:.2f}" if "ratio" in found else ""
    if "received" in found:
        return f"{found['received']:.0f} B{ratio}"
    return f"{found['cpu_ns'] / 1000:.2f} us{ratio}"


def missed(document: dict[str, Any]) -> list[str]:
    """Return a line for each result of beamfast that is above the limit of its row."""
    found = []
    for row in document["rows"]:
        for name, result in row["results"].items():
            reached = result.get("bytes", result.get("ratio"))
            is_own = name.startswith("beamfast") and None not in (reached, row["limit"])
            if is_own and reached > row["limit"]:
                found.append(f"{row['name']}, {name}: {reached:.4g} of {row['limit']}")
    return found


def markdown(document: dict[str, Any]) -> str:
    """Return the whole document as a page."""
    names = list(document["versions"])
    about = document["machine"]
    lines = [
        f"{about['cpu']}; {about['kernel']}; CPython {about['python']}; "
        f"{document['repeats']} interleaved repeats.",
        "",
        ", ".join(
            f"{name} {version}" for name, version in document["versions"].items()
        ),
        "",
        "CPU time of the server for one operation, and its ratio to the raw server; "
        "for memory and bytes on the wire those of one.",
        "",
        "| row | limit | " + " | ".join(names) + " |",
        "|---|---|" + "---|" * len(names),
    ]
    for row in document["rows"]:
        cells = [
            cell(row["results"][name]) if name in row["results"] else ""
            for name in names
        ]
        limit = "" if row["limit"] is None else str(row["limit"])
        lines.append(f"| {row['name']} | {limit} | " + " | ".join(cells) + " |")
    lines += ["", "Rates and latencies, median of the repeats:", ""]
    lines += [
        "| row | contestant | operations/s | p50 ms | p99 ms |",
        "|---|---|---|---|---|",
    ]
    for row in document["rows"]:
        for name, found in row["results"].items():
            if "rate" in found:
                lines.append(
                    f"| {row['name']} | {name} | {found['rate']:.0f} | "
                    f"{found['p50_ns'] / 1e6:.2f} | {found['p99_ns'] / 1e6:.2f} |"
                )
    if late := missed(document):
        lines += ["", "Above the limit:", "", *(f"* {one}" for one in late)]
    return "\n".join(lines) + "\n"
