"""Lines are added, files are rotated once, and several writers lose nothing."""

import re
import subprocess
import sys

import pytest

from beamfast.logfile import LogFile

DAY = 86400.0
WRITER = """
import sys
from pathlib import Path
from beamfast.logfile import LogFile
log = LogFile(Path(sys.argv[1]), max_bytes=500)
for number in range(300):
    log.write(f"{sys.argv[2]}-{number}\\n")
log.close()
"""


class Clock:
    now = 20_000 * DAY + 10

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "logs" / "access.log"


@pytest.fixture
def log(path, clock):
    opened = []

    def make(**options):
        opened.append(LogFile(path, clock=clock, **options))
        return opened[-1]

    yield make
    for one in opened:
        one.close()


def others(path):
    return sorted(one.name for one in path.parent.iterdir() if one != path)


def test_lines_are_added_and_folders_made(log, path):
    log().write("one\n")
    log().write("two\n")
    assert path.read_text() == "one\ntwo\n"
    assert others(path) == []


def test_a_full_file_gets_a_time_stamp_and_a_new_one_begins(log, path):
    one = log(max_bytes=6)
    for text in ("1234\n", "5678\n", "90\n"):
        one.write(text)
    assert path.read_text() == "90\n"
    [old] = others(path)
    assert re.fullmatch(r"access\.log\.\d{8}_\d{6}", old)
    assert path.with_name(old).read_text() == "1234\n5678\n"


def test_two_rotations_in_one_second_keep_both_files(log, path):
    one = log(max_bytes=1)
    for text in "abc":
        one.write(text)
    assert len(others(path)) == 2
    assert path.read_text() == "c"


def test_a_new_day_begins_a_new_file(log, path, clock):
    one = log(is_daily=True)
    one.write("today\n")
    one._day = int(clock.now // DAY)
    clock.now += DAY
    one.write("tomorrow\n")
    one.write("and more\n")
    assert path.read_text() == "tomorrow\nand more\n"
    assert len(others(path)) == 1


def test_a_file_of_yesterday_is_rotated_at_the_first_line(log, path, clock):
    log().write("old\n")
    clock.now = path.stat().st_mtime + DAY
    log(is_daily=True).write("new\n")
    assert path.read_text() == "new\n"


def test_a_file_that_was_moved_away_is_begun_again(log, path):
    one = log()
    one.write("old\n")
    path.rename(path.with_name("moved"))
    one.write("new\n")
    assert path.read_text() == "new\n"
    other = log()
    path.unlink()
    other.write("again\n")
    assert path.read_text() == "again\n"


def test_several_processes_lose_no_line(path):
    processes = [
        subprocess.Popen([sys.executable, "-c", WRITER, path, str(number)])
        for number in range(3)
    ]
    assert [process.wait(60) for process in processes] == [0, 0, 0]
    files = list(path.parent.iterdir())
    lines = [line for file in files for line in file.read_text().splitlines()]
    assert sorted(lines) == sorted(f"{p}-{n}" for p in range(3) for n in range(300))
    assert len(files) > 1


def test_text_that_has_no_utf_8_form_is_written_all_the_same(log, path):
    log().write("a\udcffb\n")
    assert path.read_text() == "a\\udcffb\n"


def test_a_file_that_cannot_be_opened_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        LogFile(tmp_path / "file" / "log")
