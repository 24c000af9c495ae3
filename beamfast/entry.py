"""
What the journal keeps of one edit, and the version that it leads to.

A version is a revision and a chain hash: ``chain(n) = BLAKE2b-64(chain(n-1) +
event(n))``. Two histories that differ anywhere have different chains from that
point on, so restarts, restored backups and hand edits show as a mismatch.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Final, NamedTuple, Self

import msgspec

_TEXT: Final = re.compile(r"(0|[1-9][0-9]{0,17})-([0-9a-f]{16})")


class Version(NamedTuple):
    """Revision of a document and the hash of everything that led to it."""

    revision: int
    chain: str

    def __str__(self) -> str:
        return f"{self.revision}-{self.chain}"

    @classmethod
    def of_file(cls, source: bytes) -> Self:
        """Return revision 0: a document that nobody has edited yet."""
        return cls(0, hashlib.blake2b(source, digest_size=8).hexdigest())

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Read the text form ``<revision>-<16 hex>``; anything else is None."""
        match = _TEXT.fullmatch(text)
        return cls(int(match[1]), match[2]) if match else None

    def next(self, event: bytes) -> Self:
        """Return the version that ``event`` leads to."""
        digest = hashlib.blake2b(self.chain.encode() + event, digest_size=8)
        return type(self)(self.revision + 1, digest.hexdigest())


class Splice(NamedTuple):
    """One byte operation: at ``offset``, ``removed`` bytes became ``inserted``."""

    offset: int
    removed: int
    inserted: bytes


def spliced(source: bytes, splices: Sequence[Splice]) -> bytes:
    """Return ``source`` with ``splices`` done: ascending, not overlapping."""
    pieces: list[bytes] = []
    done = 0
    for splice in splices:
        pieces += (source[done : splice.offset], splice.inserted)
        done = splice.offset + splice.removed
    return b"".join([*pieces, source[done:]])


class Entry(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """
    One committed edit; everything that live delivery and replay need.

    Attributes:
        method: ``PUT``, ``POST``, ``DELETE`` for elements; ``import``, ``file``,
            ``append``, ``gone`` or ``restore`` for the whole document.
        url: path of the request as its writer spelled it, decoded.
        selector: as sent, decoded; empty for the whole document.
        content: balanced HTML of the fragment; for ``DELETE`` what was removed.
        wrapper: element that carries the content in a StreamItem.
        attributes: of ``html``, ``head`` or ``body`` when one was replaced.
        position: child indexes from the document to the first changed node.
        count: how many sibling nodes from there on were changed.
        splices: byte operations on the file, in ascending order of offset.
        length_before: bytes of the file before.
        length_after: bytes of the file after.
        operation_id: unique name of the edit, or empty.
        user: who, or empty.
        time: milliseconds since the epoch.
        remaining: how many entries of the same change follow. Only the last one
            changes bytes, and nobody sees the document before it.
    """

    schema: int = 1
    operation_id: str = ""
    method: str
    url: str
    selector: str = ""
    content: str = ""
    wrapper: str = "div"
    attributes: dict[str, str] | None = None
    position: tuple[int, ...] = ()
    count: int = 0
    splices: tuple[Splice, ...] = ()
    length_before: int = 0
    length_after: int = 0
    user: str = ""
    time: int = 0
    remaining: int = 0

    @property
    def is_element_edit(self) -> bool:
        """True when the entry changed elements, not the document as a whole."""
        return self.method in ("PUT", "POST", "DELETE")

    def event(self) -> bytes:
        """Return the record that the chain covers and the journal stores."""
        return _ENCODER.encode(self)

    @classmethod
    def from_event(cls, event: bytes) -> Entry:
        """
        Read a record back.

        Raises:
            ValueError: the bytes are not a record of a known schema.
        """
        try:
            entry = _DECODER.decode(event)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise ValueError(f"not a journal record: {error}") from error
        if entry.schema != 1:
            raise ValueError(f"journal record of unknown schema {entry.schema}")
        return entry


_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(Entry)
