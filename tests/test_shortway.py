"""The short way, compared with its steps one after the other."""

import asyncio
import random
import time

import pytest

from beamfast._answer import AnswerWriter
from beamfast._shortway import ShortWay
from beamfast._wheel import Timed, Wheel
from beamfast.http import EventStream, Request, Response, Upgrade
from beamfast.protocol.head import Limits, head_scanner
from beamfast.protocol.http11 import status_line

HOST = b"Host: a\r\n\r\n"


class Socket(Timed):
    """What has a deadline, and where is written."""

    def __init__(self):
        self.written = []

    def write(self, data):
        self.written.append(data)


class Way(ShortWay):
    """A short way with a clock that stands still."""

    def __init__(self, application):
        self.wheel = Wheel(asyncio.get_running_loop())
        answers = AnswerWriter(
            *(Response, status_line, lambda second: b"Date: %d\r\n" % second),
            lambda: 100.0,
        )
        super().__init__(Request, Response, answers, self.wheel)
        self.application = application
        self.scanner = head_scanner(Limits())
        self.idle_timeout = 50.0


@pytest.fixture
def way():
    made = []

    def make(application):
        made.append(Way(application))
        return made[-1]

    yield make
    for one in made:
        one.wheel.close()


async def pieces():
    yield b""


async def test_random_reads_take_the_steps_of_the_long_way(way):
    chance = random.Random(21)
    answers = [
        lambda: Response(200, b"text"),
        lambda: Response(304),
        lambda: Response(404, "none", headers=[("Server", "own")]),
        lambda: Response(200, b"x", headers=[("Content-Length", "1")]),
        lambda: Response(200, pieces()),
        lambda: Response(200, stream=EventStream(print)),
        lambda: Response(101, upgrade=Upgrade(print)),
        lambda: "something that waits",
    ]
    reads = [
        *(b"GET / HTTP/1.1\r\n" + HOST, b"HEAD /a?b HTTP/1.1\r\nX: y\r\n" + HOST),
        *(b"GET / HTTP/1.1\r\nHo", b"PUT / HTTP/1.1\r\n" + HOST, b""),
        b"GET / HTTP/1.1\r\n" + HOST + b"GET / HTTP/1.1\r\n",
    ]
    seen = []

    def application(request):
        seen.append(request)
        return given

    short = way(application)
    written = 0
    for _ in range(500):
        socket, data, given = Socket(), chance.choice(reads), chance.choice(answers)()
        short.is_draining = chance.random() < 0.2
        is_secure, peer = chance.random() < 0.5, chance.choice(["192.0.2.1", "-"])
        seen.clear()
        before = time.monotonic()
        served = short.serve(socket, data, socket, peer, is_secure)
        after = time.monotonic()
        expected = short.scanner.read(data)
        if expected is None:
            assert (served, seen, socket.written) == (None, [], [])
            continue
        (request,) = seen
        assert (request.method, request.target) == (expected.method, expected.target)
        assert (request.remote_addr, request.is_secure) == (peer, is_secure)
        assert before <= request.started <= after
        whole = None
        if isinstance(given, Response) and not short.is_draining:
            whole = short.answers.whole(given, request.method == "HEAD")
        if whole is None:
            assert served[0] is request
            assert served[1] is given
            assert socket.written == []
            assert socket.deadline == float("inf")
        else:
            written += 1
            assert served is True
            assert socket.written == [whole]
            assert socket.deadline == request.started + 50
            assert [*short.wheel.connections()].count(socket) == 1
            short.wheel.forget(socket)
    assert written > 50


async def test_draining_may_begin_in_the_application(way):
    def application(request):
        short.is_draining = True
        return Response(204)

    short, socket = way(application), Socket()
    data = b"GET / HTTP/1.1\r\n" + HOST
    request, answer = short.serve(socket, data, socket, "-", False)
    assert (request.path, answer.status, socket.written) == ("/", 204, [])


async def test_errors_go_to_the_caller(way):
    def application(request):
        raise LookupError(request.path)

    short, socket = way(application), Socket()
    data = b"GET / HTTP/1.1\r\n" + HOST
    with pytest.raises(LookupError, match="/"):
        short.serve(socket, data, socket, "-", False)
    short.application = lambda _: Response(204)
    with pytest.raises(AttributeError):
        short.serve(socket, data, object(), "-", False)
    with pytest.raises(TypeError):
        short.serve(object(), data, socket, "-", False)


def test_there_is_no_way_before_all_is_known():
    socket = Socket()
    with pytest.raises(ValueError, match="no scanner"):
        ShortWay.__new__(ShortWay).serve(socket, b"", socket, "-", False)
    unready = ShortWay.__new__(ShortWay)
    unready.scanner = head_scanner(Limits())
    with pytest.raises(ValueError, match="no scanner"):
        unready.serve(socket, b"", socket, "-", False)
