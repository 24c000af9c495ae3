"""One order over all topics, as a setting of a server, seen by clients."""

import asyncio

import pytest
from websockets.asyncio.client import connect

from beamfast.errors import ConfigError
from beamfast.server.loading import load
from beamfast.server.server import Server

PUBLISHED = [("a", "first"), ("b", "second"), ("a", "third"), ("b", "fourth")]
IN_ORDER = [message for _, message in PUBLISHED]
#: What one turn of the loop publishes on a topic leaves together.
BY_TOPIC = ["first", "third", "second", "fourth"]

TOML = '{}\n[[host]]\nnames = ["*"]\nroot = "."\n'
HTML = (
    '<div itemscope itemtype="https://rustybeam.net/schema/ServerConfig">{}</div>'
    '<div itemscope itemtype="https://rustybeam.net/schema/HostConfig">'
    '<b itemprop="hostname">*</b><b itemprop="hostRoot">.</b></div>'
)


async def received(server):
    """Return what a client gets that follows two topics, published in turns."""

    @server.websocket("/both")
    def follow(websocket):
        server.hub.subscribe(websocket, "a")
        server.hub.subscribe(websocket, "b")

    async with server, connect(f"ws{server.url[4:]}/both") as client:
        for topic, message in PUBLISHED:
            server.hub.publish(topic, message)
        async with asyncio.timeout(20):
            return [await client.recv() for _ in PUBLISHED]


async def test_it_is_an_argument_of_a_server(tmp_path):
    assert await received(Server(tmp_path, port=0, ordered=True)) == IN_ORDER


async def test_without_it_messages_of_a_topic_leave_together(tmp_path):
    assert await received(Server(tmp_path, port=0)) == BY_TOPIC


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("site.toml", TOML.format("ordered = true")),
        ("site.html", HTML.format('<b itemprop="ordered">yes</b>')),
    ],
)
async def test_it_is_a_setting_of_a_configuration(tmp_path, monkeypatch, name, text):
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_text(text)
    config = load(tmp_path / name).config
    assert await received(Server(config, port=0)) == IN_ORDER
    # What a program says counts more.
    assert await received(Server(config, port=0, ordered=False)) == BY_TOPIC


@pytest.mark.parametrize(
    ("name", "text", "place"),
    [
        ("site.toml", TOML.format('ordered = "sometimes"'), "site.toml: ordered"),
        ("site.html", HTML.format('<b itemprop="ordered">sometimes</b>'), "html:1"),
    ],
)
def test_another_word_is_refused_with_its_place(tmp_path, name, text, place):
    (tmp_path / name).write_text(text)
    reason = "ordered: 'sometimes' is neither true nor false"
    with pytest.raises(ConfigError, match=f"{place}: {reason}"):
        load(tmp_path / name)


def test_a_program_is_told_as_well(tmp_path):
    with pytest.raises(ConfigError, match="ordered: 'no' is neither true nor false"):
        Server(tmp_path, ordered="no")
