"""The phases of a pipeline, compared with the rule written down in a few words."""

import asyncio
import random

import pytest

from beamfast._phases import Phases
from beamfast.http import Headers, Request, Response

NEEDS = (
    *(None, None),
    ((b"upgrade", b""),),
    ((b"accept", b"event-stream"), (b"range", b"selector=")),
)
FIELDS = (
    *((), ()),
    (("Upgrade", "websocket"),),
    (("Accept", "text/html, text/Event-Stream"),),
    (("Accept", "*/*"), ("Range", "bytes=0-")),
    (("range", "Selector=p"),),
)


class Refusal(Exception):
    """What a method raises."""


class Waiting(Phases):
    """Phases that know how to wait, as a pipeline does."""

    def __init__(self, request_phase, response_phase, server_header=None):
        super().__init__(
            Response, "context", request_phase, response_phase, server_header
        )
        self.noted = []

    def answer_to(self, error, request):
        return Response(500, str(error))

    def unanswered(self, request):
        return Response(404)

    def note(self, error, request):
        self.noted.append(str(error))

    async def wait_handle(self, request, pending):
        try:
            answer = await pending
        except Exception as error:
            answer = self.answer_to(error, request)
        return await finished(self.answer(request, answer or self.unanswered(request)))

    async def wait_ask(self, request, pending, phase):
        answer = await pending
        if answer is None:
            answer = await finished(Waiting(phase, ()).ask(request))
        return answer

    async def wait_answer(self, request, response, pending, index):
        try:
            response = await pending or response
        except Exception as error:
            self.note(error, request)
        return await finished(self.answer(request, response, index))


async def finished(answer):
    return answer if answer is None or isinstance(answer, Response) else await answer


def request(fields=()):
    return Request("GET", "/", url="/", path="/", headers=Headers(fields))


def meets(asked, needs):
    """Tell whether a plugin with these needs is asked."""
    return needs is None or any(
        word.decode() in value.lower()
        for name, word in needs
        for value in asked.headers.get_all(name.decode())
    )


async def rule(asked, request_phase, response_phase, noted):
    """Do both phases as the documentation describes them."""
    answer = None
    for needs, method in request_phase:
        if answer is None and meets(asked, needs):
            try:
                answer = await finished(method(asked, "context"))
            except Refusal as error:
                answer = Response(500, str(error))
    answer = answer or Response(404)
    for needs, method in response_phase:
        if meets(asked, needs):
            try:
                changed = await finished(method(asked, answer, "context"))
                answer = changed or answer
            except Refusal as error:
                noted.append(str(error))
    return answer


def random_method(chance, label, calls):
    """Return a method that writes down its call, and then does one of six things."""
    deed = chance.choice(["pass"] * 6 + ["answer", "raise", "wait", "wait and answer"])

    async def wait():
        await asyncio.sleep(0)
        if deed == "wait and answer":
            return Response(202, label)
        if deed == "wait" and chance_of_error:
            raise Refusal(label)
        return None

    chance_of_error = chance.random() < 0.3

    def method(asked, *rest):
        calls.append((label, asked, *rest))
        if deed == "raise":
            raise Refusal(label)
        if deed == "answer":
            return Response(201, label)
        return wait() if deed.startswith("wait") else None

    return method


async def test_random_phases_do_what_the_rule_says():
    chance = random.Random(11)
    statuses = set()
    for _ in range(1500):
        calls = []
        phases = [
            tuple(
                (chance.choice(NEEDS), random_method(chance, f"{kind}{at}", calls))
                for at in range(chance.randrange(7))
            )
            for kind in ("asked", "told")
        ]
        asked = request(chance.choice(FIELDS))
        noted = []
        expected = await rule(asked, *phases, noted)
        in_order, calls[:] = list(calls), []
        waiting = Waiting(*phases)
        found = await finished(waiting.handle(asked))
        assert (found.status, found.body) == (expected.status, expected.body)
        assert waiting.noted == noted
        assert [call[0] for call in calls] == [call[0] for call in in_order]
        assert all(call[1] is asked and call[-1] == "context" for call in calls)
        statuses.add(found.status)
    assert statuses == {201, 202, 404, 500}


def test_what_need_not_wait_is_done_at_once():
    phases = Waiting(
        ((None, lambda *_: None), (None, lambda *_: Response(204))),
        ((None, lambda *_: None), (None, lambda *_: Response(205))),
        "mine",
    )
    answer = phases.handle(request())
    assert (answer.status, answer.headers["Server"]) == (205, "mine")
    assert phases.ask(request()).status == 204
    assert phases.answer(request(), Response(200), 2).status == 200


def test_what_only_some_requests_need_is_not_called_for_others():
    def fail(*_):
        raise AssertionError

    phases = Waiting(((((b"upgrade", b""),), fail),), ((((b"upgrade", b""),), fail),))
    assert phases.handle(request()).status == 404
    with pytest.raises(AssertionError):
        phases.ask(request([("upgrade", "x")]))


def test_what_is_no_error_of_a_plugin_ends_the_request():
    def stop(*_):
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        Waiting(((None, stop),), ()).handle(request())
    with pytest.raises(asyncio.CancelledError):
        Waiting((), ((None, stop),)).handle(request())


def test_without_a_subclass_nobody_waits_and_nothing_is_called():
    phases = Phases(Response, None, (), (), None)
    asked, answer = request(), Response(200)
    for call in (
        lambda: phases.handle(asked),
        lambda: phases.answer_to(Refusal(), asked),
        lambda: phases.note(Refusal(), asked),
        lambda: phases.wait_handle(asked, None),
        lambda: phases.wait_ask(asked, None, ()),
        lambda: phases.wait_answer(asked, answer, None, 0),
    ):
        with pytest.raises(NotImplementedError):
            call()
    unset = Phases.__new__(Phases)
    assert unset.ask(asked) is None
    assert unset.answer(asked, answer) is answer
    assert (unset.context, unset.request_phase, unset.response_phase) == (None, (), ())


def test_needs_may_be_any_sequence():
    phases = Waiting((([(b"upgrade", b"")], lambda *_: Response(204)),), ())
    assert phases.handle(request()).status == 404
    assert phases.handle(request([("upgrade", "x")])).status == 204
    with pytest.raises(TypeError):
        Waiting(((1, None),), ())
