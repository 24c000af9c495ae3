"""A message in pieces: an iterable of either kind, for sending it in fragments."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from beamfast._outbound import Outbound

if TYPE_CHECKING:
    from typing_extensions import Buffer, TypeIs


def is_buffer(value: object) -> TypeIs[Buffer]:
    """Tell whether ``value`` has bytes of its own, be it iterable or not."""
    try:
        memoryview(value)  # type: ignore[arg-type]  # that is the question
    except TypeError:
        return False
    return True


def size_of(message: str | Buffer) -> int:
    """Return how many bytes a message has at most."""
    if isinstance(message, str):
        return 4 * len(message)
    return memoryview(message).nbytes


def check_piece(piece: object) -> None:
    """
    Refuse what cannot be sent.

    Raises:
        TypeError: neither text nor bytes-like.
    """
    if not (isinstance(piece, str) or is_buffer(piece)):
        name = type(piece).__name__
        raise TypeError(f"a message is text or bytes-like, not {name}")


@asynccontextmanager
async def ahead(
    pieces: Iterable[str | Buffer] | AsyncIterable[str | Buffer],
) -> AsyncIterator[AsyncIterator[str | Buffer]]:
    """Iterate over either kind; a generator is closed however it ends."""
    if not isinstance(pieces, AsyncIterable):
        pieces = _slowly(pieces)
    iterator = aiter(pieces)
    try:
        yield iterator
    finally:
        if isinstance(iterator, AsyncGenerator):
            await iterator.aclose()


async def _slowly(
    pieces: Iterable[str | Buffer],
) -> AsyncGenerator[str | Buffer, None]:
    for piece in pieces:
        yield piece


async def joined(pieces: AsyncIterator[str | Buffer]) -> str | bytes:
    """Return all pieces as one message; the first decides its type."""
    parts = [piece async for piece in pieces]
    if parts and isinstance(parts[0], str):
        return "".join(parts)  # type: ignore[arg-type]  # a wrong one raises TypeError
    return b"".join(parts)  # type: ignore[arg-type]  # the same


def allow(outbound: Outbound, room: int, items: int) -> None:
    """Let so much more wait for a slow peer."""
    outbound.queue_bytes_limit += room
    outbound.queue_items_limit += items


def set_mid_message(outbound: Outbound, is_mid_message: bool) -> None:
    """Say whether a message in fragments is on its way, which nothing may part."""
    outbound.is_mid_message = is_mid_message
