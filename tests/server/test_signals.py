"""Signals as bytes."""

import os
import signal

import pytest

from beamfast.server.signals import Signals


@pytest.mark.parametrize("number", Signals.NUMBERS)
def test_a_signal_is_a_byte_and_what_it_meant_before_is_restored(number):
    before = signal.getsignal(number)
    with Signals() as signals:
        os.kill(os.getpid(), number)
        assert list(signals.read()) == [number]
    assert signal.getsignal(number) == before


def test_what_was_held_back_comes_through():
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})
    with Signals() as signals:
        os.kill(os.getpid(), signal.SIGUSR2)
        assert signal.SIGUSR2 in signals.read()
