import asyncio
import inspect
import itertools
import logging
from dataclasses import dataclass
from typing import Generic, TypeVar

import pytest

from beamfast.errors import (
    Busy,
    DocumentNotFound,
    HandshakeError,
    RequestError,
    StorageError,
)
from beamfast.http import Headers, Request, Response
from beamfast.pipeline import (
    Context,
    Pipeline,
    Plugin,
    replace_content,
    response_to,
    unanswered,
)

Content = TypeVar("Content")


@dataclass(frozen=True)
class Options:
    greeting: str = "hello"


class Recorded(Plugin[Options]):
    """Writes down its calls; what it does is given as functions."""

    name = "recorded"

    def __init__(self, label, calls, request=None, response=None):
        super().__init__()
        self.label = label
        self.calls = calls
        self.on_request = request or (lambda: None)
        self.on_response = response or (lambda _: None)


class Plain(Recorded):
    def handle_request(self, request, context):
        self.calls.append(f"{self.label}?")
        return self.on_request()

    def handle_response(self, request, response, context):
        self.calls.append(f"{self.label}!")
        return self.on_response(response)


class Slow(Recorded):
    async def handle_request(self, request, context):
        await asyncio.sleep(0)
        self.calls.append(f"{self.label}?")
        return self.on_request()

    async def handle_response(self, request, response, context):
        await asyncio.sleep(0)
        self.calls.append(f"{self.label}!")
        return self.on_response(response)


BOTH = [Plain, Slow]


def answering(status=200):
    return lambda: Response(status)


def failing(error):
    def fail(*_):
        raise error

    return fail


@pytest.fixture
def context():
    return Context(None, None, None)


@pytest.fixture
def ask(context):
    """Send a request through plugins; return the response."""

    async def ask(*plugins, method="GET"):
        request = Request(method, "/", url="/", path="/")
        answer = Pipeline(plugins, context).handle(request)
        return answer if isinstance(answer, Response) else await answer

    return ask


# Two phases


async def test_the_first_answer_ends_the_request_phase(ask):
    calls = []
    response = await ask(
        Plain("a", calls),
        Plain("b", calls, answering(204)),
        Plain("c", calls, answering(500)),
    )
    assert response.status == 204
    assert calls == ["a?", "b?", "a!", "b!", "c!"]


@pytest.mark.parametrize("kinds", [*itertools.product(BOTH, repeat=4)])
async def test_plain_and_slow_plugins_keep_the_configured_order(ask, kinds):
    calls = []
    first, second, third, fourth = kinds
    response = await ask(
        first("a", calls),
        second("b", calls),
        third("c", calls, answering(204)),
        fourth("d", calls),
    )
    assert response.status == 204
    assert calls == ["a?", "b?", "c?", "a!", "b!", "c!", "d!"]


@pytest.mark.parametrize("kinds", [*itertools.product(BOTH, repeat=3)])
async def test_a_response_can_be_changed_and_replaced(ask, kinds):
    def add(label):
        return lambda response: response.headers.add("X", label)

    first, second, third = kinds
    response = await ask(
        first("a", [], answering(), add("lost")),
        second("b", [], None, lambda _: Response(201)),
        third("c", [], None, add("kept")),
    )
    assert response.status == 201
    assert response.headers.get_all("X") == ["kept"]


async def test_plain_plugins_need_no_task(context):
    plugins = [Plain("a", [], None), Plain("b", [], answering())]
    answer = Pipeline(plugins, context).handle(Request("GET", "/", url="/", path="/"))
    assert isinstance(answer, Response)


async def test_plain_plugins_before_a_slow_one_are_called_at_once(context):
    calls = []
    plugins = [Plain("a", calls), Slow("b", calls, answering()), Plain("c", calls)]
    answer = Pipeline(plugins, context).handle(Request("GET", "/", url="/", path="/"))
    assert calls == ["a?"]
    assert inspect.isawaitable(answer)
    await answer


async def test_a_plugin_may_return_any_awaitable(ask):
    future = asyncio.get_running_loop().create_future()
    future.set_result(Response(204))
    assert (await ask(Plain("a", [], lambda: future))).status == 204


async def test_a_plugin_that_overrides_nothing_is_not_called(context):
    class Silent(Plugin[Options]):
        name = "silent"

    pipeline = Pipeline([Silent(), Plain("a", []), Silent()], context)
    assert len(pipeline.request_phase) == len(pipeline.response_phase) == 1
    assert len(pipeline.plugins) == 3
    assert Silent().handle_request(None, context) is None
    assert Silent().handle_response(None, Response(200), context) is None


async def test_a_plugin_may_override_one_phase(context):
    class Asking(Plugin[Options]):
        name = "asking"

        def handle_request(self, request, context):
            return Response(204)

    class Looking(Plugin[Options]):
        name = "looking"

        def handle_response(self, request, response, context):
            response.headers.add("X", "seen")

    pipeline = Pipeline([Looking(), Asking()], context)
    response = pipeline.handle(Request("GET", "/", url="/", path="/"))
    assert (response.status, response.headers["X"]) == (204, "seen")


async def test_a_plugin_works_with_the_context_of_its_host(context):
    seen = []

    class Curious(Plugin[Options]):
        name = "curious"

        def handle_request(self, request, context):
            seen.append((request, context))

    request = Request("GET", "/", url="/", path="/")
    Pipeline([Curious()], context).handle(request)
    assert seen == [(request, context)]


@pytest.mark.parametrize("kind", BOTH)
async def test_the_host_says_what_server_it_is(context, kind):
    request = Request("GET", "/", url="/", path="/")
    pipeline = Pipeline([kind("a", [], answering())], context, "mine")
    answer = pipeline.handle(request)
    response = answer if isinstance(answer, Response) else await answer
    assert response.headers.get_all("Server") == ["mine"]


# Nobody answers


@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize(
    ("method", "status"),
    [
        *((method, 404) for method in ("GET", "HEAD", "POST", "PUT", "DELETE")),
        *(("OPTIONS", 404), ("PATCH", 405), ("TRACE", 405), ("FETCH", 405)),
    ],
)
async def test_what_nobody_answers_is_404_or_405(ask, kind, method, status):
    calls = []
    response = await ask(kind("a", calls), method=method)
    assert response.status == status
    assert calls == ["a?", "a!"]
    allow = "GET, HEAD, POST, PUT, DELETE, OPTIONS" if status == 405 else None
    assert response.headers.get("Allow") == allow


def test_the_texts_are_those_of_the_original():
    request = Request("GET", "/", url="/", path="/")
    assert unanswered(request).body == b"File not found"


# Errors


@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize(
    ("error", "status", "headers"),
    [
        (DocumentNotFound("none"), 404, {"X-Beamfast-Error": "not-found"}),
        (
            StorageError("full", status=507, code="disk-full"),
            507,
            {"X-Beamfast-Error": "disk-full", "Retry-After": None},
        ),
        (Busy("later"), 503, {"X-Beamfast-Error": "busy", "Retry-After": "1"}),
        (RequestError(413, "too large"), 413, {"X-Beamfast-Error": None}),
        (
            HandshakeError(426, "version", [("Upgrade", "websocket")]),
            426,
            {"Upgrade": "websocket"},
        ),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
async def test_an_error_becomes_the_response_it_asks_for(
    ask, kind, error, status, headers, caplog
):
    calls = []
    response = await ask(
        kind("a", calls, failing(error)), kind("b", calls, answering())
    )
    assert (response.status, response.body) == (status, str(error).encode())
    for name, value in headers.items():
        assert response.headers.get(name) == value
    assert calls == ["a?", "a!", "b!"]
    assert caplog.records == []


@pytest.mark.parametrize("kind", BOTH)
async def test_an_unforeseen_error_is_500_and_logged(ask, kind, caplog):
    with caplog.at_level(logging.ERROR, "beamfast.pipeline"):
        response = await ask(kind("a", [], failing(ZeroDivisionError("secret"))))
    assert (response.status, response.body) == (500, b"Internal server error")
    (record,) = caplog.records
    assert record.exc_info[0] is ZeroDivisionError


@pytest.mark.parametrize("kinds", [*itertools.product(BOTH, repeat=2)])
async def test_an_error_in_the_response_phase_changes_nothing(ask, kinds, caplog):
    calls = []
    first, second = kinds
    with caplog.at_level(logging.ERROR, "beamfast.pipeline"):
        response = await ask(
            first("a", calls, answering(204), failing(ZeroDivisionError())),
            second("b", calls),
        )
    assert response.status == 204
    assert calls == ["a?", "a!", "b!"]
    assert len(caplog.records) == 1


async def test_a_cancelled_request_is_not_answered(ask):
    with pytest.raises(asyncio.CancelledError):
        await ask(Slow("a", [], failing(asyncio.CancelledError())))
    with pytest.raises(asyncio.CancelledError):
        await ask(Slow("a", [], answering(), failing(asyncio.CancelledError())))


def test_an_error_that_tells_too_much_is_not_shown():
    request = Request("GET", "/", url="/", path="/")
    assert b"secret" not in response_to(ValueError("secret"), request).body


# Options, start and stop


def test_options_are_those_of_the_type_parameter():
    class Greeter(Plugin[Options]):
        name = "greeter"

    class Special(Greeter):
        name = "special"

    assert Greeter.options_type is Special.options_type is Options
    assert Special().options == Options("hello")
    assert Special(Options("hi")).options.greeting == "hi"


def test_other_generic_bases_have_no_say_in_the_options():
    class Box(Generic[Content]):
        """Something else with a type parameter."""

    class Mixed(Box[int], Plugin[Options]):
        name = "mixed"

    assert Mixed().options == Options()


class Lasting(Plugin[Options]):
    name = "lasting"

    def __init__(self, label, calls, *, fails_at=""):
        super().__init__()
        self.label = label
        self.calls = calls
        self.fails_at = fails_at

    def _note(self, what):
        if self.fails_at == what:
            raise ZeroDivisionError
        self.calls.append(f"{what} {self.label}")

    def start(self, context):
        self._note("start")

    def stop(self):
        self._note("stop")


def test_plugins_are_started_and_stopped_in_order(context):
    calls = []
    pipeline = Pipeline([Lasting("a", calls), Lasting("b", calls)], context)
    pipeline.start()
    pipeline.stop()
    assert calls == ["start a", "start b", "stop a", "stop b"]


def test_a_plugin_that_cannot_be_stopped_does_not_keep_the_others(context, caplog):
    calls = []
    plugins = [Lasting("a", calls, fails_at="stop"), Lasting("b", calls)]
    with caplog.at_level(logging.ERROR, "beamfast.pipeline"):
        Pipeline(plugins, context).stop()
    assert calls == ["stop b"]
    assert "lasting could not be stopped" in caplog.text


def test_a_plugin_that_cannot_be_started_leaves_none_running(context):
    calls = []
    plugins = [
        Lasting("a", calls),
        Lasting("b", calls, fails_at="start"),
        Lasting("c", calls),
    ]
    with pytest.raises(ZeroDivisionError):
        Pipeline(plugins, context).start()
    assert calls == ["start a", "stop a"]


def test_starting_and_stopping_need_not_be_overridden(context):
    pipeline = Pipeline([Recorded("a", [])], context)
    pipeline.start()
    pipeline.stop()


def test_replaced_content_leaves_the_fields_that_are_not_about_it():
    response = Response(404, "no", headers=[("ETag", '"1"'), ("Allow", "GET")])
    replace_content(response, 410, "gone", "text/html")
    assert (response.status, response.body) == (410, b"gone")
    assert list(response.headers) == [("Allow", "GET"), ("Content-Type", "text/html")]


class Picky(Plain):
    needs_fields = ((b"x", b""), (b"y", b"word"))


class SlowPicky(Slow):
    needs_fields = Picky.needs_fields


@pytest.mark.parametrize("kind", [Picky, SlowPicky])
@pytest.mark.parametrize(
    ("fields", "is_asked"),
    [
        ([], False),
        ([("Z", "word")], False),
        ([("Y", "other")], False),
        ([("X", "")], True),
        ([("Y", "a Word b")], True),
    ],
)
async def test_a_plugin_sees_only_requests_with_the_fields_that_it_needs(
    kind, fields, is_asked
):
    calls = []
    plugins = [Slow("a", calls), kind("b", calls), Plain("c", calls, answering())]
    request = Request("GET", "/", url="/", path="/", headers=Headers(fields))
    await Pipeline(plugins, None).handle(request)
    between = ["b?"] if is_asked else []
    behind = ["b!"] if is_asked else []
    assert calls == ["a?", *between, "c?", "a!", *behind, "c!"]
