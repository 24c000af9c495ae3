"""The JSON messages of a client, and what it is answered."""

import json

import pytest

from beamfast.protocol.subscribing import Refused, Wish, read_wish


def test_the_messages_of_the_published_readme():
    message = '{"action": "subscribe", "selector": "#content", "url": "/document.html"}'
    assert read_wish(message) == Wish("subscribe", "#content", "/document.html")
    message = '{"action": "unsubscribe", "selector": "#content"}'
    assert read_wish(message) == Wish("unsubscribe", "#content", None)


def test_an_acknowledgement_says_what_was_done():
    reply = read_wish('{"action": "subscribe", "selector": " * "}').reply("/a.html")
    assert json.loads(reply) == {
        "type": "subscribed",
        "action": "subscribe",
        "url": "/a.html",
        "selector": "*",
    }
    assert '"unsubscribed"' in Wish("unsubscribe", "p").reply("/")


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (b"{}", "binary-not-supported"),
        ("", "invalid-json"),
        ("not json", "invalid-json"),
        ("[]", "invalid-json"),
        ('"subscribe"', "invalid-json"),
        ("[" * 100_000, "invalid-json"),
        ("{}", "unknown-action"),
        ('{"action": "delete", "selector": "p"}', "unknown-action"),
        ('{"action": ["subscribe"], "selector": "p"}', "unknown-action"),
        ('{"action": "subscribe"}', "missing-selector"),
        ('{"action": "subscribe", "selector": " "}', "missing-selector"),
        ('{"action": "unsubscribe", "selector": null}', "missing-selector"),
        ('{"action": "subscribe", "selector": "p", "url": 1}', "invalid-url"),
    ],
)
def test_a_message_that_cannot_be_followed_has_a_code(message, code):
    with pytest.raises(Refused) as refused:
        read_wish(message)
    reply = json.loads(refused.value.reply())
    assert (reply["type"], reply["error"]) == ("error", code)
    assert reply["message"]


def test_an_error_says_what_it_is_about_as_far_as_that_is_known():
    refused = Refused("forbidden", "no", action="subscribe", url="/a", selector=None)
    assert json.loads(refused.reply()) == {
        "type": "error",
        "error": "forbidden",
        "message": "no",
        "action": "subscribe",
        "url": "/a",
    }


@pytest.mark.parametrize(
    ("url", "names", "path"),
    [
        (None, ["*"], "/own.html"),
        ("/a/../b.html", [], "/b.html"),
        ("http://elsewhere/b.html", ["*"], "/b.html"),
        ("http://Here/b.html", ["here"], "/b.html"),
        ("http://here:8000/b.html", ["here"], "/b.html"),
    ],
)
def test_a_document_is_named_by_a_url_of_this_host(url, names, path):
    assert Wish("subscribe", "p", url).path("/own.html", names) == path


@pytest.mark.parametrize("url", ["http://there/b.html", "/%zz", ""])
def test_any_other_url_is_refused_and_given_back(url):
    with pytest.raises(Refused) as caught:
        Wish("subscribe", "p", url).path("/own.html", ["here"])
    assert caught.value.code == "invalid-url"
    assert caught.value.about["url"] == url
