"""A process of its own: started when needed, killed when late, without secrets."""

import asyncio
import importlib.util

import pytest

from beamfast.javascript import process as module
from beamfast.javascript.process import ScriptFailed, ScriptProcess

ECHO = "export default (request) => request"


@pytest.fixture
async def script():
    made = []

    def make(memory=32 * 2**20, seconds=5.0):
        made.append(ScriptProcess(memory, seconds))
        return made[-1]

    yield make
    for one in made:
        one.close()


async def test_requests_at_once_are_answered_each(script):
    one = script()
    answers = await asyncio.gather(
        *(one.call("echo", ECHO, {"path": f"/{number}"}) for number in range(20))
    )
    assert answers == [{"path": f"/{number}"} for number in range(20)]


async def test_what_a_script_throws_is_told(script):
    with pytest.raises(ScriptFailed, match="Error: no"):
        await script().call("x", "export default () => { throw Error('no') }", {})


async def test_a_process_that_is_late_is_killed_and_the_next_one_answers(
    script, monkeypatch
):
    one = script(seconds=0.5)
    await one.call("echo", ECHO, {})
    late = one._process
    # After an await nothing inside the process can stop it.
    source = "export default async () => { await 1; while (true) {} }"
    with pytest.raises(ScriptFailed, match="too long"):
        await one.call("loop", source, {})
    assert late.returncode is not None
    assert await one.call("echo", ECHO, {"path": "/"}) == {"path": "/"}


async def test_a_process_that_dies_is_told_and_replaced(script):
    one = script()
    await one.call("echo", ECHO, {})
    one._process.kill()
    one._process.wait()
    with pytest.raises(ScriptFailed, match="ended"):
        await one.call("echo", ECHO, {})
    assert await one.call("echo", ECHO, {"a": 1}) == {"a": 1}


async def test_the_engine_gets_nothing_of_the_environment(script, monkeypatch):
    monkeypatch.setenv("SECRET", "x")
    seen = {}
    popen = module.subprocess.Popen

    def start(*arguments, **options):
        seen.update(options)
        return popen(*arguments, **options)

    monkeypatch.setattr(module.subprocess, "Popen", start)
    await script().call("echo", ECHO, {})
    assert seen["env"] == {}


async def test_closing_twice_or_unused_is_fine(script):
    one = script()
    one.close()
    await one.call("echo", ECHO, {})
    one.close()
    one.close()


async def test_a_missing_engine_is_named_with_its_command(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"pip install 'beamfast\[js\]'"):
        ScriptProcess(2**20, 1.0)
