"""What people look like: a running mean of the appearance vectors of each one."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["Looks"]

Floats = NDArray[np.float64]

_KEPT: Final = 0.9
"""Share of the former looks that is kept where the box is sure (StrongSORT, Du et al. 2022)."""


class Looks:
    """The looks of n people, vectors of length 1. Rows are the caller's to order; new ones come last.

    Args:
        length: Of the vectors.
        people: How many there are already, whose looks are not known: 0 vectors.
    """

    def __init__(self, length: int, people: int = 0) -> None:
        """Know nobody's looks."""
        self._mean = np.zeros((people, length))

    @property
    def length(self) -> int:
        """Length of the vectors."""
        return int(self._mean.shape[1])

    def fit(self, rows: NDArray[np.integer], embedding: NDArray[np.floating]) -> Floats:
        """Give the cosine of some people with each vector seen, not below 0: shape (rows, vectors)."""
        return np.asarray(np.maximum(self._mean[rows] @ _unit(embedding).T, 0.0))

    def update(self, rows: NDArray[np.integer], embedding: NDArray[np.floating], score: NDArray[np.floating]) -> None:
        """Take over some of what was seen of people, shape (m, d): the more, the surer the box."""
        former = self._mean[rows]
        kept = np.where(former.any(axis=1), 1 - (1 - _KEPT) * score, 0.0)[:, None]
        self._mean[rows] = _unit(kept * former + (1 - kept) * _unit(embedding))

    def append(self, embedding: NDArray[np.floating]) -> None:
        """Add people."""
        self._mean = np.concatenate([self._mean, _unit(embedding)])

    def keep(self, rows: NDArray[np.bool_]) -> None:
        """Forget all people but `rows`."""
        self._mean = self._mean[rows]


def _unit(vectors: NDArray[np.floating]) -> Floats:
    """Scale vectors to length 1; one of zeros stays as it is."""
    length = np.linalg.norm(np.asarray(vectors, np.float64), axis=1, keepdims=True)
    return np.asarray(vectors / np.where(length > 0, length, 1.0))
