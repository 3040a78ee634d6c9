"""A re-identification network: two pictures of one person give vectors that point the same way.

OSNet (Zhou et al., "Omni-Scale Feature Learning for Person Re-Identification", ICCV 2019) as torchreid trains it, and
all others that take a picture of a person, RGB with mean and deviation of ImageNet, and give one vector for it.
"""

import logging
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import WeightsError
from pipeline.plugin import Plugin
from pipeline.types import Pixels
from stages.appearance.crops import cut_out
from stages.engines import Engine, EngineOptions, InputFormat, Model, open_engines, read_signature
from stages.engines.sharing import Lane, share
from stages.zoo import find_weights
from trackers.base import Tracker

__all__ = ["Appearance", "appearance_for"]

_log = logging.getLogger(__name__)

_HEIGHT, _WIDTH = 256, 128
"""What OSNet was trained with, and what a file gets that leaves the size open."""
_AT_ONCE: Final = 32
"""People in one batch, at most."""


class Appearance(Plugin):
    """Tells what people look like. One thread at a time may use it.

    Args:
        weights: An ONNX file, the .xml of an OpenVINO graph, or a name of the model zoo.
        device: `auto`, `cpu`, `cuda` or `cuda:1`; of several, the first is used.
    """

    def __init__(self, weights: str, device: str = "auto") -> None:
        """Load nothing yet."""
        self._weights = weights
        self._options = EngineOptions(device=device.partition(",")[0])
        self._lane: Lane[Engine] | None = None
        self.length = 0
        """Of the vectors; known once it is open."""

    def open(self) -> None:
        """Load the network and let it see a black picture.

        Raises:
            WeightsError: The file is missing, damaged, or no network of this kind.
            ConfigError: It takes something else than pictures, or the device is not there.
            MissingPackage: A package that runs it is not installed.
        """
        path = find_weights(self._weights)
        taken = read_signature(path).pictures()
        form = InputFormat(taken.width or _WIDTH, taken.height or _HEIGHT)
        (engine,) = open_engines(Model(path, form), self._options, _AT_ONCE)
        self._lane = Lane(engine)
        self.length = _length(engine)
        self.description = f"{path.name} {form.height}x{form.width} (height x width), {engine}"
        _log.info("appearance: %s", self.description)

    def close(self) -> None:
        """Give back the network and its memory."""
        lane, self._lane = self._lane, None
        if lane is not None:
            lane.engine.close()

    def describe(self, picture: Pixels, xyxy: NDArray[np.floating]) -> NDArray[np.float32]:
        """Tell what the people in some boxes look like.

        Args:
            picture: Of any size. Without boxes, it is not touched.
            xyxy: Shape (n, 4), pixels.

        Returns:
            Vectors of length 1, shape (n, length): the cosine of two tells how alike they look. Zeros, which are like
            nobody, for a box that has no pixel in the picture.

        Raises:
            OutOfMemory: Not even one person fits onto the device.
        """
        if self._lane is None:
            msg = f"{type(self).__name__} is not open: call open() first"
            raise RuntimeError(msg)
        vectors = np.zeros((len(xyxy), self.length), np.float32)
        if not len(xyxy):
            return vectors
        form = self._lane.engine.model.input
        crops, rows = cut_out(picture.bgr(), xyxy, form.width, form.height)
        pieces = share([self._lane], len(crops), lambda engine, some: _unit(engine.run(crops[some])[0]))
        if pieces:
            vectors[rows] = np.concatenate(pieces)
        return vectors


def appearance_for(tracker: Tracker) -> Appearance | None:
    """Make what a tracker is told people's looks by, as its options `appearance` and `device` say.

    Returns:
        One that is not open yet; None if the tracker does not want `embedding`.
    """
    if "embedding" not in tracker.wants:
        return None
    options = getattr(tracker, "options", None)
    return Appearance(str(getattr(options, "appearance", "osnet")), getattr(options, "device", "auto"))


def _length(engine: Engine) -> int:
    """Let an engine see a black picture, which warms it up, and give the length of its vector.

    Raises:
        WeightsError: It gives something else than one vector of numbers.
    """
    form = engine.model.input
    outputs = engine.run(np.zeros((1, form.height, form.width, 3), np.uint8))
    if len(outputs) != 1 or outputs[0].ndim != 2 or not np.isfinite(outputs[0]).all():
        got = ", ".join(str(output.shape) for output in outputs)
        msg = (
            f"'{engine.model.weights}' does not tell what a person looks like: for one picture, it gives outputs of "
            f"shape {got}; expected one, (1, length), of finite numbers: give a re-identification network such as OSNet"
        )
        raise WeightsError(msg)
    return int(outputs[0].shape[1])


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale vectors to length 1; one of zeros stays as it is."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(length > 0, length, 1), np.float32)
