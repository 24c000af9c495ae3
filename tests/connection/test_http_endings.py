"""How HTTP connections end: faults, deadlines, clients that vanish, shutdown."""

import asyncio
import weakref

import pytest

from beamfast.connection.http_endings import LINGER
from beamfast.errors import RequestError
from beamfast.http import Response
from beamfast.protocol.http11 import Limits

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
PUT = b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n"
BROKEN = b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"
CHUNKED = b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


def plain(request):
    return Response(200, request.target)


async def echo(request):
    """Answer with the body; what it raises has a status, as in the pipeline."""
    try:
        return Response(200, await request.body())
    except RequestError as error:
        return Response(error.status, str(error))


class Stuck:
    """An application that answers when its gate is opened."""

    def __init__(self, response=None):
        self.gate = asyncio.Event()
        self.finished = False
        self.response = response

    async def __call__(self, request):
        await self.gate.wait()
        self.finished = True
        return self.response or Response(200, request.target)


def statuses(replies):
    return [reply.status for reply in replies]


# Malformed requests (RFC 9112, 2.2 and 11)


@pytest.mark.parametrize("application", [plain, echo])
async def test_a_malformed_request_is_refused_and_the_connection_closed(
    connect, application
):
    client = connect(application)
    await client.send(BROKEN)
    (reply,) = client.replies()
    assert (reply.status, reply.headers["Connection"]) == (400, "close")
    assert client.requests == []
    assert client.transport.eof_written
    assert not client.transport.closing


@pytest.mark.parametrize("application", [plain, echo])
async def test_what_came_before_a_malformed_request_is_answered_first(
    connect, application
):
    client = connect(application)
    await client.send(GET + GET + BROKEN + GET)
    assert statuses(client.replies()) == [200, 200, 400]
    await client.send(GET)
    assert client.replies() == []
    assert client.transport.eof_written


async def test_a_malformed_request_behind_the_last_one_is_not_read(connect):
    client = connect(echo)
    last = GET.replace(b"Host", b"Connection: close\r\nHost")
    await client.send(last + BROKEN)
    assert statuses(client.replies()) == [200]
    assert client.transport.closing


@pytest.mark.parametrize("application", [plain, echo])
async def test_a_malformed_body_is_refused(connect, application):
    client = connect(application)
    await client.send(CHUNKED, b"3\r\nabc\r\nxyz")
    expected = [200] if application is plain else [400]
    assert statuses(client.replies()) == expected
    assert client.transport.eof_written


async def test_a_malformed_body_that_nobody_reads_ends_the_connection(connect):
    stuck = Stuck()
    client = connect(stuck)
    await client.send(CHUNKED + b"xyz")
    stuck.gate.set()
    await client.send()
    (reply,) = client.replies()
    assert (reply.status, reply.headers["Connection"]) == (200, "close")
    assert client.transport.eof_written


async def test_a_malformed_body_of_a_follower_is_told_to_its_reader(connect):
    client = connect(echo)
    await client.send(GET + CHUNKED + b"3\r\nabc\r\nxyz" + GET)
    assert statuses(client.replies()) == [200, 400]
    assert client.transport.eof_written


async def test_a_body_over_the_limit_is_413_at_once_when_it_is_announced(connect):
    client = connect(echo, limits=Limits(max_body=4))
    await client.send(PUT)
    assert statuses(client.replies()) == [413]


async def test_a_lingering_connection_reads_and_forgets(connect):
    client = connect(plain)
    await client.send(BROKEN)
    client.replies()
    await client.send(GET * 100)
    assert client.replies() == []
    assert client.seconds_left <= LINGER
    await client.send_eof()
    assert client.transport.closing


async def test_a_lingering_tls_connection_closes_at_once(connect):
    client = connect(plain, is_tls=True)
    await client.send(BROKEN)
    assert statuses(client.replies()) == [400]
    assert client.transport.closing


# Deadlines


async def test_a_silent_connection_is_closed(connect):
    client = connect(plain)
    assert client.seconds_left <= 10
    await client.time_out()
    assert client.transport.closing
    assert client.transport.written == b""


async def test_a_slow_head_is_408(connect):
    client = connect(plain)
    await client.send(GET[:10])
    deadline = client.connection.deadline
    await client.send(GET[10:12])
    assert client.connection.deadline == deadline
    await client.time_out()
    (reply,) = client.replies()
    assert (reply.status, reply.headers["Connection"]) == (408, "close")
    assert client.transport.eof_written


@pytest.mark.parametrize("application", [plain, echo])
async def test_an_idle_connection_is_closed_without_a_word(connect, application):
    client = connect(application)
    await client.send(GET)
    client.replies()
    assert 70 < client.seconds_left <= 75
    await client.time_out()
    assert client.transport.closing
    assert client.transport.written == b""


@pytest.mark.parametrize("application", [plain, echo])
async def test_the_second_head_has_its_own_deadline(connect, application):
    client = connect(application)
    await client.send(GET, GET[:10])
    assert client.seconds_left <= 10
    await client.time_out()
    assert statuses(client.replies()) == [200, 408]


async def test_a_head_that_began_behind_a_request_has_the_deadline_of_heads(connect):
    stuck = Stuck()
    client = connect(stuck)
    await client.send(GET + GET[:10])
    stuck.gate.set()
    await client.send()
    assert client.seconds_left <= 10
    await client.time_out()
    assert statuses(client.replies()) == [200, 408]


async def test_a_body_that_does_not_come_is_408(connect):
    client = connect(echo)
    await client.send(PUT)
    assert 25 < client.seconds_left <= 30
    await client.time_out()
    (reply,) = client.replies()
    assert (reply.status, reply.headers["Connection"]) == (408, "close")
    assert client.transport.eof_written


async def test_each_piece_of_a_body_moves_the_deadline(connect):
    client = connect(echo)
    await client.send(PUT)
    client.connection.deadline = 0.0
    await client.send(b"h")
    assert client.seconds_left > 25


async def test_a_body_that_nobody_waits_for_is_not_late(connect):
    stuck = Stuck()
    client = connect(stuck)
    await client.send(PUT)
    await client.time_out()
    assert client.replies() == []
    assert client.seconds_left > 25
    stuck.gate.set()
    await client.send(b"hello")
    assert statuses(client.replies()) == [200]
    assert client.is_idle


async def test_an_answer_may_take_its_time(connect):
    stuck = Stuck()
    client = connect(stuck)
    await client.send(GET)
    await client.time_out()
    assert not client.transport.closing
    stuck.gate.set()
    await client.send()
    assert statuses(client.replies()) == [200]


async def test_the_rest_of_an_answered_body_has_a_deadline(connect):
    client = connect(plain)
    await client.send(PUT)
    assert statuses(client.replies()) == [200]
    await client.time_out()
    assert client.transport.eof_written
    await client.time_out()
    assert client.transport.aborted


async def test_a_close_that_takes_too_long_is_cut(connect):
    client = connect(plain)
    client.transport.block()
    await client.send(GET.replace(b"1.1", b"1.0"))
    assert client.transport.closing
    await client.time_out()
    assert not client.transport.aborted
    await client.time_out()
    assert client.transport.aborted


async def test_a_slow_client_is_not_cut_while_it_reads(connect):
    client = connect(lambda _: Response(200, b"x" * 2**20))
    client.transport.block()
    await client.send(GET)
    for _ in range(5):
        client.transport.read(1000)
        await client.time_out()
        assert not client.transport.closing
    await client.time_out()
    assert client.transport.aborted


async def test_a_client_that_stops_reading_a_stream_is_cut(connect, tasks):
    async def endless():
        while True:
            yield b"x" * 2**16

    client = connect(lambda _: Response(200, endless()))
    client.transport.block()
    await client.send(GET)
    assert client.seconds_left <= 30
    await client.time_out()
    await client.time_out()
    assert client.transport.aborted
    assert tasks() == 0


# Clients that close


async def test_a_client_that_closes_between_requests_is_let_go(connect):
    client = connect(plain)
    await client.send(GET)
    await client.send_eof()
    assert client.transport.closing
    assert client.is_idle


async def test_a_client_that_half_closes_still_gets_its_answer(connect):
    stuck = Stuck()
    client = connect(stuck)
    await client.send(GET)
    await client.send_eof()
    assert not client.transport.closing
    stuck.gate.set()
    await client.send()
    (reply,) = client.replies()
    assert (reply.status, reply.headers["Connection"]) == (200, "close")
    assert client.transport.closing


async def test_a_client_that_half_closes_gets_all_its_answers(connect):
    stuck = Stuck()
    client = connect(stuck)
    await client.send(GET * 3)
    await client.send_eof()
    stuck.gate.set()
    await client.send()
    assert statuses(client.replies()) == [200, 200, 200]
    assert client.transport.closing


async def test_a_client_that_half_closes_within_a_body_is_told(connect):
    client = connect(echo)
    await client.send(PUT + b"he")
    await client.send_eof()
    (reply,) = client.replies()
    assert (reply.status, reply.body) == (400, b"The request ended early")
    assert client.transport.closing


async def test_a_client_that_half_closes_within_an_answered_body_is_let_go(connect):
    client = connect(plain)
    await client.send(PUT + b"he")
    await client.send_eof()
    assert statuses(client.replies()) == [200]
    assert client.transport.closing


async def test_tls_has_no_half_closed_state(connect):
    stuck = Stuck()
    client = connect(stuck, is_tls=True)
    await client.send(GET)
    await client.send_eof()
    assert client.transport.closing
    stuck.gate.set()
    await client.send()
    assert stuck.finished
    assert client.transport.written == b""


# Clients that vanish


async def test_who_reads_a_body_is_told_that_the_client_is_gone(connect, tasks):
    errors = []

    async def application(request):
        try:
            await request.body()
        except RequestError as error:
            errors.append(str(error))
        return Response(200)

    client = connect(application)
    await client.send(PUT + b"he")
    await client.lose(ConnectionResetError())
    assert errors == ["The client went away"]
    assert client.transport.written == b""
    assert client.is_idle
    assert tasks() == 0


async def test_an_application_finishes_although_the_client_is_gone(connect, tasks):
    stuck = Stuck()
    client = connect(stuck)
    await client.send(GET + GET)
    await client.lose()
    stuck.gate.set()
    await client.send()
    assert stuck.finished
    assert len(client.requests) == 1
    assert client.transport.written == b""
    assert tasks() == 0


async def test_a_body_on_its_way_is_closed_when_the_client_is_gone(connect, tasks):
    closed = []

    async def endless():
        try:
            while True:
                yield b"x"
                await asyncio.get_running_loop().create_future()
        finally:
            closed.append(True)

    client = connect(lambda _: Response(200, endless()))
    await client.send(GET)
    await client.lose()
    assert closed == [True]
    assert tasks() == 0


async def test_a_body_that_breaks_off_cuts_the_connection(connect, caplog):
    async def broken():
        yield b"x"
        raise ZeroDivisionError

    client = connect(lambda _: Response(200, broken()))
    await client.send(GET + GET)
    assert client.transport.aborted
    assert len(client.requests) == 1
    assert "broke off" in caplog.text


async def test_nothing_begins_between_the_loss_and_its_report(connect):
    client = connect(lambda _: Response(200, b"x" * 2**17))
    client.transport.block()
    await client.send(GET * 3)
    client.transport.lose()
    client.transport.read()
    await client.send()
    assert len(client.requests) == 1


async def test_a_body_is_not_asked_for_when_the_client_is_gone(connect):
    gate = asyncio.Event()

    async def late(request):
        await gate.wait()
        return await echo(request)

    client = connect(late)
    await client.send(PUT.replace(b"Host", b"Expect: 100-continue\r\nHost"))
    await client.lose()
    gate.set()
    await client.send()
    assert client.transport.written == b""


async def test_a_tls_client_that_closes_stops_a_body_on_its_way(connect, tasks):
    async def endless():
        while True:
            yield b"x"
            await asyncio.sleep(0)

    client = connect(lambda _: Response(200, endless()), is_tls=True)
    client.transport.receive(GET)
    await asyncio.sleep(0)
    await client.send_eof()
    assert client.transport.closing
    assert tasks() == 0


MOMENTS = {
    "nothing": [],
    "part of a head": [GET[:10]],
    "a head": [PUT],
    "part of a body": [PUT, b"he"],
    "a request": [PUT, b"hello"],
    "a pipeline": [GET + PUT + b"he"],
    "a fault": [GET + BROKEN],
    "an upgrade": [
        GET.replace(b"Host", b"Connection: upgrade\r\nUpgrade: websocket\r\nHost")
    ],
}


@pytest.mark.parametrize("application", [plain, echo, Stuck])
@pytest.mark.parametrize("pieces", MOMENTS.values(), ids=MOMENTS)
async def test_a_lost_connection_leaves_nothing_behind(
    connect, tasks, collect, application, pieces
):
    if application is Stuck:
        application = Stuck()
    client = connect(application)
    await client.send(*pieces)
    await client.lose()
    if isinstance(application, Stuck):
        application.gate.set()
        await client.send()
    assert client.is_idle
    assert tasks() == 0
    assert len(client.service.heartbeat) == 0
    connection = weakref.ref(client.connection)
    client.requests.clear()
    client.connection = client.transport.protocol = None
    collect()
    assert connection() is None


async def test_an_idle_connection_is_freed_without_the_collector(connect):
    client = connect(plain)
    await client.send(GET)
    await client.lose()
    connection = weakref.ref(client.connection)
    client.requests.clear()
    client.connection = client.transport.protocol = None
    assert connection() is None


# Shutdown


async def test_draining_closes_idle_connections(connect):
    client = connect(plain)
    await client.send(GET)
    client.connection.on_drain()
    client.connection.on_drain()
    assert client.transport.closing


async def test_draining_lets_a_request_finish(connect):
    stuck = Stuck()
    client = connect(stuck)
    await client.send(GET)
    client.service.is_draining = True
    client.connection.on_drain()
    assert not client.transport.closing
    stuck.gate.set()
    await client.send()
    (reply,) = client.replies()
    assert reply.headers["Connection"] == "close"
    assert client.transport.closing


async def test_a_draining_server_closes_after_the_next_answer(connect):
    client = connect(plain)
    client.service.is_draining = True
    await client.send(GET + PUT + b"hello")
    (reply,) = client.replies()
    assert reply.headers["Connection"] == "close"
    assert client.transport.closing


@pytest.mark.parametrize("pieces", [[], [GET]], ids=["idle", "in work"])
async def test_an_aborted_connection_stops_its_application(connect, tasks, pieces):
    stuck = Stuck()
    client = connect(stuck)
    await client.send(*pieces)
    client.connection.abort()
    await client.send()
    assert client.transport.aborted
    assert not stuck.finished
    assert tasks() == 0


async def test_an_application_that_is_cancelled_leaves_no_connection_open(connect):
    async def application(request):
        raise asyncio.CancelledError

    client = connect(application)
    await client.send(GET)
    assert client.transport.aborted
