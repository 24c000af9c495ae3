"""
The engine's process as the server sees it: started when needed, killed when late.

A script that never returns keeps its process busy, so the limit of time is the end
of that process; the next request gets another.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

ENGINE: Final[Path] = Path(__file__).with_name("engine.py")
#: Seconds that a process may take to start, beside what a script may take.
START: Final = 10.0


class ScriptFailed(Exception):
    """A script threw, or went over a limit; says which."""


class ScriptProcess:
    """
    One process that answers one request at a time.

    Args:
        memory: bytes of one script.
        seconds: that one request may take.

    Raises:
        ValueError: the engine is not installed.
    """

    def __init__(self, memory: int, seconds: float) -> None:
        if importlib.util.find_spec("py_mini_racer") is None:
            raise ValueError("JavaScript needs pip install 'beamfast[js]'")
        self._memory = memory
        self._seconds = seconds
        self._process: subprocess.Popen[str] | None = None
        self._turn = asyncio.Lock()

    async def call(self, name: str, source: str, request: dict[str, Any]) -> Any:
        """
        Return what a script answers.

        Args:
            name: of the script; it keeps its state as long as its source is the same.
            source: of the module.
            request: what its default export gets.

        Raises:
            ScriptFailed: it threw or took too long.
        """
        asked = json.dumps(
            {
                "name": name,
                "source": source,
                "request": json.dumps(request),
                "seconds": self._seconds,
            }
        )
        async with self._turn:
            is_new = self._process is None
            process = self._process or self._start()
            work = asyncio.create_task(asyncio.to_thread(_exchange, process, asked))
            done, _ = await asyncio.wait(
                {work}, timeout=self._seconds + (START if is_new else 1.0)
            )
            if not done:
                self.close()
                await work
                raise ScriptFailed("it took too long")
            line = work.result()
        if not line:
            self.close()
            raise ScriptFailed("its process ended")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise ScriptFailed(answer["error"])
        return answer["answer"]

    def close(self) -> None:
        """End the process; the next call starts another."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        assert process.stdin is not None
        assert process.stdout is not None
        # Whoever reads in a thread has seen the end; what was not written is lost.
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        process.stdout.close()

    def _start(self) -> subprocess.Popen[str]:
        self._process = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-I", str(ENGINE), str(self._memory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            # What the server knows is none of the scripts' business.
            env={},
            cwd="/",
        )
        return self._process


def _exchange(process: subprocess.Popen[str], line: str) -> str:
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(f"{line}\n")
        process.stdin.flush()
        return process.stdout.readline()
    except (OSError, ValueError):
        # It was killed meanwhile.
        return ""
