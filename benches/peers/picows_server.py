"""picows on uvloop: a listener object for each connection, a loop to broadcast."""

import argparse
import asyncio

import uvloop
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_create_server

transports: set[WSTransport] = set()


class Listener(WSListener):
    """Echo bytes, publish on command."""

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport
        transports.add(transport)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.BINARY:
            transport.send(WSMsgType.BINARY, frame.get_payload_as_bytes())
        elif frame.msg_type == WSMsgType.TEXT:
            _, messages, size, *_ = frame.get_payload_as_ascii_text().split()
            content = b"x" * int(size)
            for _ in range(int(messages)):
                for subscriber in transports:
                    subscriber.send(WSMsgType.TEXT, content)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        transports.discard(transport)


async def run(port: int) -> None:
    """Serve for good."""
    server = await ws_create_server(lambda request: Listener(), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run(parser.parse_args().port))
