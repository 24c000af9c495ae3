"""Selections: what a selector reads, and the tag of it."""

import re

from beamfast.documents.document import Document
from beamfast.documents.selection import read_selection
from beamfast.documents.selector import Selector

PAGE = b"<p id=a>one</p> <p id=b>two\n<template><p>three</p></template>"


def read(source, css, **options):
    return read_selection(Document(source), Selector(css), **options)


def test_all_matches_are_read_as_they_stand_in_the_file():
    assert read(PAGE, "p").content == b"<p id=a>one</p>\n" + PAGE[16:].rstrip()
    assert read(PAGE, "template p", template_scope=True).content == b"<p>three</p>"
    assert read(PAGE, "template p") is None


def test_the_tag_changes_with_what_is_read_and_with_nothing_else():
    tag = read(PAGE, "#a").tag
    assert re.fullmatch("f-[0-9a-f]{16}", tag)
    assert read(PAGE.replace(b"two", b"2"), "#a").tag == tag
    assert read(PAGE.replace(b"one", b"1"), "#a").tag != tag
    assert read(PAGE, "p").tag != tag
