"""The pages of plugins, and the addresses below theirs."""

import pytest

from beamfast.http import Request
from beamfast.pages import check_urls, find_place, page_response


def get(path, method="GET"):
    return Request(method, path, url=path, path=path)


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("/a/chat", ("/a/chat", "")),
        ("/a/chat/connect", ("/a/chat", "connect")),
        ("/a/chat/connect/more", None),
        ("/a/chatter", None),
        ("/a/chat/", ("/a/chat", "")),
        ("/a", None),
    ],
)
def test_a_path_belongs_to_an_address_or_to_something_below_it(path, place):
    assert find_place(path, ["/a/chat", "/b"]) == place


@pytest.mark.parametrize("url", ["chat", "/chat/", "/", ""])
def test_addresses_that_no_request_can_have_are_refused(url):
    with pytest.raises(ValueError, match="has to begin with a slash"):
        check_urls([url])


def test_a_page_has_its_values_as_text_and_its_script_beside_it():
    place = "/rooms/a&b", ""
    response = page_response(get("/rooms/a&b"), place, "log_view", {"logs": '"<x>'})
    assert response is not None
    page = response.body.decode()
    assert '<html data-url="a&amp;b" data-logs="&quot;&lt;x&gt;" lang="en">' in page
    assert '<script src="a&amp;b/page.js">' in page
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"


def test_a_script_is_a_file_of_its_own():
    response = page_response(get("/logs/page.js"), ("/logs", "page.js"), "log_view", {})
    assert response is not None
    assert response.headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert b"EventSource" in response.body


def test_other_places_and_methods_are_left_to_others():
    assert page_response(get("/logs/x"), ("/logs", "x"), "log_view", {}) is None
    assert page_response(get("/logs", "PUT"), ("/logs", ""), "log_view", {}) is None
