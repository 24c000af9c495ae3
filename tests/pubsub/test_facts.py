"""What can be said of an open connection."""

import socket
import sys

from beamfast.protocol.driver import State
from beamfast.pubsub.facts import ConnectionFacts, facts_of, traffic


class Wire:
    """A transport with what facts ask it for."""

    def __init__(self, peername, sock=None):
        self.extra = {"peername": peername, "socket": sock}

    def get_extra_info(self, name):
        return self.extra[name]


class WebSocket:
    """A connection with what facts ask it for."""

    path, user, opened, buffered_amount = "/chat", "anna", 12, 34
    state, subprotocol = State.OPEN, "beam.v1"

    def __init__(self, transport):
        self.transport = transport


def test_facts_say_who_is_connected_to_what():
    connection = WebSocket(Wire(("192.0.2.1", 4711)))
    assert facts_of(connection, lambda one: ["a", "b"]) == ConnectionFacts(
        kind="WebSocket",
        path="/chat",
        remote_addr="192.0.2.1",
        user="anna",
        opened=12,
        state="open",
        subprotocol="beam.v1",
        topics=("a", "b"),
        queue=34,
        bytes_sent=None,
        bytes_received=None,
    )


def test_the_peer_of_a_unix_socket_has_no_address():
    found = facts_of(WebSocket(Wire("")), lambda one: [])
    assert found is not None
    assert found.remote_addr == "-"


def test_a_connection_that_is_gone_has_no_facts():
    assert facts_of(WebSocket(None), lambda one: []) is None


def test_the_kernel_knows_what_a_connection_has_carried():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        server, _ = listener.accept()
        with client, server:
            client.sendall(b"x" * 1000)
            received = b""
            while len(received) < 1000:
                received += server.recv(1000)
            server.sendall(b"y" * 70)
            answer = b""
            while len(answer) < 70:
                answer += client.recv(70)
            known = traffic(server)
    assert known == ((70, 1000) if sys.platform == "linux" else (None, None))


def test_a_unix_socket_carries_what_nobody_counts():
    one, two = socket.socketpair()
    with one, two:
        assert traffic(one) == (None, None)
    assert traffic(None) == (None, None)
