"""Elements by selector: what each method answers, changes and refuses."""

import asyncio

import pytest

from beamfast.server.config import PluginConfig


async def test_get_returns_the_element_with_206(site):
    answer = await site.ask("GET", "/page.html", selector="h1")
    assert answer.status == 206
    assert answer.body == b"<h1 class=top>Notes</h1>"
    assert answer.headers["Content-Type"] == "text/html"
    assert answer.headers["Content-Range"] == "selector h1"
    assert answer.headers["ETag"].startswith('"0-')


async def test_a_percent_encoded_selector_is_decoded_and_shown_decoded(site):
    answer = await site.ask("GET", "/page.html", selector="%23main%20%3E%20p")
    assert answer.status == 206
    assert answer.headers["Content-Range"] == "selector #main > p"


@pytest.mark.parametrize(
    "selector",
    [
        "p.note",
        '[class="note"]',
        "div p",
        "div > p",
        "p:nth-child(1)",
        "p:first-child",
        "p:not(.other)",
        "div:has(p)",
        "h6, p",
        "html:nth-child(1) > body:nth-child(2) > table > tbody:nth-child(1) > tr",
    ],
)
async def test_the_selector_language(site, selector):
    answer = await site.ask("GET", "/page.html", selector=selector)
    assert answer.status == 206
    assert answer.body


async def test_get_returns_every_match_joined_by_one_newline(site):
    answer = await site.ask("GET", "/page.html", selector="p.note")
    assert answer.body == b'<p class="note">one</p>\n<p class="note">two</p>'


async def test_if_none_match_answers_304(site):
    etag = (await site.ask("GET", "/page.html", selector="h1")).headers["ETag"]
    answer = await site.ask("GET", "/page.html", selector="h1", If_None_Match=etag)
    assert answer.status == 304


@pytest.mark.parametrize("method", ["GET", "PUT", "POST", "DELETE"])
@pytest.mark.parametrize(
    ("selector", "code"),
    [
        ("h6", "no-match"),
        ("", "empty-selector"),
        (">>>x<<<", "invalid-selector"),
        ("p:foo", "invalid-selector"),
        ("p,", "invalid-selector"),
    ],
)
async def test_nothing_matched_is_404_with_a_code(site, method, selector, code):
    before = site.read("page.html")
    answer = await site.ask(method, "/page.html", b"<p>", selector)
    assert answer.status == 404
    assert answer.body == b"No elements matched the selector"
    assert answer.headers["X-Beamfast-Error"] == code
    assert site.read("page.html") == before


async def test_the_status_of_an_invalid_selector_can_be_400(make_site):
    options = {"invalid_selector_status": 400}
    site = make_site(PluginConfig("selector-handler", options))
    assert (await site.ask("GET", "/page.html", selector="p,")).status == 400
    assert (await site.ask("GET", "/page.html", selector="h6")).status == 404


async def test_a_selector_over_a_limit_is_400(site):
    answer = await site.ask("GET", "/page.html", selector="p," * 100 + "p")
    assert answer.status == 400
    assert answer.headers["X-Beamfast-Error"] == "selector-too-complex"


@pytest.mark.parametrize("selector", ["body", "p,"])
async def test_a_file_without_elements_is_416(site, selector):
    answer = await site.ask("GET", "/notes.txt", selector=selector)
    assert answer.status == 416
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert answer.headers["Content-Range"].startswith("selector")
    assert answer.body.startswith(b"Range Not Satisfiable")


@pytest.mark.parametrize("name", ["missing.html", "missing.txt"])
@pytest.mark.parametrize("selector", ["body", "p,"])
async def test_a_missing_file_is_404(site, name, selector):
    answer = await site.ask("GET", f"/{name}", selector=selector)
    assert (answer.status, answer.body) == (404, b"File not found")


async def test_put_replaces_the_first_match_and_returns_it(site):
    answer = await site.ask("PUT", "/page.html", b'<p class="note">1</p>\n', "p.note")
    assert answer.status == 206
    assert answer.body == b'<p class="note">1</p>'
    assert answer.headers["Content-Range"] == "selector p.note"
    assert answer.headers["Beam-Edit"] == "splice"
    assert answer.headers["ETag"].startswith('"1-')
    again = await site.ask("GET", "/page.html", selector="p.note")
    assert again.body.endswith(b'\n<p class="note">two</p>')


async def test_put_returns_the_new_element_also_when_it_matches_no_more(site):
    answer = await site.ask("PUT", "/page.html", b"<h2>New</h2>", "h1")
    assert (answer.status, answer.body) == (206, b"<h2>New</h2>")


async def test_put_changes_no_byte_outside_the_element(site):
    before = site.read("page.html")
    await site.ask("PUT", "/page.html", b"<p id=x>&amp;", "p.note")
    old = b'<p class="note">one</p>'
    assert site.read("page.html") == before.replace(old, b"<p id=x>&amp;", 1)


async def test_put_with_two_roots_inserts_both(site):
    answer = await site.ask("PUT", "/page.html", b"<h2>a</h2><h3>b</h3>", "h1")
    assert answer.body == b"<h2>a</h2><h3>b</h3>"
    assert b"<h2>a</h2><h3>b</h3>" in site.read("page.html")


async def test_put_with_an_empty_body_removes_the_element(site):
    assert (await site.ask("PUT", "/page.html", b"", "h1")).status == 206
    assert b"<h1" not in site.read("page.html")


async def test_put_then_put_of_the_original_restores_every_byte(site):
    before = site.read("page.html")
    original = (await site.ask("GET", "/page.html", selector="#main")).body
    await site.ask("PUT", "/page.html", b"<div id=main>x</div>", "#main")
    await site.ask("PUT", "/page.html", original, "#main")
    assert site.read("page.html") == before


async def test_post_appends_inside_and_returns_exactly_what_was_posted(site):
    for text in (b"<li>c</li>", b" <li>d</li>\n"):
        answer = await site.ask("POST", "/page.html", text, "ul")
        assert (answer.status, answer.body) == (206, text)
    items = await site.ask("GET", "/page.html", selector="ul li")
    assert items.body.split(b"\n") == [
        *(b"<li>a</li>", b"<li>b</li>"),
        *(b"<li>c</li>", b"<li>d</li>"),
    ]


async def test_delete_removes_the_first_match(site):
    answer = await site.ask("DELETE", "/page.html", selector="p.note")
    assert (answer.status, answer.body) == (204, b"")
    rest = await site.ask("GET", "/page.html", selector="p")
    assert rest.body == b'<p class="note">two</p>'


@pytest.mark.parametrize(
    ("selector", "content"),
    [
        ("#c", b"<td id=c>9</td>"),
        ("tr.r", b"<tr class=r><td id=c>8</td></tr>"),
        ("tbody", b"<tbody><tr><td id=c>7</td></tr></tbody>"),
        ("#c", b"<TD id=c>6</TD>"),
        ("#c", b"<!-- note --><td id=c>5</td>"),
        ("li", b"<li>z</li>"),
        ("option", b"<option>y</option>"),
        ("p", b"__RUSTY_BEAM_PUT_MARKER_1____"),
    ],
)
async def test_content_keeps_its_tags(site, selector, content):
    answer = await site.ask("PUT", "/page.html", content, selector)
    assert (answer.status, answer.body) == (206, content)
    assert content in site.read("page.html")


@pytest.mark.parametrize(
    ("position", "content", "answer", "result"),
    [
        ("beforebegin", b"<p>0\n", b"<p>0\n", b"<p>0\n<ul><li>a</li><li>b</li></ul>"),
        ("afterbegin", b"<li>0 ", b"<li>0 ", b"<ul><li>0 <li>a</li><li>b</li></ul>"),
        ("beforeend", b"<li>c", b"<li>c", b"<ul><li>a</li><li>b</li><li>c</ul>"),
        ("afterend", b"<p>0</p>", b"<p>0</p>", b"</ul><p>0</p>"),
        ("innerHTML", b"<li>c \n", b"<li>c", b"<ul><li>c \n</ul>"),
        ("outerHTML", b"<ol></ol> ", b"<ol></ol>", b"<ol></ol> "),
    ],
)
async def test_a_position_puts_the_content_elsewhere(
    site, position, content, answer, result
):
    got = await site.ask("PUT", "/page.html", content, "ul", Beam_Position=position)
    assert (got.status, got.body) == (206, answer)
    assert got.headers["Beam-Edit"] == "splice"
    assert result in site.read("page.html")


async def test_post_cannot_replace_whatever_the_position(site):
    before = site.read("page.html")
    for position in ("outerHTML", "innerHTML", "beforebegin"):
        got = await site.ask("POST", "/page.html", b"", "ul", Beam_Position=position)
        assert got.headers["X-Beamfast-Error"] == "bad-operation"
    assert site.read("page.html") == before


async def test_text_is_no_markup(site):
    got = await site.ask(
        "PUT", "/page.html", b"a < b & c", "h1", Beam_Position="textContent"
    )
    assert (got.status, got.body) == (206, b"a &lt; b &amp; c")
    assert b"<h1 class=top>a &lt; b &amp; c</h1>" in site.read("page.html")


@pytest.mark.parametrize("position", ["", "inside", "innerHTML, outerHTML"])
async def test_an_unknown_position_changes_nothing(site, position):
    before = site.read("page.html")
    got = await site.ask("PUT", "/page.html", b"x", "h1", Beam_Position=position)
    assert got.status == 400
    assert got.headers["X-Beamfast-Error"] == "bad-operation"
    assert site.read("page.html") == before


async def test_put_sets_an_attribute_and_delete_removes_it(site):
    before = site.read("page.html")
    got = await site.ask("PUT", "/page.html", b"say <hi>", "h1", Beam_Attribute="title")
    assert (got.status, got.headers["Beam-Edit"]) == (206, "splice")
    assert got.body == b'<h1 class=top title="say <hi>">Notes</h1>'
    assert got.body in site.read("page.html")
    gone = await site.ask("DELETE", "/page.html", b"", "h1", Beam_Attribute="title")
    assert (gone.status, gone.body) == (204, b"")
    assert site.read("page.html") == before


async def test_classes_come_and_go(site):
    for verb, classes in (("add", b'"top k"'), ("toggle", b'"top"')):
        got = await site.ask("PUT", "/page.html", b"", "h1", Beam_Class=f"{verb} k")
        assert (got.status, got.body) == (206, b"<h1 class=" + classes + b">Notes</h1>")
    got = await site.ask("PUT", "/page.html", b"", "h1", Beam_Class="remove top")
    assert got.body == b'<h1 class="">Notes</h1>'


async def test_nothing_can_stand_beside_the_body(site):
    got = await site.ask("PUT", "/page.html", b"x", "body", Beam_Position="afterend")
    assert (got.status, got.headers["X-Beamfast-Error"]) == (409, "structural-element")


async def test_put_of_the_body_keeps_exactly_one(site):
    answer = await site.ask("PUT", "/page.html", b"<body><p>only</body>", "body")
    assert answer.status == 206
    assert site.read("page.html").lower().count(b"<body") == 1


async def test_a_folder_names_its_index_for_edits_too(site):
    (site.root / "dir").mkdir()
    (site.root / "dir" / "index.html").write_bytes(b"<p id=p>x")
    (site.root / "index.html").write_bytes(b"<p id=p>x")
    for target in ("/", "/dir", "/dir/"):
        assert (await site.ask("PUT", target, b"<p id=p>y", "#p")).status == 206
    assert site.read("dir/index.html") == b"<p id=p>y"
    assert site.read("index.html") == b"<p id=p>y"


async def test_head_has_the_fields_of_get(site):
    head = await site.ask("HEAD", "/page.html", selector="h1")
    assert head.status == 206
    assert head.headers["Content-Range"] == "selector h1"


async def test_options_names_the_methods(site):
    answer = await site.ask("OPTIONS", "/page.html", selector="h1")
    assert answer.status == 200
    assert answer.headers["Accept-Ranges"] == "selector"
    assert "DELETE" in answer.headers["Allow"]


async def test_another_method_is_405(site):
    answer = await site.ask("PATCH", "/page.html", b"", "h1")
    assert answer.status == 405
    assert answer.body == b"Method not allowed for selector operations"
    assert "PUT" in answer.headers["Allow"]


async def test_a_raw_selector_beyond_ascii_never_touches_the_whole_file(site):
    await site.ask("PUT", "/page.html", "<p id='ü'>x".encode(), "p.note")
    raw = "#ü".encode().decode("latin-1")
    answer = await site.ask("PUT", "/page.html", b"<p>new</p>", raw)
    assert answer.status in (206, 400)
    assert b"<title>Notes</title>" in site.read("page.html")
    broken = await site.ask("PUT", "/page.html", b"x", "#\xff")
    assert broken.status == 400
    assert b"<title>Notes</title>" in site.read("page.html")


async def test_a_selector_behind_another_unit_is_not_a_selector(site):
    answer = await site.ask("GET", "/page.html", Range="bytes=0-1, selector=h1")
    assert (answer.status, answer.body) == (200, site.read("page.html"))


async def test_a_selector_that_could_break_the_header_is_encoded(site):
    answer = await site.ask("GET", "/page.html", selector='p:not([x="%0d%0aA: b"])')
    assert answer.status in (206, 404)
    for _, value in answer.headers:
        assert "\r" not in value
        assert "\n" not in value


@pytest.mark.parametrize("selector", ["html", "head", "body"])
async def test_delete_of_the_structure_is_409(site, selector):
    before = site.read("page.html")
    answer = await site.ask("DELETE", "/page.html", selector=selector)
    assert answer.status == 409
    assert answer.headers["X-Beamfast-Error"] == "structural-element"
    assert site.read("page.html") == before


@pytest.mark.parametrize(
    ("method", "selector", "content", "code"),
    [
        ("PUT", "p b", b"<p>", "no-match"),
        ("PUT", "title", b"<div>x</div>", "unrepresentable"),
        ("POST", "tr.r", b"text", "unrepresentable"),
        ("PUT", "h1", b"<p " + b" ".join(b"a%d" % n for n in range(300)) + b">", None),
    ],
)
async def test_what_no_html_text_can_say_is_refused(
    site, method, selector, content, code
):
    before = site.read("page.html")
    answer = await site.ask(method, "/page.html", content, selector)
    assert answer.status in (404, 422)
    if code is not None:
        assert answer.headers["X-Beamfast-Error"] == code
    assert site.read("page.html") == before
    assert (await site.ask("PUT", "/page.html", b"<h1>ok</h1>", "h1")).status == 206


async def test_if_match_guards_an_edit(site):
    etag = (await site.ask("GET", "/page.html")).headers["ETag"]
    good = await site.ask("PUT", "/page.html", b"<h1>1", "h1", If_Match=etag)
    assert good.status == 206
    bad = await site.ask("PUT", "/page.html", b"<h1>2", "h1", If_Match=etag)
    assert bad.status == 412
    assert b"<h1>2" not in site.read("page.html")


async def fragment_tag(site, selector):
    answer = await site.ask("GET", "/page.html", selector=selector)
    return answer.headers["Beam-Fragment-ETag"]


async def test_a_fragment_tag_guards_an_edit_against_changes_of_that_part(site):
    heading, items = await fragment_tag(site, "h1"), await fragment_tag(site, "ul")
    # Another part changes, which is nothing to the writer of the list.
    good = await site.ask("PUT", "/page.html", b"<h1>1</h1>", "h1", If_Match=heading)
    assert good.status == 206
    good = await site.ask("POST", "/page.html", b"<li>c", "ul", If_Match=items)
    assert good.status == 206
    before = site.read("page.html")
    for method in ("PUT", "POST", "DELETE"):
        bad = await site.ask(method, "/page.html", b"<ul>", "ul", If_Match=items)
        assert (bad.status, bad.headers["X-Beamfast-Error"]) == (
            412,
            "precondition-failed",
        )
        assert bad.headers["ETag"].startswith('"2-')
        assert bad.headers["Beam-Fragment-ETag"] == await fragment_tag(site, "ul")
    assert site.read("page.html") == before


async def test_a_fragment_tag_of_another_selector_does_not_count(site):
    tag = await fragment_tag(site, "h1")
    bad = await site.ask("PUT", "/page.html", b"<ul>", "ul", If_Match=tag)
    assert bad.status == 412
    gone = await site.ask("PUT", "/page.html", b"<ul>", "h6", If_Match=tag)
    assert gone.status == 412
    assert "Beam-Fragment-ETag" not in gone.headers


async def test_if_none_match_with_a_fragment_tag_answers_304_while_it_stays(site):
    tag = await fragment_tag(site, "h1")
    await site.ask("PUT", "/page.html", b"<ul></ul>", "ul")
    same = await site.ask("GET", "/page.html", selector="h1", If_None_Match=tag)
    assert (same.status, same.body) == (304, b"")
    assert same.headers["Beam-Fragment-ETag"] == tag
    await site.ask("PUT", "/page.html", b"<h1>2</h1>", "h1")
    new = await site.ask("GET", "/page.html", selector="h1", If_None_Match=tag)
    assert (new.status, new.body) == (206, b"<h1>2</h1>")


async def test_if_none_match_with_a_fragment_tag_guards_against_a_repetition(site):
    tag = await fragment_tag(site, "h1")
    again = await site.ask("PUT", "/page.html", b"<h1>", "h1", If_None_Match=tag)
    assert again.status == 412


async def test_a_document_over_the_limit_is_served_and_not_edited(site):
    (site.root / "big.html").write_bytes(b"<p id=p>" + b"x" * (2 * 2**20))
    assert (await site.ask("GET", "/big.html")).status == 200
    for method in ("GET", "PUT"):
        answer = await site.ask(method, "/big.html", b"<p>", "#p")
        assert answer.status == 413
        assert answer.headers["X-Beamfast-Error"] == "document-too-large"


async def test_a_fragment_over_the_limit_is_413(site):
    body = b"<p>" + b"x" * 2**20
    answer = await site.ask("PUT", "/page.html", body, "h1")
    assert answer.status == 413
    assert answer.headers["X-Beamfast-Error"] == "body-too-large"


async def test_a_utf_16_document_is_served_and_not_selected_from(site):
    (site.root / "wide.html").write_bytes("<p>x".encode("utf-16"))
    assert (await site.ask("GET", "/wide.html")).status == 200
    answer = await site.ask("GET", "/wide.html", selector="p")
    assert answer.status == 422
    assert answer.headers["X-Beamfast-Error"] == "encoding"


async def test_a_cell_found_by_its_class_keeps_its_tag(site):
    (site.root / "t.html").write_bytes(b"<table><tr><td class=k>1<td>2</table>{{ x }}")
    answer = await site.ask("PUT", "/t.html", b"<td class=k>9", "td.k")
    assert answer.status == 206
    assert site.read("t.html") == b"<table><tr><td class=k>9<td>2</table>{{ x }}"


async def test_a_utf_16_document_takes_no_edit_and_stays(site):
    source = "<p>x".encode("utf-16")
    (site.root / "wide.html").write_bytes(source)
    assert (await site.ask("PUT", "/wide.html", b"<p>y", "p")).status == 422
    assert site.read("wide.html") == source


async def test_template_content_needs_to_be_asked_for(site):
    (site.root / "t.html").write_bytes(b"<template><p>in</p></template><p>out</p>")
    answer = await site.ask("GET", "/t.html", selector="p")
    assert answer.body == b"<p>out</p>"
    scoped = await site.ask("GET", "/t.html", selector="p", Beam_Scope="template")
    assert scoped.body == b"<p>in</p>\n<p>out</p>"
    await site.ask("PUT", "/t.html", b"<p>new</p>", "p", Beam_Scope="template")
    assert site.read("t.html") == b"<template><p>new</p></template><p>out</p>"
    await site.ask("PUT", "/t.html", b"<p>now</p>", "p")
    assert site.read("t.html") == b"<template><p>new</p></template><p>now</p>"


async def test_a_hundred_parallel_posts_give_a_hundred_items(site):
    answers = await asyncio.gather(
        *(
            site.ask("POST", "/page.html", b"<li>%d</li>" % number, "ul")
            for number in range(100)
        )
    )
    assert {answer.status for answer in answers} == {206}
    assert site.read("page.html").count(b"<li>") == 102
    revisions = {answer.headers["ETag"].split("-")[0] for answer in answers}
    assert len(revisions) == 100


async def test_an_edit_that_is_sent_again_is_done_once(site):
    for method, content, status in (
        ("PUT", b"<h1 class=top>x</h1>", 206),
        ("POST", b"<li>x</li>", 206),
        ("DELETE", b"", 204),
    ):
        selector = {"PUT": "h1", "POST": "ul", "DELETE": "option"}[method]
        first, second = [
            await site.ask(
                *(method, "/page.html", content, selector), Idempotency_Key=method
            )
            for _ in range(2)
        ]
        assert (first.status, second.status) == (status, status)
        assert first.headers["ETag"] == second.headers["ETag"]
    assert site.read("page.html").count(b"<li>x") == 1


async def test_a_key_of_another_edit_is_422(site):
    await site.ask("PUT", "/page.html", b"<h1>x</h1>", "h1", Idempotency_Key="k")
    answer = await site.ask("POST", "/page.html", b"x", "h1", Idempotency_Key="k")
    assert answer.status == 422
    assert answer.headers["X-Beamfast-Error"] == "idempotency-key"
