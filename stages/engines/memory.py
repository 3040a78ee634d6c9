"""One error for the many ways to run out of memory."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from pipeline.errors import OutOfMemory

__all__ = ["out_of_memory_named"]

_SIGNS: Final = ("out of memory", "alloc_failed", "failed to allocate", "can't allocate memory", "outofmemory")
"""What PyTorch, cuBLAS, cuDNN, ONNX Runtime and TensorRT say; only PyTorch has an exception for it."""


@contextmanager
def out_of_memory_named(batch: int, device: str, *kinds: type[Exception]) -> Iterator[None]:
    """Turn whatever says that memory ran out into our error; other errors pass as they are.

    Args:
        batch: How many pictures were tried at once.
        device: Where.
        kinds: Exceptions that are looked at besides RuntimeError and MemoryError.

    Raises:
        OutOfMemory: The batch is too large for the device.
    """
    looked_at: tuple[type[Exception], ...] = (RuntimeError, MemoryError, *kinds)
    try:
        yield
    except looked_at as error:
        if not _speaks_of_memory(error):
            raise
        msg = f"a batch of {batch} pictures does not fit into the memory of {device}: {error}"
        raise OutOfMemory(msg) from error


def _speaks_of_memory(error: BaseException | None) -> bool:
    """Look at an error and at those it arose from: a CUDA graph that cannot be recorded hides the reason below."""
    while error is not None:
        if isinstance(error, MemoryError) or any(sign in str(error).lower() for sign in _SIGNS):
            return True
        error = error.__cause__ or error.__context__
    return False
