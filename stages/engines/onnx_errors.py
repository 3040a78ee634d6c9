"""The errors of ONNX Runtime."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from onnxruntime.capi import onnxruntime_pybind11_state as states

from pipeline.errors import WeightsError

__all__ = ["RUNTIME_ERRORS", "damage_named"]

RUNTIME_ERRORS: Final[tuple[type[Exception], ...]] = (
    states.EPFail,
    states.EngineError,
    states.Fail,
    states.InvalidArgument,
    states.InvalidGraph,
    states.InvalidProtobuf,
    states.NoModel,
    states.NoSuchFile,
    states.NotImplemented,
    states.RuntimeException,
)
"""Its own kinds of errors have nothing but Exception in common."""


@contextmanager
def damage_named(path: Path) -> Iterator[None]:
    """Turn what ONNX Runtime says of a bad file into our error.

    Raises:
        WeightsError: The file is damaged, or no ONNX file.
    """
    try:
        yield
    except RUNTIME_ERRORS as error:
        reason = str(error).strip().splitlines()[-1]
        msg = f"'{path}' is damaged, or no ONNX file that onnxruntime can run ({reason}). Fetch or export it again"
        raise WeightsError(msg) from error
