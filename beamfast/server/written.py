"""
A configuration as somebody wrote it, whatever the dialect: names, texts, places.

What reads a dialect makes these; :mod:`beamfast.server.loading` makes a
configuration of them. Standard library only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(slots=True)
class Written:
    """
    One thing with properties.

    Attributes:
        place: where it begins, as messages say it.
        kind: name of its type, or empty.
        texts: what is said of it, by names as written.
        places: where each name stands.
        nested: the plugins inside it.
    """

    place: str
    kind: str = ""
    texts: dict[str, list[str]] = field(default_factory=dict)
    places: Mapping[str, str] = field(default_factory=dict)
    nested: list[Written] = field(default_factory=list)

    def place_of(self, name: str) -> str:
        """Return where a name stands."""
        return self.places.get(name, self.place)


@dataclass(slots=True)
class WrittenConfig:
    """
    A whole configuration.

    Attributes:
        file: its path, for messages and for relative paths.
        server: what is said of the server.
        hosts: its hosts, with their plugins.
        listeners: its listeners.
        pipelines: plugins without a host, which serve the server's root.
        problems: mistakes that were found while reading.
    """

    file: str
    server: Written
    hosts: list[Written] = field(default_factory=list)
    listeners: list[Written] = field(default_factory=list)
    pipelines: list[Written] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
