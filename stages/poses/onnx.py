"""Pose networks in ONNX files or OpenVINO graphs: HRNet exports, ViTPose (heat maps), RTMPose (SimCC)."""

from typing import ClassVar, Literal

from pydantic import PositiveFloat

from pipeline.errors import ConfigError, WeightsError
from stages.engines import read_signature
from stages.engines.base import IMAGENET_MEAN, IMAGENET_STD, InputFormat, Model
from stages.poses.networks.sizes import size_in_name
from stages.poses.topdown import Network, Shapes, TopDown
from stages.topdown.heads import Head, SimccHead
from stages.topdown.options import TopDownOptions
from stages.zoo import find_weights

__all__ = ["OnnxPose", "Options"]


class Options(TopDownOptions):
    """Which network, what it takes and gives, how it looks at people, and where it runs."""

    output: Literal["auto", "heatmap", "simcc"] = "auto"
    """What the network gives: `heatmap`, first output (n, joints, rows, columns); `simcc`, first two outputs
    (n, joints, columns) and (n, joints, rows); `auto` tells it from the number of outputs and their sides."""
    udp: bool = False
    """The network was trained with unbiased data processing (UDP): true for ViTPose, and for HRNet of that name."""
    mean: tuple[float, float, float] = IMAGENET_MEAN
    """Of each channel in the network's order, 0..255. The default, ImageNet's, is that of ViTPose and RTMPose."""
    std: tuple[PositiveFloat, PositiveFloat, PositiveFloat] = IMAGENET_STD
    """Standard deviation of each channel in the network's order, 0..255."""
    channels: Literal["rgb", "bgr"] = "rgb"
    """Order of the channels that the network was trained with."""


class OnnxPose(TopDown):
    """Finds the joints of people in boxes with a network from an ONNX file or an OpenVINO graph."""

    options: Options
    expects: ClassVar[str] = "one (1, joints, rows, columns), or two, (1, joints, columns) and (1, joints, rows)"

    def load(self) -> Network:
        """Read what the file says about its input.

        Raises:
            WeightsError: It is missing, damaged, or takes no pictures.
            ConfigError: Its pictures have another size than the options say.
            MissingPackage: A package that reads it is not installed.
        """
        path = find_weights(self.options.weights)
        taken = read_signature(path).pictures()
        wanted = self.options.image_size or size_in_name(path.stem, self.options.weights) or (256, 192)
        height, width = taken.height or wanted[0], taken.width or wanted[1]
        if self.options.image_size not in {None, (height, width)}:
            msg = (
                f"'{path}' is fixed to pictures of {taken.height or 'any'} x {taken.width or 'any'} (height x "
                f"width), got image_size {list(wanted)}: leave image_size out, or export the network with free sides"
            )
            raise ConfigError(msg)
        form = InputFormat(width, height, self.options.mean, self.options.std, self.options.channels)
        return Network(path.name, Model(path, form), udp=self.options.udp)

    def read_head(self, network: Network, shapes: Shapes) -> Head:
        """Tell heat maps from SimCC; see `TopDown.read_head`."""
        told = {"auto": shapes, "heatmap": shapes[:1], "simcc": shapes[:2]}[self.options.output]
        is_simcc = self.options.output == "simcc" or (self.options.output == "auto" and len(shapes) == 2)
        return self._simcc(network, told) if is_simcc else super().read_head(network, told)

    def _simcc(self, network: Network, shapes: Shapes) -> SimccHead:
        if [len(shape) for shape in shapes] != [3, 3] or shapes[0][1] != shapes[1][1]:
            raise WeightsError(self.no_pose_network(network, shapes))
        (_, joints, columns), (_, _, rows) = shapes
        if rows * self.input.width != columns * self.input.height:
            msg = (
                f"'{network.model.weights}' gives {columns} columns and {rows} rows for a picture of "
                f"{self.input.width} x {self.input.height} (width x height), expected the same multiple of both: give "
                "the image_size that it was made for"
            )
            raise WeightsError(msg)
        self.take_joints(network, joints)
        return SimccHead(
            joints, self.input.width, self.input.height, columns / self.input.width, self.skeleton.mirrored
        )
