"""One request and its response, without a socket."""

import pytest

from beamfast.protocol.driver import State
from beamfast.protocol.events import Failed
from beamfast.protocol.fetch import HEAD_LIMIT, FetchDriver


def started(method="GET", url="http://a/", **options):
    driver = FetchDriver(method, url, **options)
    driver.start()
    return driver, b"".join(driver.data_to_send())


def test_the_request_is_complete():
    _, sent = started("PUT", "http://u:p@a:1/x?y", headers=[("Range", "z")], body=b"hi")
    assert sent == (
        b"PUT /x?y HTTP/1.1\r\nHost: a:1\r\nConnection: close\r\nRange: z\r\n"
        b"Authorization: Basic dTpw\r\nContent-Length: 2\r\n\r\nhi"
    )


def test_own_credentials_win_over_those_of_the_url():
    _, sent = started(url="http://u:p@a/", headers=[("Authorization", "Bearer x")])
    assert b"Bearer x" in sent
    assert b"Basic" not in sent


@pytest.mark.parametrize("name", ["Host", "content-length", "Transfer-Encoding"])
def test_fields_of_the_connection_are_not_for_callers(name):
    with pytest.raises(ValueError, match="belongs"):
        FetchDriver("GET", "http://a/", headers=[(name, "x")])


@pytest.mark.parametrize(
    ("response", "content"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", b"hi"),
        (b"HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", b""),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"1\r\nh\r\n1\r\ni\r\n0\r\n\r\n",
            b"hi",
        ),
        (
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nA: b\r\n\r\n"
            b"HTTP/1.1 404 No\r\nContent-Length: 2\r\n\r\nhi",
            b"hi",
        ),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", b""),
    ],
)
@pytest.mark.parametrize("step", [1, 1000])
def test_a_response_is_read_to_its_end(response, content, step):
    driver, _ = started()
    received = b""
    for at in range(0, len(response), step):
        assert driver.state is not State.CLOSED
        driver.receive_data(response[at : at + step])
        received += driver.take_content()
    assert (driver.state, driver.is_complete) == (State.CLOSED, True)
    assert received == content
    driver.receive_data(b"more")
    driver.receive_eof()
    assert driver.events_received() == []


def test_without_a_length_the_end_of_tcp_is_the_end():
    driver, _ = started()
    driver.receive_data(b"HTTP/1.0 200 OK\r\nX: y \r\n\r\nhi")
    assert (driver.state, driver.is_complete) == (State.OPEN, False)
    assert driver.response.headers["x"] == "y"
    driver.receive_eof()
    assert driver.is_complete
    assert driver.take_content() == b"hi"


def test_the_answer_to_head_has_no_content():
    driver, _ = started("HEAD")
    driver.receive_data(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")
    assert driver.is_complete


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"HTTP/1.1 200",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nh\r\n",
    ],
)
def test_an_early_end_is_a_failure(data):
    driver, _ = started()
    driver.receive_data(data)
    driver.receive_eof()
    assert (driver.state, driver.is_complete) == (State.CLOSED, False)
    (event,) = driver.events_received()
    assert isinstance(event, Failed)
    assert "ended early" in event.message


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"garbage\r\n\r\n", "Invalid HTTP response"),
        (b"garbage" * HEAD_LIMIT, "Invalid HTTP response"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * HEAD_LIMIT, "too large"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            "Invalid HTTP response",
        ),
    ],
)
def test_what_is_no_response_is_a_failure(data, message):
    driver, _ = started()
    driver.receive_data(data)
    driver.receive_data(b"more")
    (event,) = driver.events_received()
    assert message in event.message
    assert driver.state is State.CLOSED
