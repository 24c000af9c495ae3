"""Modules as scripts, what they find around them, and their limits."""

import json
import subprocess
import sys

import pytest

from beamfast.javascript import engine as module
from beamfast.javascript.engine import Engine, ScriptError, as_script, first_line

ECHO = "export default (request) => ({status: 200, body: request.path})"


class Program:
    """The engine as the program that it is."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-I", module.__file__, str(32 * 2**20)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, **asked: object):
        self.process.stdin.write(f"{json.dumps(asked)}\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def stop(self) -> None:
        """End it by the end of its input."""
        self.process.stdin.close()
        assert self.process.wait(20) == 0
        self.process.stdout.close()


@pytest.fixture(scope="module")
def program():
    program = Program()
    yield program
    program.stop()


def answer(program, source, request=None, name="test.mjs", seconds=5.0):
    asked = json.dumps(request or {"path": "/x"})
    told = program.ask(name=name, source=source, request=asked, seconds=seconds)
    if "error" in told:
        raise ScriptError(told["error"])
    return told["answer"]


@pytest.mark.parametrize(
    "source",
    [
        ECHO,
        "export default function (r) { return {status: 200, body: r.path} }",
        "export default async function handler(request) {\n"
        "  await new Promise((done) => setTimeout(done, 60000));\n"
        "  return {status: 200, body: request.path}; }",
        "const handler = (r) => ({status: 200, body: r.path});\n"
        "export { handler as default };",
        "export const path = (r) => r.path;\n"
        "export default (r) => { console.log('x');\n"
        "  return {status: 200, body: path(r)} }",
    ],
    ids=["arrow", "function", "async", "named", "helpers"],
)
def test_a_default_export_answers(program, source):
    assert answer(program, source) == {"status": 200, "body": "/x"}


@pytest.mark.parametrize("nothing", ["null", "undefined"])
def test_nothing_is_no_answer(program, nothing):
    assert answer(program, f"export default () => {nothing}") is None


def test_a_script_keeps_its_state_until_it_changes(program):
    source = "let n = 0;\nexport default () => ++n"
    assert [answer(program, source, name="count") for _ in range(3)] == [1, 2, 3]
    assert answer(program, source + ";", name="count") == 1


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("export default () => { throw new TypeError('no') }", "TypeError: no"),
        ("export default async () => { throw new Error('late') }", "Error: late"),
        ("export default (", "SyntaxError"),
        ("const a = 1;", "no default export"),
        ("import x from 'y';\n" + ECHO, "import is not supported"),
        ("export default () => { while (true) {} }", "terminated by timeout"),
        ("export default () => require('fs')", "ReferenceError: require"),
        ("export default () => fetch('http://127.0.0.1')", "ReferenceError: fetch"),
    ],
)
def test_what_goes_wrong_is_told(program, source, message):
    with pytest.raises(ScriptError, match=message):
        answer(program, source, seconds=0.5)


def test_a_script_that_takes_all_memory_is_stopped(program):
    source = (
        "const a = [];\n"
        "export default () => { while (true) a.push(Array(1e4).fill(1)) }"
    )
    with pytest.raises(ScriptError, match="memory limit"):
        answer(program, source, seconds=60.0)


def test_a_script_that_threw_goes_on_and_one_that_was_stopped_begins_again(program):
    source = (
        "let n = 0;\nexport default (r) => { n++;"
        " if (r.path === '/throw') throw Error();"
        " if (r.path === '/loop') while (true) {} return n; }"
    )
    assert answer(program, source, name="state") == 1
    for path, following in [("/throw", 3), ("/loop", 1)]:
        with pytest.raises(ScriptError):
            answer(program, source, {"path": path}, name="state", seconds=0.5)
        assert answer(program, source, name="state") == following


def test_a_request_never_becomes_code(program):
    path = "\"');throw 1;//\u2028`${1}"
    assert answer(program, ECHO, {"path": path})["body"] == path


def test_exports_in_the_middle_of_a_line_stay():
    assert as_script("f('export default x')") == "f('export default x')"


class Context:
    """Stands for V8 where only its errors matter."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error

    def eval(self, code: str, **limits: object):
        if self.error is not None and code.startswith("__answer"):
            raise self.error
        return self

    def get(self, timeout: float) -> str:
        return "1"


def test_a_context_is_kept_unless_it_was_stopped_half_way():
    made = []

    def make():
        made.append(Context())
        return made[-1]

    engine = Engine(make, 2**20)
    for name in ("JSEvalException", "JSOOMException", "JSTimeoutException"):
        assert engine.answer("a", ECHO, "{}", 1.0) == "1"
        made[-1].error = type(name, (Exception,), {})("no")
        with pytest.raises(ScriptError, match="no"):
            engine.answer("a", ECHO, "{}", 1.0)
        made[-1].error = None
    assert engine.answer("a", ECHO, "{}", 1.0) == "1"
    assert len(made) == 3


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("<a>:1: Uncaught TypeError: no\n  ^", "<a>:1: Uncaught TypeError: no"),
        ("x\nUncaught Error: why\n at y", "Error: why"),
        ("", "ValueError"),
    ],
)
def test_the_line_that_says_what_is_wrong(text, line):
    assert first_line(ValueError(text)) == line
