"""Processes that behave badly: each one is ended, and says why it ended."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from programs import until

from stages.processes.child import Child, ChildEnded, ChildStuck

ROOT = Path(__file__).parents[3]
EATS = "import sys; sys.stdin.buffer.read(); sys.stderr.write('full\\n')"
NEVER_READS = "import time; time.sleep(600)"
DEAF = """
import signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
sys.stderr.write("deaf\\n")
sys.stderr.flush()
time.sleep(600)
"""
FRAME = bytes(8 << 20)


class Started:
    """Starts children, and ends them."""

    def __init__(self) -> None:
        self.children: list[Child] = []

    def __call__(self, program: str) -> Child:
        self.children.append(Child([sys.executable, "-I", "-S", "-c", program]))
        return self.children[-1]


@pytest.fixture
def start() -> Iterator[Started]:
    started = Started()
    yield started
    for child in started.children:
        child.end(patience_seconds=0.0)


def never() -> bool:
    return False


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_what_it_is_fed_arrives_and_it_ends_in_order(start: Started) -> None:
    child = start("import sys; sys.stderr.write(str(len(sys.stdin.buffer.read())))")
    child.feed(FRAME, 5.0, never)
    child.feed(b"", 5.0, never)
    assert child.return_code is None
    assert child.end() == 0
    assert child.last_words() == str(len(FRAME))
    assert child.end() == 0
    assert is_gone(child.pid)


def test_one_that_has_ended_says_how_and_why_with_secrets_masked(start: Started) -> None:
    child = start("import sys; sys.exit('no way to rtsp://me:pw-1234@cam/1')")
    with pytest.raises(ChildEnded, match="it ended with exit code 1") as caught:
        child.feed(FRAME, 5.0, never)
    assert caught.value.said == "no way to rtsp://***@cam/1"


def test_one_that_was_killed_says_by_what(start: Started) -> None:
    child = start(EATS)
    os.kill(child.pid, signal.SIGKILL)
    with pytest.raises(ChildEnded, match="killed by signal 9"):
        child.feed(FRAME, 5.0, never)


def test_one_that_cannot_be_started_says_so() -> None:
    child = Child(["/nowhere/at-all"])
    with pytest.raises(ChildEnded) as caught:
        child.feed(FRAME, 5.0, never)
    assert "No such file" in caught.value.said
    child.end()


def test_one_that_takes_nothing_is_told_of_in_time(start: Started) -> None:
    child = start(NEVER_READS)
    started = time.monotonic()
    with pytest.raises(ChildStuck, match=r"taken nothing for 0\.\d s"):
        child.feed(FRAME, 0.3, never)
    assert 0.3 <= time.monotonic() - started < 1.5


def test_its_owner_can_give_up(start: Started) -> None:
    child, wanted = start(NEVER_READS), threading.Event()
    threading.Timer(0.1, wanted.set).start()
    started = time.monotonic()
    with pytest.raises(ChildStuck):
        child.feed(FRAME, 60.0, wanted.is_set)
    assert time.monotonic() - started < 1.5


@pytest.mark.parametrize(
    ("program", "code"),
    [
        pytest.param(EATS, 0, id="obedient"),
        pytest.param(NEVER_READS, -signal.SIGTERM, id="busy"),
        pytest.param(DEAF, -signal.SIGKILL, id="deaf"),
    ],
)
def test_every_one_ends_within_a_second_or_two(start: Started, program: str, code: int) -> None:
    child = start(program)
    if program == DEAF:
        until(lambda: "deaf" in child.last_words(), "it did not start")
    started = time.monotonic()
    assert child.end(patience_seconds=0.3) == code
    assert time.monotonic() - started < 1.5
    assert is_gone(child.pid)


def test_a_frozen_one_can_be_ended(start: Started) -> None:
    child = start(EATS)
    os.kill(child.pid, signal.SIGSTOP)
    assert child.end(patience_seconds=0.2) == -signal.SIGKILL


def test_one_that_talks_without_end_is_no_trouble(start: Started) -> None:
    child = start("import sys\nwhile data := sys.stdin.buffer.read(4096): sys.stderr.write('x' * 4096 + '\\nlast\\n')")
    child.feed(bytes(2 << 20), 5.0, never)
    assert child.end(patience_seconds=5.0) == 0
    assert child.last_words().endswith("last")
    assert len(child.last_words()) < 5000


def test_half_a_line_is_not_told_for_it_may_be_half_a_password(start: Started) -> None:
    child = start("import sys; sys.stderr.write('rtsp://me:' + 'p' * 3990 + '@cam/1 is away\\ncause\\n')")
    child.end(patience_seconds=5.0)
    assert child.last_words() == "cause"


def test_one_that_closes_its_standard_error_costs_no_time(start: Started) -> None:
    child = start("import os, sys, time; os.close(2); time.sleep(600)")
    before = time.process_time()
    with pytest.raises(ChildStuck):
        child.feed(FRAME, 1.0, never)
    assert time.process_time() - before < 0.5


OWNER = """
import os, signal, sys
from stages.processes.child import Child
child = Child([sys.executable, "-I", "-S", "-c", "import time; time.sleep(600)"])
print(child.pid, flush=True)
sys.stdin.read()
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_it_does_not_outlive_us() -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    owner = [sys.executable, "-c", OWNER]
    with subprocess.Popen(
        owner, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, cwd=ROOT, text=True
    ) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        assert not is_gone(pid)
        process.communicate()
    until(lambda: is_gone(pid), "it outlived its owner")
