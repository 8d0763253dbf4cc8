"""``run_as_script``: readiness, the function, and an end that leaves nothing, however it comes."""

from __future__ import annotations

import signal
from typing import Any

import pytest

from .conftest import BASIC, Host

CONFIG = f'adapter = "{BASIC}"\nsize = 2\ngrace = "300ms"\ndrain_timeout = "5s"\n'

PROGRAM = """
import atexit, os, sys, time
import snakepit

atexit.register(lambda: print("at exit", flush=True))

def left():
    return [int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) in workers
            and open(f"/proc/{name}/stat").read().rpartition(")")[2].split()[0] != "Z"]

workers = []

def note():
    workers.extend(worker.pid for worker in snakepit.list_workers())
"""


@pytest.fixture
def script(host: Host) -> Any:
    host.write(CONFIG, "snakepit.toml")

    def start(body: str) -> Any:
        return host.start_script(PROGRAM + body)

    return start


def ended(process: Any) -> tuple[int, list[str], str]:
    out, err = process.communicate(timeout=60)
    return process.returncode, out.splitlines(), err


def test_it_waits_runs_cleans_up_and_returns(script: Any) -> None:
    process = script(
        """
def main():
    note()
    print([worker.state for worker in snakepit.list_workers()])
    return snakepit.execute("add", {"a": 1, "b": 2})

print(snakepit.run_as_script(main))
print(len(workers), left())
try:
    snakepit.execute("add")
except snakepit.NotStarted:
    print("not started")
"""
    )
    code, out, err = ended(process)
    assert (code, err) == (0, "")
    assert out == ["['ready', 'ready']", "3", "2 []", "not started", "at exit"]


@pytest.mark.parametrize(
    "how",
    [
        "raise ValueError('mine')",
        "sys.exit(7)",
        "snakepit.execute('fail', {'kind': 'ValueError'})",
    ],
    ids=["error", "exit", "remote"],
)
def test_it_cleans_up_and_raises_again(script: Any, how: str) -> None:
    process = script(
        f"""
def main():
    note()
    snakepit.submit("hold", {{"release": "/nowhere"}})
    {how}

try:
    snakepit.run_as_script(main)
except BaseException as error:
    print(isinstance(error, (ValueError, SystemExit)), left())
"""
    )
    code, out, err = ended(process)
    assert (code, out, err) == (0, ["True []", "at exit"], "")


def test_a_coroutine_function(script: Any) -> None:
    process = script(
        """
import asyncio

async def main():
    await asyncio.sleep(0)
    return await asyncio.wrap_future(snakepit.submit("add", {"a": 1, "b": 2}))

print(snakepit.run_as_script(main))
"""
    )
    assert ended(process)[:2] == (0, ["3", "at exit"])


def test_workers_that_cannot_start(script: Any) -> None:
    process = script(
        """
try:
    snakepit.run_as_script(lambda: print("ran"), {"adapter": "pool.adapters:FailsToInitialize"})
except snakepit.StartError as error:
    print("StartError")
try:
    snakepit.run_as_script(lambda: print("ran"), {"size": 0})
except snakepit.ConfigError as error:
    print(error.field)
"""
    )
    code, out, _ = ended(process)
    assert (code, out) == (0, ["StartError", "size", "at exit"])


def test_pools_that_were_started_stay(script: Any) -> None:
    process = script(
        """
snakepit.start()
print(snakepit.run_as_script(lambda: snakepit.execute("add", {"a": 1, "b": 2})))
print(snakepit.execute("add", {"a": 2, "b": 2}))
"""
    )
    assert ended(process)[:2] == (0, ["3", "4", "at exit"])


@pytest.mark.parametrize(
    ("body", "code", "said"),
    [
        ("return 1", 0, ""),
        ("raise ValueError('mine')", 1, "ValueError: mine"),
        ("sys.exit(7)", 7, ""),
        ("sys.exit()", 0, ""),
        ("sys.exit('why')", 1, "why"),
        ("raise KeyboardInterrupt", 130, ""),
    ],
    ids=lambda it: str(it),
)
def test_halt_ends_the_process(script: Any, body: str, code: int, said: str) -> None:
    returned, out, err = halted(script, body, "halt=True")
    assert (returned, out) == (code, ["runs"])
    assert said in err


def test_a_variable_says_halt(script: Any) -> None:
    returned, out, err = halted(script, 'return os.environ["SNAKEPIT_SCRIPT_HALT"]', "")
    assert (returned, out, err) == (0, ["runs"], "")


def halted(script: Any, body: str, argument: str) -> tuple[int, list[str], str]:
    variable = "" if argument else 'os.environ["SNAKEPIT_SCRIPT_HALT"] = "Yes"'
    process = script(
        f"""
import threading
{variable}
threading.Thread(target=time.sleep, args=(600,)).start()  # Python would wait for it.

def main():
    print("runs")
    {body}

snakepit.run_as_script(main, {argument})
print("never")
"""
    )
    return ended(process)


WAITS = {
    "call": "snakepit.execute('hold', {'release': '/nowhere'})",
    "python": "time.sleep(600)",
    "loop": "asyncio.run(asyncio.sleep(600))",
}


@pytest.mark.parametrize("wait", WAITS)
def test_sigterm_unwinds_the_function_and_ends_the_process_by_it(script: Any, wait: str) -> None:
    process = script(
        f"""
import asyncio

def main():
    note()
    try:
        print("waits", flush=True)
        {WAITS[wait]}
    finally:
        print("finally", flush=True)

try:
    snakepit.run_as_script(main)
finally:
    print("never", flush=True)
"""
    )
    assert process.stdout.readline() == "waits\n"
    process.send_signal(signal.SIGTERM)
    code, out, err = ended(process)
    assert (code, out) == (-signal.SIGTERM, ["finally"]), err


def test_sigterm_while_workers_start(script: Any) -> None:
    process = script(
        """
print("starts", flush=True)
snakepit.run_as_script(lambda: print("ran"), {"adapter": "pool.adapters:HangsInInitialize"})
"""
    )
    assert process.stdout.readline() == "starts\n"
    import time

    time.sleep(0.5)
    process.send_signal(signal.SIGTERM)
    code, out, _ = ended(process)
    assert (code, out) == (-signal.SIGTERM, [])


def test_a_second_sigterm_ends_it_at_once(script: Any) -> None:
    process = script(
        """
def main():
    try:
        print("waits", flush=True)
        time.sleep(600)
    finally:
        print("finally", flush=True)
        time.sleep(600)

snakepit.run_as_script(main)
"""
    )
    assert process.stdout.readline() == "waits\n"
    process.send_signal(signal.SIGTERM)
    assert process.stdout.readline() == "finally\n"
    process.send_signal(signal.SIGTERM)
    code, out, _ = ended(process)
    assert (code, out) == (-signal.SIGTERM, [])


def test_a_program_that_handles_sigterm_itself(script: Any) -> None:
    process = script(
        """
import signal

class Mine(Exception): ...

def mine(number, frame):
    raise Mine

signal.signal(signal.SIGTERM, mine)

def main():
    note()
    print("waits", flush=True)
    time.sleep(600)

try:
    snakepit.run_as_script(main)
except Mine:
    print("mine", left())
"""
    )
    assert process.stdout.readline() == "waits\n"
    process.send_signal(signal.SIGTERM)
    assert ended(process)[:2] == (0, ["mine []", "at exit"])


def test_the_signal_is_as_it_was_afterwards(script: Any) -> None:
    process = script(
        """
import signal
snakepit.run_as_script(lambda: None)
print(signal.getsignal(signal.SIGTERM) is signal.SIG_DFL)
snakepit.start()
during = signal.getsignal(signal.SIGTERM)
snakepit.run_as_script(lambda: None)
print(signal.getsignal(signal.SIGTERM) is during is not signal.SIG_DFL)
snakepit.stop()
print(signal.getsignal(signal.SIGTERM) is signal.SIG_DFL)
"""
    )
    code, out, err = ended(process)
    assert (code, out) == (0, ["True", "True", "True", "at exit"]), err


def test_ctrl_c(script: Any) -> None:
    process = script(
        """
def main():
    note()
    print("waits", flush=True)
    snakepit.execute("hold", {"release": "/nowhere"})

try:
    snakepit.run_as_script(main)
except KeyboardInterrupt:
    print("interrupted", left())
"""
    )
    assert process.stdout.readline() == "waits\n"
    process.send_signal(signal.SIGINT)
    assert ended(process)[:2] == (0, ["interrupted []", "at exit"])
