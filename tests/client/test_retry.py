"""How long to wait, and whether at all."""

import ssl

import pytest

from beamfast.client.retry import BackOff, is_passing
from beamfast.errors import ConnectError, ConnectionClosed
from beamfast.headers import Headers
from beamfast.protocol.response import ServerResponse


def test_waits_double_up_to_a_limit_and_differ():
    runs = []
    for _ in range(20):
        back_off = BackOff(first=1, most=8)
        runs.append([back_off.next() for _ in range(6)])
    for run in runs:
        for delay, bound in zip(run, (1, 2, 4, 8, 8, 8), strict=True):
            assert bound / 2 <= delay <= bound
    assert len({run[0] for run in runs}) > 10


def test_a_good_connection_makes_waits_short_again():
    back_off = BackOff(first=1, most=60)
    for _ in range(5):
        back_off.next()
    back_off.reset()
    assert back_off.next() <= 1


def refusal(status):
    return ConnectError("refused", ServerResponse(status, Headers()))


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (OSError(), True),
        (TimeoutError(), True),
        (ConnectionRefusedError(), True),
        (ConnectError("no answer"), True),
        (refusal(503), True),
        (refusal(429), True),
        (refusal(403), False),
        (refusal(404), False),
        (refusal(200), False),
        (ssl.SSLCertVerificationError(), False),
        (ssl.SSLError(), True),
        (ValueError(), False),
        (ConnectionClosed(1006), False),
    ],
)
def test_only_what_may_pass_is_tried_again(error, passes):
    assert is_passing(error) is passes
