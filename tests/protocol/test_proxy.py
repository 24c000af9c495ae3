import json
from pathlib import Path

import pytest

from beamfast.protocol.driver import State
from beamfast.protocol.events import Closed, Failed, Opened
from beamfast.protocol.proxy import ProxyDriver

VECTORS = json.loads(
    (Path(__file__).parents[1] / "data" / "vectors.json").read_text("utf-8")
)["vectors"]
URL = "ws://example.org/socket"
PROXY = "http://proxy.example"


@pytest.mark.parametrize("step", [None, 1])
@pytest.mark.parametrize(
    "vector",
    [pytest.param(one, id=one["name"]) for one in VECTORS if one["group"] == "proxy"],
)
def test_vector(vector, step):
    driver = ProxyDriver(vector["setup"]["url"], vector["setup"]["proxy"])
    driver.start()
    (request,) = driver.data_to_send()
    wire, expect = bytes.fromhex(vector["wire"]), vector["expect"]
    if expect.get("client_sends"):
        line, *fields = request.split(b"\r\n")
        expected_line, *expected = wire.split(b"\r\n")
        assert (line, sorted(fields)) == (expected_line, sorted(expected))
        return
    for at in range(0, len(wire), step or len(wire)):
        driver.receive_data(wire[at : at + (step or len(wire))])
    events = driver.events_received()
    if expect["proxy_connected"]:
        assert events == [Opened("connect", None)]
        assert driver.state is State.OPEN
    else:
        assert [type(event) for event in events] == [Failed, Closed]
        assert driver.close_expected()
    if "status" in expect:
        assert driver.response.status == expect["status"]


def test_request_is_written_once():
    driver = ProxyDriver(URL, PROXY, headers=[("X", "y")])
    assert driver.start()
    assert not driver.start()
    (request,) = driver.data_to_send()
    assert request.endswith(b"\r\nX: y\r\n\r\n")


@pytest.mark.parametrize(
    "header", [("Host", "x"), ("connection", "x"), ("X", "a\r\nb"), ("X", "\0")]
)
def test_field_that_breaks_the_request_is_refused(header):
    with pytest.raises(ValueError, match=r"handshake|header"):
        ProxyDriver(URL, PROXY, headers=[header])


def test_own_credentials_win_over_those_of_the_url():
    headers = [("Proxy-Authorization", "Bearer x")]
    driver = ProxyDriver(URL, "http://user:pass@proxy.example", headers=headers)
    driver.start()
    (request,) = driver.data_to_send()
    assert request.count(b"Proxy-Authorization") == 1
    assert b"Bearer x" in request


def test_bytes_behind_the_answer_belong_to_the_tunnel():
    driver = ProxyDriver(URL, PROXY)
    driver.start()
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n"
    driver.receive_data(answer + b"tunn")
    driver.receive_data(b"el")
    assert driver.take_rest() == b"tunnel"
    assert driver.take_rest() == b""
    driver.receive_eof()
    assert driver.events_received() == [Opened("connect", None)]


def test_content_of_a_refusal_is_ignored():
    driver = ProxyDriver("wss://[::1]/", PROXY)
    driver.start()
    driver.receive_data(b"HTTP/1.1 407 Who\r\nContent-Length: 2\r\n\r\nhi")
    driver.receive_data(b"more")
    assert driver.take_rest() == b""
    failed, closed = driver.events_received()
    assert failed.message == (
        "the proxy did not connect to ::1:443: unexpected response code 407"
    )
    assert closed == Closed(1006, "", False, "remote")
    assert not driver.start()


def test_end_of_tcp_before_the_answer_is_a_failure():
    driver = ProxyDriver(URL, PROXY)
    driver.start()
    driver.receive_eof()
    driver.receive_eof()
    events = driver.events_received()
    assert [type(event) for event in events] == [Failed, Closed]
