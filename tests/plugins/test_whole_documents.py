"""Promises about whole documents that no other file has."""

import asyncio

import pytest

from beamfast.errors import ConfigError
from beamfast.http import Response
from beamfast.pubsub.hub import Hub
from beamfast.server.config import HostConfig, PluginConfig
from beamfast.server.host import Host, Hosts
from beamfast.server.plugin_types import load_plugin

from .conftest import PAGE


async def test_a_query_does_not_matter_for_the_file(site):
    assert (await site.ask("GET", "/page.html?a=1&b=/../x")).body == PAGE
    assert (await site.ask("GET", "/missing.html?a=1")).status == 404


async def test_head_has_the_fields_of_get_and_no_body(site):
    got = await site.ask("GET", "/notes.txt")
    head = await site.ask("HEAD", "/notes.txt")
    assert head.status == got.status == 200
    assert list(head.headers) == list(got.headers)
    assert (await site.ask("HEAD", "/missing.txt")).status == 404


@pytest.mark.parametrize("value", ["bytes=0-100", "bytes=5-", "invalid-format"])
async def test_an_html_document_is_served_whole_whatever_the_byte_range(site, value):
    response = await site.ask("GET", "/page.html", Range=value)
    assert (response.status, response.body) == (200, PAGE)


async def test_other_files_are_served_in_part_unless_switched_off(make_site):
    site = make_site(PluginConfig("file-handler"))
    part = await site.ask("GET", "/notes.txt", Range="bytes=2-4")
    assert (part.status, part.body) == (206, b"234")
    assert part.headers["Content-Range"] == "bytes 2-4/10"
    for value in ("invalid-format", "lines=1-2"):
        assert (await site.ask("GET", "/notes.txt", Range=value)).status == 200
    plain = make_site(PluginConfig("file-handler", {"byte_ranges": False}))
    whole = await plain.ask("GET", "/notes.txt", Range="bytes=2-4")
    assert (whole.status, whole.body) == (200, b"0123456789")


@pytest.mark.parametrize("path", ["/page.html", "/notes.txt"])
async def test_a_tag_saves_a_transfer_and_guards_a_write(site, path):
    tag = (await site.ask("GET", path)).headers["ETag"]
    assert (await site.ask("GET", path, If_None_Match=tag)).status == 304
    before = site.read(path)
    refused = await site.ask("PUT", path, b"new", If_Match='"other"')
    assert refused.status == 412
    assert site.read(path) == before
    assert (await site.ask("PUT", path, b"new", If_Match=tag)).status == 200
    assert (await site.ask("GET", path, If_None_Match=tag)).status == 200


async def test_a_path_on_two_hosts_is_two_documents(tmp_path):
    loop = asyncio.get_running_loop()
    hosts = []
    for name in ("one", "two"):
        root = tmp_path / name
        root.mkdir()
        (root / "page.html").write_text(f"<p>{name}")
        config = HostConfig(root, names=(f"{name}.localhost",))
        hosts.append(Host(config, Hub(loop), loop))
        hosts[-1].start()
    both = Hosts(hosts, is_loopback=True)

    async def ask(name, method, body=b"", **fields):
        from .conftest import Site

        fields["Host"] = f"{name}.localhost"
        request = Site.request(None, method, "/page.html", body, **fields)
        answer = both.handle(request)
        return answer if isinstance(answer, Response) else await answer

    edited = await ask("one", "PUT", b"<p>changed", Range="selector=p")
    assert edited.status == 206
    assert (await ask("one", "GET")).body == b"<p>changed"
    assert (await ask("two", "GET")).body == b"<p>two"
    for host in hosts:
        await host.stop()


@pytest.mark.parametrize("operation", ["PUT", "POST"])
async def test_text_that_looks_like_a_marker_is_stored_verbatim(site, operation):
    content = (
        f"<li>__RUSTY_BEAM_{operation}_MARKER_1____ {{marker}} $1 \\1</li>".encode()
    )
    assert (await site.ask("PUT", "/page.html", content, selector="li")).status == 206
    assert (await site.ask("POST", "/page.html", content, selector="ul")).status == 206
    assert site.read("page.html").count(content) == 2


async def test_the_index_file_and_hidden_names_can_be_chosen(make_site, root):
    (root / "folder").mkdir()
    (root / "folder" / "default.htm").write_text("<p>default")
    (root / ".note.txt").write_text("hidden")
    files = PluginConfig(
        "file-handler", {"index_file": "default.htm", "hide_dotfiles": False}
    )
    site = make_site(PluginConfig("selector-handler"), files)
    assert (await site.ask("GET", "/folder/")).body == b"<p>default"
    # One resolver for every plugin.
    assert (await site.ask("GET", "/folder", selector="p")).status == 206
    assert (await site.ask("GET", "/.note.txt")).body == b"hidden"
    assert (await site.ask("GET", "/.beam/journal.db")).status == 404
    nested = PluginConfig("directory", {}, (files,))
    assert (await make_site(nested).ask("GET", "/folder/")).body == b"<p>default"


async def test_a_folder_may_be_redirected_to_its_slash(make_site, root):
    (root / "a folder").mkdir()
    (root / "a folder" / "index.html").write_text("<p>index")
    site = make_site(PluginConfig("file-handler", {"redirect_dirs": True}))
    moved = await site.ask("GET", "/a%20folder?x=1")
    assert (moved.status, moved.headers["Location"]) == (301, "/a%20folder/?x=1")
    for path, status in [("/a%20folder/", 200), ("/page.html", 200), ("/none", 404)]:
        assert (await site.ask("GET", path)).status == status


def test_an_index_file_in_another_folder_is_a_mistake():
    for name in ("", "a/b.html"):
        with pytest.raises(ConfigError, match="index_file"):
            load_plugin(PluginConfig("file-handler", {"index_file": name}))


def test_the_root_that_the_original_had_is_understood():
    for name in ("file-handler", "selector-handler"):
        load_plugin(PluginConfig(name, {"root_dir": "./files"}))
