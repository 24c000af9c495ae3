"""Elements of a served page, read and changed from the command line."""

import pytest


def test_an_element_is_read_replaced_extended_and_removed(serve_site, run):
    url = serve_site("<!DOCTYPE html><ul id='l\u00f6s'><li>1</li></ul>")
    assert run("get", url, "li").stdout == "<li>1</li>"
    done = run("put", url, "#l\u00f6s > li:first-child", "<li>100%</li>")
    assert (done.exit_code, done.stderr) == (0, "")
    assert run("post", url, "ul", stdin="<li>2</li>").exit_code == 0
    assert run("post", url, "ul", "-", stdin="<li>3</li>").exit_code == 0
    assert run("delete", url, "li:nth-of-type(2)").exit_code == 0
    page = run("get", url).stdout
    assert page == "<!DOCTYPE html><ul id='l\u00f6s'><li>100%</li><li>3</li></ul>"


def test_a_refusal_is_told_with_its_code(serve_site, run):
    url = serve_site("<p>1</p>")
    done = run("put", url, "#none", "<p>2</p>")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "404" in done.stderr
    assert "no-match" in done.stderr
    done = run("put", url, "p", "<p>2</p>", "-H", 'If-Match:"9-0000000000000000"')
    assert done.exit_code == 1
    assert "412" in done.stderr


def test_status_and_fields_can_be_shown(serve_site, run):
    url = serve_site("<p>1</p>")
    done = run("get", "-v", url, "p")
    assert done.stdout == "<p>1</p>"
    assert done.stderr.startswith("206\n")
    assert "etag: " in done.stderr.lower()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("get", "http://127.0.0.1:1/"), 1, "127.0.0.1"),
        (("get", "nonsense"), 2, "scheme"),
        (("get", "http://127.0.0.1:1/", "-H", "nonsense"), 2, "NAME:VALUE"),
        (("put", "http://127.0.0.1:1/"), 2, "SELECTOR"),
    ],
)
def test_what_cannot_be_done_is_said(run, arguments, code, words):
    done = run(*arguments)
    assert done.exit_code == code
    assert words in done.stderr
