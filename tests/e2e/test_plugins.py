"""A pipeline of many plugins, configured in HTML, over real connections."""

import gzip
import json

import pytest

SCHEMA = "https://rustybeam.net/schema/"
PEOPLE = """[{"library": "file://./x/librusty_beam_rate_limit.so",
  "config": {"requests_per_second": "0.001", "burst": "1"}}]"""
PLUGINS = {
    "Cors": {},
    "HealthCheck": {"metrics_endpoint": "/metrics"},
    "Redirect": {"rulesfile": "file://config.html"},
    "Directory": {"directory": "/people", "nested_plugins": PEOPLE},
    "EventSource": {},
    "SelectorHandler": {},
    "FileHandler": {},
    "Compression": {"min_size": "100", "types": "text/html, text/plain"},
    "ErrorHandler": {"error_404": "lost.html", "error_template_dir": "pages"},
    "SecurityHeaders": {"frame_options": ""},
}
RULE = f"""<table><tr itemscope itemtype="{SCHEMA}RedirectRule">
<td itemprop="from">^/old/(.*)$<td itemprop="to">/$1<td itemprop="status">308</table>"""


@pytest.fixture
def server(serve, site, configure):
    """A server with all these plugins."""
    (site.parent / "pages").mkdir()
    (site.parent / "pages" / "lost.html").write_text("<p>{path} is not on {host}")
    return serve(root=configure(PLUGINS, RULE))


def test_a_page_arrives_compressed_and_marked(server, site):
    status, headers, body = server.request(
        "GET", "/document.html", Accept_Encoding="gzip", Origin="https://a.example"
    )
    assert status == 200
    assert gzip.decompress(body) == (site / "document.html").read_bytes()
    assert headers["Content-Length"] == str(len(body))
    assert headers["Access-Control-Allow-Origin"] == "*"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "X-Frame-Options" not in headers


def test_a_large_file_arrives_compressed_piece_by_piece(server, site):
    content = b"again and again and " * 100_000
    (site / "large.txt").write_bytes(content)
    status, headers, body = server.request("GET", "/large.txt", Accept_Encoding="gzip")
    assert status == 200
    assert headers["Transfer-Encoding"] == "chunked"
    assert gzip.decompress(body) == content


def test_pages_beside_the_configuration_are_found(server):
    status, headers, body = server.request("GET", "/<b>", Accept="text/html")
    host = server.url.removeprefix("http://")
    assert (status, headers["Content-Type"]) == (404, "text/html; charset=utf-8")
    assert body.decode() == f"<p>/&lt;b&gt; is not on {host}"


def test_a_rule_in_the_configuration_redirects(server, site):
    status, _, body = server.request("GET", "/old/document.html")
    assert status == 200
    assert body == (site / "document.html").read_bytes()


def test_plugins_inside_a_directory_reach_the_process_that_serves(server):
    answers = [server.request("GET", "/people/x") for _ in range(2)]
    assert [status for status, _, _ in answers] == [404, 429]
    assert json.loads(answers[1][2])["retry_after_seconds"] >= 1
    assert server.request("GET", "/document.html")[0] == 200


def test_probes_are_answered(server):
    for path in ("/health", "/ready", "/live"):
        status, _, body = server.request("GET", path)
        assert (status, json.loads(body)["status"]) == (200, "healthy")
    assert b"\nbeamfast_draining 0\n" in server.request("GET", "/metrics")[2]
