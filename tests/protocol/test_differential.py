"""
The same bytes for three implementations: what one reports, all report.

Valid streams must read alike. Broken ones must be refused at the same frame; what one
implementation alone refuses is in a list with its reason.
"""

import random
import zlib
from collections import Counter

import pytest
import websockets.extensions.permessage_deflate as websockets_deflate
import websockets.frames
import websockets.protocol
import wsproto.extensions
from wsproto.frame_protocol import FrameProtocol, ParseFailed

from beamfast._frames import build_frame
from beamfast.protocol.deflate import Agreement, Deflate, PerMessageDeflate
from beamfast.protocol.events import Closed, Failed, Ping, Pong
from beamfast.protocol.rfc6455 import Rfc6455Driver, Side

#: Frames per case; there are four kinds of stream and two oracles for each.
FRAMES = 12_500
#: Streams with one broken bit per case.
BROKEN = 400
SIZES = [0, 1, 5, 60, 125, 126, 200, 1000, 5000]
WORDS = ["beam", "<li>", "ä", "\U0001f600", "\0", "</p>"]

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


class Ours:
    def __init__(self, is_server, deflate):
        extensions = [Deflate(Agreement(), PerMessageDeflate())] if deflate else []
        side = Side.SERVER if is_server else Side.CLIENT
        self.driver = Rfc6455Driver(side, extensions=extensions)

    def feed(self, data):
        self.driver.receive_data(data)

    def result(self):
        """Return what was seen before the end, and why it was refused, if it was."""
        seen = []
        for event in self.driver.events_received():
            match event:
                case str() | bytes():
                    seen.append(event)
                case Ping(data):
                    seen.append((PING, data))
                case Pong(data):
                    seen.append((PONG, data))
                case Closed(code, reason, clean=True):
                    seen.append((CLOSE, code, reason))
                case Failed(message):
                    return seen, message
        return seen, None


class Websockets:
    #: Ours alone refuses these, as the RFC asks: the layer above decodes text here
    #: (8.1), and lengths need not be in their shortest form (5.2).
    LENIENT = ("text is not UTF-8", "length is not in its shortest form")
    #: It alone refuses a close frame between fragments, which is legal (5.4).
    STRICTER = ("incomplete fragmented message",)
    #: It understands control frames between the fragments of a compressed message.
    READS_CONTROL_INSIDE = True

    def __init__(self, is_server, deflate):
        names = websockets.protocol
        side = names.Side.SERVER if is_server else names.Side.CLIENT
        self.protocol = names.Protocol(side, max_size=2**20)
        if deflate:
            extension = websockets_deflate.PerMessageDeflate(False, False, 15, 15)
            self.protocol.extensions = [extension]

    def feed(self, data):
        self.protocol.receive_data(data)

    def result(self):
        seen, parts, opcode = [], [], None
        for frame in self.protocol.events_received():
            if frame.opcode in (PING, PONG):
                seen.append((int(frame.opcode), bytes(frame.data)))
            elif frame.opcode == CLOSE:
                close = websockets.frames.Close.parse(frame.data)
                seen.append((CLOSE, close.code, close.reason))
            else:
                opcode = opcode or frame.opcode
                parts.append(bytes(frame.data))
                if frame.fin:
                    content = b"".join(parts)
                    text = opcode == TEXT
                    seen.append(content.decode("utf-8", "replace") if text else content)
                    parts, opcode = [], None
        return seen, self.protocol.parser_exc


class Wsproto:
    #: It has no limits; the layer above it has.
    LENIENT = ("frame is too big", "message is too big")
    STRICTER = ()
    #: After one it takes the rest of a compressed message for an uncompressed one.
    READS_CONTROL_INSIDE = False

    def __init__(self, is_server, deflate):
        extension = wsproto.extensions.PerMessageDeflate()
        if deflate and is_server:
            extension.accept("permessage-deflate")
        elif deflate:
            extension.finalize("permessage-deflate")
        self.protocol = FrameProtocol(not is_server, [extension])
        self.seen, self.parts, self.error = [], [], None

    def feed(self, data):
        if self.error is not None:
            return
        self.protocol.receive_bytes(data)
        try:
            for frame in self.protocol.received_frames():
                self.take(frame)
        except ParseFailed as error:
            self.error = error

    def take(self, frame):
        if frame.opcode == CLOSE:
            self.seen.append((CLOSE, *frame.payload))
        elif frame.opcode.iscontrol():
            self.seen.append((int(frame.opcode), bytes(frame.payload)))
        else:
            self.parts.append(frame.payload)
            if frame.message_finished:
                self.seen.append(type(frame.payload)().join(self.parts))
                self.parts.clear()

    def result(self):
        return self.seen, self.error


class Stream:
    """Random frames of one side, written by websockets and by us alike."""

    def __init__(self, choice, oracle, *, masked, deflate):
        self.choice = choice
        self.masked = masked
        self.compressor = zlib.compressobj(wbits=-15) if deflate else None
        self.has_control_inside = oracle.READS_CONTROL_INSIDE or not deflate

    def frames(self, count):
        written = []
        while len(written) < count:
            written += self.message()
        return written

    def message(self):
        choice = self.choice
        opcode = choice.choice([TEXT, BINARY])
        size = choice.choice(SIZES)
        if opcode == TEXT:
            payload = "".join(choice.choices(WORDS, k=size // 4)).encode()
        else:
            payload = choice.randbytes(size)
        rsv1 = self.compressor is not None and choice.random() < 0.7
        if rsv1:
            data = self.compressor.compress(payload)
            payload = (data + self.compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]
        last = choice.choice([0, 0, 0, 1, 2, 3])
        cuts = sorted(choice.choices(range(len(payload) + 1), k=last))
        for number, (start, end) in enumerate(
            zip([0, *cuts], [*cuts, len(payload)], strict=True)
        ):
            piece = payload[start:end]
            first = number == 0
            yield self.frame(
                opcode if first else 0, piece, fin=number == last, rsv1=rsv1 and first
            )
            if choice.random() < 0.1 and (self.has_control_inside or number == last):
                control = choice.choice([PING, PONG])
                yield self.frame(control, choice.randbytes(choice.randrange(126)))

    def frame(self, opcode, payload, *, fin=True, rsv1=False):
        theirs = bytearray(
            websockets.frames.Frame(
                websockets.frames.Opcode(opcode), payload, fin=fin
            ).serialize(mask=self.masked)
        )
        theirs[0] |= rsv1 << 6
        key = None
        if self.masked:
            at = len(theirs) - len(payload)
            key = bytes(theirs[at - 4 : at])
        ours = build_frame(opcode, payload, fin=fin, rsv=4 * rsv1, mask=key)
        assert ours == theirs
        return ours


def feed(choice, reader, wire):
    """Give ``wire`` to ``reader`` in pieces, some of them single bytes."""
    at = 0
    while at < len(wire):
        step = choice.choice([1, 2, 3, 7, 64, 1000, 9000])
        reader.feed(wire[at : at + step])
        at += step
    return reader.result()


deflated = pytest.mark.parametrize("deflate", [False, True], ids=["plain", "deflate"])
sides = pytest.mark.parametrize("is_server", [True, False], ids=["server", "client"])
oracles = pytest.mark.parametrize("oracle", [Websockets, Wsproto])


@deflated
@sides
@oracles
def test_valid_frames_read_alike(oracle, is_server, deflate):
    choice = random.Random(12)
    stream = Stream(choice, oracle, masked=is_server, deflate=deflate)
    ours, theirs = Ours(is_server, deflate), oracle(is_server, deflate)
    frames = stream.frames(FRAMES)
    frames.append(stream.frame(CLOSE, b"\x03\xe9bye"))
    wire = b"".join(frames)
    seen, refusal = feed(choice, ours, wire)
    assert refusal is None
    assert len(frames) > FRAMES
    assert seen[-1] == (CLOSE, 1001, "bye")
    assert feed(choice, theirs, wire) == (seen, None)


@sides
@oracles
def test_broken_heads_are_refused_at_the_same_frame(oracle, is_server):
    choice = random.Random(13)
    outcomes = Counter()
    for _ in range(BROKEN):
        stream = Stream(choice, oracle, masked=is_server, deflate=False)
        frames = [bytearray(frame) for frame in stream.frames(6)]
        broken = choice.choice(frames)
        broken[choice.choice([0, 1])] ^= 1 << choice.randrange(8)
        # Enough nonsense behind it that nobody waits for the end of a frame.
        wire = b"".join(frames) + b"\xff" * 70_000
        seen, refusal = feed(choice, Ours(is_server, deflate=False), wire)
        other_seen, other_refusal = feed(choice, oracle(is_server, deflate=False), wire)
        shared = min(len(seen), len(other_seen))
        assert seen[:shared] == other_seen[:shared]
        outcome = "alike"
        if len(seen) < len(other_seen):
            assert refusal in oracle.LENIENT
            outcome = "earlier"
        elif len(seen) > len(other_seen):
            assert str(other_refusal) in oracle.STRICTER
            outcome = "later"
        outcomes[outcome] += 1
    assert outcomes["alike"] > BROKEN * 0.8
