"""A process that is fed through its standard input."""

import fcntl
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Final, cast

from pipeline.secrets import mask

__all__ = ["Child", "ChildEnded", "ChildStuck"]

_TAIL_LINES: Final = 8
"""How many of its last lines are told."""
_TAIL_BYTES: Final = 4000
_STEP_SECONDS: Final = 0.1
"""How long it is waited for before somebody is asked whether to go on waiting."""
_GLANCE_SECONDS: Final = 0.01
_PIPE_BYTES: Final = 1 << 20

_DIE_WITH_PARENT: Final = """\
import ctypes, os, resource, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGKILL)
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
if os.getppid() == int(sys.argv[1]):
    os.execv(sys.argv[2], sys.argv[2:])
"""
"""Asks the kernel to be killed when the thread that started it is gone (PR_SET_PDEATHSIG of prctl(2)), and becomes the
program. To do that between fork and exec would run Python in a copy of a process with many threads."""


class ChildEnded(Exception):
    """It has ended; the message says how.

    Args:
        how: In words.
        said: Its last lines, secrets masked.
    """

    def __init__(self, how: str, said: str) -> None:
        """Keep both."""
        super().__init__(how)
        self.said = said


class ChildStuck(Exception):
    """It has taken nothing for too long, or its owner does not want to wait any longer."""


class Child:
    """A running process with its standard input, which the caller owns, and the last lines of its standard error.

    It has a process group of its own, so Ctrl-C in a terminal is for us alone to deal with; it is killed when the
    thread that made it ends. Not safe to use from several threads at once.

    Args:
        arguments: Program (a path) and arguments.
        folder: Where it runs; None for where we do.

    Raises:
        OSError: It cannot be started.
    """

    def __init__(self, arguments: Sequence[str], *, folder: Path | None = None) -> None:
        """Start it."""
        launcher = [sys.executable, "-I", "-S", "-c", _DIE_WITH_PARENT, str(os.getpid())]
        self._process = subprocess.Popen(  # noqa: S603 - a list, no shell
            [*(launcher if sys.platform == "linux" else ()), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            bufsize=0,
            process_group=0,
            cwd=folder,
        )
        self._input, self._error = cast("IO[bytes]", self._process.stdin), cast("IO[bytes]", self._process.stderr)
        for pipe in (self._input, self._error):
            os.set_blocking(pipe.fileno(), False)
        _widen(self._input)
        self._said = b""

    @property
    def pid(self) -> int:
        """Number of the process."""
        return self._process.pid

    @property
    def return_code(self) -> int | None:
        """How it ended; None while it runs."""
        return self._process.poll()

    def feed(self, data: bytes | memoryview, timeout_seconds: float, give_up: Callable[[], bool]) -> None:
        """Write all of `data` to its standard input.

        Args:
            data: What to write.
            timeout_seconds: How long it may take nothing at all.
            give_up: Asked ten times a second: does nobody want to wait any longer?

        Raises:
            ChildEnded: It does not run any more.
            ChildStuck: It took nothing for so long, or it was given up; half of the data may have gone over.
        """
        rest, progress = memoryview(data).cast("B"), time.monotonic()
        while rest:
            if not self._is_ready():
                if give_up() or time.monotonic() - progress > timeout_seconds:
                    msg = f"it has taken nothing for {time.monotonic() - progress:.1f} s"
                    raise ChildStuck(msg)
                continue
            try:
                rest = rest[self._input.write(rest) or 0 :]
            except BrokenPipeError as error:
                raise ChildEnded(self._how_it_ended(), self.last_words()) from error
            progress = time.monotonic()

    def _is_ready(self) -> bool:
        """Wait for a moment until it takes something; take down what it says meanwhile."""
        ready = select.poll()
        ready.register(self._input, select.POLLOUT)
        if not self._error.closed:
            ready.register(self._error, select.POLLIN)
        found = {number for number, _ in ready.poll(round(_STEP_SECONDS * 1000))}
        self._listen()
        return self._input.fileno() in found

    def _listen(self) -> None:
        """Take down what it has said, without waiting."""
        while not self._error.closed and (said := self._error.read(1 << 16)) is not None:
            self._said = (self._said + said)[-_TAIL_BYTES:]
            if not said:
                self._error.close()

    def last_words(self) -> str:
        """Give the last lines of its standard error, in one line, secrets masked."""
        self._listen()
        said = self._said.decode(errors="replace").splitlines()
        if len(self._said) == _TAIL_BYTES:
            del said[0]  # half a line may be half a URL, whose password would not be seen as one
        lines = [line.strip() for line in said]
        return mask("; ".join([line for line in lines if line][-_TAIL_LINES:]))

    def _how_it_ended(self) -> str:
        code = self._wait(1.0)
        if code is None:
            return "it has closed its input"
        return f"it was killed by signal {-code}" if code < 0 else f"it ended with exit code {code}"

    def end(self, *, patience_seconds: float = 1.0) -> int:
        """End it: by the end of its input, else by SIGTERM, else by SIGKILL. Calling it twice is fine.

        Args:
            patience_seconds: How long it gets for an orderly end, and half of it again after SIGTERM.

        Returns:
            How it ended: its exit code, or the negative number of a signal.
        """
        self._input.close()
        code = self._wait(patience_seconds)
        if code is None:
            self._process.terminate()
            code = self._wait(patience_seconds / 2)
        if code is None:
            self._process.kill()
            code = self._wait(1.0)
        self._listen()
        self._error.close()
        return -signal.SIGKILL if code is None else code

    def _wait(self, seconds: float) -> int | None:
        """Wait for its end; a full pipe that nobody reads could keep it from getting there."""
        deadline = time.monotonic() + seconds
        while (code := self._process.poll()) is None and time.monotonic() < deadline:
            self._listen()
            time.sleep(_GLANCE_SECONDS)
        return code


def _widen(pipe: IO[bytes]) -> None:
    """Make the pipe as large as Linux lets anybody have, so that a frame goes over in few steps."""
    if sys.platform != "linux":
        return
    with suppress(OSError):  # all pipes of a user together may only be so large; the usual 64 KiB do as well
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
