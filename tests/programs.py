"""Programs that run beside a test: started, stopped, killed, frozen; and none of them outlives the tests.

    with Program("/usr/sbin/mosquitto", "-c", "mosquitto.conf") as program:
        until(lambda: "running" in program.errors(), "the broker did not start", 5)

A program is ended by its process id. If the tests themselves are killed, the kernel kills it.
"""

import os
import select
import shutil
import signal
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from fakes import skip_or_fail

ROOT = Path(__file__).resolve().parents[1]

INSTALL = "missing: .ci/test-packages, run as root, installs what tests need"

_STARTER = ThreadPoolExecutor(1, thread_name_prefix="starts-programs")
"""A program dies with the thread that started it (PR_SET_PDEATHSIG means threads), so this one lives to the end."""


def until(condition: Callable[[], object], otherwise: str, timeout_seconds: float = 10.0) -> None:
    """Wait for something outside of this process, which cannot wake us up, by looking again and again.

    Raises:
        TimeoutError: With the words `otherwise`.
    """
    deadline = time.monotonic() + timeout_seconds
    while not condition():
        if time.monotonic() > deadline:
            msg = f"{otherwise} within {timeout_seconds:g} s"
            raise TimeoutError(msg)
        time.sleep(0.005)


@cache
def _missing_packages() -> frozenset[str]:
    listing = [str(ROOT / ".ci" / "test-packages"), "--missing"]
    done = subprocess.run(listing, capture_output=True, text=True, check=True, timeout=60)
    return frozenset(done.stdout.split())


def require(*packages: str) -> None:
    """Skip the test, visibly, unless all these are there: Debian's names of what `.ci/test-packages` looks for."""
    if missing := _missing_packages().intersection(packages):
        skip_or_fail(f"{', '.join(sorted(missing))} {INSTALL}")


class Startable(ABC):
    """What runs while a `with` block does."""

    @abstractmethod
    def start(self) -> None:
        """Begin."""

    @abstractmethod
    def stop(self) -> None:
        """End; fine to call when it has ended or never began."""

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class Program(Startable):
    """One process, with a line to its standard input and from its standard output; what it complains of is kept."""

    def __init__(self, *command: str | Path) -> None:
        self.command = [str(word) for word in command]
        self._process: subprocess.Popen[bytes] | None = None
        self._errors: IO[bytes] | None = None
        self._read = b""

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, f"{self.command[0]} was not started"
        return self._process

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        assert not self.is_running, f"{self.command[0]} runs already"
        self._let_go()
        path = f"{os.environ['PATH']}:/usr/sbin"  # where Debian has its servers
        for program in ("setpriv", self.command[0]):
            if shutil.which(program, path=path) is None:
                skip_or_fail(f"{program} {INSTALL}")
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the program
        # A session of its own: Ctrl-C in the terminal is for the tests, which then end it in order.
        self._process = _STARTER.submit(
            subprocess.Popen,
            ["setpriv", "--pdeathsig", "KILL", "--", *self.command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            start_new_session=True,
            env={**os.environ, "PATH": path},
        ).result()
        # Once it has its own name, setpriv has done its part: it will not outlive us, whatever is done to it next.
        name = Path(self.command[0]).name[:15]
        until(lambda: not self.is_running or self._name() == name, f"{name} did not begin")

    def _name(self) -> str:
        return Path(f"/proc/{self.process.pid}/comm").read_text(encoding="utf-8").strip()

    def _state(self) -> str:
        return Path(f"/proc/{self.process.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]

    def errors(self) -> str:
        """Everything it wrote to its standard error so far."""
        if self._errors is None:
            return ""
        size = os.fstat(self._errors.fileno()).st_size
        return os.pread(self._errors.fileno(), size, 0).decode(errors="replace")

    def say(self, line: str) -> None:
        """Write a line to its standard input."""
        assert self.process.stdin is not None
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def hear(self, timeout_seconds: float = 10.0) -> str:
        """Wait for the next line of its standard output.

        Raises:
            RuntimeError: It ended, or said nothing in time; with what it complained of.
        """
        assert self.process.stdout is not None
        deadline = time.monotonic() + timeout_seconds
        while b"\n" not in self._read:
            readable, _, _ = select.select([self.process.stdout], [], [], max(0.0, deadline - time.monotonic()))
            more = os.read(self.process.stdout.fileno(), 65536) if readable else b""
            if not more:
                what = "ended" if readable else f"said nothing for {timeout_seconds:g} s"
                msg = f"{' '.join(self.command)} {what}: {self.errors().strip() or 'no complaint'}"
                raise RuntimeError(msg)
            self._read += more
        line, _, self._read = self._read.partition(b"\n")
        return line.decode()

    def pause(self) -> None:
        """Freeze it: its sockets stay open, and nothing answers."""
        self.process.send_signal(signal.SIGSTOP)
        until(lambda: self._state() == "T", f"{self.command[0]} does not freeze")

    def resume(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it the hard way: it cannot say goodbye to anybody."""
        self.process.kill()
        self.process.wait(10)
        self._let_go()

    def stop(self, grace_seconds: float = 5.0) -> None:
        """End it, politely at first; fine to call when it has ended or never began."""
        if self.is_running:
            self.resume()
            self.process.terminate()
            try:
                self.process.wait(grace_seconds)
            except subprocess.TimeoutExpired:
                self.kill()
        self._let_go()

    def _let_go(self) -> None:
        if self._process is not None:
            for pipe in (self._process.stdin, self._process.stdout):
                assert pipe is not None
                pipe.close()
        if self._errors is not None:
            self._errors.close()
        self._process, self._errors, self._read = None, None, b""
