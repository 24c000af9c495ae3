import gc
import weakref

import pytest

from beamfast.errors import ProtocolError
from beamfast.protocol.response import ResponseReader

HEAD = (
    b"HTTP/1.1 101 Switching Protocols\r\n"
    b"Connection: Upgrade\r\nUpgrade: websocket \r\nX:\r\n"
)


def read(data, step=None):
    reader = ResponseReader()
    for at in range(0, len(data), step or len(data)):
        answer = reader.feed(data[at : at + (step or len(data))])
        if answer is not None:
            return answer[0], answer[1] + data[at + (step or len(data)) :]
    return None


@pytest.mark.parametrize("step", [None, 1, 3])
def test_head_and_what_follows_are_told_apart(step):
    response, rest = read(HEAD + b"\r\n\x81\x02Hi", step)
    assert response.status == 101
    assert list(response.headers) == [
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("X", ""),
    ]
    assert response.http_version == "1.1"
    assert rest == b"\x81\x02Hi"
    assert response.body == b""


@pytest.mark.parametrize("step", [None, 1])
@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 \r\nContent-Length: 3\r\n\r\n",
        b"HTTP/1.0 403 Forbidden\r\n\r\n",
        b"HTTP/1.1 407 Auth\r\nTransfer-Encoding: chunked\r\n\r\n",
    ],
)
def test_content_is_not_decoded(head, step):
    response, rest = read(head + b"3\r\nabc", step)
    assert response.status == int(head[9:12])
    assert rest == b"3\r\nabc"


@pytest.mark.parametrize("step", [None, 1])
def test_interim_responses_are_passed_over(step):
    interim = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
    response, _ = read(interim + interim + HEAD + b"\r\n", step)
    assert response.status == 101
    assert "link" not in response.headers


def test_interim_response_alone_is_not_the_answer():
    assert read(b"HTTP/1.1 100 Continue\r\n\r\n") is None


@pytest.mark.parametrize("step", [None, 1])
@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-x\r\n",
        b"\x81\x02Hi",
        b"HTTP/1.1 4 Switching Protocols\r\n\r\n",
        b"HTTP/1.1 101 X\nUpgrade: websocket\n\n",
        b"HTTP/1.1 101 X\r\nUpgrade : websocket\r\n\r\n",
        b"HTTP/1.1 101 X\r\nA: b\r\n c\r\n\r\n",
    ],
)
def test_what_is_no_http_response_is_refused(data, step):
    with pytest.raises(ProtocolError, match="Invalid HTTP response"):
        read(data, step)


@pytest.mark.parametrize(
    "data",
    [
        HEAD + b"A: " + b"x" * 40_000,
        HEAD + b"A: b\r\n" * 8000,
        b"HTTP/1.1 100 Continue\r\n\r\n" * 2000,
    ],
)
@pytest.mark.parametrize("step", [None, 1000])
def test_head_is_bounded(data, step):
    with pytest.raises(ProtocolError, match="too large"):
        read(data, step)


@pytest.mark.parametrize("step", [None, 1, 3])
def test_empty_lines_in_front_hide_nothing(step):
    response, rest = read(b"\r\n\r\n\r\n" + HEAD + b"\r\n\x81\x02Hi", step)
    assert (response.status, rest) == (101, b"\x81\x02Hi")


@pytest.mark.parametrize("step", [None, 1, 1000])
def test_empty_lines_without_end_are_refused(step):
    with pytest.raises(ProtocolError, match="too large"):
        read(b"\r\n" * 20_000, step)


def test_reader_is_freed_without_the_collector_when_it_is_done():
    gc.disable()
    try:
        reader = ResponseReader()
        reader.feed(HEAD + b"\r\n")
        gone = weakref.ref(reader)
        del reader
        assert gone() is None
    finally:
        gc.enable()
