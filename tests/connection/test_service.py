import asyncio
from email.utils import parsedate_to_datetime

import pytest

from beamfast._fanout import TopicRegistry
from beamfast.connection import service as module
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
    assert (service.server_line, service.limits.fields) == (b"Server: test\r\n", 3)


async def test_the_date_is_an_http_date(service, monkeypatch):
    monkeypatch.setattr(module.time, "time", lambda: 784111777.9)
    assert service.date_line() == b"Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"


async def test_the_date_is_formatted_once_a_second(service, monkeypatch):
    monkeypatch.setattr(module.time, "time", lambda: 784111777.1)
    first = service.date_line()
    monkeypatch.setattr(module.time, "time", lambda: 784111777.9)
    assert service.date_line() is first
    monkeypatch.setattr(module.time, "time", lambda: 784111778.0)
    assert parsedate_to_datetime(service.date_line()[6:].decode()).second == 38


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
