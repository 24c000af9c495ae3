"""A page that is read again when it changes."""

import os

from beamfast.documents.page import Page


def test_a_change_is_seen_at_the_next_look(tmp_path):
    file = tmp_path / "users.html"
    file.write_text("one")
    page = Page(f"file://{file}", str.upper, "nothing")
    assert page.read() == "ONE"
    file.write_text("two")
    assert page.read() == "TWO"


def test_an_unchanged_page_is_parsed_once(tmp_path):
    file = tmp_path / "users.html"
    file.write_text("one")
    os.utime(file, (1, 1))
    parsed = []
    page = Page(str(file), parsed.append, None)
    for _ in range(3):
        page.read()
    assert parsed == ["one"]


def test_a_page_that_goes_away_leaves_nothing_behind(tmp_path, caplog):
    file = tmp_path / "users.html"
    page = Page(str(file), str.upper, "nothing")
    for _ in range(2):
        assert page.read() == "nothing"
    assert not page.is_readable
    assert caplog.text.count("cannot be read") == 1
    file.write_text("one")
    assert page.read() == "ONE"
    assert page.is_readable
    file.unlink()
    assert page.read() == "nothing"


def test_bytes_that_are_not_utf_8_do_not_stop_it(tmp_path):
    file = tmp_path / "users.html"
    file.write_bytes(b"a\xff")
    assert Page(str(file), str, "").read() == "a\ufffd"
