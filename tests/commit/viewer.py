"""A subscriber of documents that keeps what it is sent."""

import asyncio

from beamfast._outbound import Outbound


class Pipe(asyncio.Transport):
    """A transport that takes everything at once."""

    def __init__(self, written):
        super().__init__()
        self.written = written

    def write(self, data):
        self.written += data

    def writelines(self, pieces):
        for piece in pieces:
            self.written += piece

    def get_write_buffer_size(self):
        return 0

    def set_write_buffer_limits(self, high=None, low=None):
        """Nothing is ever held."""

    def is_closing(self):
        return False

    def close(self):
        """Nothing is held."""

    abort = close


class Viewer(Outbound):
    """One line for each item: kind, version, text."""

    def __init__(self, state):
        super().__init__()
        self.on_close = None
        self.received = bytearray()
        self.is_fresh = True
        self.attach(Pipe(self.received), state)

    @staticmethod
    def frame_item(text, version, event):
        return f"{event or 'item'} {version} {text!r}\n".encode()

    def greet(self, version):
        self.write(f"id {version} ''\n".encode())

    def lines(self):
        """Return everything that has arrived, and forget it."""
        text = self.received.decode()
        self.received.clear()
        return text.splitlines()

    def take(self):
        """Return kind and version of everything that has arrived."""
        for line in self.lines():
            kind, version, _ = line.split(" ", 2)
            yield kind, version
            self.is_fresh = False
