"""Graphs in int8: what a network's numbers look like is measured on pictures."""

import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.errors import ConfigError
from stages.engines.base import InputFormat, Model
from stages.engines.conversion import openvino_graph
from stages.engines.packages import need
from stages.engines.pixels import normalised
from stages.engines.signature import signature_of_graph
from stages.media.pictures import PICTURE_SUFFIXES, load_picture

__all__ = ["calibration_pictures", "to_int8"]

_MOST_PICTURES: Final = 300
"""More change nothing: NNCF takes 300 unless it is told otherwise."""


def to_int8(model: Model, path: Path, pictures: Sequence[NDArray[np.uint8]]) -> None:
    """Write a model as an OpenVINO graph whose convolutions compute in 8 bits: the .xml at `path`, the .bin beside it.

    Args:
        model: What to quantise.
        path: Where to.
        pictures: Like those that it will see, shape (height, width, 3) of its input, uint8, BGR. Ranges of its numbers
            are taken from them, so crops of people as a detector cuts them are best.

    Raises:
        MissingPackage: nncf or openvino is not installed.
        WeightsError: The model is damaged.
    """
    openvino, nncf = need("openvino", "writing OpenVINO graphs"), need("nncf", "precision int8")
    graph = openvino_graph(model)
    taken = signature_of_graph(model.weights, graph).pictures()
    taken.check(model.input)
    batch = taken.batch or 1
    graph.reshape([batch, 3, model.input.height, model.input.width])

    def converted(picture: NDArray[np.uint8]) -> NDArray[np.float32]:
        return normalised(np.repeat(picture[None], batch, axis=0), model.input)

    with contextlib.redirect_stdout(sys.stderr):  # it draws progress bars, and stdout is for results
        quantised = nncf.quantize(
            graph,
            nncf.Dataset(list(pictures), converted),
            preset=nncf.QuantizationPreset.MIXED,
            subset_size=len(pictures),
        )
    openvino.save_model(quantised, path, compress_to_fp16=False)


def calibration_pictures(folder: Path, wanted: InputFormat) -> list[NDArray[np.uint8]]:
    """Read pictures of a folder, at most 300 that lie evenly among all, in the size of a network's input.

    What is wider or taller than the input is cut at its sides, the same on both.

    Raises:
        ConfigError: There are none.
        SourceError: One is damaged.
    """
    files = sorted(file for file in folder.glob("*") if file.suffix.lower() in PICTURE_SUFFIXES)
    if not files:
        msg = f"no pictures to calibrate with in '{folder}': give a folder with some hundred, of people as cut out"
        raise ConfigError(msg)
    chosen = np.unique(np.linspace(0, len(files) - 1, min(len(files), _MOST_PICTURES)).round().astype(int))
    return [_fitted(load_picture(files[index]), wanted) for index in chosen]


def _fitted(picture: NDArray[np.uint8], wanted: InputFormat) -> NDArray[np.uint8]:
    """Cut a picture to the aspect of the input, around its centre, and scale it."""
    height, width = picture.shape[:2]
    scale = min(height / wanted.height, width / wanted.width)
    cut_height, cut_width = max(1, round(wanted.height * scale)), max(1, round(wanted.width * scale))
    top, left = (height - cut_height) // 2, (width - cut_width) // 2
    inner = picture[top : top + cut_height, left : left + cut_width]
    return np.asarray(cv2.resize(inner, (wanted.width, wanted.height), interpolation=cv2.INTER_AREA), np.uint8)
