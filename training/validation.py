"""Measures a network in training as `kinestream evaluate pose` does: by the path and the steps of the official results.

The network goes through the same plug-in as finished weights, so what is measured is what users will get.
"""

import copy
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from stages.engines.base import InputFormat, Model
from stages.evaluation.coco import CocoKeypoints
from stages.evaluation.data import Data, open_data
from stages.evaluation.look import look
from stages.evaluation.measure import Measure, Metrics
from stages.poses.networks.trained import Trained
from stages.poses.topdown import Network, TopDown, trained_network
from stages.topdown.options import TopDownOptions
from training.datasets import ValidationFiles
from training.targets import TargetOptions

if TYPE_CHECKING:
    from torch import nn

__all__ = ["Validation"]

_log = logging.getLogger(__name__)


class _InTraining(TopDown):
    """The pose plug-in of a network that is in memory."""

    def __init__(self, options: TopDownOptions, network: Network) -> None:
        super().__init__(options)
        self._network = network

    def load(self) -> Network:
        return self._network


class Validation:
    """A data set to measure on, again and again.

    Joints are read off the heat maps as `kinestream run` reads those of a file that says what it was trained with.

    Args:
        files: The data set: COCO's form with any joints, measured by AP, or MPII, measured by PCKh.
        target: What the network sees and says.
        device: Where it is measured: `auto`, `cpu`, `cuda:0`.
        flip_test: Look at everybody mirrored, too, as the official results do; not where the data set does not tell
            which joints then change places.
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
        measure = self._measure()
        self.title = measure.title
        """What is measured: `COCO keypoints`."""
        self.skeleton = measure.skeleton
        """Which joints are annotated."""
        self.joints = len(self.skeleton)
        """How many joints are annotated."""
        self.main = "AP" if isinstance(measure, CocoKeypoints) else "mean"
        """The number by which networks are compared; more is better."""
        if flip_test and not self.skeleton.mirrored:
            _log.warning("%s: no joint is called left or right, so nobody is looked at mirrored", files.annotations)
        self._options = TopDownOptions(
            weights="in training", flip_test=flip_test and bool(self.skeleton.mirrored), max_batch=batch,
            engine="torch", precision="f32", device=device,
        )  # fmt: skip

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
        trained = Trained(
            skeleton=self.skeleton,
            image_size=self._target.image_size,
            encoding=self._target.encoding,
            sigma=self._target.deviation,
            padding=self._target.padding,
            channels=channels,
        )
        picture = InputFormat(self._target.width, self._target.height, channels=channels)
        model = Model(Path(name), picture, lambda: copy.deepcopy(network))
        measure = self._measure()
        wanted = [picture for picture in measure.pictures if picture.is_needed]
        with _InTraining(self._options, trained_network(name, model, trained)) as plugin:
            measure.meet(plugin)
            for picture_seen, poses in look(plugin, wanted):
                measure.add(picture_seen, poses)
        return measure.metrics()

    def _measure(self) -> Measure:
        """Make an empty measure; it is used up by one measurement."""
        return open_data(self._data, TopDown.boxes)
