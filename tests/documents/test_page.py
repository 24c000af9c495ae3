"""A page that is read again when it changes."""

import os

from beamfast.documents.document import Document
from beamfast.documents.page import Page
from beamfast.documents.store import DocumentStore
from beamfast.errors import DocumentNotFound


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


class Snapshots:
    """Stands for the committer: what was edited, before its file is written."""

    def __init__(self) -> None:
        self.document: Document | None = None
        self.is_gone = False

    def peek(self, location):
        if self.is_gone:
            raise DocumentNotFound("gone")
        return self.document

    async def current(self, location):
        self.document = Document(b"after waiting")
        return self.document


async def test_a_page_that_is_served_is_read_as_it_was_last_edited(tmp_path):
    file = tmp_path / "users.html"
    file.write_text("in the file")
    parsed = []
    page = Page(str(file), lambda text: parsed.append(text) or text, "nothing")
    snapshots = Snapshots()
    page.follow(DocumentStore(tmp_path), snapshots)
    assert page.read() == "in the file"
    await page.wait()
    assert [page.read(), page.read()] == ["after waiting"] * 2
    assert page.wait() is None
    snapshots.document = Document(b"edited")
    assert page.read() == "edited"
    assert parsed == ["in the file", "after waiting", "edited"]
    snapshots.is_gone = True
    assert page.wait() is None
    assert (page.read(), page.is_readable) == ("nothing", False)


def test_a_page_elsewhere_is_a_file_and_no_more(tmp_path):
    (tmp_path / "site").mkdir()
    for name in ("users.html", "site/.users.html", "site/users.txt"):
        (tmp_path / name).write_text("one")
        page = Page(str(tmp_path / name), str.upper, "nothing")
        page.follow(DocumentStore(tmp_path / "site"), Snapshots())
        assert page.wait() is None
        assert page.read() == "ONE"
