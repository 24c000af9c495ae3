"""The ways to one socket; what waits is in ``test_outbound.py``."""

import socket

import pytest

from beamfast._wire import LoopState

from .turns import Loop, RoomTransport, attached, full, read


@pytest.fixture
def pair():
    """A socket for direct sends and its other end."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)
    with ours, theirs:
        yield ours, theirs


def test_a_clean_socket_is_written_directly(pair):
    transport = RoomTransport(extra={"socket": pair[0]})
    outbound = attached(transport)
    outbound.write(b"hello")
    assert read(pair[1]) == b"hello"
    assert transport.writes == []
    assert transport.limits == (0, 0)
    assert not outbound.is_paused


def test_what_the_kernel_does_not_take_goes_to_the_transport(pair):
    transport = RoomTransport(extra={"socket": pair[0]})
    outbound = attached(transport)
    size = full(pair[0])
    outbound.write(b"first")
    outbound.write(b"second")
    assert transport.writes == [b"first"]
    assert outbound.is_paused
    assert outbound.buffered_amount == len(b"firstsecond")
    assert read(pair[1], size) == b"." * size
    outbound.write(b"third")
    assert read(pair[1]) == b""
    transport.drain(room=100)
    assert transport.writes == [b"first", b"secondthird"]
    outbound.write(b"direct again")
    assert read(pair[1]) == b"direct again"


def test_a_send_that_is_cut_goes_on_in_the_transport(pair):
    pair[0].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    transport = RoomTransport(extra={"socket": pair[0]})
    outbound = attached(transport)
    data = bytes(range(256)) * 4096
    outbound.write(data)
    assert 0 < len(transport.kept) < len(data)
    assert read(pair[1]) + transport.kept == data


@pytest.mark.parametrize("extra", [{}, {"ssl_object": object()}])
def test_without_a_plain_socket_everything_goes_through_the_transport(extra, pair):
    transport = RoomTransport(
        room=100, extra={**extra} and {**extra, "socket": pair[0]}
    )
    outbound = attached(transport)
    outbound.write(b"hello")
    assert transport.writes == [b"hello"]


def test_a_datagram_socket_is_left_to_the_transport():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        transport = RoomTransport(room=100, extra={"socket": sock})
        attached(transport).write(b"hello")
        assert transport.writes == [b"hello"]


def test_a_backlog_from_before_leaves_first(pair):
    transport = RoomTransport(kept=b"HTTP/1.1 101", extra={"socket": pair[0]})
    outbound = attached(transport)
    outbound.write(b"hello")
    assert (outbound.is_paused, read(pair[1]), transport.writes) == (True, b"", [])
    transport.drain(room=100)
    assert transport.writes == [b"hello"]


def test_a_transport_is_attached_once():
    outbound = attached(RoomTransport())
    with pytest.raises(RuntimeError, match="twice"):
        outbound.attach(RoomTransport(), LoopState(Loop()))


def test_a_closing_transport_is_not_written():
    transport = RoomTransport(room=100)
    transport.closing = True
    outbound = attached(transport)
    outbound.write(b"late")
    assert (outbound.is_closing, transport.writes) == (True, [])


def test_corked_writes_leave_as_one():
    transport = RoomTransport(room=1000)
    outbound = attached(transport)
    outbound.cork()
    for index in range(16):
        outbound.write(b"%x" % index)
    assert transport.writes == []
    assert outbound.buffered_amount == 16
    outbound.uncork()
    assert transport.writes == [b"0123456789abcdef"]


def test_corked_writes_leave_when_the_scratch_is_full():
    transport = RoomTransport(room=1 << 20)
    outbound = attached(transport)
    outbound.cork()
    for index in range(5):
        outbound.write(b"%d" % index * 16384)
    assert [len(each) for each in transport.writes] == [65536]
    outbound.uncork()
    assert b"".join(transport.writes) == b"".join(b"%d" % n * 16384 for n in range(5))


def test_a_large_write_stays_behind_what_has_gathered():
    transport = RoomTransport(room=1 << 20)
    outbound = attached(transport)
    outbound.cork()
    outbound.write(b"small")
    outbound.write(b"L" * 20_000)
    outbound.write(b"tail")
    outbound.uncork()
    assert transport.writes == [b"small", b"L" * 20_000, b"tail"]


def test_two_corked_connections_keep_their_bytes_apart():
    state = LoopState(Loop())
    transports = [RoomTransport(room=1000), RoomTransport(room=1000)]
    one, two = (attached(transport, state=state) for transport in transports)
    one.cork()
    two.cork()
    for letter in (b"a", b"b", b"c"):
        one.write(letter)
        two.write(letter.upper())
    two.uncork()
    one.uncork()
    assert [b"".join(each.writes) for each in transports] == [b"abc", b"ABC"]


def test_a_connection_lost_in_a_cork_leaves_its_bytes_to_nobody():
    state = LoopState(Loop())
    one, two = RoomTransport(room=100), RoomTransport(room=100)
    lost, other = attached(one, state=state), attached(two, state=state)
    lost.cork()
    lost.write(b"secret")
    lost.connection_lost(None)
    other.cork()
    other.write(b"hello")
    other.uncork()
    assert (one.writes, two.writes) == ([], [b"hello"])


def test_a_reset_socket_is_aborted_and_never_raises(pair):
    transport = RoomTransport(extra={"socket": pair[0]})
    outbound = attached(transport)
    pair[1].close()
    outbound.write(b"hello")
    outbound.write(b"hello")
    assert (transport.calls, outbound.is_closing) == (["abort"], True)


def test_a_socket_that_breaks_at_what_was_gathered_takes_nothing_more(pair):
    transport = RoomTransport(room=100, extra={"socket": pair[0]})
    outbound = attached(transport)
    pair[1].close()
    outbound.cork()
    outbound.write(b"gathered")
    outbound.write(b"." * 32 * 1024)
    outbound.uncork()
    assert (transport.writes, transport.calls) == ([], ["abort"])
    assert outbound.buffered_amount == 0


def test_a_transport_that_refuses_is_aborted():
    transport = RoomTransport()
    transport.room = RuntimeError("the handle is closed")
    outbound = attached(transport)
    outbound.write(b"hello")
    assert (transport.calls, outbound.is_closing) == (["abort"], True)
