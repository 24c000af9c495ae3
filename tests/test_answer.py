"""Answers as bytes, compared with the head as it is put together for all others."""

import random
import time

import pytest

from beamfast._answer import AnswerWriter
from beamfast.http import EventStream, Headers, Response, Upgrade
from beamfast.protocol.http11 import response_head, status_line

SECOND = 784111777


def date_line(second):
    return b"Date: %d\r\n" % second


def writer(server=b"Server: own\r\n", clock=lambda: SECOND + 0.9, **more):
    made = AnswerWriter(
        more.get("response", Response),
        more.get("status_line", status_line),
        more.get("date_line", date_line),
        clock,
    )
    made.name_server(server)
    return made


def rule(response, is_head, server):
    """Return what the documentation describes."""
    more = date_line(SECOND)
    if "Server" not in response.headers:
        more += server
    if response.status not in (101, 204, 304):
        more += b"Content-Length: %d\r\n" % len(response.body)
    head = response_head(response.status, response.headers, more=more)
    return head if is_head or response.status in (204, 304) else head + response.body


def test_random_answers_are_what_the_rule_says():
    chance = random.Random(3)
    for _ in range(3000):
        server = chance.choice([b"", b"Server: a/1\r\n"])
        fields = [
            (chance.choice(["ETag", "Vary", "X", "Server", "server"]), "v\xe9" * size)
            for size in chance.choices(range(1, 9), k=chance.randrange(6))
        ]
        response = Response(
            chance.choice([101, 200, 204, 206, 304, 404, 599]),
            chance.randbytes(chance.choice([0, 1, 9, 10, 99, 100, 2048, 70000])),
            headers=Headers(fields).copy() if chance.random() < 0.5 else fields,
        )
        is_head = chance.random() < 0.3
        written = writer(server).whole(response, is_head)
        assert written == rule(response, is_head, server)


async def pieces():
    yield b"one"


@pytest.mark.parametrize(
    "response",
    [
        Response(200, pieces()),
        Response(200, stream=EventStream(print)),
        Response(101, upgrade=Upgrade(print)),
        Response(200, headers=[("content-length", "0")]),
        Response(200, headers=[("Date", "today")]),
        Response(200, headers=[("Server", "")]),
    ],
    ids=["pieces", "stream", "upgrade", "length", "date", "no server"],
)
def test_what_is_more_than_known_bytes_is_not_for_here(response):
    assert writer().whole(response, False) is None
    assert writer().whole(response, True) is None


def test_the_date_is_made_once_a_second():
    now, asked = [100.0], []

    def make(second):
        asked.append(second)
        return date_line(second)

    made = writer(clock=lambda: now[0], date_line=make)
    first = made.date_line()
    now[0] = 100.99
    assert made.date_line() is first
    assert made.own_lines() == b"Date: 100\r\nServer: own\r\n"
    assert (made.second(), made.second() is made.second()) == (100, True)
    # Clocks are set back, too.
    for now[0] in (101.0, 99.5):
        assert made.second() == int(now[0])
        assert made.whole(Response(204), False).split(b"\r\n")[1] == (
            b"Date: %d" % int(now[0])
        )
    assert asked == [100, 101, 99]


def test_a_new_name_of_the_server_counts_at_once():
    made = writer(b"")
    assert made.own_lines() == date_line(SECOND)
    made.name_server(b"Server: new\r\n")
    assert made.server_line == b"Server: new\r\n"
    assert made.own_lines() == date_line(SECOND) + b"Server: new\r\n"


def test_without_a_clock_it_is_the_time_of_the_system():
    made = AnswerWriter(Response, status_line, date_line)
    before = int(time.time())
    assert before <= made.second() <= time.time()


def test_first_lines_are_made_once_for_each_status():
    asked = []

    def make(status):
        asked.append(status)
        return status_line(status)

    made = writer(status_line=make)
    for status in (200, 404, 200):
        made.whole(Response(status), False)
    assert asked == [200, 404]


def test_only_answers_are_written():
    with pytest.raises(TypeError, match="is no response"):
        writer().whole(b"", False)
    with pytest.raises(TypeError):
        writer(response=Headers)

    class Special(Response):
        __slots__ = ("more",)

    assert (
        writer().whole(Special(204), False).startswith(b"HTTP/1.1 204 No Content\r\n")
    )
