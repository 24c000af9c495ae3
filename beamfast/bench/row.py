"""What one part of a benchmark found: a count, a time, and the percentiles."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

#: Shares of all samples that took no longer.
PERCENTILES: Final = (50.0, 90.0, 99.0, 99.9, 100.0)


@dataclass(frozen=True, slots=True)
class Row:
    """
    One measured thing.

    Attributes:
        name: for people.
        count: how often it happened.
        seconds: in which all of it happened.
        samples: how long each took, in seconds, in any order.
        lost: how often it did not happen although it should have.
        cpu_seconds: of the server; None where that cannot be read.
        load_seconds: CPU time of the load generator.
        together: how many of them it has to read at a time.
    """

    name: str
    count: int
    seconds: float
    samples: Sequence[float] = field(repr=False)
    lost: int = 0
    cpu_seconds: float | None = None
    load_seconds: float = 0.0
    together: int = 1

    @property
    def load_share(self) -> float:
        """Share of one core that the load generator used."""
        return self.load_seconds / self.seconds if self.seconds > 0 else 0.0

    @property
    def own_seconds(self) -> float:
        """As much of each sample may be time of the load generator itself."""
        return self.load_seconds / self.count * self.together if self.count else 0.0

    @property
    def rate(self) -> float:
        """How many a second."""
        return self.count / self.seconds if self.seconds > 0 else 0.0

    def percentiles(self) -> dict[float, float]:
        """Return the sample at each of :data:`PERCENTILES`, in seconds."""
        ordered = sorted(self.samples)
        return {share: nearest_rank(ordered, share) for share in PERCENTILES}

    def as_json(self) -> dict[str, Any]:
        """Return everything but the samples, as JSON takes it; times in seconds."""
        found: dict[str, Any] = {
            "name": self.name,
            "count": self.count,
            "lost": self.lost,
            "seconds": self.seconds,
            "rate": self.rate,
            "load_share": self.load_share,
            "own_seconds": self.own_seconds,
            "percentiles": {
                f"{share:g}": value for share, value in self.percentiles().items()
            },
        }
        if self.cpu_seconds is not None and self.count:
            found["cpu_seconds_each"] = self.cpu_seconds / self.count
        return found


def nearest_rank(ordered: Sequence[float], share: float) -> float:
    """
    Return the smallest sample that ``share`` percent of all do not exceed.

    Args:
        ordered: ascending.
        share: above 0, at most 100.
    """
    if not ordered:
        return math.nan
    # Rounded, because 99.9 % of 1,000 is a little more than 999 as a float.
    return ordered[math.ceil(round(share * len(ordered) / 100, 9)) - 1]
