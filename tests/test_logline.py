"""Lines of the access log, compared with the rule written down in a few words."""

import random
import re
import time

import pytest

from beamfast._logline import LogLines
from beamfast.http import Headers, Request, Response

UNSAFE = re.compile(r'[\x00-\x1f"\\\x7f-\x9f]')
NOW = 1_790_000_000.25
STAMP = "[21/Sep/2026:14:13:20 +0000]"


def spell(text):
    return UNSAFE.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def stamp(second):
    return time.strftime("[%d/%b/%Y:%H:%M:%S +0000]", time.gmtime(second))


def log_lines(*, is_combined=False, spelling=spell, stamping=stamp):
    return LogLines(Request, Response, spelling, stamping, is_combined)


def request(method="GET", target="/a", **attributes):
    headers = attributes.pop("headers", ())
    made = Request(*(method, target), url=target, path=target, headers=Headers(headers))
    made.remote_addr = "192.0.2.1"
    for name, value in attributes.items():
        setattr(made, name, value)
    return made


def rule(asked, answer, now, *, is_combined):
    """Return the line as the documentation describes it."""
    size = len(answer.body) if isinstance(answer.body, bytes) else None
    if size is None:
        size = int(answer.headers.get("content-length") or 0)
    if asked.method == "HEAD":
        size = 0
    line = (
        f"{asked.remote_addr} - {spell(asked.user or '-')} {stamp(int(now))} "
        f'"{asked.method} {spell(asked.target)} HTTP/{asked.http_version}" '
        f"{answer.status} {size}"
    )
    if is_combined:
        referer = asked.headers.get("referer") or "-"
        agent = asked.headers.get("user-agent") or "-"
        line += f' "{spell(referer)}" "{spell(agent)}"'
    return line + "\n"


@pytest.mark.parametrize("is_combined", [False, True])
def test_random_lines_are_what_the_rule_says(is_combined):
    chance = random.Random(5)
    lines = log_lines(is_combined=is_combined)
    letters = [*map(chr, range(1, 256)), *"abc/" * 60, '"', "\\", "ж", "\udc80", "🌍"]

    async def pieces():
        yield b""

    def text(*, latin=False):
        some = [chance.choice(letters) for _ in range(chance.choice([0, 1, 5, 40]))]
        plain = [letter for letter in some if letter not in "\r\n"]
        return "".join(one for one in plain if not latin or one <= "\xff")

    expected, now, count = "", NOW, 0
    for _ in range(3000):
        fields = [
            (name, text(latin=True))
            for name in ("Referer", "User-Agent", "Cookie")
            if chance.random() < 0.5
        ]
        asked = request(
            *(chance.choice(["GET", "HEAD", "PUT"]), "/" + text()),
            user=chance.choice([None, "", "ann", text()]),
            http_version=chance.choice(["1.1", "1.0"]),
            headers=fields,
        )
        length = [("Content-Length", str(chance.randrange(10**12)))]
        answer = Response(
            chance.choice([101, 200, 304, 599]),
            chance.choice([b"", bytes(chance.randrange(3000)), pieces()]),
            headers=length if chance.random() < 0.5 else (),
        )
        # Clocks are set back sometimes.
        now += chance.choice([0.0, 0.001, 0.5, 1.0, 3600.0, -7.0])
        count += 1
        assert lines.add(asked, answer, now) == count
        expected += rule(asked, answer, now, is_combined=is_combined)
        if chance.random() < 0.01:
            assert lines.take() == expected
            expected, count = "", 0
    assert lines.take() == expected


def test_the_time_is_formatted_once_a_second():
    asked = []

    def stamping(second):
        asked.append(second)
        return stamp(second)

    lines = log_lines(stamping=stamping)
    for now in (NOW, NOW + 0.5, NOW + 0.749, NOW + 0.75, NOW):
        lines.add(request(), Response(204), now)
    assert asked == [int(NOW), int(NOW) + 1, int(NOW)]
    first = lines.take().splitlines()[0]
    assert first == f'192.0.2.1 - - {STAMP} "GET /a HTTP/1.1" 204 0'


def test_what_is_plainly_harmless_is_not_spelled_anew():
    asked = []

    def spelling(text):
        asked.append(text)
        return spell(text)

    lines = log_lines(is_combined=True, spelling=spelling)
    fields = [("Referer", "http://a/"), ("User-Agent", "x/1.0 (y; z)")]
    lines.add(request(user="ann", headers=fields), Response(200), NOW)
    assert asked == []
    lines.add(request(target='/"'), Response(200), NOW)
    assert asked == ['/"']
    assert lines.take().endswith('"GET /\\x22 HTTP/1.1" 200 0 "-" "-"\n')


def test_long_lines_and_many_of_them():
    lines = log_lines()
    target = "/" + "x" * 8000
    for _ in range(100):
        lines.add(request(target=target), Response(200), NOW)
    text = lines.take()
    assert text.count(f'"GET {target} HTTP/1.1" 200 0\n') == 100
    assert lines.take() == ""
    lines.add(request(), Response(200), NOW)
    assert lines.take().count("\n") == 1


def test_other_lines_stand_between_them():
    lines = log_lines()
    assert lines.put_line('{"a": "\udc80\xe9"}') == 1
    assert lines.add(request(), Response(200), NOW) == 2
    assert lines.take().startswith('{"a": "\udc80\xe9"}\n192.0.2.1 - - [')


def test_the_size_of_an_answer():
    lines = log_lines()
    assert lines.size(request(), Response(200, b"four")) == 4
    assert lines.size(request("HEAD"), Response(200, b"four")) == 0

    async def pieces():
        yield b""

    assert lines.size(request(), Response(200, pieces())) == 0
    told = Response(200, pieces(), headers=[("Content-Length", "70")])
    assert lines.size(request(), told) == 70
    told.headers.set("Content-Length", "many")
    with pytest.raises(ValueError, match="many"):
        lines.add(request(), told, NOW)
    assert lines.take() == ""


def test_of_a_line_that_cannot_be_written_nothing_is():
    def refuse(text):
        raise LookupError(text)

    lines = log_lines(spelling=refuse)
    lines.add(request(), Response(200), NOW)
    with pytest.raises(LookupError):
        lines.add(request(target='/"'), Response(200), NOW)
    unset = request()
    del unset.http_version
    with pytest.raises(AttributeError, match="a slot of Request is empty"):
        lines.add(unset, Response(200), NOW)
    with pytest.raises(AttributeError):
        lines.add(request(http_version=1), Response(200), NOW)
    assert lines.add(request(), Response(200), NOW) == 2
    assert len(lines.take().splitlines()) == 2


def test_only_requests_and_answers_have_lines():
    lines = log_lines()
    with pytest.raises(TypeError, match="is no request"):
        lines.add(Response(200), Response(200), NOW)
    with pytest.raises(TypeError, match="is no response"):
        lines.size(request(), request())

    class Special(Request):
        __slots__ = ("more",)

    special = Special("GET", "/s", url="/s", path="/s")
    lines.add(special, Response(200), NOW)
    assert '"GET /s HTTP/1.1" 200 0' in lines.take()
