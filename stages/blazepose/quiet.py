"""Keeps the chatter of native libraries out of the terminal."""

import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["stderr_without"]

_STDERR = 2
_one_at_a_time = threading.Lock()


@contextmanager
def stderr_without(prefix: bytes) -> Iterator[None]:
    """Leave out the lines with a prefix that native code writes to the process's stderr meanwhile.

    All other lines, also those of other threads, come out at the end. Keep it short.
    """
    if sys.stderr is None:  # a service without a terminal
        yield
        return
    with _one_at_a_time, tempfile.TemporaryFile() as held:
        terminal = os.dup(_STDERR)
        os.dup2(held.fileno(), _STDERR)
        try:
            yield
        finally:
            os.dup2(terminal, _STDERR)
            os.close(terminal)
            held.seek(0)
            for line in held:
                if not line.startswith(prefix):
                    os.write(_STDERR, line)
