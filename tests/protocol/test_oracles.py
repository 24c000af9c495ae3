"""Two other implementations as a second opinion, in both roles."""

import random

import pytest
import websockets.http11
import wsproto
import wsproto.events
from websockets.client import ClientProtocol
from websockets.extensions.permessage_deflate import (
    ClientPerMessageDeflateFactory,
    ServerPerMessageDeflateFactory,
)
from websockets.frames import Close, Opcode
from websockets.server import ServerProtocol
from websockets.uri import parse_uri
from wsproto.extensions import PerMessageDeflate as WsprotoDeflate

from beamfast.protocol.client import ClientDriver
from beamfast.protocol.deflate import PerMessageDeflate
from beamfast.protocol.events import Closed, Opened, Ping, Pong, Requested
from beamfast.protocol.server import ServerDriver

URL = "ws://example.org/chat"
WORDS = ["beam", "<li>", "ä", "\U0001f600", "\0", "x" * 200, "<p>One</p>" * 40]
ROUNDS = 500


class Ours:
    """A driver of this package."""

    def __init__(self, is_client, deflate):
        extensions = [PerMessageDeflate(min_size=0)] if deflate else []
        if is_client:
            self.driver = ClientDriver(URL, extensions=extensions)
            self.driver.start()
        else:
            self.driver = ServerDriver(extensions=extensions)

    def feed(self, data):
        self.driver.receive_data(data)
        seen = []
        for event in self.driver.events_received():
            match event:
                case str() | bytes():
                    seen.append(event)
                case Ping(payload):
                    seen.append(("ping", payload))
                case Pong(payload):
                    seen.append(("pong", payload))
                case Closed(code, reason):
                    seen.append(("close", code, reason))
                case Requested():
                    self.driver.accept()
                    seen += self.feed(b"")
                case Opened():
                    seen.append("open")
        return seen

    def output(self):
        return b"".join(self.driver.data_to_send())

    def message(self, data):
        if isinstance(data, str):
            self.driver.send_text(data)
        else:
            self.driver.send_binary(data)

    def fragments(self, pieces):
        for number, piece in enumerate(pieces, 1):
            self.driver.send_fragment(piece, fin=number == len(pieces))

    def ping(self, payload):
        self.driver.send_ping(payload)

    def close(self, code, reason):
        self.driver.send_close(code, reason)


class Websockets:
    """The sans-I/O layer of websockets."""

    def __init__(self, is_client, deflate):
        self.parts = []
        if is_client:
            factories = [ClientPerMessageDeflateFactory()] if deflate else []
            self.protocol = ClientProtocol(parse_uri(URL), extensions=factories)
            self.protocol.send_request(self.protocol.connect())
        else:
            factories = [ServerPerMessageDeflateFactory()] if deflate else []
            self.protocol = ServerProtocol(extensions=factories)

    def feed(self, data):
        self.protocol.receive_data(data)
        seen = []
        for event in self.protocol.events_received():
            if isinstance(event, websockets.http11.Request):
                self.protocol.send_response(self.protocol.accept(event))
                seen.append("open")
            elif isinstance(event, websockets.http11.Response):
                seen.append("open")
            else:
                seen += self.frame(event)
        return seen

    def frame(self, frame):
        opcode = frame.opcode
        if opcode is Opcode.PING:
            return [("ping", bytes(frame.data))]
        if opcode is Opcode.PONG:
            return [("pong", bytes(frame.data))]
        if opcode is Opcode.CLOSE:
            close = Close.parse(frame.data)
            return [("close", close.code, close.reason)]
        if opcode is not Opcode.CONT:
            self.is_text = opcode is Opcode.TEXT
        self.parts.append(bytes(frame.data))
        if not frame.fin:
            return []
        message = b"".join(self.parts)
        self.parts.clear()
        return [message.decode() if self.is_text else message]

    def output(self):
        return b"".join(self.protocol.data_to_send())

    def message(self, data):
        if isinstance(data, str):
            self.protocol.send_text(data.encode())
        else:
            self.protocol.send_binary(data)

    def fragments(self, pieces):
        first, *others = [
            piece.encode() if isinstance(piece, str) else piece for piece in pieces
        ]
        send = self.protocol.send_binary
        if isinstance(pieces[0], str):
            send = self.protocol.send_text
        send(first, fin=not others)
        for number, piece in enumerate(others, 1):
            self.protocol.send_continuation(piece, fin=number == len(others))

    def ping(self, payload):
        self.protocol.send_ping(payload)

    def close(self, code, reason):
        self.protocol.send_close(code, reason)


class Wsproto:
    """The connection of wsproto."""

    def __init__(self, is_client, deflate):
        kind = (
            wsproto.ConnectionType.CLIENT
            if is_client
            else (wsproto.ConnectionType.SERVER)
        )
        self.extensions = [WsprotoDeflate()] if deflate else []
        self.connection = wsproto.WSConnection(kind)
        self.queue = b""
        self.parts = []
        if is_client:
            request = wsproto.events.Request(
                host="example.org", target="/chat", extensions=self.extensions
            )
            self.send(request)

    def send(self, event):
        self.queue += self.connection.send(event)

    def feed(self, data):
        self.connection.receive_data(data)
        seen = []
        for event in self.connection.events():
            match event:
                case wsproto.events.Request():
                    accept = wsproto.events.AcceptConnection(extensions=self.extensions)
                    self.send(accept)
                    seen.append("open")
                case wsproto.events.AcceptConnection():
                    seen.append("open")
                case wsproto.events.Message():
                    self.parts.append(event.data)
                    if event.message_finished:
                        seen.append(type(event.data)().join(self.parts))
                        self.parts.clear()
                case wsproto.events.Ping():
                    self.send(event.response())
                    seen.append(("ping", bytes(event.payload)))
                case wsproto.events.Pong():
                    seen.append(("pong", bytes(event.payload)))
                case wsproto.events.CloseConnection():
                    seen.append(("close", event.code, event.reason or ""))
                    if self.connection.state is wsproto.ConnectionState.REMOTE_CLOSING:
                        self.send(event.response())
        return seen

    def output(self):
        data, self.queue = self.queue, b""
        return data

    def message(self, data):
        self.fragments([data])

    def fragments(self, pieces):
        for number, piece in enumerate(pieces, 1):
            self.send(
                wsproto.events.Message(
                    data=piece, message_finished=number == len(pieces)
                )
            )

    def ping(self, payload):
        self.send(wsproto.events.Ping(payload=payload))

    def close(self, code, reason):
        self.send(wsproto.events.CloseConnection(code=code, reason=reason))


def carry(choice, sender, receiver):
    """Move what ``sender`` wrote in random pieces; return what was seen."""
    data = sender.output()
    seen = []
    at = 0
    while at < len(data):
        step = choice.choice([1, 2, 7, 100, 5000])
        seen += receiver.feed(data[at : at + step])
        at += step
    return seen


def random_message(choice):
    text = "".join(choice.choices(WORDS, k=choice.randrange(6)))
    return text if choice.random() < 0.6 else text.encode() + choice.randbytes(3)


@pytest.mark.parametrize("deflate", [False, True], ids=["plain", "deflate"])
@pytest.mark.parametrize("as_client", [False, True], ids=["server", "client"])
@pytest.mark.parametrize("oracle", [Websockets, Wsproto])
def test_both_ends_see_what_the_other_sent(oracle, as_client, deflate):
    choice = random.Random(6455)
    ours, theirs = Ours(as_client, deflate), oracle(not as_client, deflate)
    first, second = (ours, theirs) if as_client else (theirs, ours)
    assert carry(choice, first, second) == ["open"]
    assert carry(choice, second, first) == ["open"]
    for _ in range(ROUNDS):
        sender, receiver = choice.sample([ours, theirs], 2)
        message = random_message(choice)
        sender.message(message)
        assert carry(choice, sender, receiver) == [message]
        if choice.random() < 0.3:
            pieces = [message] + [message[:2]] * choice.randrange(4)
            sender.fragments(pieces)
            assert carry(choice, sender, receiver) == [message[:0].join(pieces)]
        if choice.random() < 0.3:
            payload = choice.randbytes(choice.randrange(126))
            sender.ping(payload)
            assert carry(choice, sender, receiver) == [("ping", payload)]
            assert carry(choice, receiver, sender) == [("pong", payload)]
    closer, other = choice.sample([ours, theirs], 2)
    closer.close(4000, "bye")
    assert carry(choice, closer, other) == [("close", 4000, "bye")]
    answer = carry(choice, other, closer)
    assert [event[:2] for event in answer] == [("close", 4000)]
