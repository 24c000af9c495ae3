"""Another configuration while everything goes on, with real processes."""

import asyncio
import os
import signal

import pytest
import websockets.asyncio.client

CONFIG = """
drain = 5
[[host]]
names = ["localhost", "127.0.0.1"]
root = "site"
server_header = "one"
plugins = ["websocket", "eventsource", "selector-handler", "file-handler"]
"""
NEW = """
[[host]]
names = ["new.localhost"]
root = "site"
server_header = "new"
"""


@pytest.fixture(params=["0", "2"], ids=["alone", "two workers"])
def running(request, serve, site, monkeypatch):
    monkeypatch.chdir(site.parent)
    file = site.parent / "site.toml"
    file.write_text(CONFIG)
    server = serve("--workers", request.param, "--verbose", root=file)
    server.file = file
    return server


def reload(server, text: str) -> None:
    server.file.write_text(text)
    server.process.send_signal(signal.SIGHUP)


def named(server) -> set[str]:
    """Return the Server fields of some answers."""
    return {server.request("GET", "/document.html")[1]["Server"] for _ in range(6)}


def test_lines_10_and_59_a_reload_says_so_and_counts_for_the_next_request(running):
    reload(running, CONFIG.replace('"one"', '"two"') + NEW)
    running.wait_for_line("Received SIGHUP, reloading configuration...|Reloading")
    running.wait_for_line("Configuration reloaded successfully")
    headers = running.request("GET", "/document.html", Host="new.localhost")[1]
    assert headers["Server"] == "new"
    assert named(running) == {"two"}


@pytest.mark.parametrize("workers", ["0", "2"], ids=["alone", "two workers"])
def test_a_saved_file_counts_without_a_word(serve, site, monkeypatch, workers):
    monkeypatch.chdir(site.parent)
    file = site.parent / "site.toml"
    file.write_text(CONFIG)
    server = serve("--workers", workers, "--watch", "--verbose", root=file)
    saved = site.parent / "saved"
    saved.write_text(CONFIG.replace("server_header", "server_heder"))
    saved.replace(file)
    server.wait_for_line("The configuration stays as it was")
    file.write_text(CONFIG.replace('"one"', '"two"'))
    server.wait_for_line("Configuration reloaded successfully")
    assert named(server) == {"two"}


def test_lines_11_and_60_a_broken_file_changes_nothing_and_says_why(running):
    reload(running, CONFIG.replace("server_header", "server_heder"))
    running.wait_for_line("The configuration stays as it was")
    assert named(running) == {"one"}
    assert any(
        "host[0].server_heder: unknown property server_heder" in line
        for line in running.lines
    )


def test_line_60_a_worker_that_is_killed_then_starts_with_what_was_accepted(
    serve, site
):
    file = site.parent / "site.toml"
    file.write_text(CONFIG)
    server = serve("--workers", "2", "--verbose", root=file)
    server.file = file
    pids = [
        int(line.rpartition(" ")[2])
        for line in server.lines
        if line.startswith("worker ")
    ]
    reload(server, CONFIG.replace('"one"', '"two"'))
    server.wait_for_line("Configuration reloaded successfully")
    reload(server, "nonsense")
    server.wait_for_line("The configuration stays as it was")
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
        server.wait_for_line("worker . is process")
    assert named(server) == {"two"}


async def test_lines_12_and_13_requests_and_sockets_go_on(running):
    url = f"ws{running.url[4:]}/document.html"
    async with websockets.asyncio.client.connect(url) as socket:
        for number in range(2):
            reload(running, CONFIG.replace('"one"', f'"{number}"'))
            await asyncio.to_thread(
                running.edit, "PUT", "/document.html", "h1", f"<h1>{number}</h1>"
            )
            assert f"<h1>{number}</h1>" in await asyncio.wait_for(socket.recv(), 20)
            await asyncio.to_thread(
                running.wait_for_line, "Configuration reloaded successfully"
            )
        await asyncio.to_thread(
            running.edit, "PUT", "/document.html", "h1", "<h1>after</h1>"
        )
        assert "<h1>after</h1>" in await asyncio.wait_for(socket.recv(), 20)


def test_what_needs_a_restart_is_said(serve, site):
    file = site.parent / "site.toml"
    file.write_text(CONFIG)
    server = serve("--workers", "1", "--verbose", root=file)
    server.file = file
    reload(server, 'listen = ["unix:x.sock"]\n' + CONFIG)
    server.wait_for_line("listeners changed; that needs a restart")
    server.wait_for_line("Configuration reloaded successfully")


RULE = """<tr itemscope itemtype="https://rustybeam.net/schema/AuthorizationRule">
<td itemprop="username">*</td><td itemprop="path">/*</td>
<td itemprop="method">*</td><td itemprop="action">allow</td></tr>"""
SELECTOR = '<td itemprop="selector">*</td></tr>'
PAGE = """<!DOCTYPE html><title>Configuration</title>
<table itemscope itemtype="https://rustybeam.net/schema/HostConfig">
<tr><td itemprop="hostname">127.0.0.1</td><td itemprop="hostRoot">site</td></tr>
<tr><td itemprop="serverHeader" id="header">one</td></tr>
<tr><td itemprop="plugin" itemscope
 itemtype="https://rustybeam.net/schema/AuthorizationPlugin">
 <b itemprop="authfile">rules.html</b></td></tr>
<tr><td itemprop="plugin" itemscope
 itemtype="https://rustybeam.net/schema/ConfigReloadPlugin"></td></tr>
<tr><td itemprop="plugin" itemscope
 itemtype="https://rustybeam.net/schema/SelectorHandlerPlugin"></td></tr>
<tr><td itemprop="plugin" itemscope
 itemtype="https://rustybeam.net/schema/FileHandlerPlugin"></td></tr>
</table>"""


@pytest.mark.parametrize("workers", ["0", "2"])
def test_lines_155_and_156_the_configuration_is_edited_and_patched(
    serve, site, monkeypatch, workers
):
    monkeypatch.chdir(site.parent)
    rules = RULE + RULE.replace("</tr>", SELECTOR)
    (site.parent / "rules.html").write_text(f"<table>{rules}</table>")
    (site / "config.html").write_text(PAGE)
    server = serve("--workers", workers, root=site / "config.html")
    assert named(server) == {"one"}
    cell = '<td itemprop="serverHeader" id="header">two</td>'
    assert server.edit("PUT", "/config.html", "#header", cell) == 206
    status, _, text = server.request("PATCH", "/config.html")
    assert (status, text) == (202, b"Configuration reload initiated")
    assert named(server) == {"two"}
    broken = '<td itemprop="serverHeder" id="header">three</td>'
    assert server.edit("PUT", "/config.html", "#header", broken) == 206
    status, _, text = server.request("PATCH", "/config.html")
    assert status == 422
    assert b"did you mean serverHeader?" in text
    assert named(server) == {"two"}
    assert server.request("PATCH", "/document.html")[0] == 405
