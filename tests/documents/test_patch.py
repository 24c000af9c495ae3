"""A list of operations as JSON."""

import json

import pytest

from beamfast.documents.change import Origin, carry_out
from beamfast.documents.document import Document
from beamfast.documents.edit import Kind
from beamfast.documents.patch import read_patch
from beamfast.documents.selection import read_selection
from beamfast.documents.selector import Selector
from beamfast.entry import Version
from beamfast.errors import DocumentError

SOURCE = b"<ul id=a><li>1<li>2</ul><p class=k>x</p>"
BASE = Version.of_file(SOURCE)


def patch(*items):
    return read_patch(json.dumps(items).encode())


def done(*items):
    return carry_out(
        *(patch(*items), Document(SOURCE, BASE), BASE, Origin("/p", operation_id="op")),
        edit_limit=2**20,
    )


def refusal(body, status=400):
    with pytest.raises(DocumentError) as caught:
        read_patch(body if isinstance(body, bytes) else json.dumps(body).encode())
    assert caught.value.status == status
    return caught.value.code, str(caught.value)


@pytest.mark.parametrize(
    ("item", "after"),
    [
        ({"op": "append", "html": "<li>3"}, b"<li>2<li>3</ul>"),
        ({"op": "prepend", "html": "<li>0"}, b"<ul id=a><li>0<li>1"),
        ({"op": "before", "text": "<&"}, b"&lt;&amp;<ul id=a>"),
        ({"op": "after", "html": "<hr>"}, b"</ul><hr><p"),
        ({"op": "inner", "html": ""}, b"<ul id=a></ul>"),
        ({"op": "replace", "html": "<hr>"}, b"<hr><p"),
        ({"op": "delete"}, b"<p class=k>x</p>"),
        ({"op": "text", "text": "a<b"}, b"<ul id=a>a&lt;b</ul>"),
        ({"op": "set-attr", "name": "id", "value": "b c"}, b'<ul id="b c">'),
        ({"op": "remove-attr", "name": "id"}, b"<ul><li>"),
        ({"op": "class", "value": "add m"}, b'<ul id=a class="m">'),
    ],
)
def test_every_operation(item, after):
    outcome = done({"selector": "ul", **item})
    assert after in outcome.document.source


def test_later_items_see_what_earlier_ones_did():
    outcome = done(
        {"op": "replace", "selector": "p", "html": "<p id=new>"},
        {"op": "append", "selector": "#new", "text": "a & b"},
        {"op": "delete", "xpath": "//li", "match": "all"},
        {"op": "delete", "selector": "h6", "match": "none-ok"},
    )
    assert outcome.document.source == b"<ul id=a></ul><p id=new>a &amp; b"
    assert [step.item for step in outcome.steps] == [0, 1, 2, 2]
    assert [step.version.revision for step in outcome.steps] == [1, 2, 3, 4]
    assert [step.entry.remaining for step in outcome.steps] == [3, 2, 1, 0]
    # One after the other, each on the one before.
    version, length = BASE, len(SOURCE)
    for step in outcome.steps:
        version = version.next(step.event)
        assert (step.version, step.entry.length_before) == (version, length)
        length = step.entry.length_after
    assert length == outcome.document.size


def test_a_patch_that_fails_names_the_item_and_changes_nothing():
    document = Document(SOURCE, BASE)
    items = patch({"op": "delete", "selector": "p"}, {"op": "delete", "selector": "p"})
    with pytest.raises(DocumentError, match=r"Item 2: No elements matched") as caught:
        carry_out(items, document, BASE, Origin("/p"), edit_limit=2**20)
    assert caught.value.code == "no-match"
    assert document.source == SOURCE
    assert document.select(Selector("p"))


def test_nothing_to_do_is_no_version():
    outcome = done({"op": "delete", "selector": "h6", "match": "none-ok"})
    assert not outcome.is_logged
    assert (outcome.version, outcome.document.source) == (BASE, SOURCE)


def test_an_item_can_depend_on_what_its_selector_reads():
    tag = read_selection(Document(SOURCE), Selector("p")).tag
    item = {"op": "text", "selector": "p", "text": "y"}
    assert done({**item, "if": f'"{tag}"'}).is_logged
    assert done({**item, "if": str(BASE)}).is_logged
    with pytest.raises(DocumentError) as caught:
        done({**item, "text": "z"}, {**item, "if": tag})
    assert (caught.value.status, str(caught.value)[:6]) == (412, "Item 2")


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"{}", b"[", b"\xff", b"[]", [{}], [{"op": "move", "selector": "p"}]),
        [{"op": "delete", "selector": "p", "colour": "red"}],
        [{"op": "delete", "selector": "p", "match": "some"}],
        [{"op": "delete", "selector": "p"}] * 257,
    ],
)
def test_what_is_no_patch_is_refused(body):
    assert refusal(body)[0] == "invalid-body"


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        ({"op": "delete"}, "one of selector and xpath"),
        ({"op": "delete", "selector": "p", "xpath": "//p"}, "one of selector"),
        ({"op": "delete", "selector": "p", "html": ""}, "delete takes no html"),
        ({"op": "append", "selector": "p"}, "append needs text"),
        ({"op": "append", "selector": "p", "html": "", "text": ""}, "takes no text"),
        ({"op": "set-attr", "selector": "p", "name": "a"}, "set-attr needs value"),
        ({"op": "remove-attr", "selector": "p", "name": "a b"}, "no name"),
        ({"op": "class", "selector": "p", "value": "join k"}, "add, remove or toggle"),
        ({"op": "delete", "selector": "p", "match": 0}, "counts from 1"),
    ],
)
def test_what_an_item_cannot_mean_is_refused(item, reason):
    code, text = refusal([{"op": "delete", "selector": "p"}, item])
    assert code == "bad-operation"
    assert text.startswith("Item 2: ")
    assert reason in text


def test_a_bad_selector_is_named():
    body = [{"op": "delete", "selector": "p,"}]
    assert refusal(body, 404) == (
        "invalid-selector",
        "Item 1: No elements matched the selector",
    )
    assert refusal([{"op": "delete", "xpath": "//["}], 404)[0] == "invalid-selector"
    assert patch({"op": "delete", "selector": "p"}).items[0].operation.kind is (
        Kind.DELETE
    )
