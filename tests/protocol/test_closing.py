import pytest
from hypothesis import given, strategies as st

from beamfast.errors import ProtocolError
from beamfast.protocol.closing import (
    check_close,
    failure_payload,
    is_close_code,
    parse_close,
)

RECEIVABLE = {1000, 1001, 1002, 1003, *range(1007, 1015), *range(3000, 5000)}


def test_close_codes_are_those_of_the_registry():
    assert {code for code in range(65536) if is_close_code(code)} == RECEIVABLE


def test_application_may_send_all_but_the_codes_of_the_stack():
    def sendable(*, is_client):
        codes = set()
        for code in range(6000):
            try:
                check_close(code, "", is_client=is_client)
            except ValueError:
                continue
            codes.add(code)
        return codes

    assert sendable(is_client=True) == RECEIVABLE - {1002}
    assert sendable(is_client=False) == RECEIVABLE - {1002, 1010}


def test_reason_has_at_most_123_bytes():
    payload = check_close(1000, "ä" * 61, is_client=False)
    assert payload == b"\x03\xe8" + "ä".encode() * 61
    with pytest.raises(ValueError, match="123"):
        check_close(1000, "ä" * 62, is_client=False)


def test_failure_reason_is_cut_between_characters():
    assert len(failure_payload(1011, "ä" * 62)) == 124
    assert failure_payload(1011, "no") == b"\x03\xf3no"


def test_empty_close_frame_is_1005():
    assert parse_close(b"") == (1005, "")


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (b"\x03", 1002),
        (b"\x03\xed", 1002),
        (b"\x13\x88", 1002),
        (b"\x03\xe8\xff", 1007),
    ],
)
def test_broken_close_frame_is_a_protocol_error(payload, code):
    with pytest.raises(ProtocolError) as caught:
        parse_close(payload)
    assert caught.value.close_code == code


@given(st.sampled_from(sorted(RECEIVABLE - {1002})), st.text(max_size=30))
def test_what_was_built_is_read_back(code, reason):
    assert parse_close(check_close(code, reason, is_client=True)) == (code, reason)
    assert parse_close(failure_payload(code, reason)) == (code, reason)
