import pytest

from beamfast.server.rundir import hold_roots

PAGE = b"<p>0</p>"


@pytest.mark.parametrize("kind", ["text", "number"])
def test_an_earlier_version_becomes_the_newest(run, page, edit, kind):
    versions = edit(b"1", b"2", b"3")
    result = run("restore", page, versions[0] if kind == "text" else 1)
    assert result.exit_code == 0, result.output
    assert "/page.html is version 4-" in result.output
    assert page.read_bytes() == PAGE + b"1"
    assert "restore" in run("log", page).output.splitlines()[3]


def test_the_file_before_the_first_edit_is_version_0(run, page, edit):
    edit(b"1", b"2")
    assert run("restore", page, 0).exit_code == 0
    assert page.read_bytes() == PAGE


def test_a_page_that_is_gone_comes_back(run, page, edit):
    edit(b"1", None)
    assert not page.exists()
    assert run("restore", page, 1).exit_code == 0
    assert page.read_bytes() == PAGE + b"1"


def test_a_page_goes_where_it_was_gone(run, page, edit):
    edit(b"1", None)
    run("restore", page, 1)
    assert run("restore", page, 2).exit_code == 0
    assert not page.exists()


def test_a_served_page_is_written_by_its_server(run, page, edit):
    edit(b"1", b"2")
    with hold_roots([page.parent]):
        result = run("restore", page, 1)
    assert "running server" in result.output
    assert page.read_bytes() == PAGE + b"12"
    edit(b"3")
    assert page.read_bytes() == PAGE + b"13"


def test_an_unknown_version_is_a_usage_error(run, page, edit):
    versions = edit(b"1")
    for version in ("9", "x", versions[0][:-1] + "x"):
        result = run("restore", page, version)
        assert result.exit_code == 2
        assert "no version" in result.output
