"""Drivers on a transport until they have decided."""

import asyncio
import socket
import ssl
from pathlib import Path

import pytest

from beamfast._frames import build_frame
from beamfast.connection.dialogue import Dialogue
from beamfast.errors import ConnectionClosed
from beamfast.protocol.client import ClientDriver
from beamfast.protocol.driver import State
from beamfast.protocol.handshake import accept_key

TEXT = 1


def answer_to(request):
    key = bytes(request).partition(b"Sec-WebSocket-Key: ")[2].partition(b"\r\n")[0]
    return (
        b"HTTP/1.1 101 OK\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: %b\r\n\r\n" % accept_key(key.decode()).encode()
    )


@pytest.fixture
async def dialogue(transport):
    dialogue = Dialogue()
    dialogue.connection_made(transport)
    transport.set_protocol(dialogue)
    return dialogue


@pytest.fixture
def driver():
    driver = ClientDriver("ws://a/")
    driver.start()
    return driver


async def begin(dialogue, driver):
    running = asyncio.ensure_future(dialogue.run(driver))
    await asyncio.sleep(0)
    return running


async def test_a_driver_runs_until_it_has_decided(dialogue, driver, transport):
    running = await begin(dialogue, driver)
    answer = answer_to(transport.written)
    for byte in answer:
        assert not running.done()
        transport.receive(bytes([byte]))
        await asyncio.sleep(0)
    await running
    assert driver.state is State.OPEN


async def test_what_was_kept_is_read_first(dialogue, driver, transport):
    dialogue.keep(b"HTTP/1.1 200 ")
    transport.receive(b"OK\r\n\r\n")
    await dialogue.run(driver)
    assert driver.response.status == 200


@pytest.mark.parametrize("end", ["receive_eof", "lose"])
async def test_an_end_is_a_decision(dialogue, driver, transport, end):
    running = await begin(dialogue, driver)
    getattr(transport, end)()
    await running
    assert driver.state is State.CLOSED
    assert dialogue.is_over
    await dialogue.progress()


async def test_a_transport_that_ended_before_is_noticed(dialogue, driver, transport):
    transport.lose()
    await asyncio.sleep(0)
    await dialogue.run(driver)
    assert driver.state is State.CLOSED


async def test_nothing_is_lost_between_the_decision_and_the_next_turn(
    dialogue, driver, transport
):
    running = await begin(dialogue, driver)
    early = build_frame(TEXT, "early")
    transport.receive(answer_to(transport.written) + early)
    transport.receive(build_frame(TEXT, "earlier"))
    transport.lose()
    await asyncio.sleep(0)
    await running
    websocket = dialogue.become(driver.hand_over(), "/", 0, 0)
    websocket.begin()
    assert [await websocket.recv(), await websocket.recv()] == ["early", "earlier"]
    with pytest.raises(ConnectionClosed):
        await websocket.recv()
    assert websocket.transport is None


async def test_an_open_connection_becomes_a_websocket(dialogue, driver, transport):
    running = await begin(dialogue, driver)
    transport.receive(answer_to(transport.written) + build_frame(TEXT, "early"))
    await running
    websocket = dialogue.become(driver.hand_over(), "/", 5, 5)
    websocket.begin()
    assert transport.protocol is websocket
    transport.receive(build_frame(TEXT, "later"))
    assert [await websocket.recv(), await websocket.recv()] == ["early", "later"]
    assert websocket.deadline > transport.loop.time()
    websocket.abort()
    await asyncio.sleep(0)
    assert websocket.transport is None


async def test_it_can_be_aborted_at_any_time(dialogue, transport):
    Dialogue().abort()
    dialogue.abort()
    assert transport.aborted


async def test_what_was_said_before_tls_is_not_believed():
    certificate = Path(__file__).parents[1] / "data" / "localhost.pem"
    ours = ssl.create_default_context(cafile=certificate)
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    theirs.load_cert_chain(certificate)

    def serve(listener):
        sock, _ = listener.accept()
        sock.sendall(b"HTTP/1.1 403 Injected\r\nContent-Length: 0\r\n\r\n")
        with theirs.wrap_socket(sock, server_side=True) as encrypted:
            request = b""
            while b"\r\n\r\n" not in request:
                request += encrypted.recv(2**16)
            encrypted.sendall(answer_to(request))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = asyncio.ensure_future(asyncio.to_thread(serve, listener))
        dialogue, loop = Dialogue(), asyncio.get_running_loop()
        driver = ClientDriver("wss://localhost/")
        driver.start()
        await loop.create_connection(lambda: dialogue, *listener.getsockname())
        while not dialogue._early:
            await asyncio.sleep(0.001)
        await dialogue.encrypt(ours, "localhost")
        await dialogue.run(driver)
        assert driver.state is State.OPEN
        dialogue.abort()
        await serving
