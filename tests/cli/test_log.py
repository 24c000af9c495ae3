def test_the_log_says_who_did_what(run, page, edit):
    versions = edit(b"<p>1</p>", b"<p>22</p>")
    result = run("log", page)
    assert result.exit_code == 0
    first, second = result.output.splitlines()
    assert first.startswith(versions[0])
    assert second.startswith(versions[1])
    assert second.split("  ")[2:] == ["ann", "append", "+9 B", "(whole file)"]


def test_the_log_can_be_cut(run, page, edit):
    versions = edit(b"1", b"2", b"3")
    (line,) = run("log", page, "-n", 1).output.splitlines()
    assert line.startswith(versions[2])


def test_the_log_of_a_page_that_is_gone_is_there(run, page, edit):
    edit(b"1", None)
    assert len(run("log", page).output.splitlines()) == 2


def test_a_page_without_history_says_so(run, page, edit):
    for again in range(2):
        result = run("log", page if not again else page.with_name("other.html"))
        assert result.exit_code == 2
        assert "no history" in result.output
        edit(b"1")
