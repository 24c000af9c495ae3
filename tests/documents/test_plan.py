"""Plans: what may stand where, before anything has happened."""

import pytest

from beamfast.documents.document import Document
from beamfast.documents.placement import plan_append
from beamfast.documents.plan import index_of, plan_delete, plan_replace
from beamfast.documents.selector import Selector
from beamfast.errors import EditConflict, EditRefused


def planned(plan, source, css, content=b""):
    document = Document(source)
    target = document.select(Selector(css))[0]
    before = document.html.serialize()
    made = plan(document, target, content)
    assert document.html.serialize() == before
    return made


def levels(plan):
    return [(writing.level, writing.before) for writing in plan.writings]


def test_the_content_as_sent_comes_before_its_balanced_form():
    plan = planned(plan_replace, b"<p>a</p>", "p", b"<b>x")
    assert [writing.content for writing in plan.writings] == ["<b>x", "<b>x</b>"]
    assert list(plan.ranges) == [(0, 8)]


def test_what_the_file_leaves_open_before_the_place_may_be_closed():
    plan = planned(plan_delete, b"<p>a</p><ul></ul>d", "ul")
    assert levels(plan) == [("splice", "")]
    plan = planned(plan_delete, b"<p>a<ul></ul>d", "ul")
    assert levels(plan) == [("splice", ""), ("closed", "</p>")]
    plan = planned(plan_append, b"<div><p>a<i>b</div>", "div", b"c")
    assert levels(plan)[-1] == ("closed", "</i></p>")


def test_void_and_foreign_elements_are_never_closed():
    assert levels(planned(plan_delete, b"<img><p>a", "p")) == [("splice", "")]
    assert levels(planned(plan_delete, b"<svg><g/></svg><p>a", "p")) == [("splice", "")]


def test_an_element_made_by_a_stray_end_tag_has_the_place_of_that_tag():
    plan = planned(plan_replace, b"<i>a</i>b</p >c", "p", b"x")
    assert list(plan.ranges) == [(9, 14)]
    plan = planned(plan_append, b"<i>a</i>b</p >c", "p", b"x")
    (writing,) = plan.writings
    assert (writing.before, writing.content, writing.after) == ("<p>", "x", "</p>")
    assert list(plan.ranges) == [(9, 14)]


def test_a_clone_has_no_place():
    assert list(planned(plan_replace, b"<b><p>x</b>y</p>", "p b", b"z").ranges) == []


def test_ambiguous_ends_are_tried_in_turn():
    plan = planned(plan_append, b"<div><h1>a</h2>text</div>", "h1", b"y")
    assert list(plan.ranges) == [(10, 10), (19, 19)]


def test_performing_the_plan_makes_the_expected_tree():
    document = Document(b"<p>a<b>c</b>d</p>")
    target = document.select(Selector("b"))[0]
    plan = plan_replace(document, target, b"x<i>y</i>z")
    assert plan.perform() == 2
    paragraph = document.select(Selector("p"))[0]
    assert paragraph.inner_html == "ax<i>y</i>zd"
    assert len(paragraph) == 3


def test_text_that_meets_text_becomes_one_node():
    for plan, css, count in ((plan_delete, "b", 0), (plan_replace, "b", 0)):
        document = Document(b"<p>a<b>c</b>d</p>")
        target = document.select(Selector(css))[0]
        content = b"x" if plan is plan_replace else b""
        assert plan(document, target, content).perform() == count
        assert len(document.select(Selector("p"))[0]) == 1


@pytest.mark.parametrize("plan", [plan_replace, plan_delete])
@pytest.mark.parametrize("css", ["html", "head", "body"])
def test_removing_a_structural_element_is_no_plan(plan, css):
    with pytest.raises(EditConflict):
        planned(plan, b"<p>a", css)


def test_appending_to_a_void_element_is_no_plan():
    with pytest.raises(EditRefused):
        planned(plan_append, b"<br>", "br", b"x")


def test_the_doctype_of_the_page_decides_how_a_new_body_parses():
    source = b"<!doctype html><body>x</body>"
    plan = planned(plan_replace, source, "body", b"<p>a<table></table>")
    assert plan.content == "<p>a</p><table></table>"
    assert plan.attributes == {}
    assert [writing.level for writing in plan.writings] == ["balanced"]


def test_appending_to_a_template_goes_into_its_content():
    document = Document(b"<template><td>a</td></template>")
    template = document.select(Selector("template"))[0]
    plan = plan_append(document, template, b"<td>b</td>")
    assert plan.perform() == 1
    assert template.inner_html == "<td>a</td><td>b</td>"
    assert plan.position(index_of) == (0, 0, 0, 0, 1)


def test_appended_text_joins_the_text_before_it():
    document = Document(b"<p>a</p><i></i>")
    target = document.select(Selector("p"))[0]
    assert plan_append(document, target, b"b").perform() == 0
    empty = document.select(Selector("i"))[0]
    assert plan_append(document, empty, b"b").perform() == 1
    assert document.html.root.inner_html.endswith("<p>ab</p><i>b</i></body>")
