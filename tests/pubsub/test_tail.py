"""Files that others append to, cut, rename and remove."""

import os
import random
from pathlib import Path

import pytest

from beamfast.pubsub.tail import LINE_LIMIT, PATIENCE, Lines, OpenFile, Tail


class Followed:
    """A log file, its follower, and what came."""

    def __init__(self, path: Path, *, batch: int = 4096) -> None:
        self.path = path
        self.tail = Tail(path, batch=batch)
        self.tail.open()

    def append(self, text: str) -> None:
        with self.path.open("a") as file:
            file.write(text)

    def look(self) -> list[str]:
        """Return the lines of one look."""
        return [line for piece in self.tail.read() for line in piece.text.split("\n")]


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "app.log"
    path.write_text("old 1\nold 2\nold 3\n")
    log = Followed(path)
    yield log
    log.tail.close()


def test_only_what_is_appended_is_read(log):
    assert log.look() == []
    log.append("new 1\nnew 2\n")
    assert log.look() == ["new 1", "new 2"]
    assert log.look() == []


def test_a_line_waits_for_its_end(log):
    log.append("first half, ")
    assert log.look() == []
    log.append("second half\nand")
    assert log.look() == ["first half, second half"]


def test_a_line_that_was_begun_before_is_read_whole(tmp_path):
    path = tmp_path / "app.log"
    path.write_text("done\nbegun, ")
    log = Followed(path)
    log.append("and ended\n")
    assert log.look() == ["begun, and ended"]
    log.tail.close()


def test_a_line_without_end_comes_in_pieces(log):
    log.append("x" * (LINE_LIMIT + 4096))
    (line,) = log.look()
    assert len(line) >= LINE_LIMIT
    log.append("\n")
    assert set("".join(log.look())) <= {"x"}


def test_bytes_that_are_no_text_are_replaced(log):
    with log.path.open("ab") as file:
        file.write(b"caf\xe9\n")
    assert log.look() == ["caf\N{REPLACEMENT CHARACTER}"]


def test_a_file_that_comes_later_is_read_from_its_start(tmp_path):
    log = Followed(tmp_path / "late.log")
    assert log.look() == []
    assert log.tail.last_lines(5) is None
    log.append("one\n")
    assert log.look() == ["one"]
    log.tail.close()


def test_what_follows_a_truncation_is_read_from_the_start(log):
    log.append("new 1\n")
    log.look()
    log.path.write_text("")
    log.append("a\n")
    assert log.look() == ["a"]


def test_a_truncation_is_noticed_when_the_file_has_grown_past_the_old_place(log):
    log.append("new 1\n")
    log.look()
    log.path.write_text("")
    log.append("".join(f"again {number}\n" for number in range(50)))
    assert log.look() == [f"again {number}" for number in range(50)]


def test_the_old_file_is_read_to_its_end_and_the_new_one_from_its_start(log):
    log.append("old 4\n")
    log.path.rename(log.path.with_suffix(".1"))
    log.append("new 1\n")
    assert log.look() == ["old 4", "new 1"]


def test_a_program_may_write_on_into_the_renamed_file(log):
    with log.path.open("a", buffering=1) as writer:
        log.path.rename(log.path.with_suffix(".1"))
        assert log.look() == []
        for number in range(PATIENCE * 2):
            writer.write(f"still {number}\n")
            assert log.look() == [f"still {number}"]
        log.append("new\n")
        writer.write("last\n")
        assert log.look() == ["last", "new"]


def test_the_last_line_of_a_finished_file_needs_no_end(log):
    log.append("no end")
    log.path.rename(log.path.with_suffix(".1"))
    looks = [log.look() for _ in range(PATIENCE + 1)]
    assert [line for look in looks for line in look] == ["no end"]


def test_a_file_that_has_its_name_back_goes_on(log):
    other = log.path.with_suffix(".1")
    log.append("a\n")
    log.path.rename(other)
    assert log.look() == ["a"]
    other.rename(log.path)
    log.append("b\n")
    assert log.look() == ["b"]


def test_the_files_of_a_follower_are_closed(log, monkeypatch):
    closed = []
    close = OpenFile.close

    def note(file):
        closed.append(file)
        close(file)

    monkeypatch.setattr(OpenFile, "close", note)
    for number in range(5):
        log.path.rename(log.path.with_suffix(f".{number}"))
        log.append("x\n")
        log.look()
    for _ in range(PATIENCE + 1):
        log.look()
    assert len(set(closed)) == len(closed) == 5


def test_a_folder_or_a_pipe_is_no_log(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        log = Followed(path)
        assert log.look() == []
        log.tail.close()


def test_the_last_lines_are_those_before_what_comes_next(log):
    log.append("new\nbegun")
    assert log.tail.last_lines(2) == Lines("old 2\nold 3", log.tail.last_lines(0)[1])
    assert log.look() == ["new"]
    assert log.tail.last_lines(99).text == "old 1\nold 2\nold 3\nnew"
    assert log.tail.last_lines(0).text == ""


def test_the_last_lines_are_within_the_limit_and_whole(tmp_path):
    path = tmp_path / "app.log"
    path.write_text("".join(f"line {number:03}\n" for number in range(100)))
    log = Followed(path, batch=100)
    assert log.tail.last_lines(50).text.split("\n")[0] == "line 089"
    log.tail.close()


def test_a_position_leads_on(log):
    log.append("a\n")
    (piece,) = log.tail.read()
    log.append("b\nc\n")
    log.look()
    assert log.tail.lines_since(piece.position) == Lines(
        "b\nc", log.tail.last_lines(0).position
    )
    inode = piece.position.partition(":")[0]
    for unknown in (
        "1:2",
        "x",
        f"{inode}:9999",
        f"{inode}:-1",
        f"{inode}:\N{SUPERSCRIPT TWO}",
    ):
        assert log.tail.lines_since(unknown) is None


def test_a_position_in_a_renamed_file_leads_on(log):
    log.append("a\n")
    (piece,) = log.tail.read()
    log.append("b\n")
    log.path.rename(log.path.with_suffix(".1"))
    log.look()
    assert log.tail.lines_since(piece.position).text == "b"


class Writer:
    """A program that writes numbered lines, and an operator who rotates them."""

    def __init__(self, path: Path, seed: int) -> None:
        self.path = path
        self.random = random.Random(seed)
        self.written = 0
        self.unread: list[str] = []
        self.must_come: list[str] = []
        self.rotations = 0
        self.file = path.open("ab", buffering=0)

    def write(self) -> None:
        for _ in range(self.random.randrange(6)):
            self.written += 1
            line = f"{self.written} " + "x" * self.random.randrange(200)
            self.unread.append(line)
            data = f"{line}\n".encode()
            # In two writes, as buffers have it.
            cut = self.random.randrange(len(data))
            self.file.write(data[:cut])
            self.file.write(data[cut:])

    def read(self) -> None:
        """Note that somebody has looked."""
        self.must_come += self.unread
        self.unread.clear()

    def rotate(self) -> None:
        self.rotations += 1
        old = self.path.with_name(f"{self.path.name}.{self.rotations}")
        self.path.rename(old)
        if self.random.random() < 0.5:
            # Until it is told to open the new file, it writes into the old one.
            self.write()
        self.file.close()
        self.file = self.path.open("ab", buffering=0)

    def truncate(self) -> None:
        # What nobody had read goes with the file.
        self.unread.clear()
        os.ftruncate(self.file.fileno(), 0)


@pytest.mark.parametrize("seed", range(4))
def test_172_no_line_is_lost_in_250_rotations_and_truncations(tmp_path, seed):
    writer = Writer(tmp_path / "app.log", seed)
    log = Followed(writer.path, batch=512)
    came: list[str] = []
    for _ in range(250):
        for _ in range(writer.random.randrange(4)):
            writer.write()
            if writer.random.random() < 0.5:
                came += log.look()
                writer.read()
        if writer.random.random() < 0.5:
            writer.rotate()
            writer.write()
            # Two renamings between two looks would hide the file between them.
            came += log.look()
            writer.read()
        else:
            writer.truncate()
            writer.write()
    came += log.look()
    writer.read()
    writer.file.close()
    log.tail.close()
    assert came == writer.must_come
    assert writer.rotations > 90
