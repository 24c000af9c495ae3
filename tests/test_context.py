"""What plugins work with."""

from beamfast.context import Context, Status


def test_166_topics_of_plugins_and_hosts_cannot_collide():
    class Store:
        def __init__(self, root):
            self.root = root

    names = [
        (plugin, root, name)
        for plugin in ("chat", "chat:/a", "log-view")
        for root in ("/a", "/a:/b", "/b")
        for name in ("/b:x", "x", "/x")
    ]
    topics = {
        Context(Store(root), None, None).topic(plugin, name)
        for plugin, root, name in names
    }
    assert len(topics) == len(names)
    assert not any(topic.startswith("document:") for topic in topics)


async def test_a_status_that_nobody_filled_says_that_all_is_well():
    status = Status()
    assert not status.is_draining()
    assert status.connections() == 0
    assert await status.reload() == ("this server cannot be reloaded",)
