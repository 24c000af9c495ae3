"""
The frame codec, beside the two pure sans-I/O libraries.

Read the tables by their relative column: the fastest of a group is 1.0, and
everything in a group ran on the same machine within the same minute. A group of
parsers reads many frames at once, as a busy socket brings them.
"""

import pytest
import websockets.frames
import websockets.protocol
from websockets.speedups import apply_mask
from wsproto.frame_protocol import FrameProtocol, Opcode

from beamfast._frames import FrameParser, Utf8Validator, build_frame, mask
from beamfast.protocol.rfc6455 import Rfc6455Driver, Side

BINARY = 2
TEXT = 1
KEY = b"\x5a\x3c\x96\x0f"
SIZES = [16, 125, 300, 4096, 2**20]
BLOCKS = [2**10, 2**14, 2**16]


def masked_frames(size):
    """Return some frames of a client, and how many they are."""
    count = max(1, min(64, 2**16 // size))
    return build_frame(BINARY, bytes(size), mask=KEY) * count, count


def read_with_beamfast(data):
    parser = FrameParser(masked=True)
    messages = []

    def read():
        parser.feed(data, messages.append, messages.append)
        count = len(messages)
        messages.clear()
        return count

    return read


def read_with_driver(data):
    """The whole of the protocol, as the other libraries are measured."""
    driver = Rfc6455Driver(Side.SERVER)

    def read():
        driver.receive_data(data)
        return len(driver.events_received())

    return read


def read_with_websockets(data):
    protocol = websockets.protocol.Protocol(websockets.protocol.Side.SERVER)

    def read():
        protocol.receive_data(data)
        return len(protocol.events_received())

    return read


def read_with_wsproto(data):
    protocol = FrameProtocol(client=False, extensions=[])

    def read():
        protocol.receive_bytes(data)
        return sum(frame.message_finished for frame in protocol.received_frames())

    return read


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    "reader",
    [read_with_beamfast, read_with_driver, read_with_websockets, read_with_wsproto],
)
def test_parse(benchmark, reader, size):
    benchmark.group = f"parse masked frames of {size} B"
    data, count = masked_frames(size)
    assert benchmark(reader(data)) == count


def build_with_websockets(payload):
    frame = websockets.frames.Frame(websockets.frames.Opcode.BINARY, payload)
    return frame.serialize(mask=False)


def build_with_beamfast(payload):
    return build_frame(BINARY, payload)


WSPROTO = FrameProtocol(client=False, extensions=[])


def build_with_wsproto(payload):
    return WSPROTO._serialize_frame(Opcode.BINARY, payload)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    "build", [build_with_beamfast, build_with_websockets, build_with_wsproto]
)
def test_build(benchmark, build, size):
    benchmark.group = f"build a frame of {size} B"
    assert len(benchmark(build, bytes(size))) > size


def copy(data, key):
    """What the memory itself costs: allocate and copy."""
    return data[1:]


@pytest.mark.parametrize("size", BLOCKS)
@pytest.mark.parametrize("apply", [copy, mask, apply_mask])
def test_mask(benchmark, apply, size):
    benchmark.group = f"mask {size} B"
    assert len(benchmark(apply, bytes(size + (apply is copy)), KEY)) == size


TEXTS = {
    "ASCII": b"<p>All of this is ASCII, as most markup is.</p>\n" * 1400,
    "HTML": "<p>Grüße, hélas, and plain text for the rest of it.</p>\n".encode() * 1200,
    "Chinese": "万物皆有裂痕,那是光照进来的地方。".encode() * 1300,
}


def validate(text):
    return Utf8Validator().feed(text)


def decode(text):
    return text.decode()


@pytest.mark.parametrize("kind", TEXTS)
@pytest.mark.parametrize("check", [validate, decode])
def test_utf8(benchmark, check, kind):
    benchmark.group = f"check 64 KiB of UTF-8, {kind}"
    assert benchmark(check, TEXTS[kind])
