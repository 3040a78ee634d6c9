"""A table of people as a few bytes, exact to the last bit."""

import zlib
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pipeline.skeletons import skeleton_for
from pipeline.types import Instances

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["pack", "unpack"]

_DTYPES: Final[dict[str, str]] = {
    "xyxy": "<f4",
    "score": "<f4",
    "class_id": "<i4",
    "keypoints": "<f4",
    "keypoint_score": "<f4",
    "embedding": "<f4",
    "predicted": "<i4",
}
"""Columns as they are kept: words of four bytes."""
_FASTEST: Final = 1
"""Of zlib's levels."""


def pack(people: Instances) -> tuple[int, int, str, bytes]:
    """Pack the people of a frame, before they have identities.

    Returns:
        What `unpack` takes: rows, joints, names of the columns, and the columns one after the other.
    """
    names = [name for name in _DTYPES if getattr(people, name) is not None]
    columns = (np.asarray(getattr(people, name), _DTYPES[name]).tobytes() for name in names)
    joints = 0 if people.skeleton is None else len(people.skeleton)
    return len(people), joints, " ".join(names), zlib.compress(_by_significance(b"".join(columns)), _FASTEST)


def unpack(n: int, joints: int, names: str, packed: bytes) -> Instances:
    """Make the table again that `pack` was given."""
    words = np.frombuffer(_by_significance(zlib.decompress(packed), back=True), "<u4")
    widths = {"xyxy": 4, "keypoints": 2 * joints, "keypoint_score": joints, "embedding": -1}
    fixed = sum(widths.get(name, 1) for name in names.split() if name != "embedding")
    widths["embedding"] = len(words) // n - fixed if n else 0
    columns: dict[str, NDArray[Any]] = {}
    for name in names.split():
        size = n * widths.get(name, 1)
        columns[name], words = words[:size].view(_DTYPES[name]), words[size:]
    if joints:
        columns["keypoints"] = columns["keypoints"].reshape(n, joints, 2)
    for name in ("xyxy", "keypoint_score", "embedding"):
        if name in columns:
            columns[name] = columns[name].reshape(n, widths[name])
    return Instances(**columns, skeleton=skeleton_for(joints) if joints else None)


def _by_significance(words: bytes, *, back: bool = False) -> bytes:
    """Put the first bytes of all words of four together, then the second ones ...: exponents are much alike."""
    shape = (4, -1) if back else (-1, 4)
    return np.frombuffer(words, np.uint8).reshape(shape).T.tobytes()
