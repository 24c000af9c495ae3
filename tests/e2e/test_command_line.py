"""What a user types and reads."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import websockets.asyncio.client
from websockets.exceptions import ConnectionClosed


def beamfast(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "beamfast", *arguments],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
    )


def test_a_missing_folder_is_a_clear_error_with_exit_code_2(tmp_path):
    done = beamfast(str(tmp_path / "nowhere"))
    assert done.returncode == 2
    assert "no such folder" in done.stderr
    assert "nowhere" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_file_that_is_no_configuration_is_a_clear_error(tmp_path):
    (tmp_path / "page.html").write_text("x")
    done = beamfast(str(tmp_path / "page.html"))
    assert done.returncode == 2
    assert "page.html:1: no HostConfig: nothing to serve" in done.stderr


CONFIG = """<!DOCTYPE html>
<title>Notes server</title>
<dl itemscope itemtype="https://rustybeam.net/schema/ServerConfig">
  <dt>Port</dt><dd itemprop="bindPort">8000</dd>
</dl>
<section itemscope itemtype="https://rustybeam.net/schema/HostConfig">
  <p>Serves <b itemprop="hostname">localhost</b>, <b itemprop="hostname">127.0.0.1</b>
     from <code itemprop="hostRoot">./site</code></p>
  <ol>
    <li itemprop="plugin" itemscope
        itemtype="https://rustybeam.net/schema/SelectorHandlerPlugin">
      <code itemprop="library">file://./x/librusty_beam_selector_handler.so</code></li>
    <li itemprop="plugin" itemscope
        itemtype="https://rustybeam.net/schema/FileHandlerPlugin">
      <code itemprop="library">file://./x/librusty_beam_file_handler.so</code></li>
  </ol>
</section>
"""


def test_a_configuration_file_is_served_and_the_command_line_wins(serve, site):
    file = site.parent / "config.html"
    file.write_text(CONFIG)
    server = serve(root=file)
    assert server.port != 8000
    status, _, body = server.request("GET", "/document.html", selector="h1")
    assert (status, body) == (206, b"<h1>Notes</h1>")


def test_check_reports_every_mistake_and_exits_with_2(tmp_path, site):
    file = tmp_path / "config.html"
    file.write_text(CONFIG)
    good = beamfast("check", str(file))
    assert good.returncode == 0
    assert "localhost, 127.0.0.1 on 127.0.0.1 port 8000" in good.stdout
    file.write_text(CONFIG.replace("8000", "many").replace("./site", "./nowhere"))
    bad = beamfast("check", str(file))
    assert bad.returncode == 2
    assert "config.html:4: bindPort: 'many' is not a port" in bad.stderr
    assert "no such folder: ./nowhere" in bad.stderr


def test_the_environment_chooses_address_and_port(serve, monkeypatch, site):
    monkeypatch.setenv("BEAMFAST_BIND", "127.0.0.2")
    monkeypatch.setenv("BIND_ADDRESS", "127.0.0.3")
    server = serve()
    assert server.url.startswith("http://127.0.0.2:")


def test_an_unknown_option_is_named_and_exits_with_2():
    done = beamfast("--frobnicate")
    assert done.returncode == 2
    assert "--frobnicate" in done.stderr


def test_a_port_in_use_exits_with_3_and_names_the_next_step(server):
    done = beamfast(str(server.root), "--port", str(server.port))
    assert done.returncode == 3
    assert f"Port {server.port} is taken by" in done.stderr
    assert re.search(r"process \d+\.$", done.stderr, re.MULTILINE)
    assert "--port 0" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_public_address_needs_the_flag_for_open_writes(site):
    done = beamfast(str(site), "--bind", "0.0.0.0")
    assert done.returncode == 2
    assert "--allow-anonymous-writes" in done.stderr


def test_an_address_of_another_machine_is_a_clear_error(site):
    done = beamfast(str(site), "--bind", "192.0.2.1", "--allow-anonymous-writes")
    assert done.returncode == 1
    assert "192.0.2.1" in done.stderr
    assert "Traceback" not in done.stderr


def test_version_and_help_answer_without_serving():
    assert beamfast("--version").stdout.startswith("beamfast, version ")
    assert "serve" in beamfast("--help").stdout
    assert "--verbose" in beamfast("serve", "--help").stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_closes_sockets_with_1001_and_exits_with_0(server, number):
    url = f"ws://127.0.0.1:{server.port}/document.html"
    async with websockets.asyncio.client.connect(url) as socket:
        server.process.send_signal(number)
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1001
    assert server.stop() == 0
    assert not any("Traceback" in line for line in server.lines)


def test_without_a_path_a_demo_is_served_from_a_temporary_folder():
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "beamfast", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    lines = []
    try:
        while "Ctrl-C" not in (line := process.stdout.readline()):
            assert line, lines
            lines.append(line)
        folder = Path(lines[0].split(" in ")[1].strip())
        assert (folder / "index.html").is_file()
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait(20)
        process.stdout.close()
    assert not folder.exists()


async def test_verbose_mode_tells_connect_subscribe_broadcast_and_clean_up(serve):
    server = serve("--verbose")
    url = f"ws://127.0.0.1:{server.port}/document.html"
    async with websockets.asyncio.client.connect(url) as socket:
        server.wait_for_line(r"\[websocket\] connect 1 /document\.html")
        server.wait_for_line(r"\[websocket\] subscribe 1 /document\.html")
        assert server.edit("PUT", "/document.html", "h1", "<h1>New</h1>") == 206
        await socket.recv()
        server.wait_for_line(r"PUT /document\.html h1 → rev 1 → 1 viewers")
    server.wait_for_line(r"\[websocket\] clean-up 1 /document\.html")
    assert any(line.startswith("PID: ") for line in server.lines)


def test_line_4_verbose_prints_process_address_and_hint(serve):
    server = serve("-v")
    server.wait_for_line("Ctrl-C stops")
    assert f"PID: {server.process.pid}" in server.lines
    assert f"Ready at {server.url}/" in server.lines
    assert "Send SIGHUP to reload configuration" in server.lines


def test_line_7_a_server_stays_in_the_foreground(server):
    assert server.is_running
    assert os.getsid(server.process.pid) == os.getsid(0)
