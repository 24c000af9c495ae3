"""
permessage-deflate: one item compressed and inflated, beside bare zlib.

Read the tables by their relative column. ``compress_shared`` is what a broadcast
pays once for all its subscribers.
"""

import zlib

import pytest
from websockets.extensions.permessage_deflate import (
    PerMessageDeflate as OtherDeflate,
)
from websockets.frames import Frame, Opcode

from beamfast.protocol.deflate import (
    Agreement,
    Deflate,
    PerMessageDeflate,
    compress_shared,
)

ITEM = (
    b'<div itemscope itemtype="https://rustybeam.net/schema/StreamItem">'
    b'<span itemprop="method">POST</span><span itemprop="url">/list.html</span>'
    b'<span itemprop="selector">#items</span><div itemprop="content">'
    b'<li class="item" data-by="ann">One more line for the list, number 4711</li>'
    b"</div></div>"
)
PAYLOADS = {"item": ITEM, "4 KiB": (ITEM * 12)[:4096]}
TAIL = b"\x00\x00\xff\xff"


def with_beamfast(payload):
    deflate = Deflate(Agreement(), PerMessageDeflate())
    return lambda: deflate.decode(deflate.encode(payload)[0], 2**20)


def with_websockets(payload):
    deflate = OtherDeflate(False, False, 15, 15)

    def there_and_back():
        frame = deflate.encode(Frame(Opcode.BINARY, payload))
        return deflate.decode(frame, max_size=2**20).data

    return there_and_back


def with_zlib(payload):
    compressor = zlib.compressobj(wbits=-15)
    inflater = zlib.decompressobj(wbits=-15)

    def there_and_back():
        data = compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH)
        return inflater.decompress(data)

    return there_and_back


@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS)
@pytest.mark.parametrize("codec", [with_beamfast, with_websockets, with_zlib])
def test_there_and_back(benchmark, codec, payload):
    benchmark.group = f"compress and inflate {len(payload)} B"
    assert benchmark(codec(payload)) == payload


@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS)
def test_once_for_all(benchmark, payload):
    benchmark.group = f"compress {len(payload)} B for a broadcast"
    data = benchmark(compress_shared, payload)
    assert zlib.decompressobj(wbits=-15).decompress(data + TAIL) == payload
