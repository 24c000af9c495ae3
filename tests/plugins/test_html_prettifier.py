"""Answers to edits are laid out, what is read is not, and no text is lost."""

import pytest

from beamfast.server.config import PluginConfig

LIST = b"<ul><li>one <b>two</b><li><pre>\n  three</pre></ul>"


@pytest.fixture
def pretty_site(make_site):
    def make(**options):
        return make_site(
            PluginConfig("html-prettifier", options),
            *map(PluginConfig, ("selector-handler", "file-handler")),
        )

    return make


async def test_the_answer_to_an_edit_is_indented_and_its_text_kept(pretty_site):
    site = pretty_site()
    response = await site.ask("PUT", "/page.html", LIST, selector="ul")
    assert response.status == 206
    assert response.body == (
        b"<ul>\n  <li>one <b>two</b></li>\n"
        b"  <li>\n    <pre>  three</pre>\n  </li>\n</ul>"
    )


async def test_the_file_and_what_is_read_stay_as_they_are(pretty_site):
    site = pretty_site()
    await site.ask("PUT", "/page.html", LIST, selector="ul")
    assert LIST in site.read("page.html")
    assert (await site.ask("GET", "/page.html", selector="ul")).body == LIST
    assert (await site.ask("GET", "/page.html")).body == site.read("page.html")


async def test_other_answers_are_left_alone(pretty_site):
    site = pretty_site()
    assert (
        await site.ask("PUT", "/new.html", LIST)
    ).body == b"File uploaded successfully"
    missing = await site.ask("PUT", "/page.html", LIST, selector="#missing")
    assert missing.body == b"No elements matched the selector"
    assert (await site.ask("DELETE", "/page.html", selector="ul")).body == b""


async def test_uploaded_pages_are_stored_that_way_on_request(pretty_site):
    site = pretty_site(on_write=True)
    page = b"<!DOCTYPE html><title>x</title><p>y"
    response = await site.ask("PUT", "/new.html", page, Content_Length=str(len(page)))
    assert response.status == 201
    assert site.read("new.html").startswith(b"<!DOCTYPE html>\n<html>\n  <head>\n")
    text = b"<ul><li>no page"
    await site.ask("PUT", "/notes.txt", text, Content_Length=str(len(text)))
    assert site.read("notes.txt") == text


async def test_what_is_too_long_or_no_utf_8_is_left_alone(pretty_site):
    site = pretty_site(on_write=True, max_size=20)
    assert (await site.ask("PUT", "/page.html", LIST, selector="ul")).body == LIST
    for body in (LIST, b"<p>\xff"):
        await site.ask("PUT", "/new.html", body, Content_Length=str(len(body)))
        assert site.read("new.html") == body


async def test_an_upload_of_unknown_length_is_stored_as_it_comes(pretty_site):
    site = pretty_site(on_write=True)
    await site.ask("PUT", "/new.html", LIST)
    assert site.read("new.html") == LIST
