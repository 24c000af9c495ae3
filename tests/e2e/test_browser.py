"""Live documents in a real browser: Chromium's WebSocket, DOMParser, EventSource."""

import json

import pytest

pytestmark = pytest.mark.system("chromium")

#: The published JavaScript client, as a function that starts it.
PUBLISHED_CLIENT = """
(async () => {
  const ws = new WebSocket(`ws://${location.host}${window.location.pathname}`);
  window.items = [];
  ws.onmessage = function (event) {
    const parser = new DOMParser();
    const doc = parser.parseFromString(event.data, 'text/html');
    const streamItem =
      doc.querySelector('[itemtype="https://rustybeam.net/schema/StreamItem"]');
    if (streamItem) {
      const read = name => streamItem.querySelector(`[itemprop="${name}"]`);
      const method = read('method').textContent;
      const url = read('url').textContent;
      const selector = read('selector').textContent;
      const content = read('content').innerHTML;
      window.items.push([method, url, selector, content]);
      if (url === window.location.pathname) {
        const target = document.querySelector(selector);
        if (target) {
          target.outerHTML = content;
        }
      }
    }
  };
  await new Promise(resolve => { ws.onopen = resolve; });
  return true;
})()
"""


@pytest.fixture
def page(browser, server):
    tab = browser.open(f"{server.url}/document.html")
    assert tab.evaluate(PUBLISHED_CLIENT)
    return tab


def test_a_put_changes_the_page_with_the_published_client(page, server):
    content = '<div id="content">From elsewhere</div>'
    assert server.edit("PUT", "/document.html", "#content", content) == 206
    page.wait_for("document.querySelector('#content').textContent !== 'Old'")
    assert page.evaluate("document.querySelector('#content').outerHTML") == content


def test_a_table_row_keeps_its_tags_on_the_way_into_the_page(page, server):
    row = '<tr class="first"><td>1</td><td>2</td></tr>'
    assert server.edit("PUT", "/document.html", "tr.first", row) == 206
    page.wait_for("document.querySelectorAll('#rows td').length === 2")
    assert page.evaluate("document.querySelector('tr.first').outerHTML") == row


def test_a_selector_with_markup_in_it_comes_back_unchanged(page, server):
    odd = '<p title="<&amp;">odd</p>'
    assert server.edit("POST", "/document.html", "body", odd) == 206
    selector = 'body > p[title="<&"]'
    assert server.edit("PUT", "/document.html", selector, "<p id=done>") == 206
    page.wait_for("items.length === 2")
    assert page.evaluate("items[1][2]") == selector


def test_content_cannot_change_the_properties_of_its_item(page, server):
    bad = '<p></div></template><span itemprop="method">DELETE</span>'
    status = server.edit("PUT", "/document.html", "#content", bad)
    assert status in (206, 422)
    if status == 206:
        page.wait_for("items.length === 1")
        assert page.evaluate("items[0][0]") == "PUT"
        assert page.evaluate("items[0][2]") == "#content"


def test_the_browser_ends_with_the_tree_of_the_server(page, server):
    for method, selector, content in [
        ("PUT", "li:nth-child(2)", "<li>2nd"),
        ("PUT", "h1", "<h1>Title</h1>"),
        ("PUT", "#content", "<div id=content>a<b>b</div>"),
        ("PUT", "td", "<td>one</td>"),
    ]:
        assert server.edit(method, "/document.html", selector, content) == 206
    page.wait_for("items.length === 4")
    text = json.dumps(server.read("document.html").decode())
    fresh = f"new DOMParser().parseFromString({text}, 'text/html').body.innerHTML"
    assert page.evaluate("document.body.innerHTML") == page.evaluate(fresh)


def test_an_event_source_in_the_browser_gets_items_with_ids(browser, server):
    tab = browser.open(f"{server.url}/document.html")
    tab.evaluate(
        "window.events = []; window.source = new EventSource(location.href);"
        "source.onmessage = e => events.push([e.lastEventId, e.data]); 0"
    )
    tab.wait_for("source.readyState === 1")
    status, headers, _ = server.request("PUT", "/document.html", b"<h1>A</h1>", "h1")
    assert status == 206
    tab.wait_for("events.length === 1")
    assert tab.evaluate("events[0][0]") == headers["ETag"].strip('"')
    assert "<h1>A</h1>" in tab.evaluate("events[0][1]")


def test_the_demo_page_updates_itself(browser, serve, tmp_path):
    from importlib import resources

    demo = tmp_path / "demo"
    demo.mkdir()
    source = resources.files("beamfast.static").joinpath("demo.html").read_bytes()
    (demo / "index.html").write_bytes(source)
    server = serve(root=demo)
    tab = browser.open(f"{server.url}/")
    tab.wait_for("document.querySelector('#state').textContent === 'live'")
    assert server.edit("PUT", "/", "#message", '<p id="message">Hello</p>') == 206
    tab.wait_for("document.querySelector('#message').textContent === 'Hello'")
    tab.evaluate(
        "document.querySelector('#add input').value = 'Sing';"
        "document.querySelector('#add').requestSubmit(); 0"
    )
    tab.wait_for(
        "document.querySelector('#todo').lastElementChild.innerText === 'Sing'"
    )
    assert b"<li>Sing</li>" in server.read("index.html")


class TestDriveBy:
    """A page of another origin must not be able to write, nor to listen."""

    @pytest.fixture
    def foreign(self, browser, serve, tmp_path):
        other = tmp_path / "other"
        other.mkdir()
        (other / "index.html").write_text("<!DOCTYPE html><p>elsewhere")
        return browser.open(f"{serve(root=other).url}/")

    @pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
    def test_writes_are_refused(self, foreign, server, method):
        before = server.read("document.html")
        target = json.dumps(f"{server.url}/document.html")
        foreign.evaluate(
            f"fetch({target}, {{method: '{method}', mode: 'no-cors', body: 'x'}})"
            ".then(() => 1, () => 0)"
            if method == "POST"
            else f"fetch({target}, {{method: '{method}'}}).then(() => 1, () => 0)"
        )
        assert server.read("document.html") == before

    def test_a_form_is_refused(self, foreign, server):
        before = server.read("document.html")
        foreign.evaluate(
            "(() => { const f = document.createElement('form'); f.method = 'post';"
            f"f.action = '{server.url}/document.html'; f.enctype = 'text/plain';"
            "document.body.append(f); f.submit(); return 0; })()"
        )
        foreign.wait_for(f"location.href === '{server.url}/document.html'")
        assert server.read("document.html") == before

    def test_a_websocket_is_refused(self, foreign, server):
        url = json.dumps(f"ws://127.0.0.1:{server.port}/document.html")
        opened = foreign.evaluate(
            f"new Promise(done => {{ const ws = new WebSocket({url});"
            "ws.onopen = () => done(true); ws.onerror = () => done(false); })"
        )
        assert opened is False

    def test_a_rebound_name_is_misdirected(self, server):
        status, _, _ = server.request(
            "POST", "/document.html", b"x", Host="evil.example:3000"
        )
        assert status == 421
