"""Edits of a page, printed as they come."""

import json
import subprocess
import sys

import pytest

from beamfast.cli.watch import json_of, text_of
from beamfast.protocol.eventsource import MessageEvent


def start(*arguments):
    return subprocess.Popen(
        [sys.executable, "-u", "-m", "beamfast", "watch", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def edit(run):
    """Return a function that edits a served page and returns its version."""

    def put(url, selector, content):
        done = run("put", "-v", url, selector, content)
        lines = [line.lower().partition(": ") for line in done.stderr.splitlines()]
        return next(value for name, _, value in lines if name == "etag").strip('"')

    return put


def test_what_was_missed_comes_first_and_then_what_happens(serve_site, edit):
    url = serve_site("<p>0</p>")
    first = edit(url, "p", "<p>1</p>")
    second = edit(url, "p", "<p>2</p>")
    with start(url, "--since", first, "-n", "2") as watching:
        assert watching.stdout.readline() == f"{second}  PUT  /  p\n"
        assert watching.stdout.readline() == "<p>2</p>\n"
        third = edit(url, "p", "<p>3</p>")
        assert watching.stdout.readline() == f"{third}  PUT  /  p\n"
        assert watching.stdout.read() == "<p>3</p>\n"
        assert watching.wait(30) == 0


def test_items_come_as_json(serve_site, run, edit):
    url = serve_site("<p>0</p>")
    first = edit(url, "p", "<p>\u00fc</p>")
    second = edit(url, "p", "<p>2</p>")
    done = run("watch", "--json", "--since", first, "-n", "1", url)
    assert json.loads(done.stdout) == {
        "id": second,
        "event": "message",
        "method": "PUT",
        "url": "/",
        "selector": "p",
        "content": "<p>2</p>",
        "attributes": None,
    }
    assert done.exit_code == 0


def test_nothing_is_missed_when_the_server_is_killed(serve_site, edit):
    url = serve_site("<p>0</p>")
    since = edit(url, "p", "<p>1</p>")
    with start("--json", url, "--since", since, "-n", "3") as watching:
        edit(url, "p", "<p>2</p>")
        items = [json.loads(watching.stdout.readline())]
        serve_site.again(url)
        edit(url, "p", "<p>3</p>")
        edit(url, "p", "<p>4</p>")
        items += map(json.loads, watching.stdout)
        assert watching.wait(30) == 0
    assert [one["content"] for one in items] == ["<p>2</p>", "<p>3</p>", "<p>4</p>"]


def test_what_is_no_event_stream_is_an_error(run):
    for url, code in [("http://127.0.0.1:1/", 1), ("ftp://a/", 2)]:
        done = run("watch", url)
        assert done.exit_code == code
        assert done.stderr.startswith("beamfast: ")


def test_events_that_are_no_items_are_shown_as_they_are():
    event = MessageEvent("log", "a line", "7")
    assert text_of(event) == "7  log\na line"
    assert json.loads(json_of(event)) == {"id": "7", "event": "log", "data": "a line"}
