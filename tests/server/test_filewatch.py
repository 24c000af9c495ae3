"""Whether a configuration file was saved."""

import os

import pytest

from beamfast.server.filewatch import FileWatch


@pytest.fixture
def file(tmp_path):
    file = tmp_path / "site.toml"
    file.write_text("one")
    return file


def test_what_nobody_saves_has_not_changed(file):
    watch = FileWatch(file)
    assert not watch.has_changed()
    assert not watch.has_changed()


def replaced(file):
    new = file.with_suffix(".new")
    new.write_bytes(file.read_bytes())
    os.utime(new, ns=(0, file.stat().st_mtime_ns))
    new.replace(file)


@pytest.mark.parametrize(
    "save",
    [
        lambda file: file.write_text("longer"),
        lambda file: os.utime(file, (1, 1)),
        replaced,
    ],
    ids=["size", "time", "another file"],
)
def test_each_save_is_noticed_once(file, save):
    watch = FileWatch(file)
    save(file)
    assert watch.has_changed()
    assert not watch.has_changed()


def test_a_file_that_is_away_for_a_moment_has_changed_when_it_is_back(file):
    watch = FileWatch(file)
    file.unlink()
    assert not watch.has_changed()
    file.write_text("two again")
    assert watch.has_changed()


def test_one_that_comes_later_is_new(tmp_path):
    watch = FileWatch(tmp_path / "later")
    (tmp_path / "later").write_text("here")
    assert watch.has_changed()
