"""The random histories of topics again, on encrypted connections."""

import asyncio
import os
import socket
import ssl

import pytest
import trustme
import uvloop

from .test_fanout_histories import CODINGS, History, Subscriber

HISTORIES = int(os.environ.get("BEAMFAST_TLS_HISTORIES", "40"))


class TlsSubscriber(Subscriber):
    """Its peer decrypts what it reads, and says goodbye when it has been told so."""

    def read(self):
        try:
            while chunk := self.peer.recv(1 << 20):
                self.received += chunk
            self.peer.close()
        except (ssl.SSLWantReadError, ConnectionError, ssl.SSLError, OSError):
            pass


class TlsHistory(History):
    """As its base, between a TLS server and a TLS client."""

    def __init__(self, seed, server, client):
        super().__init__(seed)
        self.server, self.client = server, client

    async def connect(self):
        subscriber = TlsSubscriber(self.registry, self.random.choice(CODINGS))
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        connecting = self.loop.create_task(
            self.loop.connect_accepted_socket(lambda: subscriber, ours, ssl=self.server)
        )
        subscriber.peer = await asyncio.to_thread(
            self.client.wrap_socket, theirs, server_hostname="localhost"
        )
        await connecting
        subscriber.peer.setblocking(False)
        if self.random.random() < 0.6:
            subscriber.queue_bytes_limit = self.random.choice((6_000, 25_000))
        self.all.append(subscriber)


@pytest.fixture(scope="module")
def contexts():
    authority = trustme.CA()
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    return server, client


@pytest.mark.parametrize("factory", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_random_histories_agree_with_the_model_when_encrypted(factory, contexts):
    counts = {"messages": 0, "resyncs": 0, "drops": 0}

    async def main():
        for seed in range(HISTORIES):
            history = TlsHistory(seed, *contexts)
            try:
                await history.play()
            except BaseException:
                print(f"history {seed} failed")  # noqa: T201 - to play it again
                raise
            counts["messages"] += history.registry.counters.messages
            counts["resyncs"] += history.registry.state.resyncs
            counts["drops"] += history.registry.state.drops

    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main())
    print(f"{HISTORIES} encrypted histories: {counts}")  # noqa: T201 - figures
    assert counts["messages"] > HISTORIES
