"""What supervisor and worker tell each other."""

import selectors
import socket
from pathlib import Path

import pytest

from beamfast.server.config import (
    HostConfig,
    ListenerConfig,
    PluginConfig,
    ServerConfig,
)
from beamfast.server.control import (
    Assignment,
    Control,
    config_from_json,
    config_to_json,
)

CONFIG = ServerConfig(
    (
        HostConfig(
            Path("/srv/ü"),
            ("a.example", "*.b.example"),
            (
                PluginConfig("websocket", {"ping_interval": 3.5}),
                PluginConfig("cors", {"allowed_origins": ("https://a", "https://b")}),
                PluginConfig("access-log"),
                PluginConfig(
                    "directory",
                    {"directory": "/a"},
                    (
                        PluginConfig("directory", {}, (PluginConfig("cors"),)),
                        PluginConfig("redirect", {"rules_file": Path("/srv/r.html")}),
                        PluginConfig("error-handler", {"error_page": {"404": "a"}}),
                    ),
                ),
            ),
            allowed_origins=("https://friend.example",),
            server_header="",
        ),
        HostConfig(Path("/srv/other")),
    ),
    address="::1",
    port=81,
    drain=2.5,
    workers=3,
)


@pytest.fixture
def ends():
    ours, theirs = map(Control, socket.socketpair())
    yield ours, theirs
    ours.close()
    theirs.close()


def test_a_configuration_arrives_as_it_was():
    assert config_from_json(config_to_json(CONFIG)) == CONFIG


@pytest.mark.parametrize("shares", [False, True])
def test_an_assignment_arrives_as_it_was(ends, shares):
    supervisor, worker = ends
    assignment = Assignment(
        *(CONFIG, 1, 3, ((17, ListenerConfig("unix:x")),)),
        *(Path("/run/beamfast/workers-1"), 2, shares, True),
    )
    assert "\n" not in assignment.to_json()
    assert supervisor.assign(assignment)
    assert worker.assignment() == assignment


def test_words_behind_the_assignment_are_kept(ends):
    supervisor, worker = ends
    supervisor.assign(Assignment(CONFIG, 0, 1, (), Path("/run")))
    supervisor.send("drain")
    assert worker.assignment() is not None
    assert worker.receive() == ["drain"]


def test_a_word_in_pieces_is_one_word():
    ours, theirs = socket.socketpair()
    control = Control(theirs)
    theirs.setblocking(False)
    with ours:
        assert control.receive() == []
        ours.send(b"rea")
        assert control.receive() == []
        ours.send(b"dy\nheart")
        assert control.receive() == ["ready"]
        ours.send(b"beat\n")
        assert control.receive() == ["heartbeat"]
    assert control.receive() is None
    control.close()


def test_a_supervisor_that_is_gone_assigns_nothing(ends):
    supervisor, worker = ends
    supervisor.close()
    assert worker.assignment() is None


def test_a_worker_that_is_gone_is_not_an_error(ends):
    supervisor, worker = ends
    worker.close()
    assert not supervisor.assign(Assignment(CONFIG, 0, 1, (), Path("/run")))
    supervisor.send("drain")


def test_an_end_that_was_cut_is_the_end():
    ours, theirs = socket.socketpair()
    control = Control(theirs)
    # The other end closes with bytes unread, which Linux reports as a reset.
    control.send("heartbeat")
    ours.close()
    assert control.receive() is None
    control.close()


def test_it_can_be_waited_for(ends):
    supervisor, worker = ends
    with selectors.DefaultSelector() as selector:
        selector.register(worker, selectors.EVENT_READ)
        supervisor.send("drain")
        assert selector.select(10)


def test_nobody_waits_for_an_end_that_does_not_read(ends):
    supervisor, worker = ends
    supervisor.assign(Assignment(CONFIG, 0, 1, (), Path("/run")))
    for _ in range(100_000):
        supervisor.send("heartbeat")
    assert worker.assignment() is not None
