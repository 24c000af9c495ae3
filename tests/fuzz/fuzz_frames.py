"""
Fuzz target: bytes of a peer for every driver that reads frames.

Rule: no input raises; memory stays within the limits; after the end nothing is
written. ``python tests/fuzz/fuzz_frames.py tests/fuzz/corpus/frames``
"""

import sys

from beamfast.protocol import (
    Closed,
    Hixie75Driver,
    Hixie76Driver,
    PerMessageDeflate,
    Rfc6455Driver,
    Side,
    State,
)
from beamfast.protocol.deflate import Agreement, Deflate

LIMIT = 4096


def drivers():
    """Return one driver of each kind."""
    deflate = Deflate(Agreement(), PerMessageDeflate())
    return [
        Rfc6455Driver(Side.SERVER, max_size=LIMIT),
        Rfc6455Driver(Side.CLIENT, max_size=LIMIT, extensions=[deflate]),
        Hixie75Driver(max_size=LIMIT),
        Hixie76Driver(max_size=LIMIT),
    ]


def one_input(data):
    """Feed ``data`` whole and byte by byte, and compare."""
    for whole, chopped in zip(drivers(), drivers(), strict=True):
        whole.receive_data(data)
        for at in range(len(data)):
            chopped.receive_data(data[at : at + 1])
        events = whole.events_received()
        assert chopped.events_received() == events
        messages = [event for event in events if isinstance(event, str | bytes)]
        assert all(len(message) <= LIMIT for message in messages)
        whole.receive_eof()
        whole.data_to_send()
        assert whole.state is State.CLOSED
        events += whole.events_received()
        assert sum(isinstance(event, Closed) for event in events) == 1
        whole.receive_data(data)
        assert whole.data_to_send() == whole.events_received() == []


def main():
    """Run until something breaks; needs atheris."""
    import atheris

    atheris.instrument_all()
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
