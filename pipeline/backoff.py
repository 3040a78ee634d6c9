"""How long to wait before something is tried again."""

import random

__all__ = ["Backoff"]


class Backoff:
    """Waiting times that grow from 1 s to 60 s, each drawn from 0 to its bound (full jitter).

    Full jitter: M. Brooker, "Exponential Backoff and Jitter", AWS Architecture Blog, 2015.
    """

    def __init__(self, first_seconds: float = 1.0, longest_seconds: float = 60.0) -> None:
        """Start at `first_seconds`."""
        self._first_seconds = first_seconds
        self._longest_seconds = longest_seconds
        self._attempts = 0

    def next_seconds(self) -> float:
        """Draw the next waiting time."""
        bound = min(self._first_seconds * 2**self._attempts, self._longest_seconds)
        self._attempts = min(self._attempts + 1, 16)
        return random.uniform(0, bound)

    def reset(self) -> None:
        """Start over: it works again."""
        self._attempts = 0
