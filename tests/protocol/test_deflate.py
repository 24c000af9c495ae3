import json
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from beamfast._frames import build_frame
from beamfast.errors import HandshakeError, PayloadTooBig, ProtocolError
from beamfast.http import Headers
from beamfast.protocol.deflate import (
    RSV1,
    Agreement,
    Deflate,
    PerMessageDeflate,
    compress_shared,
)
from beamfast.protocol.events import Closed, Failed
from beamfast.protocol.extensions import negotiate, parse_extensions
from beamfast.protocol.rfc6455 import Rfc6455Driver, Side, State

VECTORS = json.loads(
    (Path(__file__).parents[1] / "data" / "vectors.json").read_text("utf-8")
)["vectors"]
HTML = b"<li class='item'><a href='/one'>One thing</a></li>" * 8


def vectors(group):
    return [
        pytest.param(one, id=one["name"]) for one in VECTORS if one["group"] == group
    ]


def at_work(**options):
    return Deflate(Agreement(), PerMessageDeflate(**options))


def parameters(text):
    (offer,) = parse_extensions(
        Headers([("Sec-WebSocket-Extensions", f"permessage-deflate{text}")])
    )
    return offer.parameters


# Vectors


def receiver(vector):
    """Return a driver for the receiving end of a vector."""
    setup = vector["setup"]
    is_server = vector["direction"] == "client_to_server"
    peer = "client" if is_server else "server"
    own = "server" if is_server else "client"
    agreement = Agreement(
        setup[f"{own}_max_window_bits"],
        not setup[f"{own}_no_context_takeover"],
        setup[f"{peer}_max_window_bits"],
        not setup[f"{peer}_no_context_takeover"],
    )
    return Rfc6455Driver(
        Side.SERVER if is_server else Side.CLIENT,
        max_size=setup.get("max_size", 2**20),
        extensions=[Deflate(agreement, PerMessageDeflate())],
    )


@pytest.mark.parametrize("step", [None, 1])
@pytest.mark.parametrize("vector", vectors("permessage_deflate"))
def test_vector(vector, step):
    driver, expect = receiver(vector), vector["expect"]
    wire = bytes.fromhex(vector["wire"])
    for at in range(0, len(wire), step or len(wire)):
        driver.receive_data(wire[at : at + (step or len(wire))])
    events = driver.events_received()
    messages = [event for event in events if isinstance(event, str | bytes)]
    assert messages == [
        event["data"] if "data" in event else bytes.fromhex(event["data_hex"])
        for event in expect["events"]
    ]
    if expect.get("fail"):
        assert [type(event) for event in events[-2:]] == [Failed, Closed]
        assert events[-2].close_code == expect["close_code"]
    assert (driver.state is State.OPEN) == (expect["state"] == "open")


@pytest.mark.parametrize("vector", vectors("permessage_deflate_broadcast"))
def test_broadcast_vector(vector):
    driver, expect = receiver(vector), vector["expect"]
    driver.receive_data(bytes.fromhex(vector["wire"]))
    events = driver.events_received()
    if expect.get("sender_bug"):
        # Two messages, then one that its sender broke without any error.
        assert events[2:3] != [events[0]]
    else:
        assert events == [event["data"] for event in expect["events"]]


@pytest.mark.parametrize("vector", vectors("permessage_deflate_negotiation"))
def test_negotiation_vector(vector):
    setup = vector["setup"]
    headers = Headers([("Sec-WebSocket-Extensions", setup["offer"])])
    extension = PerMessageDeflate(**setup["server_options"])
    answers, active = negotiate(parse_extensions(headers), [extension])
    answer = vector["expect"]["answer"]
    assert len(active) == len(answers) == (answer is not None)
    for offer in answers:
        assert sorted(str(offer).split("; ")) == sorted(answer.split("; "))


# What is agreed


@pytest.mark.parametrize(
    ("options", "offer", "agreement"),
    [
        ({}, "", Agreement()),
        ({"max_window_bits": 11}, "", Agreement(own_bits=11)),
        ({"request_max_window_bits": 11}, "", Agreement()),
        (
            {"request_max_window_bits": 11},
            "; client_max_window_bits",
            Agreement(peer_bits=11),
        ),
        ({}, "; client_max_window_bits=8", Agreement(peer_bits=8)),
        ({}, "; server_no_context_takeover", Agreement(own_takeover=False)),
        ({"request_no_context_takeover": True}, "", Agreement(peer_takeover=False)),
    ],
)
def test_server_keeps_to_its_answer(options, offer, agreement):
    accepted = PerMessageDeflate(**options).accept([parameters(offer)])
    assert accepted[1].agreement == agreement


@pytest.mark.parametrize(
    ("options", "offer"),
    [
        ({}, [("client_max_window_bits", None)]),
        ({"max_window_bits": 12}, [("client_max_window_bits", "12")]),
        (
            {
                "request_no_context_takeover": True,
                "no_context_takeover": True,
                "request_max_window_bits": 10,
            },
            [
                ("server_no_context_takeover", None),
                ("client_no_context_takeover", None),
                ("server_max_window_bits", "10"),
                ("client_max_window_bits", None),
            ],
        ),
    ],
)
def test_client_offers_what_it_was_told(options, offer):
    assert PerMessageDeflate(**options).offers() == [offer]


@pytest.mark.parametrize(
    ("options", "answer", "agreement"),
    [
        ({}, "", Agreement()),
        ({}, "; server_max_window_bits=10", Agreement(peer_bits=10)),
        ({}, "; client_max_window_bits=8", Agreement(own_bits=8)),
        ({"max_window_bits": 12}, "", Agreement(own_bits=12)),
        ({}, "; client_no_context_takeover", Agreement(own_takeover=False)),
        ({"no_context_takeover": True}, "", Agreement(own_takeover=False)),
        ({}, "; server_no_context_takeover", Agreement(peer_takeover=False)),
    ],
)
def test_client_keeps_to_the_answer(options, answer, agreement):
    active = PerMessageDeflate(**options).activate(parameters(answer))
    assert active.agreement == agreement


@pytest.mark.parametrize(
    ("options", "answer"),
    [
        ({}, "; x"),
        ({}, "; server_no_context_takeover=1"),
        ({}, "; server_no_context_takeover; server_no_context_takeover"),
        ({}, "; server_max_window_bits"),
        ({}, "; server_max_window_bits=16"),
        ({}, "; server_max_window_bits=08"),
        ({}, "; client_max_window_bits"),
        ({"max_window_bits": 10}, "; client_max_window_bits=11"),
        ({"request_max_window_bits": 10}, "; server_max_window_bits=11"),
        ({"request_max_window_bits": 10}, ""),
        ({"request_no_context_takeover": True}, ""),
    ],
)
def test_client_refuses_an_answer_that_does_not_fit(options, answer):
    with pytest.raises(HandshakeError, match="permessage-deflate"):
        PerMessageDeflate(**options).activate(parameters(answer))


@pytest.mark.parametrize(
    "options",
    [
        {"max_window_bits": 8},
        {"max_window_bits": 16},
        {"request_max_window_bits": 7},
        {"request_max_window_bits": 16},
    ],
)
def test_window_out_of_range_is_refused(options):
    with pytest.raises(ValueError, match="window_bits"):
        PerMessageDeflate(**options)


# Sending


def test_nothing_is_created_before_the_first_message():
    deflate = at_work()
    assert deflate._compressor is deflate._past is None
    assert deflate.encode(b"short") == (b"short", 0)
    assert deflate._compressor is None


def test_empty_message_is_one_byte():
    assert at_work(min_size=0).encode(b"") == (b"\0", RSV1)
    assert at_work().decode(b"\0", 10) == b""


def test_message_that_does_not_shrink_goes_as_it_is():
    deflate, peer = at_work(min_size=0), at_work()
    noise = bytes(range(256))
    assert deflate.encode(noise) == (noise, 0)
    coded, bits = deflate.encode(noise + HTML)
    assert bits == RSV1
    assert peer.decode(coded, 10_000) == noise + HTML


def test_takeover_makes_repeated_messages_tiny():
    sender, peer = at_work(), at_work()
    sizes = []
    for _ in range(3):
        coded, _ = sender.encode(HTML)
        sizes.append(len(coded))
        assert peer.decode(coded, 1000) == HTML
    assert sizes[1] < sizes[0] / 3


@pytest.mark.parametrize("sizes", [[1, 1, 1], [1, 100, 1, 100]])
def test_messages_without_takeover_stand_alone(sizes):
    sender = Deflate(Agreement(own_takeover=False), PerMessageDeflate())
    for size in sizes:
        coded, bits = sender.encode(HTML * size)
        assert bits == RSV1
        assert at_work().decode(coded, 100_000) == HTML * size


def test_level_follows_the_size_unless_it_is_given():
    automatic = PerMessageDeflate()
    assert automatic.level_for(8192) == 6
    assert automatic.level_for(8193) == 1
    assert PerMessageDeflate(level=9).level_for(100_000) == 9


def test_small_window_is_kept():
    # What is 600 bytes away cannot be referred to in a window of 512.
    sender = Deflate(Agreement(own_bits=8), PerMessageDeflate())
    peer = Deflate(Agreement(peer_bits=8), PerMessageDeflate())
    text = b"".join(b"%d-" % (7919 * number) for number in range(3000))
    coded, bits = sender.encode(text)
    assert bits == RSV1
    assert peer.decode(coded, 100_000) == text


def test_shared_message_between_own_ones_decodes_after_forgetting():
    sender, peer = at_work(), at_work()
    own = [sender.encode(HTML)[0]]
    shared = compress_shared(HTML + b"shared")
    sender.forget()
    own.append(sender.encode(HTML)[0])
    assert peer.decode(own[0], 1000) == HTML
    assert peer.decode(shared, 1000) == HTML + b"shared"
    assert peer.decode(own[1], 1000) == HTML


def test_shared_message_decodes_everywhere():
    shared = compress_shared(HTML, window_bits=9, level=1)
    for agreement in (
        Agreement(),
        Agreement(peer_bits=9),
        Agreement(15, True, 9, False),
    ):
        assert Deflate(agreement, PerMessageDeflate()).decode(shared, 1000) == HTML


# Receiving


def test_broken_data_is_1007():
    with pytest.raises(ProtocolError) as caught:
        at_work().decode(b"\xff\xff\xff", 1000)
    assert caught.value.close_code == 1007


def test_bomb_is_stopped_at_the_limit():
    bomb = compress_shared(bytes(50_000_000))
    peer = at_work()
    with pytest.raises(PayloadTooBig):
        peer.decode(bomb, 1_000_000)


def test_an_honest_message_that_repeats_itself_is_welcome_up_to_the_limit():
    message = b"<li>nothing new</li>" * 50_000
    dense = compress_shared(message)
    assert len(message) > 150 * len(dense)
    assert at_work().decode(dense, len(message)) == message
    with pytest.raises(PayloadTooBig):
        at_work().decode(dense, len(message) - 1)


def test_density_can_be_limited_above_a_free_amount():
    dense, free = compress_shared(bytes(400_000)), compress_shared(bytes(60_000))
    assert at_work(max_ratio=100).decode(free, 10**6) == bytes(60_000)
    assert at_work(max_ratio=2000).decode(dense, 10**6) == bytes(400_000)
    with pytest.raises(PayloadTooBig):
        at_work(max_ratio=100).decode(dense, 10**6)


def test_closing_frees_both_halves():
    deflate = at_work()
    deflate.decode(deflate.encode(HTML)[0], 1000)
    deflate.close()
    assert deflate._compressor is deflate._past is None


@pytest.mark.parametrize("takeover", [True, False])
def test_a_message_can_be_decoded_in_pieces(takeover):
    agreement = Agreement(peer_takeover=takeover)
    sender = Deflate(Agreement(own_takeover=takeover), PerMessageDeflate())
    peer = Deflate(agreement, PerMessageDeflate())
    for _ in range(2):
        coded, _ = sender.encode(HTML * 10)
        decoder = peer.decoder(10**6)
        message = b""
        for at in range(len(coded)):
            decoder.feed(coded[at : at + 1], is_last=at == len(coded) - 1)
            while piece := decoder.read(100):
                assert len(piece) <= 100
                message += piece
        assert decoder.is_over
        assert message == HTML * 10


# Properties

MESSAGES = st.lists(
    st.one_of(st.binary(max_size=300), st.sampled_from([HTML, HTML * 25])), max_size=6
)
AGREEMENTS = st.builds(
    Agreement, st.integers(8, 15), st.booleans(), st.integers(8, 15), st.booleans()
)


@given(MESSAGES, AGREEMENTS)
def test_what_was_sent_is_received(messages, agreement):
    options = PerMessageDeflate(min_size=0)
    sender = Deflate(agreement, options)
    peer = Deflate(
        Agreement(15, True, agreement.own_bits, agreement.own_takeover), options
    )
    client = Rfc6455Driver(Side.CLIENT, extensions=[sender])
    server = Rfc6455Driver(Side.SERVER, extensions=[peer])
    for message in messages:
        client.send_binary(message)
    server.receive_data(b"".join(client.data_to_send()))
    assert server.events_received() == messages


@given(st.binary(max_size=60), st.booleans())
def test_no_compressed_bytes_raise_anything_but_a_protocol_error(data, takeover):
    peer = Deflate(Agreement(peer_takeover=takeover), PerMessageDeflate())
    for _ in range(2):
        try:
            assert len(peer.decode(data, 1000)) <= 1000
        except ProtocolError:
            break


def test_compressed_frames_are_marked():
    driver = Rfc6455Driver(Side.SERVER, extensions=[at_work()])
    driver.send_text("short")
    driver.send_text(HTML.decode())
    heads = [frame[0] for frame in driver.data_to_send()]
    assert heads == [0x81, 0xC1]
    assert build_frame(1, b"", rsv=RSV1)[0] == 0xC1
