"""Measures a network in training as `kinestream evaluate pose` does: by the path and the steps of the official results.

The network goes through the same plug-in as finished weights, so what is measured is what users will get.
"""

import copy
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from stages.engines.base import InputFormat, Model
from stages.evaluation.data import Data, open_data
from stages.evaluation.look import look
from stages.evaluation.measure import Measure, Metrics
from stages.poses.topdown import Network, TopDown
from stages.topdown.options import TopDownOptions
from training.datasets import ValidationFiles
from training.targets import TargetOptions

if TYPE_CHECKING:
    from torch import nn

    from stages.topdown.heatmaps import Decoding

__all__ = ["Validation"]


class _InTraining(TopDown):
    """The pose plug-in of a network that is in memory."""

    def __init__(self, options: TopDownOptions, network: Network, *, udp: bool) -> None:
        super().__init__(options)
        self._network, self._udp = network, udp

    def load(self) -> Network:
        return self._network

    @property
    def udp(self) -> bool:
        return self._udp


class Validation:
    """A data set to measure on, again and again.

    Joints are read off the heat maps as the network was taught to draw them: a quarter of a cell towards the higher
    neighbour for `plain`, with DARK for the others.

    Args:
        files: The data set: COCO keypoints, measured by AP, or MPII, measured by PCKh.
        target: What the network sees and says.
        device: Where it is measured: `auto`, `cpu`, `cuda:0`.
        flip_test: Look at everybody mirrored, too, as the official results do.
        batch: How many people go through the network at once.

    Raises:
        ConfigError: A file is missing, damaged or of an unknown form, or pictures are missing.
        MissingPackage: What counts AP is not installed.
    """

    def __init__(
        self,
        files: ValidationFiles,
        target: TargetOptions,
        *,
        device: str = "auto",
        flip_test: bool = True,
        batch: int = 32,
    ) -> None:
        """Read the data set, so that what is wrong is known before hours of training."""
        self._data = Data(files.annotations, files.images, files.detections, files.head_boxes)
        self._target = target
        decoding: Decoding = "quarter" if target.encoding == "plain" else "dark"
        self._options = TopDownOptions(
            weights="in training", image_size=target.image_size, padding=target.padding, decoding=decoding,
            flip_test=flip_test, max_batch=batch, engine="torch", precision="f32", device=device,
        )  # fmt: skip
        measure = self._measure()
        self.title = measure.title
        """What is measured: `COCO keypoints`."""
        self.joints = len(measure.skeleton)
        """How many joints are annotated."""
        self.main = "AP" if "COCO" in self.title else "mean"
        """The number by which networks are compared; more is better."""

    def measure(self, network: "nn.Module", name: str, channels: Literal["rgb", "bgr"] = "rgb") -> Metrics:
        """Measure a network. It is not changed: a copy is measured, in eval mode, in float32.

        Args:
            network: Takes pictures, and gives heat maps; see `HRNet`.
            name: For messages: `HRNet-W32`.
            channels: Order of the colours it sees.

        Returns:
            Name -> value; None where the data set has nobody to measure it on.

        Raises:
            ConfigError: It finds other joints than those that are annotated.
            WeightsError: It gives no numbers: training has diverged.
            SourceError: A picture cannot be read.
        """
        picture = InputFormat(self._target.width, self._target.height, channels=channels)
        model = Model(Path(name), picture, lambda: copy.deepcopy(network))
        measure = self._measure()
        wanted = [picture for picture in measure.pictures if picture.is_needed]
        with _InTraining(self._options, Network(name, model, self.joints), udp=self._target.udp) as plugin:
            measure.meet(plugin)
            for picture_seen, poses in look(plugin, wanted):
                measure.add(picture_seen, poses)
        return measure.metrics()

    def _measure(self) -> Measure:
        """Make an empty measure; it is used up by one measurement."""
        return open_data(self._data, TopDown.boxes)
