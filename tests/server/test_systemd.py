"""What systemd is told, and what it hands over."""

import os
import socket
import sys

import pytest

from beamfast.server.systemd import (
    READY,
    inherited_descriptors,
    notify,
    reloading,
    watchdog_interval,
)

#: Names that are no paths are known to Linux only.
KINDS = ["path", "abstract"] if sys.platform == "linux" else ["path"]


@pytest.fixture(params=KINDS)
def manager(request, tmp_path, monkeypatch):
    """The socket that systemd listens on."""
    name = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as stream:
        if request.param == "abstract":
            name = f"@beamfast-test-{os.getpid()}"
            stream.bind(f"\0{name[1:]}")
        else:
            stream.bind(name)
        stream.settimeout(10)
        monkeypatch.setenv("NOTIFY_SOCKET", name)
        yield stream


def test_systemd_is_told(manager):
    assert notify(READY, "STATUS=serving")
    assert manager.recv(100) == b"READY=1\nSTATUS=serving"
    reloading()
    first, second = manager.recv(100).decode().split("\n")
    assert first == "RELOADING=1"
    assert second.startswith("MONOTONIC_USEC=")


def test_nobody_is_told_who_did_not_ask(monkeypatch, tmp_path):
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    assert not notify(READY)
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))
    assert not notify(READY)


def test_descriptors_are_those_of_this_process_only(monkeypatch):
    monkeypatch.setenv("LISTEN_FDS", "2")
    monkeypatch.setenv("LISTEN_PID", str(os.getpid()))
    assert inherited_descriptors() == [3, 4]
    monkeypatch.setenv("LISTEN_PID", "1")
    assert inherited_descriptors() == []
    monkeypatch.delenv("LISTEN_PID")
    assert inherited_descriptors() == []


def test_signs_of_life_come_at_half_the_interval(monkeypatch):
    monkeypatch.setenv("WATCHDOG_USEC", "3000000")
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    assert watchdog_interval() == 1.5
    monkeypatch.setenv("WATCHDOG_PID", "1")
    assert watchdog_interval() is None
    monkeypatch.delenv("WATCHDOG_USEC")
    assert watchdog_interval() is None
