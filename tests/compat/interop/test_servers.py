"""Our client on servers of others: messages, pings, fragments, closes."""

import asyncio
import contextlib

import picows
import pytest
import websockets.asyncio.server
from aiohttp import web

from beamfast import ConnectError, connect

NODE_SERVER = """
const {readFileSync} = require("fs");
const {createServer} = require(process.argv[2] ? "https" : "http");
const {WebSocketServer} = require("ws");
const pem = process.argv[2] && readFileSync(process.argv[2]);
const server = createServer(pem ? {key: pem, cert: pem} : {});
const sockets = new WebSocketServer({server, maxPayload: 1 << 24,
    perMessageDeflate: {threshold: 0}});
sockets.on("connection", socket => {
    socket.on("message", (data, isBinary) => socket.send(data, {binary: isBinary}));
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
"""


@contextlib.asynccontextmanager
async def serving_websockets(peers, tls, node):
    async def echo(connection):
        async for message in connection:
            await connection.send(message)

    context = peers.server_context() if tls else None
    async with websockets.asyncio.server.serve(
        echo, "127.0.0.1", 0, ssl=context, max_size=None
    ) as server:
        yield server.sockets[0].getsockname()[1]


@contextlib.asynccontextmanager
async def serving_aiohttp(peers, tls, node):
    async def echo(request):
        response = web.WebSocketResponse(max_msg_size=0)
        await response.prepare(request)
        async for message in response:
            if message.type is web.WSMsgType.TEXT:
                await response.send_str(message.data)
            else:
                await response.send_bytes(message.data)
        return response

    app = web.Application()
    app.router.add_get("/", echo)
    runner = web.AppRunner(app)
    await runner.setup()
    context = peers.server_context() if tls else None
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    yield runner.addresses[0][1]
    await runner.cleanup()


class PicowsEcho(picows.WSListener):
    def on_ws_frame(self, transport, frame):
        if frame.msg_type is picows.WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code())
            transport.disconnect()
        elif frame.msg_type is picows.WSMsgType.PING:
            transport.send_pong(frame.get_payload_as_bytes())
        else:
            # It knows frames, not messages.
            transport.send(frame.msg_type, frame.get_payload_as_bytes(), fin=frame.fin)


@contextlib.asynccontextmanager
async def serving_picows(peers, tls, node):
    context = peers.server_context() if tls else None
    server = await picows.ws_create_server(
        lambda request: PicowsEcho(), "127.0.0.1", 0, ssl=context
    )
    async with server:
        yield server.sockets[0].getsockname()[1]


@contextlib.asynccontextmanager
async def serving_node(peers, tls, node):
    arguments = [str(peers.certificate)] if tls else [""]
    with node(NODE_SERVER, "port", *arguments) as process:
        try:
            yield int(await asyncio.to_thread(process.stdout.readline))
        finally:
            process.terminate()


SERVERS = {
    "websockets": serving_websockets,
    "aiohttp": serving_aiohttp,
    "picows": serving_picows,
}


async def converse(port, peers, tls):
    options = {"ssl": peers.client_context()} if tls else {}
    url = f"{'wss' if tls else 'ws'}://localhost:{port}/"
    async with connect(url, max_size=2**24, **options) as websocket:
        for message in peers.messages:
            await websocket.send(message)
            assert await websocket.recv() == message
        await websocket.send(["frag", "men", "ted"])
        assert await websocket.recv() == "fragmented"
        first, last = await websocket.ping(), await websocket.ping(b"beam")
        assert await last >= 0
        assert await first >= 0
        await websocket.close(4000, "bye")
        # aiohttp answers every close with its own.
        assert websocket.close_code in (4000, 1000)
    if tls:
        with pytest.raises(OSError, match="certificate"):
            await connect(url)


@pytest.mark.parametrize("name", SERVERS)
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])
async def test_python_servers(peers, name, tls):
    async with SERVERS[name](peers, tls, None) as port:
        await converse(port, peers, tls)


@pytest.mark.system("nodejs", debian=["node-ws"])
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])
async def test_node_ws(peers, node, tls):
    async with serving_node(peers, tls, node) as port:
        await converse(port, peers, tls)


@pytest.mark.parametrize("name", ["websockets", "aiohttp"])
async def test_deflate_is_agreed_on_unless_turned_off(peers, name):
    async with SERVERS[name](peers, False, None) as port:
        for compression in ("dedicated", None):
            async with connect(
                f"ws://localhost:{port}/", compression=compression
            ) as websocket:
                fields = websocket.response.headers
                assert ("sec-websocket-extensions" in fields) is bool(compression)
                await websocket.send("compress me " * 100)
                assert await websocket.recv() == "compress me " * 100


async def test_a_plain_web_server_refuses(peers):
    async with serving_aiohttp(peers, False, None) as port:
        with pytest.raises(ConnectError, match="404"):
            await connect(f"ws://localhost:{port}/none")
