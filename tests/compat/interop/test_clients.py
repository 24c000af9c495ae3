"""Clients of others, on a server of ours: messages, pings, fragments, closes."""

import asyncio
import json

import aiohttp
import picows
import pytest
import websocket
import websockets

NODE_CLIENT = """
const WebSocket = require("ws");
const messages = JSON.parse(process.argv[2]).map(
    m => m.text !== undefined ? m.text : Buffer.from(m.binary, "hex"));
const socket = new WebSocket(process.argv[1]);
let at = 0;
const next = () => at < messages.length
    ? socket.send(messages[at]) : socket.ping("beam");
socket.on("open", next);
socket.on("message", (data, isBinary) => {
    const sent = messages[at++];
    const same = isBinary ? Buffer.compare(data, sent) === 0 : String(data) === sent;
    if (!same || isBinary !== Buffer.isBuffer(sent)) process.exit(3);
    next();
});
socket.on("pong", data => socket.close(4000, String(data)));
socket.on("close", (code, reason) => { console.log(code); });
"""


async def test_websockets(our_server, peers):
    options = {"max_size": None, "proxy": None}
    if our_server.url.startswith("wss"):
        options["ssl"] = peers.client_context()
    async with websockets.connect(our_server.url, **options) as client:
        for message in peers.messages:
            await client.send(message)
            assert await client.recv() == message
        await client.send(["frag", "men", "ted"])
        assert await client.recv() == "fragmented"
        await client.send("in pieces")
        assert [piece async for piece in client.recv_streaming()] == [
            "in",
            " ",
            "pieces",
        ]
        assert await (await client.ping()) >= 0
        await client.close(4000, "bye")
        assert client.close_code == 4000
    assert our_server.ended == [(4000, "bye")]


async def test_aiohttp(our_server, peers):
    context = peers.client_context() if our_server.url.startswith("wss") else True
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(
            our_server.url, ssl=context, max_msg_size=0, compress=15
        ) as client,
    ):
        for message in peers.messages:
            if isinstance(message, str):
                await client.send_str(message)
                assert await client.receive_str() == message
            else:
                await client.send_bytes(message)
                assert await client.receive_bytes() == message
        await client.close(code=4000, message=b"bye")
        assert client.close_code == 4000
    assert our_server.ended == [(4000, "bye")]


class Picows(picows.WSListener):
    """Sends one message after the other."""

    def __init__(self, messages):
        self.messages = list(messages)
        self.received = []

    def on_ws_connected(self, transport):
        self.send_next(transport)

    def send_next(self, transport):
        if not self.messages:
            transport.send_close(4000, b"bye")
            return
        message = self.messages.pop(0)
        if isinstance(message, str):
            transport.send(picows.WSMsgType.TEXT, message.encode())
        else:
            transport.send(picows.WSMsgType.BINARY, message)

    def on_ws_frame(self, transport, frame):
        match frame.msg_type:
            case picows.WSMsgType.TEXT:
                self.received.append(frame.get_payload_as_utf8_text())
                self.send_next(transport)
            case picows.WSMsgType.BINARY:
                self.received.append(frame.get_payload_as_bytes())
                self.send_next(transport)
            case picows.WSMsgType.CLOSE:
                self.received.append(frame.get_close_code())
                transport.disconnect()


async def test_picows(our_server, peers):
    tls = our_server.url.startswith("wss")
    transport, listener = await picows.ws_connect(
        lambda: Picows(peers.messages),
        our_server.url,
        ssl_context=peers.client_context() if tls else None,
    )
    await transport.wait_disconnected()
    assert listener.received == [*peers.messages, 4000]
    assert our_server.ended == [(4000, "bye")]


async def test_websocket_client(our_server, peers):
    def script():
        client = websocket.create_connection(
            our_server.url, sslopt={"ca_certs": str(peers.certificate)}, timeout=20
        )
        for message in peers.messages:
            if isinstance(message, str):
                client.send(message)
            else:
                client.send_binary(message)
            assert client.recv() == message
        client.ping("beam")
        client.send("last")
        assert client.recv() == "last"
        client.close(4000, b"bye")

    await asyncio.to_thread(script)
    while not our_server.ended:
        await asyncio.sleep(0)
    assert our_server.ended == [(4000, "bye")]


@pytest.mark.system("nodejs", debian=["node-ws"])
async def test_node_ws(our_server, peers, node):
    messages = [
        {"text": one} if isinstance(one, str) else {"binary": one.hex()}
        for one in peers.messages
        if len(one) < 60_000  # arguments of a command are short
    ]
    with node(NODE_CLIENT, our_server.url, json.dumps(messages)) as process:
        output, _ = await asyncio.to_thread(process.communicate)
    assert (process.returncode, output) == (0, "4000\n")
    assert our_server.ended == [(4000, "beam")]
