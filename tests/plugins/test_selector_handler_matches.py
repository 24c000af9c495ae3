"""Elements by selector: which of them, several at once, and in which form."""

import json

import pytest

from beamfast.server.config import PluginConfig

PATCH = "application/beam-patch+json"


async def patch(site, *items, **fields):
    body = json.dumps(items).encode()
    return await site.ask("PATCH", "/page.html", body, Content_Type=PATCH, **fields)


async def test_all_matches_change_in_one_answer(site):
    answer = await site.ask(
        "PUT", "/page.html", b"<p>n</p>", "p.note", Beam_Match="all"
    )
    assert (answer.status, answer.body) == (206, b"<p>n</p>\n<p>n</p>")
    # One revision for each changed element.
    assert answer.headers["ETag"].startswith('"2-')
    assert site.read("page.html").count(b"<p>n</p>") == 2


@pytest.mark.parametrize(
    ("match", "status", "code"),
    [
        ("only", 409, "several-matches"),
        ("3", 404, "no-match"),
        ("0", 400, "bad-operation"),
        ("some", 400, "bad-operation"),
    ],
)
async def test_a_match_that_is_not_there_is_refused(site, match, status, code):
    before = site.read("page.html")
    answer = await site.ask("DELETE", "/page.html", b"", "p.note", Beam_Match=match)
    assert (answer.status, answer.headers["X-Beamfast-Error"]) == (status, code)
    assert site.read("page.html") == before


async def test_the_second_match_can_be_meant(site):
    answer = await site.ask("PUT", "/page.html", b"<p>n</p>", "p.note", Beam_Match="2")
    assert answer.status == 206
    assert b'<p class="note">one</p><p>n</p>' in site.read("page.html")


async def test_nothing_matched_and_that_was_all_right(site):
    etag = (await site.ask("GET", "/page.html", selector="h1")).headers["ETag"]
    answer = await site.ask("PUT", "/page.html", b"<p>", "h6", Beam_Match="none-ok")
    assert (answer.status, answer.headers["ETag"]) == (204, etag)


async def test_plain_text_at_a_position_is_escaped_and_markup_is_not(site):
    end = {"Beam_Position": "beforeend"}
    await site.ask(
        "POST", "/page.html", b"<b>&", "h1", Content_Type="text/plain", **end
    )
    await site.ask(
        "POST", "/page.html", b"<b>x</b>", "li", Content_Type="text/html", **end
    )
    page = site.read("page.html")
    assert b"Notes&lt;b>&amp;</h1>" in page
    assert b"<li>a<b>x</b></li>" in page


async def test_a_string_of_fetch_is_markup(site):
    plain = "text/plain;charset=UTF-8"
    await site.ask("POST", "/page.html", b"<b>x</b>", "li", Content_Type=plain)
    assert b"<li>a<b>x</b></li>" in site.read("page.html")


async def test_new_children_make_old_ones_with_the_same_id_go(site):
    fields = {"Beam_Position": "afterbegin", "Beam_Dedupe": "id"}
    answer = await site.ask("PUT", "/page.html", b"<td id=c>2", "tr", **fields)
    assert answer.status == 206
    assert b'<tr class="r"><td id=c>2</tr>' in site.read("page.html")
    # POST only adds, so it may do away with nothing.
    answer = await site.ask("POST", "/page.html", b"<td id=c>", "tr", Beam_Dedupe="id")
    assert answer.headers["X-Beamfast-Error"] == "bad-operation"


async def test_elements_can_be_had_as_json(site):
    answer = await site.ask(
        "GET", "/page.html", selector="li", Accept="application/json"
    )
    assert (answer.status, answer.headers["Content-Type"]) == (206, "application/json")
    assert json.loads(answer.body) == ["<li>a</li>", "<li>b</li>"]
    assert answer.headers["Vary"] == "Accept"
    for accept in ("*/*", "text/html, application/json;q=0.9"):
        answer = await site.ask("GET", "/page.html", selector="li", Accept=accept)
        assert answer.headers["Content-Type"] == "text/html"


async def test_xpath_selects_and_edits(site):
    answer = await site.ask("GET", "/page.html", Range="xpath=//li[2]")
    assert (answer.status, answer.body) == (206, b"<li>b</li>")
    assert answer.headers["Content-Range"] == "xpath //li[2]"
    answer = await site.ask("DELETE", "/page.html", Range="xpath=//li[2]")
    assert answer.status == 204
    assert b"<ul><li>a</li></ul>" in site.read("page.html")


async def test_a_patch_is_one_change_with_an_outcome_for_each_item(site):
    answer = await patch(
        site,
        {"op": "append", "selector": "ul", "html": "<li>c</li>"},
        {"op": "set-attr", "selector": "li", "match": "all", "name": "x", "value": "y"},
        {"op": "delete", "selector": "h6", "match": "none-ok"},
    )
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json")
    report = json.loads(answer.body)
    assert answer.headers["ETag"] == f'"{report["version"]}"'
    assert report["version"].startswith("4-")
    assert [item["changed"] for item in report["items"]] == [1, 3, 0]
    assert report["items"][1]["version"] == report["version"]
    assert report["items"][0]["edit"] == "splice"
    assert b'<ul><li x="y">a</li><li x="y">b</li><li x="y">c</li></ul>' in (
        site.read("page.html")
    )


async def test_a_patch_with_a_failing_item_changes_nothing_and_names_it(site):
    before = site.read("page.html")
    answer = await patch(
        site,
        {"op": "delete", "selector": "ul"},
        {"op": "delete", "selector": "ul"},
    )
    assert (answer.status, answer.headers["X-Beamfast-Error"]) == (404, "no-match")
    assert answer.body == b"Item 2: No elements matched the selector"
    assert site.read("page.html") == before


async def test_a_patch_that_is_sent_again_is_done_once(site):
    item = {"op": "append", "selector": "li", "match": "all", "html": "!"}
    first = await patch(site, item, Idempotency_Key="k")
    again = await patch(site, item, Idempotency_Key="k")
    assert again.headers["ETag"] == first.headers["ETag"]
    assert site.read("page.html").count(b"!") == 3  # with the doctype's
    # The key belongs to that patch.
    other = await site.ask("DELETE", "/page.html", b"", "ul", Idempotency_Key="k")
    assert other.headers["X-Beamfast-Error"] == "idempotency-key"


async def test_a_patch_needs_a_document(site):
    body = b'[{"op":"delete","selector":"p"}]'
    site.root.joinpath("a.css").write_text("p{}")
    for path, status in (("/none.html", 404), ("/a.css", 416)):
        answer = await site.ask("PATCH", path, body, Content_Type=PATCH)
        assert answer.status == status


async def test_edits_without_a_tag_can_be_refused(make_site):
    site = make_site(PluginConfig("selector-handler", {"require_match": True}))
    answer = await site.ask("DELETE", "/page.html", b"", "h1")
    assert (answer.status, answer.headers["X-Beamfast-Error"]) == (
        *(428, "precondition-required"),
    )
    item = {"op": "delete", "selector": "h1"}
    assert (await patch(site, item)).status == 428
    tags = (await site.ask("GET", "/page.html", selector="h1")).headers
    tag = tags["Beam-Fragment-ETag"]
    assert (await patch(site, {**item, "if": tag})).status == 200
    answer = await site.ask("DELETE", "/page.html", b"", "li", If_Match="*")
    assert answer.status == 204
