"""The three formats, escaping, buffering, and a file that cannot be written."""

import asyncio
import json
import re

from beamfast.server.config import PluginConfig


def log(make_site, tmp_path, **options):
    path = tmp_path / "logs" / "access.log"
    options.setdefault("log_file", f"file://{path}")
    site = make_site(
        PluginConfig("websocket"),
        PluginConfig("file-handler"),
        PluginConfig("access-log", options),
    )

    async def lines():
        # The lines of a loop turn are written at its end.
        await asyncio.sleep(0)
        return path.read_text().splitlines() if path.exists() else []

    return site, lines


async def test_the_common_format(make_site, tmp_path):
    site, lines = log(make_site, tmp_path)
    await site.ask("GET", "/notes.txt?q=1")
    assert re.fullmatch(
        r"- - - \[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d \+0000\] "
        r'"GET /notes\.txt\?q=1 HTTP/1\.1" 200 10',
        (await lines())[0],
    )


async def test_the_combined_format_adds_referer_and_agent(make_site, tmp_path):
    site, lines = log(make_site, tmp_path, format="combined")
    await site.ask("GET", "/missing", Referer="http://a/", User_Agent='x"y')
    assert (await lines())[0].endswith(' 404 14 "http://a/" "x\\x22y"')


async def test_the_json_format(make_site, tmp_path):
    site, lines = log(make_site, tmp_path, format="json")
    await site.ask("HEAD", "/notes.txt")
    record = json.loads((await lines())[0])
    assert record["method"] == "HEAD"
    assert record["status"] == 200
    assert record["size"] == 0
    assert record["request_time_ms"] >= 0


async def test_an_upgrade_is_logged_as_101(make_site, tmp_path):
    site, lines = log(make_site, tmp_path)
    await site.ask(
        "GET",
        "/page.html",
        Connection="Upgrade",
        Upgrade="websocket",
        Sec_WebSocket_Key="x3JJHMbDL1EzLkh9GBhXDw==",
        Sec_WebSocket_Version="13",
    )
    assert '" 101 0' in (await lines())[0]


async def test_lines_wait_in_the_buffer_until_it_is_full(make_site, tmp_path):
    site, lines = log(make_site, tmp_path, buffer_size=3)
    for expected in (0, 0, 3):
        await site.ask("GET", "/notes.txt")
        assert len(await lines()) == expected


async def test_buffered_lines_are_written_when_the_host_stops(make_site, tmp_path):
    site, lines = log(make_site, tmp_path, buffer_size=100)
    await site.ask("GET", "/notes.txt")
    await site.host.stop()
    assert len(await lines()) == 1


async def test_a_file_that_cannot_be_written_falls_back(make_site, tmp_path, capsys):
    (tmp_path / "blocked").write_text("a file, not a folder")
    site, _ = log(make_site, tmp_path, log_file=str(tmp_path / "blocked" / "a.log"))
    assert (await site.ask("GET", "/notes.txt")).status == 200
    await asyncio.sleep(0)
    assert '"GET /notes.txt HTTP/1.1" 200 10' in capsys.readouterr().out


async def test_the_folder_is_made_and_a_full_file_is_renamed(make_site, tmp_path):
    site, lines = log(make_site, tmp_path, rotate_size_mb=1e-6)
    for number in range(3):
        await site.ask("GET", f"/{number}")
        assert [f'"GET /{number} ' in line for line in await lines()] == [True]
    names = sorted(path.name for path in (tmp_path / "logs").iterdir())
    assert len(names) == 3
    assert all(re.match(r"access\.log(\.\d{8}_\d{6}|$)", name) for name in names)


async def test_quotes_and_control_characters_cannot_break_the_line(make_site, tmp_path):
    site, lines = log(make_site, tmp_path, format="combined")
    request = site.request("GET", "/notes.txt", b"")
    request.user = 'eve" 200 1\n127.0.0.1 - bob\x1b[31m'
    response = site.hosts.handle(request)
    if not hasattr(response, "status"):
        response = await response
    [line] = await lines()
    assert "\\x22 200 1\\x0a127.0.0.1 - bob\\x1b[31m [" in line


async def test_the_size_is_what_is_sent_also_of_large_files(make_site, tmp_path, root):
    site, lines = log(make_site, tmp_path)
    (root / "large.bin").write_bytes(bytes(3 * 2**20))
    await site.ask("GET", "/large.bin")
    await site.ask("GET", "/notes.txt", Range="bytes=2-4")
    await site.ask("HEAD", "/large.bin")
    assert [line.split()[-2:] for line in await lines()] == [
        ["200", str(3 * 2**20)],
        ["206", "3"],
        ["200", "0"],
    ]


async def test_an_address_in_a_field_is_not_believed(make_site, tmp_path):
    site, lines = log(make_site, tmp_path)
    request = site.request("GET", "/notes.txt", b"", X_Forwarded_For="192.0.2.66")
    request.remote_addr = "198.51.100.7"
    response = site.hosts.handle(request)
    if not hasattr(response, "status"):
        await response
    assert (await lines())[0].startswith("198.51.100.7 - - [")
