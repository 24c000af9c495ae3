import base64

import pytest

from beamfast.protocol.url import parse_proxy_url, parse_websocket_url


@pytest.mark.parametrize(
    ("text", "secure", "host", "port", "resource"),
    [
        ("ws://a", False, "a", 80, "/"),
        ("wss://a/", True, "a", 443, "/"),
        ("http://a:8080/x", False, "a", 8080, "/x"),
        ("https://a?x=1", True, "a", 443, "/?x=1"),
        ("WS://EXAMPLE.org/A?", False, "example.org", 80, "/A?"),
        ("ws://[::1]:3000/x?y?z", False, "::1", 3000, "/x?y?z"),
        ("ws://127.0.0.1/%20a%2Fb", False, "127.0.0.1", 80, "/%20a%2Fb"),
        (
            "ws://b\u00fccher.example/\u00e4?\u00f6",
            False,
            "xn--bcher-kva.example",
            80,
            "/%C3%A4?%C3%B6",
        ),
        ("ws://a_b/", False, "a_b", 80, "/"),
    ],
)
def test_url_is_taken_apart(text, secure, host, port, resource):
    url = parse_websocket_url(text)
    assert (url.is_secure, url.host, url.port) == (secure, host, port)
    assert (url.resource, url.text) == (resource, text)
    assert url.authorization is None


@pytest.mark.parametrize(
    ("text", "host_field", "authority"),
    [
        ("ws://a", "a", "a:80"),
        ("ws://a:443", "a:443", "a:443"),
        ("wss://a:443", "a", "a:443"),
        ("wss://a:80", "a:80", "a:80"),
        ("ws://[::1]", "[::1]", "[::1]:80"),
        ("ws://[::1]:3000", "[::1]:3000", "[::1]:3000"),
    ],
)
def test_host_field_names_the_port_unless_it_is_the_default(
    text, host_field, authority
):
    url = parse_websocket_url(text)
    assert url.host_field == host_field
    assert url.authority == authority


@pytest.mark.parametrize(
    ("user", "pair"),
    [
        ("user:pass", b"user:pass"),
        ("user", b"user:"),
        ("us%3Aer:p%40%C3%A4", "us:er:p@\u00e4".encode()),
    ],
)
def test_user_information_becomes_credentials(user, pair):
    url = parse_websocket_url(f"ws://{user}@a/")
    assert url.host == "a"
    assert url.authorization == "Basic " + base64.b64encode(pair).decode()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "/path",
        "ftp://a",
        "ws:a",
        "ws://",
        "ws:///path",
        "ws://a:99999",
        "ws://a:x",
        "ws://a:0",
        "ws://a#",
        "ws://a/#x",
        "ws://a b/",
        "ws://a/\r\nX: y",
        "ws://a/\tb",
        "ws://a..b/",
        "ws://[::1%25lo]/",
        "ws://[a/",
        "ws://a,b/",
    ],
)
def test_invalid_url_is_refused(text):
    with pytest.raises(ValueError, match=r"URL|Port|IP|port"):
        parse_websocket_url(text)


def test_proxy_speaks_http_only():
    assert parse_proxy_url("https://p:3128").port == 3128
    assert parse_proxy_url("http://p").port == 80
    with pytest.raises(ValueError, match="scheme"):
        parse_proxy_url("ws://p")
