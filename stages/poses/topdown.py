"""What every top-down pose plug-in does: cut each person out of the picture, ask a network where the joints are."""

import logging
import time
from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import ConfigError, WeightsError
from pipeline.skeletons import Skeleton, skeleton_for
from pipeline.types import Frame, Instances
from stages.engines import open_engines
from stages.engines.base import Engine, InputFormat, Model
from stages.poses.base import PoseModel
from stages.poses.networks.trained import Trained
from stages.topdown.choose import choose_path
from stages.topdown.heads import Head, HeatmapHead, SimccHead
from stages.topdown.heatmaps import Decoding
from stages.topdown.options import TopDownOptions
from stages.topdown.people import Seen, look_at

if TYPE_CHECKING:
    from stages.topdown.paths import LookPath

__all__ = ["Network", "Shapes", "TopDown", "trained_network"]

_log = logging.getLogger(__name__)

Shapes = Sequence[tuple[int, ...]]


class Network(NamedTuple):
    """A network in a file, and what is known of it before it runs."""

    name: str
    """For people to read: `HRNet-W32`."""
    model: Model
    skeleton: Skeleton | None = None
    """The joints it finds; None if only their number in its output tells."""
    udp: bool = False
    """It was trained with unbiased data processing (UDP)."""
    sigma: float | None = None
    """Deviation of the Gaussians that it was trained to draw, cells; None: as usual."""
    decoding: Decoding = "quarter"
    """How joints are read where the options do not say."""
    padding: float = 1.25
    """Room around boxes where the options do not say."""


def trained_network(name: str, model: Model, trained: Trained) -> Network:
    """Describe a network of which it is known what it was trained with."""
    return Network(
        name, model, trained.skeleton, udp=trained.udp, sigma=trained.sigma, decoding=trained.decoding,
        padding=trained.padding,
    )  # fmt: skip


class TopDown(PoseModel):
    """Finds the joints of people in the boxes of a detector."""

    boxes: ClassVar[str] = "needed"
    expects: ClassVar[str] = "one (1, joints, rows, columns)"
    """The shapes of the outputs that it can read, for one picture."""

    input: InputFormat
    """What the network sees; known once it is open."""
    skeleton: Skeleton
    """Which joints it finds; known once it is open."""
    padding: float
    """Factor on both sides of a box; known once it is open."""

    def __init__(self, options: TopDownOptions) -> None:
        """Keep the options."""
        self.options = options
        self.max_batch = options.batch
        self._engines: list[Engine] = []
        self._head: Head | None = None
        self._path: LookPath[Any] | None = None
        self._budget = options.budget()

    @abstractmethod
    def load(self) -> Network:
        """Read the weights that the options name, and see that they fit.

        Raises:
            WeightsError: They are missing, damaged, or of another network.
            ConfigError: They contradict an option.
        """

    def open(self) -> None:
        """Load the weights, make the engines ready, and let each of them see a black picture.

        Raises:
            WeightsError: The weights are missing, damaged, or of another network.
            ConfigError: They contradict an option, or the engine or device is not there.
            MissingPackage: A package is not installed.
        """
        network = self.load()
        self.input = network.model.input
        self.padding = self.options.padding or network.padding
        if network.skeleton is not None:
            self.take_joints(network, len(network.skeleton))
        self._engines = list(open_engines(network.model, self.options, self.options.max_batch))
        self._head = self.read_head(network, self._first_look(network))
        self._path = choose_path(self._engines, self._head, flip_test=self.options.flip_test, udp=network.udp)
        size, engines = f"{self.input.height}x{self.input.width}", ", ".join(map(str, self._engines))
        self.description = f"{network.name} {size} (height x width), {self.skeleton.name}, {engines}"
        _log.info("%s", self.description)

    def _first_look(self, network: Network) -> Shapes:
        """Let every engine see a black picture, which warms it up, and give the shapes of what comes out.

        Raises:
            WeightsError: What comes out are no numbers.
        """
        black = np.zeros((1, self.input.height, self.input.width, 3), np.uint8)
        seen = [engine.run(black) for engine in self._engines]
        if not all(np.isfinite(output).all() for outputs in seen for output in outputs):
            msg = (
                f"'{network.model.weights}' gives NaN or infinity for a black picture ({self._engines[0]}): give "
                "precision: f32; if that changes nothing, the file is damaged"
            )
            raise WeightsError(msg)
        return [output.shape for output in seen[0]]

    def close(self) -> None:
        """Give back the engines and their memory."""
        if self._path is not None:
            self._path.close()
        while self._engines:
            self._engines.pop().close()
        self._path = None

    def read_head(self, network: Network, shapes: Shapes) -> Head:
        """Say how the outputs are to be read.

        Args:
            network: What was loaded.
            shapes: Of its outputs for one picture.

        Raises:
            WeightsError: The outputs are none of a pose network.
            ConfigError: Their number of joints contradicts an option.
        """
        if len(shapes) != 1 or len(shapes[0]) != 4:
            raise WeightsError(self.no_pose_network(network, shapes))
        self.take_joints(network, shapes[0][1])
        decoding = self.options.decoding or network.decoding
        return HeatmapHead(len(self.skeleton), self.skeleton.mirrored, decoding, network.udp, network.sigma)

    def take_joints(self, network: Network, joints: int) -> None:
        """Choose the skeleton of a network that finds so many joints: its own, or what their number tells.

        Raises:
            ConfigError: The network or the options expect another number.
        """
        skeleton = network.skeleton or skeleton_for(joints)
        if len(skeleton) != joints:
            msg = f"'{network.model.weights}' finds {joints} joints, expected the {len(skeleton)} of {skeleton.name}"
            raise ConfigError(msg)
        if self.options.joints not in {None, joints}:
            msg = (
                f"'{self.options.weights}' finds {joints} joints, got joints: {self.options.joints}: leave the option "
                f"out, or give weights that were trained on {self.options.joints} joints"
            )
            raise ConfigError(msg)
        self.skeleton = skeleton
        if self.options.flip_test and not skeleton.mirrored:
            msg = (
                f"flip_test needs to know which joints change places in a mirror, but '{self.options.weights}' finds "
                f"{joints} joints of no known skeleton (known: 17 of COCO, 16 of MPII, and those whose file names left "
                "and right ones): leave flip_test out"
            )
            raise ConfigError(msg)

    def no_pose_network(self, network: Network, shapes: Shapes) -> str:
        """Say that a network gives something else than joints."""
        got = ", ".join(str(tuple(shape)) for shape in shapes) or "none"
        return (
            f"'{network.model.weights}' is no pose network that this plug-in can read: for one picture, it gives "
            f"outputs of shape {got}; expected {self.expects}"
        )

    def estimate(self, frames: Sequence[Frame], instances: Sequence[Instances | None]) -> list[Instances]:
        """Find joints in boxes.

        The rows keep their own scores. A joint's score is the height of its peak, 0..1; in a box that has no area
        inside the picture it is 0, and the joints lie at the box's centre.

        Args:
            frames: Of any sources and sizes.
            instances: The detector's table of each frame.

        Returns:
            The same tables with `keypoints`, `keypoint_score` and `skeleton`; and `predicted`, where the options set a
            bound on the work.

        Raises:
            OutOfMemory: Not even one person fits onto the device.
            ConfigError: A frame has no table.
        """
        tables = with_boxes(frames, instances)
        if self._budget is None:
            return [self._table(*row) for row in zip(tables, self._look(frames, tables), strict=True)]
        looked = self._budget.plan(frames, tables)
        started = time.perf_counter()
        seen = self._look(frames, tables, looked)
        seconds = time.perf_counter() - started
        points, scores = [people.points for people in seen], [people.score for people in seen]
        return self._budget.fill(frames, tables, looked, points, scores, self.skeleton, seconds)

    def estimate_with_heatmaps(
        self, frames: Sequence[Frame], instances: Sequence[Instances | None]
    ) -> list[tuple[Instances, NDArray[np.float32]]]:
        """Find joints, and show where the network took each of them from.

        Everybody is looked at, whatever the budget.

        Returns:
            For each frame the table of `estimate`, and heat maps of shape (n, k, h, w): those that the joints were read
            from, after the flip test. Zeros where a box has no area inside the picture.

        Raises:
            ConfigError: The network gives no heat maps (SimCC), or a frame has no table.
            OutOfMemory: Not even one person fits onto the device.
        """
        if isinstance(self._head, SimccHead):
            msg = f"'{self.options.weights}' gives SimCC vectors, no heat maps: take a network that gives heat maps"
            raise ConfigError(msg)
        tables = with_boxes(frames, instances)
        seen = self._look(frames, tables, keep_heatmaps=True)
        return [
            (self._table(table, people), people.heatmaps)
            for table, people in zip(tables, seen, strict=True)
            if people.heatmaps is not None
        ]

    def end_source(self, source_id: str) -> None:
        """Forget the people of a source."""
        if self._budget is not None:
            self._budget.forget(source_id)

    def _look(
        self,
        frames: Sequence[Frame],
        tables: Sequence[Instances],
        looked: Sequence[NDArray[np.bool_]] | None = None,
        *,
        keep_heatmaps: bool = False,
    ) -> list[Seen]:
        """Look at the given rows; at everybody where none are given."""
        if self._path is None:
            msg = f"{type(self).__name__} is not open: call open() first"
            raise RuntimeError(msg)
        rows = looked if looked is not None else [np.ones(len(table), np.bool_) for table in tables]
        return look_at(self._path, frames, tables, rows, self.padding, keep_heatmaps=keep_heatmaps)

    def _table(self, table: Instances, seen: Seen) -> Instances:
        return table.with_columns(keypoints=seen.points, keypoint_score=seen.score, skeleton=self.skeleton)


def with_boxes(frames: Sequence[Frame], instances: Sequence[Instances | None]) -> list[Instances]:
    """See that every frame has a table.

    Raises:
        ConfigError: One has none.
    """
    for frame, table in zip(frames, instances, strict=True):
        if table is None:
            msg = (
                f"a top-down pose model finds joints in boxes, got none for frame {frame.index} of "
                f"'{frame.source_id}': put a detector before it, or use a one-stage model"
            )
            raise ConfigError(msg)
    return [table for table in instances if table is not None]
