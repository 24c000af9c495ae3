import inspect

import pytest

from beamfast.entry import Version
from beamfast.journal.file import FileJournal
from beamfast.journal.journal import (
    Behind,
    FileRecord,
    Health,
    Journal,
    Logged,
    Reset,
    Snapshot,
)
from beamfast.journal.memory import MemoryJournal

VERSION = Version(1, "0123456789abcdef")


def test_a_journal_is_abstract_in_every_method():
    methods = {
        name for name, _ in inspect.getmembers(Journal, inspect.isfunction)
    } - set(dir(object))
    assert Journal.__abstractmethods__ == methods
    with pytest.raises(TypeError):
        Journal()


def test_the_methods_are_those_of_the_interface():
    assert Journal.__abstractmethods__ == {
        *("turn", "head", "load", "commit", "find", "replay", "since", "positions"),
        *("files", "set_files", "health", "close"),
    }


@pytest.mark.parametrize("name", sorted(Journal.__abstractmethods__))
def test_an_implementation_takes_the_same_arguments(name):
    signatures = [
        list(inspect.signature(getattr(kind, name)).parameters)
        for kind in (Journal, MemoryJournal, FileJournal)
    ]
    assert signatures[0] == signatures[1] == signatures[2]


def test_answers_can_be_compared():
    logged = Logged(1, "/a", VERSION, b"event")
    assert Behind([logged]) == Behind([logged])
    assert Reset() == Reset()
    assert Snapshot(VERSION, VERSION, b"body") == (VERSION, VERSION, b"body", ())
    assert FileRecord(VERSION) == (VERSION, b"", 0, 0, 0, 0)
    assert Health("ok") == Health("ok", "")
