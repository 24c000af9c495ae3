"""
The rows of a benchmark as a picture: time by percentile, one line for each row.

SVG, as text. Both axes are logarithmic; the one to the right shows how few are
slower, so the tail, which is what users feel, has as much room as the rest.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import Final

from beamfast.bench.row import Row, nearest_rank

_WIDTH: Final = 760
_HEIGHT: Final = 420
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 30, 40, 50
_COLOURS: Final = ("#1b6ca8", "#c8553d", "#3a7d44", "#7b4b94", "#b58900", "#555555")
_TICKS: Final = (0.0, 50.0, 90.0, 99.0, 99.9, 99.99)


def svg(rows: Sequence[Row], title: str) -> str:
    """Return the picture; rows without samples are left out."""
    rows = [row for row in rows if len(row.samples)]
    lowest = min((min(row.samples) for row in rows), default=1e-4)
    highest = max((max(row.samples) for row in rows), default=1.0)
    low = math.floor(math.log10(max(lowest, 1e-7)))
    high = max(math.ceil(math.log10(max(highest, 1e-7))), low + 1)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} '
        f'{_HEIGHT + 20 * len(rows)}" font-family="sans-serif" font-size="12">',
        '<rect width="100%" height="100%" fill="white"/>',
        f'<text x="{_LEFT}" y="24" font-size="15">{escape(title)}</text>',
    ]
    for power in range(low, high + 1):
        y = _y(10.0**power, low, high)
        parts.append(_line(_LEFT, y, _WIDTH - _RIGHT, y))
        label = f"{10.0 ** (power + 3):g} ms"
        parts.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" {_END}>{label}</text>')
    for share in _TICKS:
        x = _x(share)
        parts.append(_line(x, _TOP, x, _HEIGHT - _BOTTOM))
        at = f'x="{x:.1f}" y="{_HEIGHT - _BOTTOM + 18}" text-anchor="middle"'
        parts.append(f"<text {at}>{share:g} %</text>")
    for index, row in enumerate(rows):
        colour = _COLOURS[index % len(_COLOURS)]
        parts.append(
            f'<polyline fill="none" stroke="{colour}" stroke-width="2" '
            f'points="{_points(row, low, high)}"/>'
        )
        y = _HEIGHT + 20 * index
        parts.append(
            f'<rect x="{_LEFT}" y="{y - 9}" width="18" height="4" {_fill(colour)}'
        )
        parts.append(f'<text x="{_LEFT + 26}" y="{y}">{escape(row.name)}</text>')
    return "\n".join([*parts, "</svg>\n"])


_END: Final = 'text-anchor="end"'


def _fill(colour: str) -> str:
    return f'fill="{colour}"/>'


def _line(x1: float, y1: float, x2: float, y2: float) -> str:
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" '
        'stroke="#dddddd"/>'
    )


def _x(share: float) -> float:
    """Return where a percentile stands: a nine more is a step to the right."""
    nines = -math.log10(max(1 - share / 100, 1e-4))
    return _LEFT + nines / 4 * (_WIDTH - _LEFT - _RIGHT)


def _y(seconds: float, low: int, high: int) -> float:
    share = (math.log10(max(seconds, 10.0**low)) - low) / (high - low)
    return _HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM)


def _points(row: Row, low: int, high: int) -> str:
    ordered = sorted(row.samples)
    shares = [100 - 10 ** (2 - nines / 10) for nines in range(1, 41)]
    return " ".join(
        f"{_x(share):.1f},{_y(nearest_rank(ordered, share), low, high):.1f}"
        for share in shares
        # Beyond that there is only the slowest, which would look like many.
        if len(ordered) * (100 - share) >= 99.9
    )
