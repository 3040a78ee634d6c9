"""The parts that tests are made with do what they say: clips, and programs beside a test."""

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from clips import NUMBERS, number_of, picture, write_clip
from hypothesis import given
from hypothesis import strategies as st
from programs import Program, until

TESTS = Path(__file__).resolve().parents[1]


# Clips


@given(st.integers(0, 2 * NUMBERS), st.integers(64, 500), st.integers(48, 400))
def test_a_picture_shows_its_number_at_any_size(number: int, width: int, height: int) -> None:
    image = picture(number, width, height)

    assert number_of(image) == number % NUMBERS
    assert number_of(image[..., 1]) == number % NUMBERS


@pytest.mark.parametrize("cell", range(16))
def test_a_number_with_a_wrong_square_is_not_read(cell: int) -> None:
    image = picture(1234)
    image[:19, cell * 20 : cell * 20 + 20] ^= 255

    assert number_of(image) is None


def test_grey_in_place_of_a_number_is_not_read() -> None:
    assert number_of(np.full((192, 320, 3), 127, np.uint8)) is None


@pytest.mark.parametrize(("codec", "keys"), [("h264", 4), ("hevc", 4), ("mjpeg", 20)])
def test_a_clip_holds_its_numbers(tmp_path: Path, codec: Any, keys: int) -> None:
    clip = write_clip(tmp_path / "a.mp4", codec=codec, fps=10, seconds=2, gop=5, first=100)

    with av.open(str(clip.path)) as container:
        frames = list(container.decode(video=0))
    assert [number_of(frame.to_ndarray(format="bgr24")) for frame in frames] == list(clip.numbers)
    assert [frame.time for frame in frames] == pytest.approx([index / 10 for index in range(20)])
    assert sum(frame.key_frame for frame in frames) == keys


# Programs


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state not in "XZ"


def test_a_program_says_and_hears_lines() -> None:
    with Program("cat") as program:
        program.say("one")
        program.say("two")
        assert (program.hear(), program.hear()) == ("one", "two")


def test_a_program_that_ends_early_is_reported_with_what_it_complained_of() -> None:
    with Program("sh", "-c", "echo no luck >&2") as program, pytest.raises(RuntimeError, match="ended: no luck"):
        program.hear()


def test_a_program_that_says_nothing_is_not_waited_for_for_ever() -> None:
    with Program("sleep", "60") as program, pytest.raises(RuntimeError, match=r"said nothing for 0\.1 s: no complaint"):
        program.hear(0.1)


def test_a_program_that_does_not_listen_is_ended_all_the_same() -> None:
    program = Program("sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.1; done")
    program.start()
    program.hear()
    pid = program.process.pid

    program.stop(0.1)

    assert not is_alive(pid)
    program.stop()


def test_a_frozen_program_is_ended_too() -> None:
    program = Program("cat")
    program.start()
    pid = program.process.pid
    program.pause()

    begin = time.monotonic()
    program.stop()

    assert not is_alive(pid)
    assert time.monotonic() - begin < 3  # it was asked, not shot


@pytest.mark.parametrize("is_frozen", [False, True])
def test_a_program_does_not_outlive_tests_that_are_killed(*, is_frozen: bool) -> None:
    body = "program.pause(); " * is_frozen + "print(program.process.pid, flush=True); import time; time.sleep(60)"
    script = f"from programs import Program; program = Program('sleep', '61'); program.start(); {body}"
    with subprocess.Popen([sys.executable, "-c", script], cwd=TESTS, stdout=subprocess.PIPE, text=True) as tests:
        assert tests.stdout is not None
        pid = int(tests.stdout.readline())
        assert is_alive(pid)
        tests.kill()

    until(lambda: not is_alive(pid), "the program lives on")


@pytest.mark.parametrize("require_all", [False, True])
def test_what_is_not_installed_skips_or_fails_visibly(monkeypatch: pytest.MonkeyPatch, *, require_all: bool) -> None:
    monkeypatch.setenv("KINESTREAM_REQUIRE_SHARED", str(int(require_all)))

    outcome = pytest.fail.Exception if require_all else pytest.skip.Exception
    with pytest.raises(outcome, match=r"no-such-program missing: \.ci/test-packages"):
        Program("no-such-program").start()


def test_interrupted_tests_end_their_programs(tmp_path: Path) -> None:
    test = f"""
import os, signal, sys
sys.path[:0] = [{str(TESTS)!r}]
import pytest
from programs import Program

@pytest.fixture
def program():
    with Program("sleep", "61") as program:
        yield program

def test_interrupted(program):
    open("pid", "w").write(str(program.process.pid))
    signal.signal(signal.SIGINT, signal.default_int_handler)  # who started the tests may have had it ignored
    os.kill(os.getpid(), signal.SIGINT)
"""
    (tmp_path / "test_it.py").write_text(test, encoding="utf-8")
    command = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_it.py")
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)

    assert done.returncode == pytest.ExitCode.INTERRUPTED, done.stdout
    assert not is_alive(int((tmp_path / "pid").read_text(encoding="ascii")))
