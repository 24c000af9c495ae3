"""
The test suite that every journal passes; also for journals of third parties.

Subclass :class:`JournalContract` in a test module and give it a fixture
``journal`` that returns a new, empty journal. The tests are coroutines, so
pytest needs pytest-asyncio with ``asyncio_mode = "auto"``; with
``pytest.register_assert_rewrite("beamfast.journal.contract")`` in ``conftest.py``
a failure shows its values. What a journal may forget (retention) and when its
writer is safe (durability) is its own business and not tested here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from beamfast.entry import Version
from beamfast.journal.journal import Behind, FileRecord, Journal, Logged, Reset

PAGE: Final = "/page.html"
OTHER: Final = "/other/pagé.html"
FILE: Final = Version.of_file(b"<p>file</p>")
ALL: Final = 1_000_000


def versions_after(base: Version, events: Sequence[bytes]) -> list[Version]:
    """Return the version that each of ``events`` leads to."""
    versions = []
    for event in events:
        base = base.next(event)
        versions.append(base)
    return versions


async def newest(journal: Journal, document: str = PAGE) -> Version | None:
    """Return the version that a document stands at."""
    return (await journal.positions([document])).get(document)


async def rebuilt(journal: Journal, document: str = PAGE) -> list[bytes | None]:
    """Return the stored body and the events after it, once they fit together."""
    snapshot = await journal.load(document)
    assert snapshot is not None
    version = snapshot.body_version
    for logged in snapshot.tail:
        version = version.next(logged.event)
        assert logged.version == version
    assert version == snapshot.version
    return [snapshot.body, *(logged.event for logged in snapshot.tail)]


async def fill(
    journal: Journal, *events: bytes, document: str = PAGE, base: Version = FILE
) -> list[Version]:
    """Commit ``events`` at once; return the version that each led to."""
    versions = versions_after(base, events)
    assert await journal.commit(document, base, events, b"body") == versions[-1]
    return versions


def contents(logged: Sequence[Logged] | Reset) -> list[tuple[str, Version, bytes]]:
    """Return what was logged, without the journal's own numbers."""
    assert not isinstance(logged, Reset)
    return [(one.document, one.version, one.event) for one in logged]


class JournalContract:
    """The behaviour that :class:`~beamfast.journal.journal.Journal` promises."""

    async def test_a_new_journal_can_store_edits(self, journal: Journal) -> None:
        """A journal that works says so."""
        assert journal.health().state == "ok"

    async def test_a_document_without_events_is_unknown(self, journal: Journal) -> None:
        """Revision 0 belongs to the file, of which the journal knows nothing."""
        assert await journal.load(PAGE) is None
        assert dict(await journal.positions([PAGE])) == {}
        assert isinstance(await journal.replay(PAGE, FILE, ALL), Reset)
        assert list(await journal.since(0)) == []
        assert list(await journal.files(PAGE)) == []
        assert await journal.find(PAGE, "operation") is None
        assert journal.head() == 0

    async def test_the_first_event_continues_the_file(self, journal: Journal) -> None:
        """The chain starts at the hash of the file's bytes."""
        version = await journal.commit(PAGE, FILE, [b"event"], b"<p>new</p>")
        assert version == FILE.next(b"event") == await newest(journal)
        assert await rebuilt(journal) == [b"<p>new</p>"]

    async def test_a_batch_is_one_step_with_a_version_each(
        self, journal: Journal
    ) -> None:
        """Events of a batch are numbered one by one, in order."""
        first, second, third = await fill(journal, b"1", b"2", b"3")
        assert (first.revision, second.revision, third.revision) == (1, 2, 3)
        assert contents(await journal.replay(PAGE, FILE, ALL)) == [
            (PAGE, first, b"1"),
            (PAGE, second, b"2"),
            (PAGE, third, b"3"),
        ]

    async def test_body_and_tail_lead_to_the_newest_event(
        self, journal: Journal
    ) -> None:
        """A journal may store a body seldom, but then it has what came since."""
        bodies: list[bytes | None] = [b"%d" % n * 2**16 for n in range(9)]
        version = FILE
        for number, body in enumerate(bodies):
            event = b"%d" % number
            answer = await journal.commit(PAGE, version, [event], body)
            assert isinstance(answer, Version)
            version = answer
            body_then, *tail = await rebuilt(journal)
            first = bodies.index(body_then)
            assert tail == [b"%d" % n for n in range(first + 1, number + 1)]

    async def test_a_document_can_be_gone_and_come_back(self, journal: Journal) -> None:
        """Its log goes on: no version is used twice."""
        (version,) = await fill(journal, b"1")
        gone = await journal.commit(PAGE, version, [b"gone"], None)
        assert gone == version.next(b"gone")
        assert (await rebuilt(journal))[0] is None
        again = await journal.commit(PAGE, gone, [b"again"], b"")
        assert again == gone.next(b"again")
        assert await newest(journal) == again

    async def test_an_event_is_found_by_its_operation(self, journal: Journal) -> None:
        """In its own document only, and never by the empty name."""
        names = ["first", "", "third"]
        versions = versions_after(FILE, [b"1", b"2", b"3"])
        await journal.commit(PAGE, FILE, [b"1", b"2", b"3"], b"", names)
        for name, version in zip(names, versions, strict=True):
            found = await journal.find(PAGE, name)
            assert (found.version if found else None) == (version if name else None)
            assert await journal.find(OTHER, name) is None

    async def test_a_refused_commit_leaves_no_operation(self, journal: Journal) -> None:
        """What was not stored must not look as if it had been."""
        await fill(journal, b"1")
        await journal.commit(PAGE, FILE, [b"late"], b"", ["late"])
        assert await journal.find(PAGE, "late") is None

    async def test_file_records_are_kept_as_they_are(self, journal: Journal) -> None:
        """The newest last; each call replaces those of its document."""
        old = FileRecord(FILE, b"digest", 2**63 - 1, 2**63 - 1, 5, 2**62)
        new = FileRecord(FILE.next(b"1"))
        await journal.set_files(PAGE, [old, new])
        assert list(await journal.files(PAGE)) == [old, new]
        assert list(await journal.files(OTHER)) == []
        await journal.set_files(PAGE, [new])
        assert list(await journal.files(PAGE)) == [new]
        assert await journal.load(PAGE) is None

    async def test_records_and_commits_asked_for_at_once_are_all_kept(
        self, journal: Journal
    ) -> None:
        """Whatever a journal joins into one step, nothing is lost in it."""
        record = FileRecord(FILE, b"digest")
        documents = [f"/{number}.html" for number in range(20)]
        await asyncio.gather(
            *(journal.set_files(document, [record]) for document in documents),
            *(
                journal.commit(document, FILE, [document.encode()], b"")
                for document in documents
            ),
        )
        for document in documents:
            assert await newest(journal, document) == FILE.next(document.encode())
            assert list(await journal.files(document)) == [record]

    async def test_events_come_back_byte_for_byte(self, journal: Journal) -> None:
        """An event is opaque: any bytes, any size, the same one twice."""
        events = [bytes(range(256)), b"\x00", b"x" * 2**20, b"\x00"]
        await fill(journal, *events)
        logged = await journal.replay(PAGE, FILE, ALL)
        assert [event for _, _, event in contents(logged)] == events

    async def test_a_commit_on_an_old_version_is_told_what_came_since(
        self, journal: Journal
    ) -> None:
        """What came since is complete and in order, from any version on."""
        versions = [FILE, *await fill(journal, b"1", b"2")]
        expected = [(PAGE, versions[1], b"1"), (PAGE, versions[2], b"2")]
        for index, base in enumerate(versions[:-1]):
            answer = await journal.commit(PAGE, base, [b"late"], b"late")
            assert isinstance(answer, Behind)
            assert contents(answer.logged) == expected[index:]

    async def test_a_commit_on_a_foreign_version_is_reset(
        self, journal: Journal
    ) -> None:
        """Another chain or a future revision is no history of this document."""
        (version,) = await fill(journal, b"1")
        foreign = [
            version._replace(chain="0" * 16),
            version.next(b"future"),
            Version.of_file(b"another file"),
        ]
        for base in foreign:
            assert isinstance(await journal.commit(PAGE, base, [b"x"], b""), Reset)

    async def test_an_unknown_document_starts_at_revision_0(
        self, journal: Journal
    ) -> None:
        """A revision that the journal does not have cannot be built on."""
        base = FILE.next(b"lost")
        assert isinstance(await journal.commit(PAGE, base, [b"x"], b""), Reset)
        assert await journal.load(PAGE) is None

    async def test_a_refused_commit_stores_nothing(self, journal: Journal) -> None:
        """Behind and Reset leave log and snapshot as they were."""
        (version,) = await fill(journal, b"1")
        for base in (FILE, version.next(b"future")):
            await journal.commit(PAGE, base, [b"2", b"3"], b"other")
        assert await newest(journal) == version
        assert await rebuilt(journal) == [b"body"]
        assert len(await journal.since(0)) == 1

    async def test_of_two_commits_on_one_version_one_wins(
        self, journal: Journal
    ) -> None:
        """The comparison and the append are one step."""
        answers = await asyncio.gather(
            *(journal.commit(PAGE, FILE, [b"%d" % n], b"") for n in range(4))
        )
        winners = [answer for answer in answers if isinstance(answer, Version)]
        assert len(winners) == 1
        assert sum(isinstance(answer, Behind) for answer in answers) == 3
        assert len(await journal.since(0)) == 1

    async def test_documents_do_not_touch_each_other(self, journal: Journal) -> None:
        """Each document has its own revisions."""
        (version,) = await fill(journal, b"1")
        first, second = await fill(journal, b"1", b"2", document=OTHER)
        assert first == version
        positions = await journal.positions([PAGE, "/unknown.html", OTHER])
        assert dict(positions) == {PAGE: version, OTHER: second}

    async def test_replay_begins_after_the_version_it_is_given(
        self, journal: Journal
    ) -> None:
        """After the newest version there is nothing, which is no reset."""
        versions = [FILE, *await fill(journal, b"1", b"2", b"3")]
        for index, version in enumerate(versions):
            logged = contents(await journal.replay(PAGE, version, ALL))
            assert [one for _, one, _ in logged] == versions[index + 1 :]

    async def test_replay_gives_the_oldest_events_up_to_its_limit(
        self, journal: Journal
    ) -> None:
        """What is over the limit can be asked for next."""
        first, second, third = await fill(journal, b"1", b"2", b"3")
        logged = contents(await journal.replay(PAGE, FILE, 2))
        assert [version for _, version, _ in logged] == [first, second]
        logged = contents(await journal.replay(PAGE, second, 2))
        assert [version for _, version, _ in logged] == [third]

    async def test_replay_of_a_foreign_version_is_reset(self, journal: Journal) -> None:
        """Neither another chain nor the version of another document is known."""
        (version,) = await fill(journal, b"1")
        other = (await fill(journal, b"x", b"y", document=OTHER))[1]
        for after in (version._replace(chain="0" * 16), version.next(b"2"), other):
            assert isinstance(await journal.replay(PAGE, after, ALL), Reset)

    async def test_the_log_of_all_documents_has_one_order(
        self, journal: Journal
    ) -> None:
        """Sequence numbers ascend over all documents, and nothing is skipped."""
        (first,) = await fill(journal, b"1")
        (second,) = await fill(journal, b"2", document=OTHER)
        (third,) = await fill(journal, b"3", base=first)
        logged = await journal.since(0)
        assert contents(logged) == [
            (PAGE, first, b"1"),
            (OTHER, second, b"2"),
            (PAGE, third, b"3"),
        ]
        sequences = [one.sequence for one in logged]
        assert sequences == sorted(set(sequences))
        assert sequences[0] > 0
        assert sequences[-1] == journal.head()
        for index, sequence in enumerate(sequences):
            assert await journal.since(sequence) == logged[index + 1 :]

    async def test_replay_and_log_agree(self, journal: Journal) -> None:
        """One event has one number, whoever asks for it."""
        await fill(journal, b"1", b"2")
        assert await journal.replay(PAGE, FILE, ALL) == await journal.since(0)

    async def test_a_turn_ends_whatever_happens_in_it(self, journal: Journal) -> None:
        """An error in one turn does not keep the next writer out."""
        for _ in range(2):
            try:
                async with journal.turn(PAGE):
                    raise ValueError
            except ValueError:
                pass

    async def test_turns_of_two_documents_are_independent(
        self, journal: Journal
    ) -> None:
        """Whoever writes one document does not wait for another one."""
        async with journal.turn(PAGE), journal.turn(OTHER):
            await fill(journal, b"1")
