"""How long a connection bears with a peer that has stopped reading."""

import math

import pytest

from beamfast._wire import LoopState
from beamfast.connection.patience import Patient


class Loop:
    now = 100.0

    def time(self):
        return self.now


class Transport:
    """Holds back everything from the second write on."""

    def __init__(self, protocol):
        self.protocol = protocol
        self.aborted = False

    def get_extra_info(self, name):
        return None

    def set_write_buffer_limits(self, high, low):
        pass

    def get_write_buffer_size(self):
        return 0

    def is_closing(self):
        return False

    def write(self, data):
        self.protocol.pause_writing()

    def abort(self):
        self.aborted = True


class Connection(Patient):
    path = "/page"
    deadline = math.inf

    def _watch(self, seconds):
        self.deadline = self._loop.now + seconds


@pytest.fixture
def loop():
    return Loop()


@pytest.fixture
def connect(loop):
    def connect(*options):
        connection = Connection(loop, *options)
        connection.attach(Transport(connection), LoopState(loop))
        return connection

    return connect


def test_a_peer_that_reads_is_not_waited_for(connect):
    connection = connect()
    assert not connection.waits_for_peer(1e9)
    assert connection.deadline == math.inf


def test_a_peer_that_stops_is_given_up_after_thirty_seconds(loop, connect, caplog):
    connection = connect()
    connection.write(b"1")
    assert connection.deadline == 130
    assert connection.waits_for_peer(120)
    assert connection.deadline == 110
    assert not connection.transport.aborted
    assert connection.waits_for_peer(130)
    assert connection.transport.aborted
    assert "/page has stopped reading" in caplog.text


def test_reading_again_starts_anew(loop, connect):
    connection = connect(10)
    connection.write(b"1")
    connection.resume_writing()
    assert not connection.waits_for_peer(200)
    loop.now = 200
    connection.write(b"2")
    assert connection.waits_for_peer(209)
    assert not connection.transport.aborted


def test_an_earlier_deadline_stays(connect):
    connection = connect(10)
    connection.deadline = 105
    connection.write(b"1")
    assert connection.deadline == 105


def test_patience_may_be_endless(connect):
    connection = connect(0)
    connection.write(b"1")
    assert connection.deadline == math.inf
    assert not connection.waits_for_peer(1e9)


def test_who_has_patience_has_to_keep_deadlines(loop):
    class Careless(Patient):
        deadline = math.inf

    with pytest.raises(NotImplementedError):
        Careless(loop).pause_writing()
