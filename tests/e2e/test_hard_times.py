"""Disks that are full or read-only, files that others change, clocks that go back."""

import os
import signal
import socket
import subprocess
import time

import pytest

#: Root may do everything; without these capabilities file modes count for it too.
WITHOUT_PRIVILEGES = """
import ctypes, os, sys
if os.geteuid() == 0 and sys.platform == "linux":
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    data = (ctypes.c_uint32 * 6)()
    assert libc.capget(header, data) == 0
    for index in (0, 1):
        data[index] &= ~0b110  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
    assert libc.capset(header, data) == 0
"""
#: Each look at the clock finds it a second earlier than the one before.
BACKWARDS = """
import itertools, time
now, looks = time.time_ns, itertools.count()
time.time_ns = lambda: now() - next(looks) * 10**9
time.time = lambda: time.time_ns() / 10**9
"""
WITHOUT_NOTIFICATION = "import sys; sys.modules['watchfiles'] = None"
PAGE = "/document.html"


@pytest.fixture
def alone(serve):
    """A server in one process, whose process id is that of ``server.process``."""
    return lambda prelude="": serve("--workers", "0", prelude=prelude)


class Stream:
    """An event stream, read as it comes."""

    def __init__(self, server):
        self.socket = socket.create_connection(("127.0.0.1", server.port), 20)
        self.socket.sendall(
            f"GET {PAGE} HTTP/1.1\r\nHost: localhost\r\n"
            "Accept: text/event-stream\r\n\r\n".encode()
        )
        self.received = b""
        self.until(b"id: ")

    def until(self, text):
        """Read until ``text`` has come, and forget what came before."""
        while text not in self.received:
            data = self.socket.recv(2**16)
            assert data, "the stream has ended"
            self.received += data
        self.received = self.received.partition(text)[2]

    def close(self):
        self.socket.close()


@pytest.fixture
def follow():
    streams = []

    def begin(server):
        streams.append(Stream(server))
        return streams[-1]

    yield begin
    for stream in streams:
        stream.close()


def etag(answer):
    return int(answer[1]["ETag"].strip('"').partition("-")[0])


def test_line_36_a_read_only_root_is_served_and_edits_are_refused(alone, site):
    site.chmod(0o555)
    try:
        server = alone(WITHOUT_PRIVILEGES)
        assert server.request("GET", PAGE)[0] == 200
        status, headers, body = server.request("PUT", PAGE, b"<h1>x</h1>", "h1")
        assert (status, headers["X-Beamfast-Error"]) == (403, "journal-read-only")
        assert b"journal" in body
        assert server.request("PUT", "/new.html", b"<p>")[0] == 403
        assert server.request("GET", PAGE, selector="h1")[0] == 206
        assert not (site / ".beam").exists()
    finally:
        site.chmod(0o755)
    assert server.edit("PUT", PAGE, "h1", "<h1>now</h1>") == 206


def test_a_file_that_may_not_be_read_is_403_and_others_are_served(alone, site):
    (site / "secret.html").write_text("<p>secret</p>")
    (site / "secret.html").chmod(0)
    server = alone(WITHOUT_PRIVILEGES)
    assert server.request("GET", "/secret.html")[0] == 403
    assert server.edit("PUT", "/secret.html", "p", "<p>x</p>") == 403
    assert server.edit("PUT", PAGE, "h1", "<h1>x</h1>") == 206
    (site / "secret.html").chmod(0o644)
    assert server.request("GET", "/secret.html")[0] == 200


@pytest.mark.system("util-linux")
def test_line_35_a_full_disk_is_507_reads_go_on_and_it_recovers(alone, follow, program):
    def limit(size):
        command = [
            program("util-linux"),
            f"--pid={server.process.pid}",
            f"--fsize={size}:",
        ]
        subprocess.run(command, check=True)

    server = alone("import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)")
    assert server.edit("PUT", PAGE, "h1", "<h1>before</h1>") == 206
    stream = follow(server)
    limit(1)
    for _ in range(3):
        status, headers, _ = server.request("PUT", PAGE, b"<h1>full</h1>", "h1")
        assert (status, headers["X-Beamfast-Error"]) == (507, "storage-full")
        assert b"<h1>before</h1>" in server.request("GET", PAGE)[2]
    limit("unlimited")
    status, headers, _ = server.request("PUT", PAGE, b"<h1>after</h1>", "h1")
    assert status == 206
    assert headers["ETag"].startswith('"2-')
    # Nothing of what was refused was sent to anybody.
    stream.until(b"<h1>after</h1>")
    assert b"<h1>after</h1>" in server.read(PAGE)


def test_a_file_that_becomes_a_directory_is_refused_until_it_is_one_again(alone, site):
    server = alone()
    assert server.edit("PUT", PAGE, "h1", "<h1>one</h1>") == 206
    content = server.read(PAGE)
    file = site / "document.html"
    file.unlink()
    file.mkdir()
    assert server.request("GET", PAGE)[0] in (403, 404, 409)
    status, headers, _ = server.request("PUT", PAGE, b"<h1>two</h1>", "h1")
    assert status in (403, 404, 409)
    assert headers["X-Beamfast-Error"]
    file.rmdir()
    file.write_bytes(content.replace(b"one", b"three"))
    assert server.edit("PUT", PAGE, "h1", "<h1>four</h1>") == 206
    assert b"<h1>four</h1>" in server.read(PAGE)


def test_line_14_a_file_that_is_deleted_by_hand_counts_on_when_it_comes_back(
    alone, site, follow
):
    server = alone()
    assert server.edit("PUT", PAGE, "h1", "<h1>one</h1>") == 206
    content = server.read(PAGE)
    stream = follow(server)
    (site / "document.html").unlink()
    stream.until(b"event: reset")
    stream.until(b'itemprop="content"></template>')
    assert server.request("GET", PAGE)[0] == 404
    assert server.edit("PUT", PAGE, "h1", "<h1>two</h1>") == 404
    (site / "document.html").write_bytes(content)
    # The stream is the same one, and follows the new document.
    stream.until(b"event: reset")
    answer = server.request("PUT", PAGE, b"<h1>three</h1>", "h1")
    assert etag(answer) == 4
    stream.until(b"<h1>three</h1>")


def test_a_clock_that_goes_backwards_loses_and_repeats_nothing(alone, site):
    server = alone(BACKWARDS)
    for number in range(1, 30):
        answer = server.request("POST", PAGE, b"<li>%d</li>" % number, "#list")
        assert etag(answer) == number
    by_hand = server.read(PAGE).replace(b"<li>29</li>", b"<li>by hand</li>")
    (site / "document.html").write_bytes(by_hand)
    answer = server.request("POST", PAGE, b"<li>last</li>", "#list")
    assert etag(answer) == 31
    items = server.read(PAGE)
    for number in range(1, 29):
        assert items.count(b"<li>%d</li>" % number) == 1
    assert b"<li>by hand</li><li>last</li>" in items
    assert server.stop(signal.SIGTERM) == 0


def test_a_file_from_the_future_is_served_edited_and_watched(alone, site, follow):
    ahead = time.time() + 10_000
    os.utime(site / "document.html", (ahead, ahead))
    server = alone()
    stream = follow(server)
    (site / "document.html").write_text("<h1>by hand</h1>")
    os.utime(site / "document.html", (ahead, ahead))
    stream.until(b"event: reset")
    assert server.edit("PUT", PAGE, "h1", "<h1>edited</h1>") == 206
    stream.until(b"<h1>edited</h1>")


@pytest.mark.parametrize("prelude", ["", WITHOUT_NOTIFICATION], ids=["native", "poll"])
def test_line_33_a_change_by_hand_is_one_reset_in_open_pages(
    alone, site, follow, prelude
):
    server = alone(prelude)
    stream = follow(server)
    (site / "document.html").write_text("<h1>never edited</h1>")
    stream.until(b"event: reset")
    stream.until(b"never edited")
    assert etag(server.request("GET", PAGE)) == 0
    assert not (site / ".beam").exists()
    assert server.edit("PUT", "/document.html", "h1", "<h1>edited</h1>") == 206
    stream.until(b"<h1>edited</h1>")
    server.read(PAGE)
    (site / "document.html").write_text("<h1>by hand</h1>")
    stream.until(b"event: reset")
    stream.until(b"by hand")
    answer = server.request("PUT", PAGE, b"<h1>next</h1>", "h1")
    assert etag(answer) == 3
    # One reset: what comes next is the edit.
    stream.until(b"<h1>next</h1>")
