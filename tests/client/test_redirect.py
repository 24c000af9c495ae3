"""Which redirects are followed, and what goes along."""

import pytest

from beamfast.client.redirect import STATUSES, follow
from beamfast.errors import ConnectError
from beamfast.headers import Headers
from beamfast.protocol.response import ServerResponse

SECRETS = Headers([("Authorization", "x"), ("Cookie", "y"), ("Accept", "z")])


def response(location, status=302):
    fields = [] if location is None else [("Location", location)]
    return ServerResponse(status, Headers(fields))


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("/b", "ws://a:1/b"),
        ("b?c=d#e", "ws://a:1/x/b?c=d"),
        ("http://a:1/", "http://a:1/"),
        ("wss://b/", "wss://b/"),
        ("//c/d", "ws://c/d"),
    ],
)
def test_the_target_is_resolved(location, target):
    followed = follow("ws://a:1/x/y", SECRETS, response(location))
    assert followed is not None
    assert followed[0] == target
    stays = "//a:1/" in target
    assert ("cookie" in followed[1]) is stays
    assert "accept" in followed[1]
    assert "cookie" in SECRETS


def test_user_information_goes_along_to_the_same_server():
    followed = follow("ws://u:p@a/x", Headers(), response("ws://a/y"))
    assert followed is not None
    assert followed[1]["authorization"] == "Basic dTpw"
    followed = follow("ws://u:p@a/x", Headers(), response("/y"))
    assert followed is not None
    assert followed[0] == "ws://u:p@a/y"


@pytest.mark.parametrize("status", [200, 300, 304, 403, 500])
def test_other_answers_are_no_redirects(status):
    assert status not in STATUSES
    assert follow("ws://a/", Headers(), response("/b", status)) is None


def test_a_redirect_without_a_target_is_none():
    assert follow("ws://a/", Headers(), response(None)) is None


@pytest.mark.parametrize("location", ["ftp://a/", "ws://[a/", "ws://a:0/"])
def test_a_target_that_is_none_is_an_error(location):
    with pytest.raises(ConnectError, match="nowhere"):
        follow("ws://a/", Headers(), response(location))


def test_tls_is_not_left():
    with pytest.raises(ConnectError, match="from TLS"):
        follow("wss://a/", Headers(), response("http://a/"))
