import inspect
import re

import pytest

from beamfast import errors
from beamfast.errors import (
    AccessDenied,
    BeamfastError,
    Busy,
    CloseCode,
    ConfigError,
    ConnectionClosed,
    DocumentError,
    DocumentNotFound,
    EditConflict,
    EditRefused,
    HandshakeError,
    NoElementMatched,
    NotHtml,
    PayloadTooBig,
    PreconditionFailed,
    ProtocolError,
    RequestError,
    SelectorError,
    StorageError,
    TooLarge,
)


def exceptions():
    return {
        name: value
        for name, value in vars(errors).items()
        if inspect.isclass(value) and issubclass(value, BaseException)
    }


def drawn_tree():
    """Return the parent of each exception as the module head draws it."""
    parents = {}
    open_branches = []
    for line in errors.__doc__.splitlines():
        if found := re.match(r"    ([│├└─ ]*)([A-Z]\w+)", line):
            depth, name = len(found[1]) // 4, found[2]
            del open_branches[depth:]
            parents[name] = open_branches[-1] if open_branches else None
            open_branches.append(name)
    return parents


def test_the_drawn_tree_is_the_tree():
    built = {
        name: None if value is BeamfastError else value.__base__.__name__
        for name, value in exceptions().items()
    }
    assert drawn_tree() == built


def test_close_codes_are_those_of_the_standard():
    assert (CloseCode.NORMAL_CLOSURE, CloseCode.BAD_GATEWAY) == (1000, 1014)
    assert CloseCode(1009) is CloseCode.MESSAGE_TOO_BIG


def test_a_protocol_error_carries_its_close_code():
    assert ProtocolError("reserved bits").close_code is CloseCode.PROTOCOL_ERROR
    error = ProtocolError("not UTF-8", CloseCode.INVALID_PAYLOAD_DATA)
    assert (str(error), error.close_code) == ("not UTF-8", 1007)
    assert PayloadTooBig("too long").close_code is CloseCode.MESSAGE_TOO_BIG


def test_a_request_error_carries_its_status():
    error = RequestError(431, "too many fields")
    assert (str(error), error.status) == ("too many fields", 431)


def test_a_handshake_error_carries_what_answers_it():
    assert HandshakeError(400, "no key").headers == ()
    error = HandshakeError(426, "version", [("Sec-WebSocket-Version", "13")])
    assert (error.status, str(error)) == (426, "version")
    assert error.headers == (("Sec-WebSocket-Version", "13"),)


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        ("server stops", "connection closed with 1001 server stops"),
        ("", "connection closed with 1001"),
    ],
)
def test_a_closed_connection_says_why(reason, text):
    error = ConnectionClosed(1001, reason)
    assert (str(error), error.code, error.reason) == (text, 1001, reason)


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        (DocumentError, 400, "bad-request"),
        (AccessDenied, 403, "access-denied"),
        (DocumentNotFound, 404, "not-found"),
        (NoElementMatched, 404, "no-match"),
        (SelectorError, 404, "invalid-selector"),
        (NotHtml, 416, "not-html"),
        (PreconditionFailed, 412, "precondition-failed"),
        (EditConflict, 409, "structural-element"),
        (EditRefused, 422, "unrepresentable"),
        (TooLarge, 413, "document-too-large"),
        (Busy, 503, "busy"),
        (StorageError, 500, "storage"),
    ],
)
def test_a_document_error_carries_status_and_code(kind, status, code):
    error = kind("why")
    assert (str(error), error.status, error.code) == ("why", status, code)


def test_status_and_code_can_be_more_exact_than_the_class():
    error = StorageError("disk full", status=507, code="disk-full")
    assert (error.status, error.code) == (507, "disk-full")
    assert (StorageError.status, StorageError.code) == (500, "storage")


@pytest.mark.parametrize(
    ("place", "text"),
    [
        ({}, "unknown option"),
        ({"file": "a.html"}, "a.html: unknown option"),
        ({"file": "a.html", "line": 7}, "a.html:7: unknown option"),
    ],
)
def test_a_configuration_error_says_where(place, text):
    error = ConfigError("unknown option", **place)
    assert str(error) == text
    assert (error.file, error.line) == (place.get("file"), place.get("line"))
