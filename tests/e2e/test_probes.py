"""
What attackers send, with the rule that it breaks and what comes of it.

One server for each table. Nothing outside the document root is ever shown or
written, and the server goes on.
"""

import contextlib
import os
import resource
import socket
import subprocess
import sys

import pytest

SECRET = b"nobody may read this"
HOST = b"Host: localhost\r\n"

# Name, rule, what is sent, and the statuses that may come, in order. A connection
# that is cut after the last one never answers what was smuggled behind.
REQUESTS = [
    (
        "CL and TE",
        "RFC 9112, 6.3.3",
        b"POST / HTTP/1.1\r\n"
        + HOST
        + b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG",
        [400],
    ),
    (
        "TE twice",
        "RFC 9112, 6.1",
        b"POST / HTTP/1.1\r\n"
        + HOST
        + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        [400],
    ),
    (
        "TE unknown",
        "RFC 9112, 6.1",
        b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        [501],
    ),
    (
        "TE with white space",
        "RFC 9112, 6.1",
        b"POST / HTTP/1.1\r\n"
        + HOST
        + b"Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
        [400],
    ),
    (
        "TE before its colon",
        "RFC 9112, 5.1",
        b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        [400],
    ),
    (
        "TE in HTTP/1.0",
        "RFC 9112, 6.1",
        b"POST / HTTP/1.0\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        [400],
    ),
    (
        "two lengths",
        "RFC 9112, 6.3.5",
        b"POST / HTTP/1.1\r\n"
        + HOST
        + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        [400],
    ),
    (
        "a list of lengths",
        "RFC 9112, 6.3.5",
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 1, 2\r\n\r\nab",
        [400],
    ),
    (
        "a signed length",
        "RFC 9110, 8.6",
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: +1\r\n\r\na",
        [400],
    ),
    (
        "a negative length",
        "RFC 9110, 8.6",
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: -1\r\n\r\n",
        [400],
    ),
    (
        "a huge length",
        "RFC 9110, 8.6",
        b"POST / HTTP/1.1\r\n"
        + HOST
        + b"Content-Length: 99999999999999999999999\r\n\r\n",
        [400, 413],
    ),
    (
        "a chunk size with a sign",
        "RFC 9112, 7.1",
        b"POST /new.html HTTP/1.1\r\n"
        + HOST
        + b"Transfer-Encoding: chunked\r\n\r\n+1\r\na\r\n0\r\n\r\n",
        [400],
    ),
    (
        "a chunk size with 0x",
        "RFC 9112, 7.1",
        b"POST /new.html HTTP/1.1\r\n"
        + HOST
        + b"Transfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n",
        [400],
    ),
    (
        "a chunk longer than told",
        "RFC 9112, 7.1",
        b"POST /new.html HTTP/1.1\r\n"
        + HOST
        + b"Transfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n0\r\n\r\n",
        [400],
    ),
    (
        "a folded field",
        "RFC 9112, 5.2",
        b"GET / HTTP/1.1\r\n" + HOST + b"X: a\r\n b: c\r\n\r\n",
        [400],
    ),
    (
        "a bare CR in a field",
        "RFC 9112, 2.2",
        b"GET / HTTP/1.1\r\n" + HOST + b"X: a\rContent-Length: 5\r\n\r\n",
        [400],
    ),
    (
        "a NUL in a field",
        "RFC 9110, 5.5",
        b"GET / HTTP/1.1\r\n" + HOST + b"X: a\x00b\r\n\r\n",
        [400],
    ),
    (
        "a name with a space",
        "RFC 9110, 5.1",
        b"GET / HTTP/1.1\r\n" + HOST + b"X Y: a\r\n\r\n",
        [400],
    ),
    ("no host", "RFC 9112, 3.2", b"GET / HTTP/1.1\r\n\r\n", [400]),
    (
        "two hosts",
        "RFC 9112, 3.2",
        b"GET / HTTP/1.1\r\n" + HOST + HOST + b"\r\n",
        [400],
    ),
    (
        "a host with user information",
        "RFC 9110, 7.2",
        b"GET / HTTP/1.1\r\nHost: localhost@evil\r\n\r\n",
        [400],
    ),
    (
        "a version that is none",
        "RFC 9112, 2.3",
        b"GET / HTTP/1.A\r\n" + HOST + b"\r\n",
        [400],
    ),
    (
        "a tab in the request line",
        "RFC 9112, 3",
        b"GET\t/\tHTTP/1.1\r\n" + HOST + b"\r\n",
        [400],
    ),
    (
        "a fragment in the target",
        "RFC 9112, 3.2",
        b"GET /#a HTTP/1.1\r\n" + HOST + b"\r\n",
        [400],
    ),
    (
        "CONNECT",
        "RFC 9110, 9.3.6",
        b"CONNECT localhost:80 HTTP/1.1\r\n" + HOST + b"\r\n",
        [400, 405, 501],
    ),
    (
        "TRACE",
        "RFC 9110, 9.3.8",
        b"TRACE /document.html HTTP/1.1\r\n"
        + HOST
        + b"Connection: close\r\nCookie: secret\r\n\r\n",
        [405],
    ),
]

# Spellings of a file outside, of the server's own state, and of hidden files.
PATHS = [
    "/../secret.txt",
    "/%2e%2e/secret.txt",
    "/%2E%2e%2fsecret.txt",
    "/..%2fsecret.txt",
    "/..%5csecret.txt",
    "/..\\secret.txt",
    "/%252e%252e/secret.txt",
    "/%c0%ae%c0%ae/secret.txt",
    "/%e0%80%ae%e0%80%ae/secret.txt",
    "/%uff0e%uff0e/secret.txt",
    "/./../secret.txt",
    "/.//../secret.txt",
    "//../secret.txt",
    "/folder/../../secret.txt",
    "/folder/%2e%2e/%2e%2e/secret.txt",
    "/....//secret.txt",
    "/%00/../secret.txt",
    "/document.html%00/../../secret.txt",
    "/link.txt",
    "/folder/link/secret.txt",
    "/folder/link/../secret.txt",
    "/link-to-root/secret.txt",
    "/.hidden",
    "/.beam/journal.db",
    "/%2ebeam/journal.db",
    "/folder/../.beam/journal.db",
    "http://localhost/../secret.txt",
]


def talk(port: int, data: bytes) -> bytes:
    """Send ``data`` and read until the server closes, or says nothing for long."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        received = b""
        with contextlib.suppress(ConnectionResetError):
            while piece := connection.recv(65536):
                received += piece
        return received


def statuses(answer: bytes) -> list[int]:
    return [int(part[:3]) for part in answer.split(b"HTTP/1.1 ")[1:]]


@pytest.fixture
def traps(site, server):
    """A server with files that nobody may reach, and links that lead there."""
    outside = site.parent / "outside"
    outside.mkdir()
    (outside / "secret.txt").write_bytes(SECRET)
    (site.parent / "secret.txt").write_bytes(SECRET)
    (site / "folder").mkdir()
    (site / "link.txt").symlink_to(outside / "secret.txt")
    (site / "folder" / "link").symlink_to(outside)
    (site / "link-to-root").symlink_to(site.parent)
    hidden = site / ".hidden"
    hidden.write_bytes(SECRET)
    yield server
    hidden.unlink()


def everything(folder, root):
    """Return what lies outside of the root, byte for byte."""
    return {
        path: path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and root not in path.parents
    }


def test_requests_that_smuggle_are_refused_and_nothing_follows(server):
    follower = b"GET /document.html HTTP/1.1\r\nHost: smuggled\r\n\r\n"
    outcomes = {}
    for name, rule, data, allowed in REQUESTS:
        found = statuses(talk(server.port, data + follower))
        # A refusal is the end: what follows could be anybody's.
        if len(found) != 1 or found[0] not in allowed:
            outcomes[f"{name} ({rule})"] = found
    assert outcomes == {}
    assert server.request("GET", "/document.html")[0] == 200


def test_nothing_outside_is_shown_or_written(traps, site):
    before = everything(site.parent, site)
    shown = {}
    for path in PATHS:
        for method in ("GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS"):
            head = f"{method} {path} HTTP/1.1\r\nConnection: close\r\n".encode() + HOST
            body = b"overwritten" if method in ("PUT", "POST") else b""
            head += b"Content-Length: %d\r\n" % len(body)
            for more in (b"", b"Range: selector=body\r\n"):
                answer = talk(traps.port, head + more + b"\r\n" + body)
                [status] = statuses(answer)
                if SECRET in answer or status >= 500:
                    shown[method, path, more] = status
                if method == "GET" and status == 200:
                    shown[method, path, more] = status
    assert shown == {}
    assert everything(site.parent, site) == before


@pytest.mark.parametrize("path", ["/%0d%0aSet-Cookie:%20a=b", "/a%0aX:%20y/"])
def test_no_line_can_be_put_into_an_answer(server, path):
    for method, more in [
        ("GET", b""),
        ("GET", b"Range: selector=%0d%0aX:%20y\r\n"),
        ("PUT", b"Content-Length: 0\r\n"),
        ("OPTIONS", b"Origin: http://a%0d%0aX:y\r\n"),
    ]:
        head = f"{method} {path} HTTP/1.1\r\nConnection: close\r\n".encode() + HOST
        fields = talk(server.port, head + more + b"\r\n").partition(b"\r\n\r\n")[0]
        names = [line.partition(b":")[0] for line in fields.split(b"\r\n")[1:]]
        assert not {b"Set-Cookie", b"X"} & set(names), fields


def test_half_open_connections_keep_nobody_away(serve):
    wanted = int(os.environ.get("BEAMFAST_HALF_OPEN", "1000"))
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    # A tenth of the descriptors is kept for files, so that many are refused.
    room = min(most, wanted * 5 // 4 + 400)
    resource.setrlimit(resource.RLIMIT_NOFILE, (room, most))
    prelude = (
        f"import resource; resource.setrlimit(resource.RLIMIT_NOFILE, ({room}, {most}))"
    )
    server = serve("--workers", "0", prelude=prelude)
    count = min(wanted, room * 4 // 5 - 300)
    pid = server.process.pid
    before = memory(pid)
    with contextlib.ExitStack() as stack:
        for number in range(count):
            one = socket.create_connection(("127.0.0.1", server.port), timeout=20)
            stack.enter_context(one)
            # Half a head, or half a body.
            one.sendall(
                b"GET / HTTP/1.1\r\nHost: loc"
                if number % 2
                else b"PUT /x.bin HTTP/1.1\r\n" + HOST + b"Content-Length: 9\r\n\r\nab"
            )
            if number % 100 == 0:
                assert server.request("GET", "/document.html")[0] == 200
        each = (memory(pid) - before) / count
        sys.stdout.write(f"{count} half open: {each:.0f} bytes each\n")
        # Far below what one head or body may hold (32 KiB, 8 MiB).
        assert each < 32 * 1024
        assert server.edit("PUT", "/document.html", "h1", "<h1>on</h1>") == 206
    assert server.request("GET", "/document.html")[0] == 200


def memory(pid: int) -> int:
    """Return the resident bytes of a process."""
    done = subprocess.run(
        ["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, check=True
    )
    return int(done.stdout) * 1024
