"""``beamfast bench [URL]``: what this machine does, in figures and as a picture."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any, Final

import click
import uvloop

from beamfast.bench.chart import svg
from beamfast.bench.load import BenchError, Load, Progress
from beamfast.bench.local import (
    SELECTOR,
    cpu_seconds,
    local_server,
    machine,
    make_room,
)
from beamfast.bench.row import PERCENTILES, Row
from beamfast.cli.failure import FAILURE, UNUSABLE, fail

#: Descriptors that a server and this process need beside the connections.
_SPARE: Final = 100

_METHOD: Final = (
    "One process makes the load, on the clock that it also reads. Times are from "
    "the request to the whole answer, or to the arrival at each viewer; percentiles "
    "are samples (nearest rank), nothing is left out or averaged. An edit puts an "
    "element back as it is. The load takes CPU time of this machine as well; its "
    "share of one core is in the table, and a row in which it had no time left "
    "says more about the load than about the server."
)

#: Share of a core above which the load generator is what a row is limited by.
_BUSY: Final = 0.9
#: Share of the median above which the own time of the load is worth a word.
_OWN: Final = 0.1


@click.command()
@click.argument("url", required=False)
@click.option("--viewers", type=click.IntRange(0), default=1000, show_default=True)
@click.option("--edits", type=click.IntRange(1), default=200, show_default=True)
@click.option(
    "--rate",
    type=click.FloatRange(0),
    default=20.0,
    show_default=True,
    help="Edits a second.",
)
@click.option("--requests", type=click.IntRange(1), default=10000, show_default=True)
@click.option(
    "--connections",
    type=click.IntRange(1),
    default=16,
    show_default=True,
    help="Connections that requests are sent over.",
)
@click.option(
    "--selector",
    help="Element of URL that is edited: put back as it is. Without it none is.",
)
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--plot",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write an SVG picture.",
)
def bench(
    url: str | None,
    *,
    json_file: Path | None,
    plot: Path | None,
    selector: str | None,
    **options: Any,
) -> None:
    """
    Measure a server: viewers, requests, and edits on their way to viewers.

    Without URL a server of this version is started for it, on a page of 2 KiB.

    \b
    Examples:
      beamfast bench
      beamfast bench --viewers 5000 --rate 5 --plot bench.svg
      beamfast bench http://localhost:3000/ --selector '#message'
    """  # noqa: D301 - \b keeps click from filling the examples
    if url is not None and not url.startswith(("http://", "https://")):
        fail(f"{url!r} is no http or https address", UNUSABLE)
    for file in (json_file, plot):
        if file is not None and not file.absolute().parent.is_dir():
            fail(f"there is no folder for {file}", UNUSABLE)
    if plot is not None and plot.suffix.lower() != ".svg":
        fail(f"the picture is SVG, and {plot} does not end in .svg", UNUSABLE)
    try:
        make_room(2 * options["viewers"] + options["connections"] + _SPARE)
        with _server(url, selector) as (address, chosen, clock):
            rows = _run(partial(_measure, address, chosen, clock, **options))
    except (BenchError, ValueError) as error:
        fail(str(error), FAILURE)
    facts = machine()
    click.echo(table(rows))
    click.echo("\n" + "\n".join(f"{name}: {value}" for name, value in facts.items()))
    click.echo(f"method: {_METHOD}")
    for doubt in doubts(rows):
        click.echo(doubt, err=True)
    if json_file is not None:
        found = {
            "machine": facts,
            "method": _METHOD,
            "options": {"url": url, "selector": selector, **options},
            "rows": [row.as_json() for row in rows],
        }
        _write(json_file, json.dumps(found, indent=2) + "\n")
    if plot is not None:
        _write(plot, svg(rows, f"{options['viewers']} viewers"))
    if lost := sum(row.lost for row in rows):
        fail(f"{lost} edits did not reach a viewer", FAILURE)


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, "utf-8")
    except OSError as error:
        fail(f"cannot write {file}: {error.strerror}", FAILURE)


@contextmanager
def _server(
    url: str | None, selector: str | None
) -> Iterator[tuple[str, str | None, Callable[[], float | None]]]:
    """Yield an address, the element to edit there, and its CPU clock."""
    if url is not None:
        yield url, selector, lambda: None
        return
    with (
        tempfile.TemporaryDirectory(prefix="beamfast-bench-") as folder,
        local_server(Path(folder)) as (address, pid),
    ):
        yield address, selector or SELECTOR, partial(cpu_seconds, pid)


def _run(measure: Callable[[], Any]) -> list[Row]:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        rows: list[Row] = runner.run(measure())
    return rows


async def _measure(
    url: str,
    selector: str | None,
    cpu_clock: Callable[[], float | None],
    *,
    viewers: int,
    edits: int,
    rate: float,
    requests: int,
    connections: int,
) -> list[Row]:
    load = Load(url, cpu_clock)
    rows = []
    try:
        # Before the viewers, so that it is the page alone that is measured.
        with _bar("requests", requests) as progress:
            rows.append(await load.get(requests, connections, progress))
        if viewers:
            with _bar("viewers", viewers) as progress:
                rows.append(await load.open_viewers(viewers, progress))
        for pace in (rate, 0.0) if selector is not None else ():
            assert selector is not None
            with _bar("edits", edits) as progress:
                rows += await load.edit(selector, edits, pace, progress)
    finally:
        await load.close()
    return rows


@contextmanager
def _bar(label: str, length: int) -> Iterator[Progress]:
    """Show a progress bar while something is measured; on a terminal only."""
    shown: Any = click.progressbar(
        length=length,
        label=f"{label:10}",
        file=sys.stderr,
        # Drawing takes time that the load would miss.
        update_min_steps=max(1, length // 100),
    )
    with shown if sys.stderr.isatty() else nullcontext() as bar:
        yield (lambda _: None) if bar is None else bar.update


def table(rows: Sequence[Row]) -> str:
    """Return the rows for people; times in milliseconds."""
    heads = [f"p{share:g}" if share < 100 else "max" for share in PERCENTILES]
    lines = [["", "count", "lost", "per second", "CPU us", "load", *heads]]
    for row in rows:
        cpu = "-"
        if row.cpu_seconds is not None and row.count:
            cpu = f"{row.cpu_seconds / row.count * 1e6:.1f}"
        times = [f"{value * 1000:.3f}" for value in row.percentiles().values()]
        counts = [str(row.count), str(row.lost), f"{row.rate:,.0f}", cpu]
        counts.append(f"{row.load_share:.0%}")
        lines.append([row.name, *counts, *times])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        line[0].ljust(widths[0])
        + "".join(
            "  " + cell.rjust(width)
            for cell, width in zip(line[1:], widths[1:], strict=True)
        )
        for line in lines
    )


def doubts(rows: Sequence[Row]) -> list[str]:
    """Return a sentence for each row that says much about the load itself."""
    found = []
    for row in rows:
        if row.load_share > _BUSY:
            found.append(
                f"{row.name}: the load generator used {row.load_share:.0%} of a core, "
                "so the server may be faster than this"
            )
        elif row.own_seconds > _OWN * row.percentiles()[50.0]:
            found.append(
                f"{row.name}: up to {row.own_seconds * 1000:.3g} ms of each time are "
                "the load generator's own"
            )
    return found
