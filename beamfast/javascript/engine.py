"""
The process that runs JavaScript: a line of JSON in, a line of JSON out.

Started as a program, without the server's modules, environment or files. Scripts are
modules whose default export answers requests; they see neither network nor disk, and
what they print goes nowhere. Without :mod:`py_mini_racer` (``beamfast[js]``) nothing
runs. It is not safe against a fault in V8, only against scripts that go wrong.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from typing import IO, Any, Final

#: What scripts expect around them, as far as it means something here.
PRELUDE: Final = """
globalThis.console = new Proxy({}, {get: () => () => undefined});
globalThis.setTimeout = (work, _, ...given) => {
  Promise.resolve().then(() => work(...given));
  return 0;
};
globalThis.setInterval = globalThis.setImmediate = globalThis.setTimeout;
globalThis.clearTimeout = globalThis.clearInterval = () => undefined;
globalThis.__answer = async (request) => {
  const found = globalThis.__default;
  if (typeof found !== "function") throw new Error("no default export");
  const answer = await found(JSON.parse(request));
  return JSON.stringify(answer === undefined ? null : answer);
};
"""

_DEFAULT: Final = re.compile(r"^[ \t]*export\s+default\s+", re.MULTILINE)
_NAMED: Final = re.compile(
    r"^[ \t]*export\s*\{\s*(\w+)\s+as\s+default\s*\}\s*;?", re.MULTILINE
)
_OTHER: Final = re.compile(
    r"^[ \t]*export\s+(?=(?:async|function|const|let|var|class)\b)", re.MULTILINE
)
_IMPORT: Final = re.compile(r"^[ \t]*import\b(?!\s*\()", re.MULTILINE)


class ScriptError(Exception):
    """A script cannot be loaded, or threw."""


def as_script(source: str) -> str:
    """
    Return a module as a script that leaves its default export in ``__default``.

    Raises:
        ScriptError: it imports something; there is nothing to import.
    """
    if _IMPORT.search(source):
        raise ScriptError("import is not supported")
    source = _DEFAULT.sub("globalThis.__default = ", source, count=1)
    source = _NAMED.sub(r"globalThis.__default = \1;", source, count=1)
    return _OTHER.sub("", source)


class Engine:
    """
    One V8 context for each script, kept as long as its source stays the same.

    Args:
        make: makes a context.
        memory: bytes of one context.
    """

    def __init__(self, make: Callable[[], Any], memory: int) -> None:
        self._make = make
        self._memory = memory
        self._contexts: dict[str, tuple[str, Any]] = {}

    def answer(self, name: str, source: str, request: str, seconds: float) -> str:
        """
        Return what the script answers, in JSON.

        Raises:
            ScriptError: it threw, or went over a limit.
        """
        limits = {"timeout_sec": seconds, "max_memory": self._memory}
        try:
            context = self._context(name, source, limits)
            # Parsed inside, so that no request becomes code.
            call = f"__answer({json.dumps(request)})"
            return str(context.eval(call, **limits).get(timeout=seconds))
        except Exception as error:
            # What was stopped half way is in no state to go on with.
            if type(error).__name__ in ("JSTimeoutException", "JSOOMException"):
                self._contexts.pop(name, None)
            raise ScriptError(first_line(error)) from error

    def _context(self, name: str, source: str, limits: dict[str, Any]) -> Any:
        known, context = self._contexts.get(name, ("", None))
        if context is None or known != source:
            context = self._make()
            context.eval(PRELUDE)
            context.eval(as_script(source), **limits)
            self._contexts[name] = source, context
        return context


def first_line(error: Exception) -> str:
    """Return what an exception of the engine says, without where it was thrown."""
    text = str(error).strip() or type(error).__name__
    lines = [line.strip() for line in text.splitlines()]
    said = [
        line
        for line in lines
        if re.match(r"(?:Uncaught )?\w*(?:Error|Exception)", line)
    ]
    return (said or lines)[0].removeprefix("Uncaught ")


def run(requests: IO[str], answers: IO[str], engine: Engine) -> None:
    """Answer line by line until the end."""
    for line in requests:
        asked = json.loads(line)
        try:
            answer = {"answer": json.loads(engine.answer(**asked))}
        except (ScriptError, ValueError) as error:
            answer = {"error": str(error)}
        answers.write(f"{json.dumps(answer)}\n")
        answers.flush()


def main(memory: int) -> None:
    """Serve the process that started this one."""
    import py_mini_racer  # noqa: PLC0415 - an extra, and only here

    run(sys.stdin, sys.stdout, Engine(py_mini_racer.MiniRacer, memory))


if __name__ == "__main__":
    main(int(sys.argv[1]))
