"""Who may still read: probes through a pipeline, and streams that are asked again."""

import asyncio

import pytest

from beamfast import rights as module
from beamfast.errors import CloseCode
from beamfast.http import Response
from beamfast.rights import MayRead, Rights, Streams, make_probe

EXPIRED, REMOVED = CloseCode.AUTHENTICATION_EXPIRED, CloseCode.RIGHTS_REMOVED


class Stream:
    def __init__(self, path="/a", user=None):
        self.path, self.user = path, user


async def decide(rights, probe):
    found = rights.refusal(probe)
    return await found if asyncio.iscoroutine(found) else found


@pytest.mark.parametrize("is_late", [False, True])
@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (None, None),
        (MayRead(), None),
        (Response(401), EXPIRED),
        (Response(302), EXPIRED),
        (Response(403), REMOVED),
        (Response(200), REMOVED),
        (Response(500), REMOVED),
        (RuntimeError("broken"), REMOVED),
    ],
    ids=repr,
)
async def test_what_an_answer_says_of_the_right_to_read(answer, expected, is_late):
    async def later():
        return decided()

    def decided():
        if isinstance(answer, Exception):
            raise answer
        return answer

    rights = Rights(lambda _: later() if is_late else decided())
    assert await decide(rights, make_probe("/a", None, ())) is expected


async def test_a_probe_is_a_get_as_the_one_who_opened_the_stream():
    seen = []
    rights = Rights(seen.append)
    streams = Streams([("Accept", "text/event-stream")], print)
    streams.start(rights)
    stream = Stream("/page.html", "ann")
    streams.add(stream, frozenset({"editor"}), 12.5)
    assert streams.refusal(stream, "/other.html") is None
    (probe,) = seen
    assert (probe.method, probe.path, probe.user) == ("GET", "/other.html", "ann")
    assert (probe.roles, probe.expires, probe.probe) == ({"editor"}, 12.5, True)
    assert probe.accepts_event_stream


async def test_streams_that_lost_their_rights_are_ended_and_the_others_stay():
    forbidden = set()
    ended = []
    rights = Rights(lambda probe: Response(403) if probe.path in forbidden else None)
    streams = Streams((), lambda stream, code: ended.append((stream.path, code)))
    streams.start(rights)
    for path in ("/a", "/b", "/c"):
        streams.add(Stream(path), frozenset(), None)
    assert len(streams) == 3
    forbidden.add("/b")
    rights.changed()
    await asyncio.sleep(0)
    assert ended == [("/b", REMOVED)]


async def test_a_stream_is_ended_once_whatever_it_follows():
    ended = []
    rights = Rights(lambda probe: Response(403))
    streams = Streams((), lambda *end: ended.append(end), paths=lambda _: ["/a", "/b"])
    streams.start(rights)
    streams.add(Stream(), frozenset(), None)
    rights.changed()
    await asyncio.sleep(0)
    assert len(ended) == 1


async def test_ten_thousand_streams_are_asked_a_slice_in_each_turn():
    turns = []
    asked = 0

    def ask(probe):
        nonlocal asked
        asked += 1

    rights = Rights(ask)
    streams = Streams((), print)
    streams.start(rights)
    for _ in range(10_000):
        streams.add(Stream(), frozenset(), None)
    rights.changed()
    while asked < 10_000:
        before = asked
        await asyncio.sleep(0)
        turns.append(asked - before)
    assert max(turns) == module.SLICE == 256


async def test_rules_that_change_while_streams_are_asked_count_as_well():
    asked = []
    rights = Rights(lambda probe: asked.append(probe.path))
    streams = Streams((), print)
    streams.start(rights)
    for number in range(300):
        streams.add(Stream(f"/{number}"), frozenset(), None)
    rights.changed()
    await asyncio.sleep(0)
    rights.changed()
    while len(asked) < 600:
        await asyncio.sleep(0)
    assert asked[300:] == asked[:300]


async def test_a_watch_that_sees_a_change_has_everybody_asked(monkeypatch):
    monkeypatch.setattr(module, "LOOK", 0.0)
    asked = asyncio.Event()
    looks = iter([False, True])
    rights = Rights(lambda _: asked.set())
    streams = Streams((), print)
    streams.start(rights)
    streams.add(Stream(), frozenset(), None)
    rights.watch(lambda: False)
    rights.watch(lambda: next(looks, False))
    async with asyncio.timeout(10):
        await asked.wait()
    rights.close()


async def test_what_cannot_be_asked_is_logged_and_asked_the_next_time(caplog):
    failing = iter([True])
    ended = []

    def end(stream, code):
        if next(failing, False):
            raise RuntimeError("broken")
        ended.append(stream)

    rights = Rights(lambda _: Response(403))
    streams = Streams((), end)
    streams.start(rights)
    streams.add(Stream(), frozenset(), None)
    rights.changed()
    await asyncio.sleep(0)
    assert "could not be asked again" in caplog.text
    rights.changed()
    await asyncio.sleep(0)
    assert len(ended) == 1


async def test_nobody_is_asked_after_the_end():
    asked = []
    rights = Rights(asked.append)
    streams = Streams((), print)
    streams.start(rights)
    stream = Stream()
    streams.add(stream, frozenset({"x"}), 1.0, 7)
    rights.changed()
    rights.close()
    await asyncio.sleep(0)
    assert asked == []
    assert streams.discard(stream) == 7
    assert streams.discard(stream) == 0


def test_without_a_pipeline_everybody_may_read():
    assert Rights().refusal(make_probe("/a", None, ())) is None


class Draining(Stream):
    def __init__(self):
        super().__init__()
        self.is_drained = False

    def on_drain(self):
        self.is_drained = True


async def test_streams_of_a_plugin_that_is_replaced_are_asked_by_the_new_rules():
    ended = []
    old_rights, new_rights = Rights(), Rights(lambda _: Response(403))
    old = Streams((), print, on_close=len)
    old.start(old_rights)
    stream = Draining()
    old.add(stream, frozenset({"editor"}), 5.0, 3)
    new = Streams((), lambda *end: ended.append(end), on_close=repr)
    new.succeed(old)
    new.start(new_rights)
    # Until the old one stops, it decides.
    assert (len(old), len(new), stream.on_close) == (1, 0, len)
    old.stop()
    assert (len(old), len(new), stream.on_close) == (0, 1, repr)
    assert old.is_handed_over
    await asyncio.sleep(0)
    assert ended == [(stream, REMOVED)]
    assert new.discard(stream) == 3


async def test_a_successor_that_is_abandoned_leaves_the_streams_where_they_are():
    old, new = Streams((), print), Streams((), print)
    stream = Draining()
    old.add(stream, frozenset(), None)
    new.succeed(old)
    new.stop()
    assert not stream.is_drained
    old.stop()
    assert stream.is_drained
    assert not old.is_handed_over
