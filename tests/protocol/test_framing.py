import pytest

from beamfast.errors import RequestError
from beamfast.headers import Headers
from beamfast.protocol.framing import check_framing, framing_head

HOST = (b"host", b"a")


def index_of(*fields):
    return Headers.from_raw(list(fields)).index


def status_of(*fields, version="1.1", max_body=None):
    try:
        check_framing(index_of(*fields), version, max_body)
    except RequestError as error:
        return error.status
    return 0


@pytest.mark.parametrize(
    "fields",
    [
        [HOST],
        [HOST, (b"content-length", b"5")],
        [HOST, (b"transfer-encoding", b"Chunked")],
        [HOST, (b"expect", b"100-Continue")],
    ],
)
def test_plain_framing_is_accepted(fields):
    assert status_of(*fields) == 0


def test_http_1_0_needs_no_host():
    assert status_of(version="1.0") == 0
    assert status_of(version="1.1") == 400


def test_two_hosts_are_refused_in_every_version():
    assert status_of(HOST, HOST) == status_of(HOST, HOST, version="1.0") == 400


@pytest.mark.parametrize("host", [b"", b"a b", b"a, b", b"u@a", b"\xe4"])
def test_invalid_host_is_refused(host):
    assert status_of((b"host", host)) == 400


def test_content_length_over_the_limit_is_413():
    length = (b"content-length", b"11")
    assert status_of(HOST, length, max_body=10) == 413
    assert status_of(HOST, length, max_body=11) == 0


@pytest.mark.parametrize(
    ("value", "status"),
    [
        (b"gzip, chunked", 501),
        (b"chunked, chunked", 501),
        (b"gzip", 400),
        (b"identity", 400),
        (b"chunked;x=y", 400),
        (b"", 400),
    ],
)
def test_other_transfer_codings_are_refused(value, status):
    assert status_of(HOST, (b"transfer-encoding", value)) == status


def test_transfer_coding_before_http_1_1_is_refused():
    coding = (b"transfer-encoding", b"chunked")
    assert status_of(HOST, coding, version="1.0") == 400


@pytest.mark.parametrize("value", [b"200-ok", b"100-continue, x", b""])
def test_unknown_expectation_is_417_but_ignored_in_http_1_0(value):
    assert status_of(HOST, (b"expect", value)) == 417
    assert status_of(HOST, (b"expect", value), version="1.0") == 0


def test_framing_head_repeats_only_what_frames_the_content():
    fields = [HOST, (b"content-length", b"5")]
    plain = b"POST / HTTP/1.1\r\ncontent-length: 5\r\n\r\n"
    assert framing_head(index_of(*fields), keep_alive=True) == plain
    closing = b"POST / HTTP/1.1\r\nConnection: close\r\n\r\n"
    assert framing_head(index_of(HOST), keep_alive=False) == closing
