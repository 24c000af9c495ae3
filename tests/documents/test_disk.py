"""Files on disk: replaced in one step, whatever goes wrong."""

import errno
import fcntl
import os
import resource
import signal
import subprocess
import sys
import threading

import pytest

from beamfast.documents import disk
from beamfast.documents.disk import FileStamp
from beamfast.errors import (
    AccessDenied,
    DocumentNotFound,
    EditConflict,
    StorageError,
)


def temporaries(directory):
    return list(directory.glob(".beamfast-*"))


@pytest.fixture
def page(tmp_path):
    page = tmp_path / "page.html"
    page.write_bytes(b"old")
    return page


def write(page, data=b"new", durable=True):
    return disk.replace_file(str(page), data, durable=durable)


@pytest.mark.parametrize("durable", [True, False])
def test_a_write_gives_the_new_content_and_its_stamp(page, durable):
    stamp = write(page, b"new content", durable)
    assert disk.read_file(str(page)) == (b"new content", stamp)
    assert stamp == FileStamp.of(page.stat())
    assert temporaries(page.parent) == []


def test_a_reader_keeps_the_old_file_while_the_new_one_comes(page):
    with page.open("rb") as reader:
        write(page)
        assert reader.read() == b"old"
    assert page.read_bytes() == b"new"


def test_missing_directories_are_made(tmp_path):
    write(tmp_path / "a" / "b" / "c.html")
    assert (tmp_path / "a" / "b" / "c.html").read_bytes() == b"new"


def test_mode_and_owner_are_kept(page):
    page.chmod(0o640)
    before = page.stat()
    write(page)
    after = page.stat()
    assert after.st_mode == before.st_mode
    assert (after.st_uid, after.st_gid) == (before.st_uid, before.st_gid)


def test_new_files_follow_the_umask(tmp_path):
    old = os.umask(0o027)
    try:
        write(tmp_path / "new.html")
    finally:
        os.umask(old)
    assert (tmp_path / "new.html").stat().st_mode & 0o777 == 0o640


def test_an_owner_that_cannot_be_kept_is_given_up(page, monkeypatch):
    def refuse(descriptor, user, group):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    real = os.fstat

    def other_owner(descriptor):
        fields = list(real(descriptor))
        fields[4] += 1
        return os.stat_result(fields)

    monkeypatch.setattr(os, "fchown", refuse)
    monkeypatch.setattr(os, "fstat", other_owner)
    write(page)
    assert page.read_bytes() == b"new"


def test_a_full_disk_changes_nothing(page):
    # Python ignores SIGXFSZ, so the limit shows as EFBIG in the middle of a write.
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, hard))
    try:
        with pytest.raises(StorageError) as caught:
            write(page.parent / "deep" / "er" / "new.html", b"x" * 100_000)
        with pytest.raises(StorageError):
            write(page, b"x" * 100_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (caught.value.status, caught.value.code) == (507, "storage-full")
    assert page.read_bytes() == b"old"
    assert [found.name for found in page.parent.iterdir()] == ["page.html"]


@pytest.mark.parametrize(
    ("number", "kind", "status"),
    [
        (errno.ENOSPC, StorageError, 507),
        (errno.EDQUOT, StorageError, 507),
        (errno.EIO, StorageError, 500),
        (errno.ENOENT, StorageError, 500),
        (errno.EACCES, AccessDenied, 403),
        (errno.EROFS, AccessDenied, 403),
        (errno.EISDIR, EditConflict, 409),
    ],
)
@pytest.mark.parametrize("call", ["open", "fchmod", "write", "fsync"])
def test_every_failure_leaves_the_old_file_and_no_other(
    page, monkeypatch, call, number, kind, status
):
    def fail(*arguments):
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        with pytest.raises(kind) as caught:
            write(page)
    assert caught.value.status == status
    assert page.read_bytes() == b"old"
    assert [found.name for found in page.parent.iterdir()] == ["page.html"]


def test_file_systems_without_locks_are_written_to_all_the_same(page, monkeypatch):
    def fail(descriptor, operation):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", fail)
    write(page)
    assert page.read_bytes() == b"new"


def test_a_file_in_the_place_of_a_directory_is_a_conflict(page):
    for target in (page / "inside.html", page / "deeper" / "inside.html"):
        with pytest.raises(EditConflict):
            write(target)
    (page.parent / "folder").mkdir()
    with pytest.raises(EditConflict):
        write(page.parent / "folder")


def test_reading_what_is_no_file(tmp_path):
    with pytest.raises(DocumentNotFound):
        disk.read_file(str(tmp_path / "missing"))
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(AccessDenied):
        disk.read_file(str(tmp_path / "pipe"))
    (tmp_path / "link").symlink_to("page.html")
    with pytest.raises(AccessDenied):
        disk.read_file(str(tmp_path / "link"))


def test_a_file_that_changes_while_it_is_read_is_read_again(page, monkeypatch):
    real = os.fstat
    calls = []

    def changing(descriptor):
        calls.append(descriptor)
        if len(calls) == 2:
            page.write_bytes(b"newer")
        return real(descriptor)

    monkeypatch.setattr(os, "fstat", changing)
    assert disk.read_file(str(page))[0] == b"newer"
    assert len(calls) == 3


def test_removing(page):
    disk.remove_file(str(page))
    with pytest.raises(DocumentNotFound):
        disk.remove_file(str(page))


def test_only_empty_directories_are_removed(page):
    with pytest.raises(EditConflict) as caught:
        disk.remove_directory(str(page.parent))
    assert (caught.value.status, caught.value.code) == (409, "directory-not-empty")
    page.unlink()
    disk.remove_directory(str(page.parent))
    with pytest.raises(DocumentNotFound):
        disk.remove_directory(str(page.parent))


def test_a_temporary_file_is_stale_only_when_its_writer_is_gone(tmp_path):
    (tmp_path / "deep").mkdir()
    stale = tmp_path / "deep" / ".beamfast-0123456789abcdef"
    stale.write_bytes(b"half")
    busy = tmp_path / ".beamfast-fedcba9876543210"
    with busy.open("wb") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        assert disk.remove_stale_files(str(tmp_path), lambda: False) == 1
    assert not stale.exists()
    assert busy.exists()
    assert disk.remove_stale_files(str(tmp_path), lambda: False) == 1


def test_who_clears_up_never_takes_the_file_of_a_writer(tmp_path):
    is_done = threading.Event()

    def clear_up():
        while not is_done.is_set():
            disk.remove_stale_files(str(tmp_path), lambda: False)

    others = [threading.Thread(target=clear_up) for _ in range(3)]
    for one in others:
        one.start()
    try:
        for number in range(2000):
            disk.replace_file(str(tmp_path / "page"), b"%d" % number, durable=False)
    finally:
        is_done.set()
        for one in others:
            one.join()
    assert [path.name for path in tmp_path.iterdir()] == ["page"]


@pytest.mark.parametrize("is_unlinked", [False, True])
def test_a_temporary_file_that_was_taken_for_stale_is_made_again(
    tmp_path, monkeypatch, is_unlinked
):
    lock = fcntl.flock
    taken = []

    def flock(descriptor, how):
        if not taken:
            (name,) = (path for path in tmp_path.iterdir() if path.name != "page")
            taken.append(name)
            if is_unlinked:
                name.unlink()
            else:
                raise BlockingIOError
        lock(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", flock)
    disk.replace_file(str(tmp_path / "page"), b"new", durable=False)
    assert (tmp_path / "page").read_bytes() == b"new"
    assert len(taken) == 1


def test_clearing_up_can_be_stopped(tmp_path):
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
        (tmp_path / name / ".beamfast-0123456789abcdef").write_bytes(b"half")
    answers = iter([False, False, True])
    assert disk.remove_stale_files(str(tmp_path), lambda: next(answers)) == 1


def test_a_temporary_file_that_vanishes_meanwhile_is_no_error(tmp_path, monkeypatch):
    (tmp_path / ".beamfast-0").symlink_to("nowhere")
    assert disk.remove_stale_files(str(tmp_path), lambda: False) == 0


WRITER = """
import sys
import threading
from beamfast.documents.disk import replace_file
for nth in range(10**6):
    data = (b"old", b"new")[nth % 2] * 50_000
    replace_file(sys.argv[1], data, durable=False)
    if nth % 50 == 0:
        print(nth, flush=True)
"""


def test_a_writer_killed_at_any_point_leaves_a_whole_file(tmp_path):
    page = tmp_path / "page.html"
    for lines in (1, 2, 3):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(page)], stdout=subprocess.PIPE
        ) as writer:
            for _ in range(lines):
                assert writer.stdout.readline()
            writer.send_signal(signal.SIGKILL)
        assert page.read_bytes() in (b"old" * 50_000, b"new" * 50_000)
        disk.remove_stale_files(str(tmp_path), lambda: False)
        assert [found.name for found in tmp_path.iterdir()] == ["page.html"]


def test_stamps_tell_when_and_how_big():
    stamp = FileStamp(0xA, 0xB, 1_500_000_000)
    assert stamp.etag == "59682f00-b-a"
    assert stamp.modified == 1
    assert not stamp.is_racy


def test_a_file_that_never_rests_is_read_all_the_same(tmp_path, monkeypatch):
    page = tmp_path / "log.txt"
    page.write_bytes(b"0")
    real = os.fstat

    def growing(descriptor):
        with page.open("ab") as stream:
            stream.write(b"+")
        return real(descriptor)

    monkeypatch.setattr(os, "fstat", growing)
    data, stamp = disk.read_file(str(page))
    monkeypatch.undo()
    assert data.startswith(b"0+")
    assert stamp != disk.FileStamp.of(page.stat())


def test_an_opened_file_comes_with_its_stamp(tmp_path):
    page = tmp_path / "a.bin"
    page.write_bytes(b"abc")
    stream, stamp = disk.open_file(str(page))
    with stream:
        assert stream.read() == b"abc"
    assert stamp == disk.FileStamp.of(page.stat())


def test_only_files_can_be_opened(tmp_path):
    with pytest.raises(DocumentNotFound):
        disk.open_file(str(tmp_path / "missing"))
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(AccessDenied):
        disk.open_file(str(tmp_path / "pipe"))
