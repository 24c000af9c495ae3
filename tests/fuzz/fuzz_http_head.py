"""
Fuzz target: bytes of a client for the HTTP parser and the server driver.

Rule: a request, or a RequestError with a status of the list; any chopping gives
the same requests, and so does the scanner, if it takes them. A line without a known
method may be refused at its end only, so that all inputs get one.
``python tests/fuzz/fuzz_http_head.py tests/fuzz/corpus/http_head``
"""

import sys

from beamfast.errors import RequestError
from beamfast.protocol import Closed, ServerDriver
from beamfast.protocol.head import Limits, head_scanner
from beamfast.protocol.http11 import RequestParser

STATUSES = {400, 413, 414, 417, 431, 501, 505}


def requests_of(data, step):
    """Return what a parser reports, and whether it refused the rest."""
    seen = []
    parser = RequestParser(
        lambda request: seen.append((request.method, request.url, request.path)),
        seen.extend,
        lambda: seen.append("end"),
    )
    try:
        for at in range(0, len(data), step):
            parser.feed(data[at : at + step])
            while parser.upgrade_pending:
                parser.resume()
        parser.feed(b"\n")
    except RequestError as error:
        assert error.status in STATUSES
        return seen, True
    return seen, False


def one_input(data):
    """Parse ``data`` whole and byte by byte, and answer it as a server."""
    if not data:
        return
    seen = requests_of(data, len(data))
    assert seen == requests_of(data, 1)
    request = head_scanner(Limits()).read(data)
    if request is not None:
        assert seen == ([(request.method, request.url, request.path), "end"], False)
    driver = ServerDriver(legacy_drafts=True)
    driver.receive_data(data)
    driver.accept()
    driver.receive_eof()
    events = driver.events_received()
    assert sum(isinstance(event, Closed) for event in events) == 1


def main():
    """Run until something breaks; needs atheris."""
    import atheris

    atheris.instrument_all()
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
