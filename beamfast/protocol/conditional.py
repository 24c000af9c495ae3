"""
Conditional requests: which validators a request names, and what they allow.

Standard: HTTP Semantics, RFC 9110, section 13. Pure decisions on header
fields; the caller says what the current validators are.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final

from beamfast.errors import PreconditionFailed
from beamfast.http import Headers

# Empty members of a list are ignored (RFC 9110, 5.6.1.2).
_ENTITY_TAG: Final = re.compile(
    r'[ \t,]*(W/)?"([\x21\x23-\x7e\x80-\xff]*)"[ \t]*(?:,|\Z)'
)


@dataclass(frozen=True, slots=True)
class EntityTags:
    """The value of ``If-Match`` or ``If-None-Match`` (RFC 9110, 13.1.1)."""

    is_any: bool
    tags: tuple[tuple[bool, str], ...]

    @classmethod
    def parse(cls, value: str) -> EntityTags:
        """Read a list of entity tags; what is malformed matches nothing."""
        if value.strip() == "*":
            return cls(is_any=True, tags=())
        tags: list[tuple[bool, str]] = []
        position = 0
        while match := _ENTITY_TAG.match(value, position):
            tags.append((match[1] is not None, match[2]))
            position = match.end()
        return cls(is_any=False, tags=tuple(tags))

    def matches(self, *current: str | None, weak: bool) -> bool:
        """
        Compare with the tags that hold now; None stands for "no such file".

        Args:
            current: opaque tags without their quotes.
            weak: use the weak comparison (RFC 9110, 8.8.3.2).
        """
        present = [tag for tag in current if tag is not None]
        if self.is_any:
            return bool(present)
        return any(
            tag in present and (weak or not is_weak) for is_weak, tag in self.tags
        )


@dataclass(frozen=True, slots=True)
class Conditions:
    """What a request asks of the current state before it may be done."""

    if_match: EntityTags | None = None
    if_none_match: EntityTags | None = None
    if_modified_since: float | None = None
    if_unmodified_since: float | None = None

    @classmethod
    def from_headers(cls, headers: Headers) -> Conditions:
        """Read the four fields; an unreadable date is ignored (RFC 9110, 13.1.3)."""
        # All of them begin so (RFC 9110, 13.1), and few requests have any.
        if not headers.has_prefix(b"if-"):
            return _NONE
        return cls(
            if_match=_entity_tags(headers, "if-match"),
            if_none_match=_entity_tags(headers, "if-none-match"),
            if_modified_since=_seconds(headers.get("if-modified-since")),
            if_unmodified_since=_seconds(headers.get("if-unmodified-since")),
        )

    @property
    def is_empty(self) -> bool:
        """True when the request carries no condition."""
        return self is _NONE or self == _NONE

    def require(self, *etags: str | None, modified: float | None = None) -> None:
        """
        Check what a write asks for, in the order of RFC 9110, 13.2.2.

        Args:
            etags: every tag that names the current state; None for "no file".
            modified: time of the last change, in seconds since the epoch.

        Raises:
            PreconditionFailed: the client saw another state.
        """
        if self.if_match is not None:
            if not self.if_match.matches(*etags, weak=False):
                raise PreconditionFailed("The document has changed")
        elif (
            self.if_unmodified_since is not None
            and modified is not None
            and int(modified) > self.if_unmodified_since
        ):
            raise PreconditionFailed("The document has changed")
        if self.if_none_match is not None and self.if_none_match.matches(
            *etags, weak=True
        ):
            raise PreconditionFailed("The document exists already")

    def is_unmodified(self, *etags: str | None, modified: float | None = None) -> bool:
        """Return True when a GET or HEAD may be answered with 304."""
        if self.if_none_match is not None:
            return self.if_none_match.matches(*etags, weak=True)
        return (
            self.if_modified_since is not None
            and modified is not None
            and int(modified) <= self.if_modified_since
        )


_NONE: Final = Conditions()


def _entity_tags(headers: Headers, name: str) -> EntityTags | None:
    # An empty field is a list that nothing is in, so it is no absent one.
    values = headers.get_all(name)
    return EntityTags.parse(", ".join(values)) if values else None


def _seconds(value: str | None) -> float | None:
    if value is None:
        return None
    try:
        date = parsedate_to_datetime(value)
        # The form of asctime() names no zone and means UTC (RFC 9110, 5.6.7).
        return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
