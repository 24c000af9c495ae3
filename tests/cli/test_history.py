import pytest

from beamfast.cli.history import key_of, root_of


def test_the_root_is_the_folder_with_the_journal(page, edit):
    edit(b"1")
    root = page.parent
    (root / "sub").mkdir()
    assert root_of(page) == root_of(root / "sub" / "none.html") == root
    assert key_of(root, root / "sub") == "/sub/index.html"
    assert key_of(root, page) == "/page.html"


def test_where_nothing_was_edited_there_is_no_root(page):
    with pytest.raises(Exception, match="no history"):
        root_of(page)
