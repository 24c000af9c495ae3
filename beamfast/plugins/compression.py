"""
Smaller answers: content codings that the client accepts.

Standards: RFC 9110, sections 8.4 and 12.5.3 (negotiation), RFC 1950 to 1952
(deflate, gzip), RFC 7932 (brotli), RFC 8878 (zstd). Large bodies are compressed off
the loop; an event stream is never wrapped, it only learns what its client accepts.
"""

from __future__ import annotations

import asyncio
import importlib
import zlib
from collections import OrderedDict
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    Awaitable,
    Callable,
    Mapping,
)
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Protocol

from beamfast.http import Request, Response
from beamfast.pipeline import Context, Plugin

#: Bodies above this size are compressed in a thread.
OFF_LOOP: Final = 32 * 2**10


@dataclass(frozen=True)
class Options:
    """
    Options of the compression plugin.

    Attributes:
        algorithms: in order of preference, of ``brotli``, ``zstd``, ``gzip`` and
            ``deflate``; empty for all that are installed.
        min_size: bytes; smaller bodies are left alone.
        max_size: bytes; larger bodies are left alone.
        compression_level: from 1 (fast) to 9 (small).
        compressible_types: beginnings of media types.
        cache_size: bytes of bodies, plain and compressed, that are kept.
    """

    algorithms: tuple[str, ...] = ()
    min_size: int = 1024
    max_size: int = 10 * 2**20
    compression_level: int = 6
    compressible_types: tuple[str, ...] = (
        "text/html",
        "text/css",
        "text/javascript",
        "text/plain",
        "application/json",
        "application/javascript",
        "application/xml",
        "application/rss+xml",
        "application/atom+xml",
        "image/svg+xml",
    )
    cache_size: int = 16 * 2**20


class Compressor(Protocol):
    """What a body goes through, in pieces."""

    def compress(self, data: bytes, /) -> bytes:
        """Take a piece, return what is ready."""
        ...

    def flush(self) -> bytes:
        """Return the rest."""
        ...


#: Makes a compressor of a level.
Maker = Callable[[int], Compressor]


class Compression(Plugin[Options]):
    """Compress answers that get smaller by it, for clients that can read them."""

    name = "compression"
    aliases: ClassVar[Mapping[str, str]] = {"types": "compressible_types"}

    def __init__(self, options: Options | None = None) -> None:
        super().__init__(options)
        self._codings = load_codings(self.options.algorithms)
        self._level = min(max(self.options.compression_level, 1), 9)
        self._types = tuple(map(str.lower, self.options.compressible_types))
        # Least recently used first. The hash of a body is computed once, and
        # documents hand out the same object again and again.
        self._cache: OrderedDict[tuple[str, bytes], bytes] = OrderedDict()
        self._cached = 0

    def handle_response(
        self, request: Request, response: Response, context: Context
    ) -> Response | Awaitable[Response] | None:
        """Replace the body, at once or, if it is large, after a thread is done."""
        if response.stream is not None:
            # Of event streams there is one compressed form (gzip), built once for all.
            if self._chosen(request, "gzip"):
                response.encoding = "gzip"
            return None
        if request.method == "HEAD" or not self._may_shrink(response):
            return None
        response.headers.add_token("Vary", "Accept-Encoding")
        coding = self._chosen(request, *self._codings)
        if coding is None:
            return None
        body = response.body
        if not isinstance(body, bytes):
            compressor = self._codings[coding](self._level)
            return _encoded(response, coding, _compressed_pieces(body, compressor))
        cached = self._cache.get((coding, body))
        if cached is not None:
            self._cache.move_to_end((coding, body))
            return _encoded(response, coding, cached)
        if len(body) > OFF_LOOP:
            return self._wait(response, coding, body)
        return self._finish(response, coding, body, self._compress(coding, body))

    async def _wait(self, response: Response, coding: str, body: bytes) -> Response:
        data = await asyncio.to_thread(self._compress, coding, body)
        return self._finish(response, coding, body, data)

    def _compress(self, coding: str, body: bytes) -> bytes:
        compressor = self._codings[coding](self._level)
        return compressor.compress(body) + compressor.flush()

    def _finish(
        self, response: Response, coding: str, body: bytes, data: bytes
    ) -> Response:
        """Keep the result of what has a validator, so will be asked for again."""
        if response.status == 200 and "etag" in response.headers:
            self._remember((coding, body), data)
        return _encoded(response, coding, data)

    def _remember(self, key: tuple[str, bytes], data: bytes) -> None:
        cost = len(key[1]) + len(data)
        if cost > self.options.cache_size or key in self._cache:
            return
        self._cache[key] = data
        self._cached += cost
        while self._cached > self.options.cache_size:
            (_, body), old = self._cache.popitem(last=False)
            self._cached -= len(body) + len(old)

    def _may_shrink(self, response: Response) -> bool:
        """Tell whether this is a body that a client could get compressed."""
        headers = response.headers
        if response.status in (101, 204, 304) or "content-encoding" in headers:
            return False
        # Bytes of a file are counted before coding (RFC 9110, 14.4).
        if (headers.get("content-range") or "").lower().startswith("bytes"):
            return False
        # RFC 9111, 5.2.2.6.
        if "no-transform" in headers.tokens("cache-control"):
            return False
        media_type = (headers.get("content-type") or "").partition(";")[0]
        if not media_type.strip().lower().startswith(self._types):
            return False
        if isinstance(response.body, bytes):
            size = len(response.body)
        else:
            # What has no length may be a stream that must not wait in a buffer.
            size = int(headers.get("content-length") or -1)
        return self.options.min_size <= size <= self.options.max_size

    def _chosen(self, request: Request, *codings: str) -> str | None:
        """Return what the client likes best, the first of equals (RFC 9110, 12.5.3)."""
        if "accept-encoding" not in request.headers:
            return None
        weights = request.headers.weights("accept-encoding")
        other = weights.get("*", 0.0)
        best, chosen = weights.get("identity", 0.0), None
        for coding in codings:
            weight = weights.get(coding, other)
            if weight > best or (weight == best > 0 and chosen is None):
                best, chosen = weight, coding
        return chosen if chosen in self._codings else None


def load_codings(algorithms: tuple[str, ...]) -> dict[str, Maker]:
    """
    Return the codings by their names on the wire, in order of preference.

    Raises:
        ValueError: one of ``algorithms`` is unknown, or not installed.
    """
    makers: dict[str, tuple[str, Callable[[], Maker]]] = {
        "brotli": ("br", _brotli),
        "zstd": ("zstd", _zstd),
        "gzip": ("gzip", lambda: lambda level: _zlib(level, 31)),
        "deflate": ("deflate", lambda: lambda level: _zlib(level, 15)),
    }
    codings: dict[str, Maker] = {}
    for written in algorithms or makers:
        name = {"br": "brotli"}.get(written.lower(), written.lower())
        if name not in makers:
            raise ValueError(f"algorithms: {written} is none of {', '.join(makers)}")
        coding, load = makers[name]
        try:
            codings[coding] = load()
        except ImportError:
            if algorithms:
                raise ValueError(
                    f"algorithms: {written} needs pip install 'beamfast[{name}]'"
                ) from None
    return codings


def _zlib(level: int, window: int) -> Compressor:
    """Return a compressor; 31 stands for gzip, 15 for zlib's own frame."""
    # What HTTP calls deflate has that frame (RFC 9110, 8.4.1.2).
    return zlib.compressobj(level, zlib.DEFLATED, window)


class _Brotli:
    """Brotli's compressor under the names of the others."""

    def __init__(self, compressor: Any) -> None:
        self.compress: Callable[[bytes], bytes] = compressor.process
        self.flush: Callable[[], bytes] = compressor.finish


def _brotli() -> Maker:
    module = importlib.import_module("brotli")
    return lambda level: _Brotli(module.Compressor(quality=level))


def _zstd() -> Maker:
    try:
        module = importlib.import_module("compression.zstd")
    except ImportError:
        # The same for Python before 3.14.
        module = importlib.import_module("backports.zstd")
    return lambda level: module.ZstdCompressor(level=level)


def _encoded(
    response: Response, coding: str, body: bytes | AsyncIterable[bytes]
) -> Response:
    """Put another form of the content in place, and say so."""
    headers = response.headers
    response.body = body
    headers.set("Content-Encoding", coding)
    headers.remove("Content-Length")
    etag = headers.get("etag")
    if etag is not None and not etag.startswith("W/"):
        # Two forms of one content have one weak tag (RFC 9110, 8.8.3.3).
        headers.set("ETag", f"W/{etag}")
    return response


async def _compressed_pieces(
    pieces: AsyncIterable[bytes], compressor: Compressor
) -> AsyncGenerator[bytes, None]:
    """Compress as the body comes, off the loop."""
    try:
        async for piece in pieces:
            if data := await asyncio.to_thread(compressor.compress, piece):
                yield data
        yield await asyncio.to_thread(compressor.flush)
    finally:
        if isinstance(pieces, AsyncGenerator):
            await pieces.aclose()
