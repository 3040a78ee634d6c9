"""Batches in the sizes that a network takes."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["bucket", "joined", "padded", "pieces"]


def bucket(count: int, largest: int) -> int:
    """Give the size that a batch is filled up to: the next power of two, so that a GPU prepares for few sizes.

    Args:
        count: 1 <= count <= largest.
        largest: The last size, a power of two or not.
    """
    return min(1 << (count - 1).bit_length(), largest)


def pieces(count: int, size: int) -> Iterator[slice]:
    """Cut `count` rows into pieces of `size`; the last one may be smaller."""
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))


def padded(pictures: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Fill a batch up to `size` rows with black pictures."""
    missing = size - len(pictures)
    if not missing:
        return pictures
    return np.concatenate([pictures, np.zeros((missing, *pictures.shape[1:]), np.uint8)])


def joined(parts: Sequence[Sequence[NDArray[np.float32]]]) -> list[NDArray[np.float32]]:
    """Join the outputs of pieces, row under row.

    An output that is as long as what was found in its pictures is filled up with zeros to the longest of the pieces: in
    a list of boxes with scores, those score 0.
    """
    return [_stacked(outputs) for outputs in zip(*parts, strict=True)]


def _stacked(outputs: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    if len(outputs) == 1:
        return outputs[0]
    shapes = {output.shape[1:] for output in outputs}
    if len(shapes) == 1:
        return np.concatenate(outputs)
    largest = [max(sizes) for sizes in zip(*shapes, strict=True)]
    joined = np.zeros((sum(map(len, outputs)), *largest), np.float32)
    start = 0
    for output in outputs:
        joined[(slice(start, start + len(output)), *map(slice, output.shape[1:]))] = output
        start += len(output)
    return joined
