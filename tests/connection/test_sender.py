import asyncio
import logging

import pytest

from beamfast.connection.exchange import Exchange
from beamfast.connection.sender import Sender
from beamfast.http import Request, Response


class Output:
    def __init__(self):
        self.written = bytearray()
        self.unsent = 0
        self.aborted = False

    def write(self, data):
        self.written += data

    def get_write_buffer_size(self):
        return self.unsent

    def abort(self):
        self.aborted = True

    def is_closing(self):
        return self.aborted


class Producer:
    """A body that is told when to go on, and that knows whether it was closed."""

    def __init__(self, *parts):
        self.parts = parts
        self.asked = 0
        self.closed = False

    async def __aiter__(self):
        try:
            for part in self.parts:
                self.asked += 1
                if isinstance(part, Exception):
                    raise part
                yield part
        finally:
            self.closed = True


@pytest.fixture
async def output():
    return Output()


@pytest.fixture
async def sender(output, connect):
    sender = Sender(connect(lambda _: Response(204)).service)
    sender.attach(output)
    return sender


@pytest.fixture
def sent():
    return []


def make(method="GET"):
    request = Request(method, "/", url="/", path="/")
    return Exchange(None, request, keep_alive=True)


async def settle():
    for _ in range(20):
        await asyncio.sleep(0)


async def test_a_body_in_memory_leaves_with_its_head(sender, output, sent):
    exchange = make()
    sender.send(exchange, Response(200, b"hi"), sent.append)
    assert sent == [exchange]
    assert output.written.endswith(b"\r\n\r\nhi")


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 304)])
async def test_an_answer_without_content_ends_with_its_head(
    sender, output, sent, method, status
):
    sender.send(make(method), Response(status, b"hi"), sent.append)
    assert output.written.endswith(b"\r\n\r\n")


async def test_a_streamed_body_is_reported_when_its_end_is_written(
    sender, output, sent, tasks
):
    sender.send(make(), Response(200, Producer(b"one", b"two")), sent.append)
    assert sent == []
    await settle()
    assert len(sent) == 1
    assert output.written.endswith(b"3\r\ntwo\r\n0\r\n\r\n")
    assert tasks() == 0


async def test_a_slow_client_makes_the_body_wait(sender, output, sent):
    body = Producer(b"one", b"two")
    sender.send(make(), Response(200, body), sent.append)
    sender.pause()
    sender.pause()
    await settle()
    assert sender.is_full
    assert body.asked == 0
    sender.resume()
    sender.resume()
    await settle()
    assert not sender.is_full
    assert body.asked == 2
    assert len(sent) == 1


async def test_a_body_that_breaks_off_cuts_the_connection(
    sender, output, sent, caplog, tasks
):
    body = Producer(b"one", ZeroDivisionError())
    with caplog.at_level(logging.ERROR, "beamfast.connection"):
        sender.send(make(), Response(200, body), sent.append)
        await settle()
    assert output.aborted
    assert sent == []
    assert b"0\r\n\r\n" not in output.written
    assert [record.exc_info[0] for record in caplog.records] == [ZeroDivisionError]
    assert tasks() == 0


async def test_stopping_closes_a_body_that_waits_for_the_client(sender, sent, tasks):
    body = Producer(b"one", b"two", b"three")
    sender.send(make(), Response(200, body), sent.append)
    sender.pause()
    await settle()
    sender.resume()
    sender.pause()
    await asyncio.sleep(0)
    assert body.asked == 1
    sender.stop()
    await settle()
    assert sent == []
    assert body.closed
    assert tasks() == 0


async def test_stopping_closes_a_body_that_waits_for_something_else(
    sender, output, sent, tasks
):
    closed = []

    async def endless():
        try:
            yield b"one"
            await asyncio.get_running_loop().create_future()
        finally:
            closed.append(True)

    sender.send(make(), Response(200, endless()), sent.append)
    await settle()
    assert b"one" in output.written
    sender.stop()
    await settle()
    assert closed == [True]
    assert sent == []
    assert tasks() == 0


async def test_a_body_ends_when_the_transport_drops_it(sender, output, sent):
    pieces = 0

    async def body():
        nonlocal pieces
        while True:
            pieces += 1
            yield b"piece"
            output.abort()

    sender.send(make(), Response(200, body()), sent.append)
    await settle()
    assert (pieces, sent) == (2, [])


async def test_stopping_when_nothing_is_sent_is_fine(sender):
    sender.stop()
    assert not sender.is_full


async def test_a_client_that_reads_is_told_from_one_that_stopped(sender, output):
    assert not sender.is_moving()
    output.unsent = 100
    assert sender.is_moving()
    assert not sender.is_moving()
    output.unsent = 60
    assert sender.is_moving()
    output.unsent = 0
    assert not sender.is_moving()
