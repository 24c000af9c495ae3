import pytest

from beamfast.errors import RequestError
from beamfast.protocol.target import (
    Target,
    decode_path,
    is_authority,
    normalize_path,
    parse_target,
    query_parameter,
)


def test_origin_form_gives_path_and_query():
    assert parse_target("GET", "/a/b?x=1?y") == Target("/a/b", "/a/b", "x=1?y")


def test_query_stays_encoded():
    assert parse_target("GET", "/?q=%20%zz").query == "q=%20%zz"


def test_absolute_form_gives_its_authority():
    target = parse_target("GET", "HTTP://example.org:8080/a?x")
    assert target == Target("/a", "/a", "x", "example.org:8080")


@pytest.mark.parametrize(
    ("text", "query"), [("http://a", ""), ("https://a?x/y", "x/y")]
)
def test_absolute_form_without_path_means_the_root(text, query):
    assert parse_target("GET", text) == Target("/", "/", query, "a")


def test_asterisk_form_is_for_options():
    assert parse_target("OPTIONS", "*") == Target("*", "*", "")


@pytest.mark.parametrize(
    "text",
    ["*", "", "a", "a/b", "a:80", "/a#b", "ftp://a/b", "http:/a", "http://u@a/b"],
)
def test_other_forms_are_refused_with_400(text):
    with pytest.raises(RequestError) as caught:
        parse_target("GET", text)
    assert caught.value.status == 400


@pytest.mark.parametrize(
    ("raw", "url"),
    [("/a", "/a"), ("/a%20b", "/a b"), ("/%C3%a4", "/ä"), ("/%2e%2E/%25", "/../%")],
)
def test_path_is_percent_decoded(raw, url):
    assert decode_path(raw) == url


@pytest.mark.parametrize(
    "raw", ["/%", "/%2", "/%zz", "/%C3", "/%ff", "/%ed%a0%80", "/%c0%af"]
)
def test_path_that_cannot_be_decoded_is_400(raw):
    with pytest.raises(RequestError, match="Invalid URI encoding") as caught:
        decode_path(raw)
    assert caught.value.status == 400


@pytest.mark.parametrize("raw", ["/%00", "/a%0d%0Ab", "/%7f", "/%1b"])
def test_control_character_behind_an_escape_is_400(raw):
    with pytest.raises(RequestError, match="Control character"):
        decode_path(raw)


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("/", "/"),
        ("/a/b.html", "/a/b.html"),
        ("/.hidden", "/.hidden"),
        ("//a///b", "/a/b"),
        ("//", "/"),
        ("/a/", "/a/"),
        ("/a//", "/a/"),
        ("/./a", "/a"),
        ("/a/.", "/a/"),
        ("/a/../b", "/b"),
        ("/a/b/..", "/a/"),
        ("/a/..", "/"),
        ("/..", "/.."),
        ("/../a", "/../a"),
        ("/a/../../b", "/../b"),
        ("/../../a/", "/../../a/"),
        ("/a/...", "/a/..."),
    ],
)
def test_normal_form_has_no_dot_segments_below_the_root(url, path):
    assert normalize_path(url) == path
    assert normalize_path(path) == path


@pytest.mark.parametrize(
    "text",
    ["a", "a:80", "a:", "example.org", "127.0.0.1:3000", "[::1]", "[::1]:80", "a%20b"],
)
def test_host_with_optional_port_is_an_authority(text):
    assert is_authority(text)


@pytest.mark.parametrize(
    "text",
    ["", ":80", "a b", "a,b", "a/b", "a@b", "a:b", "a:1:2", "::1", "[a]b", "a%2", "ä"],
)
def test_anything_else_is_no_authority(text):
    assert not is_authority(text)


@pytest.mark.parametrize(
    ("query", "value"),
    [
        ("a=1&since=2-x&since=3", "2-x"),
        ("since=%32+x", "2 x"),
        ("since", ""),
        ("", None),
    ],
)
def test_first_value_of_a_parameter_counts(query, value):
    assert query_parameter(query, "since") == value
