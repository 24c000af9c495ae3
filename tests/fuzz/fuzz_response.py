"""
Fuzz target: bytes of a server or a proxy during a handshake.

Rule: no input raises; exactly one end is reported.
``python tests/fuzz/fuzz_response.py tests/fuzz/corpus/response``
"""

import sys

from beamfast.protocol import ClientDriver, Closed, PerMessageDeflate, ProxyDriver


def one_input(data):
    """Answer a client and a proxy dialogue with ``data``."""
    for driver in (
        ClientDriver("ws://a/", extensions=[PerMessageDeflate()]),
        ProxyDriver("ws://a/", "http://p/"),
    ):
        driver.start()
        driver.receive_data(data[: len(data) // 2])
        driver.receive_data(data[len(data) // 2 :])
        driver.receive_eof()
        events = driver.events_received()
        ends = sum(isinstance(event, Closed) for event in events)
        assert ends == driver.close_expected()


def main():
    """Run until something breaks; needs atheris."""
    import atheris

    atheris.instrument_all()
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
