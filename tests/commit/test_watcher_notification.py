"""Native notification, told by a stand-in for the package ``watchfiles``."""

import asyncio
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType

import pytest

from beamfast.commit.watcher import POLL, POLL_SHARED, Watcher

ROOT = "/pages"


class Loop:
    """A loop whose clock stands still."""

    def __init__(self):
        self.timers = []
        self.create_task = asyncio.get_running_loop().create_task

    def call_later(self, seconds, callback):
        self.timers.append((seconds, callback))
        return asyncio.get_running_loop().call_later(1000, callback)


class Notifier(ModuleType):
    """``watchfiles``, as far as it is used."""

    def __init__(self):
        super().__init__("watchfiles")
        self.__spec__ = ModuleSpec("watchfiles", None)
        self.changes = asyncio.Queue()

    async def awatch(self, root, *, watch_filter, stop_event, **_):
        assert root == ROOT
        stop = asyncio.ensure_future(stop_event.wait())
        while True:
            change = asyncio.ensure_future(self.changes.get())
            await asyncio.wait([stop, change], return_when=asyncio.FIRST_COMPLETED)
            if not change.done():
                change.cancel()
                return
            if isinstance(change.result(), Exception):
                stop.cancel()
                raise change.result()
            yield {(1, path) for path in change.result() if watch_filter(1, path)}


@pytest.fixture
async def notifier(monkeypatch):
    notifier = Notifier()
    monkeypatch.setitem(sys.modules, "watchfiles", notifier)
    return notifier


async def settle():
    for _ in range(6):
        await asyncio.sleep(0)


async def test_a_changed_file_is_told_by_its_key(notifier):
    seen = []
    watcher = Watcher(ROOT, Loop(), seen.append)
    watcher.start()
    notifier.changes.put_nowait([f"{ROOT}/a/page.html"])
    await settle()
    assert seen == ["/a/page.html"]
    await watcher.close()


async def test_what_the_server_writes_itself_is_not_told(notifier):
    seen = []
    watcher = Watcher(ROOT, Loop(), seen.append)
    watcher.start()
    names = (".beam/journal.db", "a/.beam/lock", "a/.beamfast-0123", ".beamfast.html")
    notifier.changes.put_nowait([f"{ROOT}/{name}" for name in names])
    await settle()
    assert seen == ["/.beamfast.html"]
    await watcher.close()


@pytest.mark.parametrize("error", [OSError("no watches left"), RuntimeError("broken")])
async def test_notification_that_fails_leaves_the_poll(notifier, error, caplog):
    seen, loop = [], Loop()
    watcher = Watcher(ROOT, loop, seen.append)
    watcher.start()
    notifier.changes.put_nowait(error)
    await settle()
    assert caplog.messages == [f"no notification of changed files: {error}"]
    ((seconds, poll),) = loop.timers
    poll()
    assert (seconds, seen) == (POLL, [None])
    await watcher.close()


async def test_without_the_package_there_is_the_poll(monkeypatch):
    monkeypatch.setitem(sys.modules, "watchfiles", None)
    seen, loop = [], Loop()
    watcher = Watcher(ROOT, loop, seen.append, shared=True)
    watcher.start()
    assert [seconds for seconds, _ in loop.timers] == [POLL_SHARED]
    loop.timers.pop()[1]()
    assert seen == [None]
    assert len(loop.timers) == 1
    await watcher.close()


async def test_a_look_that_fails_is_not_the_last(monkeypatch):
    monkeypatch.setitem(sys.modules, "watchfiles", None)

    def look(key):
        raise ValueError(key)

    loop = Loop()
    watcher = Watcher(ROOT, loop, look)
    watcher.start()
    with pytest.raises(ValueError, match="None"):
        loop.timers.pop()[1]()
    assert len(loop.timers) == 1
    await watcher.close()


async def test_a_watcher_that_never_began_can_be_closed():
    await Watcher(ROOT, Loop(), print).close()
