from beamfast.protocol.delivery import CommonHandler


async def test_it_is_called_with_the_socket_and_each_message():
    seen = []

    async def receive(websocket, message):
        seen.append((websocket, message))

    handler = CommonHandler(receive)
    await handler.of("one")("a")
    await handler.of("two")(b"b")
    assert seen == [("one", "a"), ("two", b"b")]
