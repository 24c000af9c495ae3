"""What holds for every driver, whatever a peer sends."""

import itertools
import os
import tracemalloc
import zlib

import pytest
from hypothesis import given, settings, strategies as st

from beamfast._frames import build_frame
from beamfast.errors import PayloadTooBig
from beamfast.protocol.client import ClientDriver
from beamfast.protocol.deflate import Agreement, Deflate, PerMessageDeflate
from beamfast.protocol.driver import State
from beamfast.protocol.events import Closed, Failed, Requested
from beamfast.protocol.eventsource import EventStreamDecoder
from beamfast.protocol.hixie75 import Hixie75Driver
from beamfast.protocol.hixie76 import Hixie76Driver
from beamfast.protocol.proxy import ProxyDriver
from beamfast.protocol.rfc6455 import Rfc6455Driver, Side
from beamfast.protocol.server import ServerDriver

LIMIT = 300
REQUEST = (
    b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
HIXIE_REQUEST = (
    b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\n"
    b"Sec-WebSocket-Key1: 2 !\r\nSec-WebSocket-Key2: 4 !\r\n\r\n12345678"
)
RESPONSE = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"
CLOSE = 0x88


def with_deflate(side):
    deflate = Deflate(Agreement(), PerMessageDeflate())
    return Rfc6455Driver(side, max_size=LIMIT, extensions=[deflate])


def started(driver):
    driver.start()
    driver.data_to_send()
    return driver


FRAME_DRIVERS = {
    "server": lambda: Rfc6455Driver(Side.SERVER, max_size=LIMIT),
    "client": lambda: Rfc6455Driver(Side.CLIENT, max_size=LIMIT),
    "server-deflate": lambda: with_deflate(Side.SERVER),
    "client-deflate": lambda: with_deflate(Side.CLIENT),
}
DRIVERS = FRAME_DRIVERS | {
    "hixie75": lambda: Hixie75Driver(max_size=LIMIT),
    "hixie76": lambda: Hixie76Driver(max_size=LIMIT),
    "opening-server": lambda: ServerDriver(legacy_drafts=True, max_size=LIMIT),
    "opening-client": lambda: started(ClientDriver("ws://a/", max_size=LIMIT)),
    "proxy": lambda: started(ProxyDriver("ws://a/", "http://p/")),
}


def each(makers):
    return pytest.mark.parametrize("make", makers.values(), ids=makers)


compressor = zlib.compressobj(wbits=-15)
COMPRESSED = compressor.compress(b"beam " * 30) + compressor.flush(zlib.Z_SYNC_FLUSH)


@st.composite
def frames(draw):
    """Draw a frame that may be legal here, or not, or broken."""
    opcode = draw(st.sampled_from([0, 1, 1, 2, 8, 9, 10]))
    payload = draw(
        st.one_of(
            st.binary(max_size=130),
            st.text(max_size=40).map(str.encode),
            st.just(COMPRESSED[:-4]),
            st.sampled_from([b"\x03\xe8", b"\x03\xe8bye", b"x" * LIMIT]),
        )
    )
    if opcode > 7:
        payload = payload[:125]
    frame = bytearray(
        build_frame(
            opcode,
            payload,
            fin=opcode > 7 or draw(st.booleans()),
            rsv=draw(st.sampled_from([0, 0, 0, 4])),
            mask=draw(st.sampled_from([None, b"beam"])),
        )
    )
    if draw(st.integers(0, 5)) == 0:
        at = draw(st.integers(0, min(len(frame) - 1, 3)))
        frame[at] ^= 1 << draw(st.integers(0, 7))
    return bytes(frame)


hixie = st.sampled_from([b"\x00beam\xff", b"\x85beams", b"\xff\x00", b"\x00\xe4\xff"])
heads = st.sampled_from([REQUEST, HIXIE_REQUEST, RESPONSE])
wires = st.lists(st.one_of(frames(), hixie, heads, st.binary(max_size=20))).map(
    b"".join
)
cuts = st.lists(st.integers(0, 2000), max_size=20)


def play(driver, pieces):
    """Feed a driver; return all its events and all its output."""
    events, output = [], []
    for piece in pieces:
        driver.receive_data(piece)
        fresh = driver.events_received()
        if any(isinstance(event, Requested) for event in fresh):
            driver.accept()
            fresh += driver.events_received()
        events += map(comparable, fresh)
        output += driver.data_to_send()
    return events, output


def comparable(event):
    if isinstance(event, Requested):
        return event.request.method, event.request.url, list(event.request.headers)
    return event


def chopped(wire, cuts):
    ends = sorted({cut for cut in cuts if cut < len(wire)} | {0, len(wire)})
    return [wire[start:end] for start, end in itertools.pairwise(ends)]


def unmasked(output):
    """Return frames without their random masks."""
    reader = Rfc6455Driver(Side.SERVER)
    reader.receive_data(b"".join(output))
    return reader.events_received()


@each(DRIVERS)
@settings(max_examples=60)
@given(wire=wires, cuts=cuts)
def test_any_chopping_gives_the_same_events_and_output(make, wire, cuts):
    events, output = play(make(), [wire])
    other_events, other_output = play(make(), chopped(wire, cuts))
    assert other_events == events
    if "client" in repr(make) or any(frame[1:2] >= b"\x80" for frame in output):
        assert unmasked(other_output) == unmasked(output)
    else:
        assert b"".join(other_output) == b"".join(output)


@each(FRAME_DRIVERS)
@settings(max_examples=150)
@given(wire=wires, more=wires)
def test_a_failure_is_final_and_tells_the_peer_once(make, wire, more):
    driver = make()
    events, output = play(driver, [wire])
    closes = [frame for frame in output if frame[0] == CLOSE]
    failed = [at for at, event in enumerate(events) if isinstance(event, Failed)]
    ends = [at for at, event in enumerate(events) if isinstance(event, Closed)]
    assert len(closes) == len(ends) == (driver.state is State.CLOSED)
    if ends:
        # Nothing follows the end, nor the close frame.
        assert ends == [len(events) - 1]
        assert output[-1][0] == CLOSE
    if failed:
        assert failed == [len(events) - 2]
        assert events[-1] == Closed(1006, "", False, "local")
    if driver.state is State.CLOSED:
        assert play(driver, [more]) == ([], [])
        driver.receive_eof()
        driver.fail(1002)
        sends = [driver.send_text("a"), driver.send_binary(b"a"), driver.send_pong()]
        sends += [driver.send_close(), driver.send_ping() is not None]
        assert not any(sends)
        assert driver.events_received() == driver.data_to_send() == []


@each(DRIVERS)
@settings(max_examples=60)
@given(wire=wires)
def test_no_input_raises_and_the_end_comes_once(make, wire):
    driver = make()
    events, _ = play(driver, [wire])
    is_tunnel = isinstance(driver, ProxyDriver) and driver.state is State.OPEN
    if not is_tunnel:
        driver.receive_eof()
        driver.receive_eof()
        events += driver.events_received()
        assert driver.state is State.CLOSED
        assert sum(isinstance(event, Closed) for event in events) == 1


@settings(max_examples=150)
@given(data=st.binary(), cuts=cuts)
def test_no_event_stream_raises_but_for_its_size(data, cuts):
    decoder = EventStreamDecoder(max_size=LIMIT)
    try:
        for piece in chopped(data, cuts):
            decoder.receive_data(piece)
    except PayloadTooBig:
        assert len(data) > LIMIT


# Memory


def head(first, length):
    """Return the head of a masked frame that claims ``length``."""
    return bytes([first, 0xFF]) + length.to_bytes(8, "big") + b"beam"


BIG = 2**20


@pytest.fixture
def traced():
    """Tell how many bytes more than at the start were in use at most."""
    tracemalloc.start()
    start = tracemalloc.get_traced_memory()[0]
    tracemalloc.reset_peak()
    yield lambda: tracemalloc.get_traced_memory()[1] - start
    tracemalloc.stop()


@pytest.mark.parametrize("length", [BIG, BIG + 1, 2**32, 2**62, 2**63 - 1, 2**64 - 1])
@pytest.mark.parametrize("first", [0x81, 0x82, 0x01, 0x88, 0x89])
def test_a_claimed_length_takes_no_memory(traced, first, length):
    driver = Rfc6455Driver(Side.SERVER, max_size=BIG)
    driver.receive_data(head(first, length))
    driver.receive_data(bytes(10))
    driver.events_received()
    assert traced() < 80 * 1024


def test_a_message_takes_no_more_than_twice_its_limit(traced):
    driver = Rfc6455Driver(Side.SERVER, max_size=BIG)
    zeros = bytes(1000)
    driver.receive_data(head(0x02, BIG))
    for _ in range(BIG // 1000 + 2):
        driver.receive_data(zeros)
    assert traced() < 2.1 * BIG


def test_empty_fragments_take_no_memory_and_end(traced):
    driver = Rfc6455Driver(Side.SERVER)
    driver.receive_data(build_frame(1, b"", fin=False, mask=b"beam"))
    fragments = build_frame(0, b"", fin=False, mask=b"beam") * 100
    for _ in range(100):
        driver.receive_data(fragments)
    assert driver.events_received()[0] == Failed("message has too many fragments", 1008)
    assert traced() < 20 * 1024


def test_a_bomb_takes_no_more_than_the_limit(traced):
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = packer.compress(bytes(64 * BIG)) + packer.flush(zlib.Z_SYNC_FLUSH)
    deflate = Deflate(Agreement(), PerMessageDeflate())
    driver = Rfc6455Driver(Side.SERVER, max_size=BIG, extensions=[deflate])
    before = traced()
    driver.receive_data(build_frame(2, bomb, rsv=4, mask=b"beam"))
    failed, _ = driver.events_received()
    assert failed.close_code == 1009
    assert traced() - before < 4 * BIG


@pytest.mark.parametrize("make", [Hixie75Driver, Hixie76Driver])
@pytest.mark.parametrize("first", [b"\x00", b"\x80"])
def test_old_frames_take_no_more_than_the_limit(traced, make, first):
    driver = make(max_size=10_000)
    driver.receive_data(first)
    for _ in range(100):
        driver.receive_data(b"\x81" * 1000)
    assert driver.state is State.CLOSED
    assert traced() < 80 * 1024


@pytest.mark.parametrize(
    "make",
    [
        ServerDriver,
        lambda: started(ClientDriver("ws://a/")),
        lambda: started(ProxyDriver("ws://a/", "http://p/")),
    ],
    ids=["server", "client", "proxy"],
)
@pytest.mark.parametrize("piece", [b"x" * 1000, b"X: y\r\n" * 100, b"\r\n" * 500])
@pytest.mark.parametrize("start", [b"", b"GET / HTTP/1.1\r\n", b"HTTP/1.1 200 OK\r\n"])
def test_a_head_that_never_ends_takes_little_memory(traced, make, start, piece):
    driver = make()
    driver.receive_data(start)
    for _ in range(1000):
        driver.receive_data(piece)
        if isinstance(driver, ProxyDriver):
            driver.take_rest()
    assert traced() < 512 * 1024


def test_frames_before_the_answer_are_bounded(traced):
    driver = ServerDriver()
    driver.receive_data(REQUEST)
    noise = os.urandom(1000)
    for _ in range(1000):
        driver.receive_data(noise)
    assert driver.state is State.CLOSED
    assert traced() < 250 * 1024


def test_the_content_of_a_refusal_is_bounded(traced):
    driver = started(ClientDriver("ws://a/"))
    driver.receive_data(b"HTTP/1.1 503 Busy\r\nContent-Length: 9999999999\r\n\r\n")
    for _ in range(1000):
        driver.receive_data(bytes(1000))
    assert len(driver.response.body) == 64 * 1024
    assert traced() < 250 * 1024
