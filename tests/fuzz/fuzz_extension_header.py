"""
Fuzz target: the value of a Sec-WebSocket-Extensions field, on both sides.

Rule: offers that read back as they were written, or a HandshakeError.
``python tests/fuzz/fuzz_extension_header.py tests/fuzz/corpus/extension_header``
"""

import contextlib
import sys

from beamfast.errors import HandshakeError
from beamfast.http import Headers
from beamfast.protocol import PerMessageDeflate
from beamfast.protocol.extensions import activate, negotiate, parse_extensions


def one_input(data):
    """Parse ``data``, negotiate with it, and answer it."""
    headers = Headers.from_raw([(b"Sec-WebSocket-Extensions", data)])
    try:
        offers = parse_extensions(headers)
    except HandshakeError as error:
        assert error.status == 400
        return
    written = ", ".join(map(str, offers))
    again = Headers([("Sec-WebSocket-Extensions", written)])
    assert parse_extensions(again) == offers
    _, active = negotiate(offers, [PerMessageDeflate()])
    assert len(active) <= 1
    with contextlib.suppress(HandshakeError):
        activate(offers, [PerMessageDeflate()])


def main():
    """Run until something breaks; needs atheris."""
    import atheris

    atheris.instrument_all()
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
