"""One site in every published form of a configuration: all of them behave alike."""

import asyncio
import json

import pytest

from beamfast.connection.service import Service
from beamfast.http import Headers, Request, Response
from beamfast.pubsub.hub import Hub
from beamfast.runstate import RunState
from beamfast.server.hosting import Hosting
from beamfast.server.loading import load

VOCABULARIES = [
    "http://rustybeam.net/",
    "https://rustybeam.net/",
    "http://rustybeam.net/schema/",
    "https://rustybeam.net/schema/",
]


def scope(kind: str, vocabulary: str = VOCABULARIES[3]) -> str:
    return f'itemscope itemtype="{vocabulary}{kind}"'


def prop(name: str, text: str, tag: str = "span") -> str:
    return f'<{tag} itemprop="{name}">{text}</{tag}>'


def library(name: str) -> str:
    return prop("library", f"file://./plugins/librusty_beam_{name}.so")


#: The pipeline of all forms: a directory with its own header, then files.
INNER = library("cors") + prop("allowed_origins", "https://a.example")
OUTER = library("directory") + prop("directory", "/members")
FILES = library("file_handler")


def plugin(content: str, tag: str = "li", kind: str = "Plugin") -> str:
    return f"<{tag} itemprop=plugin {scope(kind)}>{content}</{tag}>"


def pipeline(tag: str = "li") -> str:
    return plugin(OUTER + plugin(INNER, "div"), tag) + plugin(FILES, tag)


def host(plugins: str, more: str = "", names=("a.test", "b.test")) -> str:
    own = "".join(prop("hostname", name) for name in names)
    own += prop("hostRoot", "site") + prop("serverHeader", "club/1")
    return f"<section {scope('HostConfig')} {more}>{own}{plugins}</section>"


def server(more: str = "", attributes: str = "", vocabulary=VOCABULARIES[3]) -> str:
    own = prop("bindPort", "8099") + more
    return f"<div {scope('ServerConfig', vocabulary)} {attributes}>{own}</div>"


def items(plugins: str) -> str:
    return f"<ol>{plugins}</ol>"


NESTED = json.dumps(
    [
        {
            "library": "file://./plugins/librusty_beam_cors.so",
            "config": {"allowed_origins": "https://a.example"},
            "nested_plugins": [],
        }
    ]
)
TOML = """
port = 8099
[[host]]
names = ["a.test", "b.test"]
root = "site"
server_header = "club/1"
[[host.plugin]]
name = "directory"
directory = "/members"
[[host.plugin.plugin]]
name = "cors"
allowed_origins = ["https://a.example"]
[[host.plugin]]
name = "file-handler"
"""
TOML_LIBRARIES = TOML.replace(
    'name = "cors"', 'library = "file://x/librusty_beam_cors.so"'
).replace("names = [", "hostName = [")

CONFIGURATIONS = {
    **{
        f"line 16: server of {one}": (server(vocabulary=one) + host(items(pipeline())))
        for one in VOCABULARIES
    },
    "line 17: hostName": (server() + host(items(pipeline()))).replace(
        '"hostname"', '"hostName"'
    ),
    "line 20: linked by itemref": server(attributes='itemref="h"')
    + host(items(pipeline()), 'id="h" itemprop="host"'),
    "line 21: host that nobody refers to": server()
    + host(items(pipeline()), 'itemprop="host"'),
    "line 22: nested in a server on body": (
        f"<body {scope('ServerConfig')}>{prop('bindPort', '8099')}"
        f"{host(items(pipeline()), 'itemprop=host')}</body>"
    ),
    "line 26: table rows": server()
    + host(
        "<table>"
        + plugin(f"<td>{OUTER}{plugin(INNER, 'div')}</td>", "tr")
        + plugin(f"<td>{FILES}</td>", "tr")
        + "</table>"
    ),
    "line 26: table cells": server()
    + host(f"<table><tr>{pipeline('td')}</tr></table>"),
    "line 26: a container without a library": server()
    + host(f"<ol itemprop=plugin {scope('Plugin')}>{pipeline()}</ol>"),
    "plugins as the name of the link": server()
    + host(items(pipeline()).replace("itemprop=plugin", "itemprop=plugins")),
    "line 27: other file names": server()
    + host(
        items(pipeline())
        .replace("librusty_beam_file_handler.so", "file-handler-v2.so")
        .replace("librusty_beam_directory.so", "libdirectory.dylib")
    ),
    "types instead of libraries": server()
    + host(
        items(
            plugin(
                prop("directory", "/members")
                + plugin(
                    prop("allowed_origins", "https://a.example"), "div", "CorsPlugin"
                ),
                kind="DirectoryPlugin",
            )
            + plugin("", kind="FileHandlerPlugin")
        )
    ),
    "names instead of libraries": server()
    + host(
        items(
            plugin(
                prop("name", "directory")
                + prop("directory", "/members")
                + plugin(
                    prop("name", "cors") + prop("allowed-origins", "https://a.example"),
                    "div",
                )
            )
            + plugin(prop("name", "file-handler"))
        )
    ),
    "line 33: nested plugins in JSON": server()
    + host(items(plugin(OUTER + prop("nested_plugins", NESTED)) + plugin(FILES))),
    "line 34: other names": (server() + host(items(pipeline())))
    .replace('"bindPort"', '"port"')
    .replace('"hostRoot"', '"root"')
    .replace('"hostname"', '"host"')
    .replace('"serverHeader"', '"server_header"'),
    "line 37: meta content": server().replace(
        prop("bindPort", "8099"), '<meta itemprop="bindPort" content="8099">'
    )
    + host(items(pipeline())),
    "line 37: a selected option": server().replace(
        prop("bindPort", "8099"),
        '<select itemprop="bindPort"><option>1<option selected>8099</select>',
    )
    + host(items(pipeline())),
    "line 42: a plugin that is switched off": server()
    + host(
        items(pipeline() + plugin(library("basic_auth") + prop("enabled", "false")))
    ),
    "TOML": TOML,
    "TOML with the names of the original": TOML_LIBRARIES,
}


@pytest.fixture
async def serve(tmp_path, monkeypatch):
    """Start the hosts of a configuration; return what asks them."""
    (tmp_path / "site" / "members").mkdir(parents=True)
    (tmp_path / "site" / "index.html").write_text("<h1>Club</h1>")
    (tmp_path / "site" / "members" / "index.html").write_text("<h1>Members</h1>")
    monkeypatch.chdir(tmp_path)
    loop = asyncio.get_running_loop()
    started = []

    async def nothing():
        return ()

    def serve(text: str):
        file = tmp_path / (
            "site.toml" if text is TOML or "[[host]]" in text else "s.html"
        )
        file.write_text(text)
        config = load(file).config
        hub = Hub(loop)
        hosting = Hosting(config, hub, loop, shared=None, run_state=RunState())
        service = Service(hosting.application, loop, hub.registry)
        hosting.start(service, nothing)
        started.append((hosting, service))

        async def ask(path: str, name: str = "a.test") -> Response:
            headers = Headers([("Host", name), ("Origin", "https://a.example")])
            request = Request("GET", path, url=path, path=path, headers=headers)
            answer = service.application(request)
            return answer if isinstance(answer, Response) else await answer

        return config, ask

    yield serve
    for hosting, service in started:
        await hosting.stop()
        service.heartbeat.close()


@pytest.mark.parametrize("text", CONFIGURATIONS.values(), ids=CONFIGURATIONS)
async def test_every_dialect_behaves_alike(serve, text):
    config, ask = serve(text)
    assert config.port == 8099
    for name in ("a.test", "B.test:8099"):
        page, members = await ask("/", name), await ask("/members/", name)
        assert (page.status, page.body) == (200, b"<h1>Club</h1>")
        assert (members.status, members.body) == (200, b"<h1>Members</h1>")
        assert page.headers["server"] == members.headers["server"] == "club/1"
        # The plugin inside the directory applies below it only.
        assert "access-control-allow-origin" not in page.headers
        allowed = members.headers["access-control-allow-origin"]
        assert allowed == "https://a.example"
    other = await ask("/", "c.test")
    assert (other.status, other.body) == (404, b"Host not found")


async def test_line_35_a_pipeline_without_a_host_serves_any_name(serve):
    page = server(prop("serverRoot", "site")) + (
        f"<div {scope('Pipeline')}>{plugin(prop('name', 'file-handler'))}</div>"
    )
    toml = 'root = "site"\nplugins = ["file-handler"]\n#[[host]]\n'
    for text in (page, toml):
        _, ask = serve(text)
        assert (await ask("/", "localhost")).body == b"<h1>Club</h1>"


async def test_lines_39_and_40_the_closest_name_wins_whatever_its_case_and_port(serve):
    def named(name: str) -> str:
        one = host(items(plugin(FILES)), names=(name,))
        return one.replace("club/1", f"is {name}")

    _, ask = serve(
        server(prop("bindAddress", "0.0.0.0"))
        + "".join(map(named, ("*", "*.example.test", "www.example.test")))
    )
    for asked, found in [
        ("www.example.test", "www.example.test"),
        ("WWW.Example.Test:80", "www.example.test"),
        ("a.b.example.test", "*.example.test"),
        ("example.test", "*"),
        ("[::1]:3000", "*"),
    ]:
        assert (await ask("/", asked)).headers["server"] == f"is {found}"
