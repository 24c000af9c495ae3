import asyncio

import pytest

from beamfast._fanout import TopicRegistry
from beamfast.connection.service import Service
from beamfast.http import Response
from beamfast.protocol.http11 import Limits


@pytest.fixture
async def service():
    loop = asyncio.get_running_loop()
    return Service(lambda _: Response(204), loop, TopicRegistry(loop))


async def test_the_times_are_those_of_the_specification(service):
    times = (service.head_timeout, service.body_timeout, service.idle_timeout)
    assert times == (10, 30, 75)
    assert service.limits == Limits()
    assert not service.is_draining


async def test_limits_and_times_can_be_given():
    loop = asyncio.get_running_loop()
    service = Service(
        lambda _: Response(204),
        loop,
        TopicRegistry(loop),
        server="test",
        limits=Limits(fields=3),
        head_timeout=1,
        body_timeout=2,
        idle_timeout=3,
    )
    times = (service.head_timeout, service.body_timeout, service.idle_timeout)
    assert times == (1, 2, 3)
    assert service.limits.fields == 3
    assert service.own_lines().endswith(b" GMT\r\nServer: test\r\n")
    service.name_server("")
    assert service.own_lines().endswith(b" GMT\r\n")


async def test_the_date_is_an_http_date():
    loop = asyncio.get_running_loop()
    service = Service(print, loop, TopicRegistry(loop), clock=lambda: 784111777.9)
    assert service.own_lines() == b"Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
    assert service.second() == 784111777


async def test_handlers_are_cancelled_and_waited_for(service):
    ended = []

    async def handler():
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    service.handlers.update(asyncio.ensure_future(handler()) for _ in range(2))
    await asyncio.sleep(0)
    await service.cancel_handlers()
    assert ended == [True, True]


async def test_limits_that_change_hold_for_the_next_head():
    loop = asyncio.get_running_loop()
    service = Service(lambda request: Response(200), loop, TopicRegistry(loop))
    head = b"GET /abc HTTP/1.1\r\nHost: a\r\n\r\n"
    assert service.scanner.read(head) is not None
    service.limits = Limits(request_line=10)
    assert service.scanner.read(head) is None
    service.heartbeat.close()
