"""Windows that subscribers share, read by the decompressors that peers have."""

import random
import zlib

import pytest

from beamfast._frames import build_frame
from beamfast.errors import PayloadTooBig
from beamfast.protocol.deflate import RSV1, Agreement, Deflate
from beamfast.protocol.epochs import (
    DEDICATED,
    EMPTY_BLOCK,
    GZIP_HEAD,
    LENGTH,
    SHARED,
    WINDOW_BITS,
    Codings,
    FrameEpochs,
    StreamEpochs,
)
from beamfast.protocol.inflate import TAIL

TEXT = 1
ITEM = (
    '<div itemscope itemtype="https://rustybeam.net/schema/StreamItem">'
    '<span itemprop="method">PUT</span><span itemprop="url">/notes.html</span>'
    '<span itemprop="selector">#note-{0}</span><div itemprop="content">'
    '<li id="note-{0}">Written by somebody at {1}</li></div></div>'
)


def items(count):
    dice = random.Random(1)
    return [ITEM.format(number, dice.random()) for number in range(count)]


class Peer:
    """A client that reads frames with one window, as RFC 7692 says."""

    def __init__(self, bits=15):
        self.inflater = zlib.decompressobj(-bits)

    def read(self, frame):
        start = {126: 4, 127: 10}.get(frame[1], 2)
        payload = frame[start:]
        if frame[0] & 0x40:
            payload = self.inflater.decompress(payload + TAIL)
        return payload.decode()


def test_each_item_is_read_by_every_member():
    epochs = FrameEpochs(WINDOW_BITS, LENGTH)
    peers = [Peer(), Peer(WINDOW_BITS)]
    for item in items(200):
        frame = epochs.encode(build_frame(TEXT, item))
        assert [peer.read(frame) for peer in peers] == [item] * 2


def test_who_joins_at_the_beginning_of_an_epoch_reads_all_of_it():
    epochs = FrameEpochs(WINDOW_BITS, LENGTH)
    peer = None
    for number, item in enumerate(items(200)):
        if epochs.is_over:
            peer = Peer()
        frame = epochs.encode(build_frame(TEXT, item))
        if peer is not None:
            assert peer.read(frame) == item
        assert epochs.messages == number % LENGTH + 1


def test_an_epoch_can_begin_whenever_somebody_waits():
    epochs = FrameEpochs(WINDOW_BITS, LENGTH)
    old, new = Peer(), Peer()
    first, second, third = items(3)
    old.read(epochs.encode(build_frame(TEXT, first)))
    epochs.begin()
    for item in (second, third):
        frame = epochs.encode(build_frame(TEXT, item))
        assert old.read(frame) == new.read(frame) == item


def test_messages_of_an_epoch_are_small():
    texts = items(640)
    shared, single = FrameEpochs(WINDOW_BITS, LENGTH), FrameEpochs(WINDOW_BITS, 1)
    sizes = [
        sum(len(epochs.encode(build_frame(TEXT, item))) for item in texts)
        for epochs in (shared, single)
    ]
    plain = sum(map(len, texts))
    assert sizes[0] < 0.2 * plain
    assert 0.4 * plain < sizes[1] < 0.8 * plain


def test_single_messages_are_read_in_any_company():
    epochs = FrameEpochs(WINDOW_BITS, 1)
    texts = items(20)
    frames = [epochs.encode(build_frame(TEXT, item)) for item in texts]
    assert [Peer().read(frame) for frame in frames] == texts
    peer = Peer()
    assert [peer.read(frame) for frame in frames[::3]] == texts[::3]


@pytest.mark.parametrize("length", [1, LENGTH])
def test_what_does_not_shrink_goes_as_it_is_and_breaks_nothing(length):
    epochs = FrameEpochs(WINDOW_BITS, length)
    peer = Peer()
    noise = "".join(chr(random.Random(2).randrange(32, 0xD000)) for _ in range(3000))
    texts = ["short", *items(3), noise, *items(3), "", "x" * 70_000, "short", *items(2)]
    random.Random(3).shuffle(texts)
    for text in texts:
        frame = build_frame(TEXT, text)
        coded = epochs.encode(frame)
        assert peer.read(coded) == text
        assert len(coded) <= len(frame) + 16


def test_what_no_peer_gets_is_not_referred_to():
    coding = Codings().deflate(Agreement(12, True, 15, False))
    noise = random.Random(4).randbytes(200_000)
    for epochs in (coding.shared(), coding.single()):
        peer = Peer()
        assert peer.read(epochs.encode(build_frame(TEXT, "a" * 300))) == "a" * 300
        frame = build_frame(2, noise)
        assert epochs.encode(frame) == frame
        assert epochs.messages == 0
        assert peer.read(epochs.encode(build_frame(TEXT, "b" * 300))) == "b" * 300


def test_long_messages_take_the_fast_level_and_an_epoch_of_their_own():
    epochs = FrameEpochs(WINDOW_BITS, LENGTH)
    peer = Peer()
    for text in ["a" * 300, "b" * 100_000, "c" * 300, "d" * 300]:
        assert peer.read(epochs.encode(build_frame(TEXT, text))) == text
    assert epochs.messages == 2


# gzip.


def test_a_gzip_stream_is_read_with_private_and_empty_blocks_between_epochs():
    gzip = Codings().gzip
    epochs, outside = gzip.shared(), gzip.outside()
    client = zlib.decompressobj(31)
    assert client.decompress(GZIP_HEAD) == b""
    for number, item in enumerate(items(300)):
        data = item.encode() * (1 + number % 5)
        if number % 50 == 20:
            epochs.begin()
            private = b"private" * 20_000
            assert client.decompress(outside.encode(private)) == private
        assert client.decompress(EMPTY_BLOCK) == b""
        assert client.decompress(epochs.encode(data)) == data


def test_single_events_of_a_gzip_stream_stand_alone():
    gzip = Codings().gzip
    epochs = gzip.single()
    assert isinstance(epochs, StreamEpochs)
    client = zlib.decompressobj(31)
    client.decompress(GZIP_HEAD)
    for item in items(10)[::2]:
        assert client.decompress(epochs.encode(item.encode())) == item.encode()


def test_nothing_to_store_is_no_block():
    assert Codings().gzip.outside().encode(b"") == b""


# Agreements.


def test_sockets_with_the_same_window_share_one_coding():
    codings = Codings()
    one = codings.deflate(Agreement(12, True, 15, False))
    assert codings.deflate(Agreement(12, True, 10, False)) is one
    assert codings.deflate(Agreement(11, True, 15, False)) is not one
    alone = codings.deflate(Agreement(12, False, 15, False))
    assert (one.has_takeover, alone.has_takeover) == (True, False)


def test_of_a_shared_socket_nothing_is_compressed_for_it_alone():
    coding = Codings().deflate(Agreement(12, True, 15, False))
    assert coding.encode(b"x" * 1000) == (b"x" * 1000, 0)
    assert coding.outside() is None
    coding.close()
    assert coding.rsv == RSV1


def test_each_message_of_a_client_is_read_by_itself():
    coding = Codings().deflate(Agreement(12, True, 15, False))
    client = Deflate(Agreement(15, False, 12, True), DEDICATED)
    for text in items(5):
        data, rsv = client.encode(text.encode())
        assert rsv == RSV1
        assert coding.decode(data, 2**20) == text.encode()
        decoder = coding.decoder(2**20)
        decoder.feed(data, is_last=True)
        assert decoder.read(2**20) == text.encode()
    with pytest.raises(PayloadTooBig):
        coding.decode(data, 10)


def test_the_server_asks_shared_clients_to_keep_no_window():
    (answer, deflate) = SHARED.accept([[("client_max_window_bits", None)]])
    assert answer == [("client_no_context_takeover", None)]
    assert deflate.agreement == Agreement(WINDOW_BITS, True, 15, False)
