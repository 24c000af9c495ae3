"""
Fuzz target: bytes of an event stream.

Rule: events, or PayloadTooBig; what was decoded encodes and decodes to itself.
``python tests/fuzz/fuzz_event_stream.py tests/fuzz/corpus/event_stream``
"""

import sys

from beamfast.errors import PayloadTooBig
from beamfast.protocol import EventStreamDecoder
from beamfast.protocol.eventsource import encode

LIMIT = 1000


def decoded(data, step):
    """Return the events of ``data``, and whether it was refused."""
    decoder = EventStreamDecoder(max_size=LIMIT)
    try:
        for at in range(0, len(data), step):
            decoder.receive_data(data[at : at + step])
    except PayloadTooBig:
        return decoder.events_received(), True
    return decoder.events_received(), False


def one_input(data):
    """Decode ``data`` whole and byte by byte, and write it again."""
    events, refused = decoded(data, max(len(data), 1))
    chopped, chopped_refused = decoded(data, 1)
    assert chopped_refused == refused
    assert chopped == events
    for event in events:
        again = encode(event.data, event=event.type, id=event.last_event_id)
        assert decoded(again, 7 * LIMIT)[0] in ([event], [])


def main():
    """Run until something breaks; needs atheris."""
    import atheris

    atheris.instrument_all()
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
