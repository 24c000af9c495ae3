"""Whose file it is: by identity, by digest, by absence."""

import os
import time

import pytest

from beamfast.commit.provenance import examine, record_of
from beamfast.documents.store import DocumentStore
from beamfast.entry import Version

OLD, NEW = Version(1, "0" * 16), Version(2, "1" * 16)


@pytest.fixture
def store(tmp_path):
    return DocumentStore(tmp_path)


@pytest.fixture
def file(tmp_path):
    """A page that was last written long ago."""
    file = tmp_path / "page.html"
    file.write_bytes(b"<p>one")
    age(file)
    return file


def age(file):
    past = time.time_ns() - 10**12
    os.utime(file, ns=(past, past))


def record(store, version):
    source, stamp = store.read(store.resolve("/page.html"))
    return record_of(version, source, stamp)


def found(store, *records):
    finding = examine(store, store.resolve("/page.html"), records)
    return finding.record and finding.record.version


def test_a_file_is_known_by_its_identity_without_being_read(store, file, monkeypatch):
    records = [record(store, OLD)]
    monkeypatch.setattr(store, "load", None)
    assert found(store, *records) == OLD


def test_a_file_that_was_copied_is_known_by_its_digest(store, file):
    records = [record(store, OLD)]
    file.unlink()
    file.write_bytes(b"<p>one")
    assert found(store, *records) == OLD


def test_a_file_with_other_bytes_was_changed_by_hand(store, file):
    records = [record(store, OLD)]
    file.write_bytes(b"<p>two")
    assert found(store, *records) is None
    finding = examine(store, store.resolve("/page.html"), records)
    assert finding.document.source == b"<p>two"


def test_the_newest_record_is_the_one_that_counts(store, file):
    assert found(store, record(store, OLD), record(store, NEW)) == NEW


def test_a_file_may_still_be_the_one_before_the_newest(store, file):
    old = record(store, OLD)
    file.write_bytes(b"<p>two")
    new = record(store, NEW)
    file.write_bytes(b"<p>one")
    assert found(store, old, new) == OLD


def test_no_file_is_known_by_the_record_of_its_absence(store, file):
    records = [record(store, OLD), record_of(NEW, None, None)]
    assert found(store, *records) == OLD
    file.unlink()
    assert found(store, *records) == NEW
    assert found(store, records[0]) is None


def test_a_file_that_nobody_recorded_was_made_by_hand(store, file):
    assert found(store) is None
    assert found(store, record_of(OLD, None, None)) is None


def test_a_write_in_the_same_tick_is_seen_by_its_bytes(store, file):
    file.write_bytes(b"<p>two")
    stamp = file.stat()
    records = [record(store, OLD)]
    file.write_bytes(b"<p>six")
    os.utime(file, ns=(stamp.st_mtime_ns, stamp.st_mtime_ns))
    assert found(store, *records) is None
