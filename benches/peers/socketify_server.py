"""socketify (uWebSockets for Python): echo, broadcast by its topics, GET."""

import argparse
from typing import Any

from socketify import App, AppListenOptions, CompressOptions, OpCode

PAGE = "x" * 2048
TOPIC = "bench"


def serve(port: int) -> None:
    """Serve for good."""
    app = App()

    def receive(websocket: Any, message: Any, opcode: OpCode) -> None:
        if opcode == OpCode.BINARY:
            websocket.send(message, opcode)
            return
        _, messages, size, *_ = message.split()
        content = "x" * int(size)
        for _ in range(int(messages)):
            app.publish(TOPIC, content, OpCode.TEXT)

    behaviour = {
        "compression": CompressOptions.DISABLED,
        "open": lambda websocket: websocket.subscribe(TOPIC),
        "message": receive,
    }
    app.ws("/*", behaviour)
    app.get("/*", lambda response, request: response.end(PAGE))
    app.listen(AppListenOptions(port=port, host="127.0.0.1"), lambda _: None)
    app.run()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    serve(parser.parse_args().port)
