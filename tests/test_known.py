"""Answers that are known in one turn, compared with looking each time."""

import random

import pytest

from beamfast._known import KnownAnswers
from beamfast.http import Headers, Request, Response


class Page:
    """A document."""

    def __init__(self, source):
        self.source = source


class Committer:
    """Documents by location, what was looked at in this turn, and edits."""

    def __init__(self):
        self.turn = 0
        self.pages = {}
        self.seen = {}
        self.edited = set()

    def glance(self, location):
        page = self.seen.get(location)
        return None if location in self.edited else page

    def look(self, location):
        self.edited.discard(location)
        self.seen[location] = self.pages[location]
        return self.pages[location]

    def end_turn(self):
        self.turn += 1
        self.seen.clear()


def request(method="GET", path="/a", fields=()):
    return Request(method, path, url=path, path=path, headers=Headers(fields))


def model(tag="t"):
    return Response(200, headers=[("ETag", tag)])


@pytest.fixture
def known():
    return KnownAnswers(Request, Response)


@pytest.fixture
def committer():
    return Committer()


def keep(known, committer, path="/a", source=b"text"):
    committer.pages[path] = Page(source)
    known.keep(path, committer.turn, path, committer.look(path), model())


def test_a_random_history_never_gives_an_answer_that_is_too_old(known, committer):
    chance = random.Random(9)
    links = {"/a": "A", "/b": "B", "/c": "A"}
    committer.pages = {"A": Page(b"A0"), "B": Page(b"B0")}
    hits = 0
    for step in range(5000):
        path = chance.choice([*links, "/none"])
        deed = chance.random()
        if deed < 0.1:
            committer.end_turn()
        elif deed < 0.2:
            # Somebody edits a document.
            name = chance.choice("AB")
            committer.pages[name] = Page(b"%b%d" % (name.encode(), step))
            committer.edited.add(name)
        elif deed < 0.25:
            # Somebody moves a link; a turn may still see where it led.
            committer.end_turn()
            links[chance.choice([*links])] = chance.choice("AB")
        elif path != "/none":
            found = known.find(request(chance.choice(["GET", "HEAD"]), path), committer)
            page = committer.pages[links[path]]
            if found is None:
                seen = committer.look(links[path])
                known.keep(path, committer.turn, links[path], seen, model())
            else:
                hits += 1
                assert found.body is page.source
                assert found.headers["ETag"] == "t"
        else:
            assert known.find(request("GET", path), committer) is None
    assert hits > 1000


def test_an_answer_can_be_changed_by_itself(known, committer):
    keep(known, committer)
    first = known.find(request(), committer)
    first.headers.set("ETag", "changed")
    first.status, first.body = 500, b""
    second = known.find(request(), committer)
    assert (second.status, second.body, second.headers["ETag"]) == (200, b"text", "t")


def test_an_answer_is_known_until_the_turn_ends(known, committer):
    keep(known, committer)
    assert known.find(request(), committer) is not None
    committer.end_turn()
    # Not even when somebody has looked at the document for another path.
    committer.look("/a")
    assert known.find(request(), committer) is None
    keep(known, committer, "/b")
    assert known.find(request(), committer) is None
    assert known.find(request(path="/b"), committer) is not None


def test_an_edit_in_the_same_turn_is_seen(known, committer):
    keep(known, committer)
    committer.edited.add("/a")
    assert known.find(request(), committer) is None
    committer.pages["/a"] = Page(b"new")
    committer.look("/a")
    assert known.find(request(), committer) is None


@pytest.mark.parametrize(
    "asked",
    [
        request("PUT"),
        request("OPTIONS"),
        request(path="/b"),
        request(fields=[("If-None-Match", "*")]),
        request(fields=[("X", "y"), ("if-range", "z")]),
    ],
    ids=lambda asked: f"{asked.method} {asked.path} {[*asked.headers]}",
)
def test_other_requests_are_not_for_here(known, committer, asked):
    keep(known, committer)
    assert known.find(asked, committer) is None
    assert known.find(request("HEAD", fields=[("X", "if-")]), committer) is not None


def test_only_requests_are_answered(known, committer):
    with pytest.raises(TypeError, match="is no request"):
        known.find(Response(200), committer)
    page = Page(b"")
    committer.seen["/a"] = page
    known.keep("/a", 0, "/a", page, request())
    with pytest.raises(TypeError, match="is of another class"):
        known.find(request(), committer)
