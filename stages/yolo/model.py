"""A YOLO network, whatever runs it."""

from collections.abc import Sequence
from typing import ClassVar, Protocol

from pipeline.errors import MissingPackage
from pipeline.plugin import Plugin
from pipeline.types import Frame, Instances
from stages.yolo.options import ModelOptions
from stages.yolo.predictor import PredictorNetwork
from stages.yolo.weights import Task, is_plain, openvino_graph, read_card
from stages.zoo import find_weights

__all__ = ["Network", "NetworkPlugin", "load"]


class Network(Protocol):
    """A loaded network."""

    def find(self, frames: Sequence[Frame]) -> list[Instances]:
        """Find people: one table a frame, in the same order; boxes and joints clipped to the frame, best score first.

        Raises:
            OutOfMemory: The batch is too large for the device.
        """

    def close(self) -> None:
        """Give back the network and its memory."""

    def __str__(self) -> str:
        """Say what runs it where: `openvino on cpu`."""


def load(task: Task, options: ModelOptions) -> Network:
    """Load the weights that the options name.

    An OpenVINO export goes to OpenVINO directly, without ultralytics, unless it is of a rare kind; everything else
    goes to ultralytics.

    Raises:
        WeightsError: The weights are missing, damaged, or made for something else.
        ConfigError: The options ask for what the weights or this machine cannot do.
        MissingPackage: A package that this format needs is not installed.
    """
    path = find_weights(options.weights)
    graph = openvino_graph(path)
    if graph is not None and is_plain(card := read_card(graph)):
        try:
            from stages.yolo.openvino import OpenVinoNetwork  # noqa: PLC0415 - an optional package
        except ModuleNotFoundError as error:
            msg = f"'{path}' needs the package '{error.name}': pip install 'kinestream[ultralytics]'"
            raise MissingPackage(msg) from error
        return OpenVinoNetwork(graph, card, task, options)
    return PredictorNetwork(path, task, options)


class NetworkPlugin(Plugin):
    """What the detector and the pose plug-in have in common: the lifetime of their network."""

    task: ClassVar[Task]

    def __init__(self, options: ModelOptions) -> None:
        """Keep the options."""
        self.options = options
        self.max_batch = options.batch
        self._network: Network | None = None

    def open(self) -> None:
        """Load the network; see `load` for what can go wrong."""
        self._network = load(self.task, self.options)
        self.description = f"{self.options.weights}, {self._network}"

    def close(self) -> None:
        """Give back the network."""
        if self._network is not None:
            self._network.close()
            self._network = None

    def find(self, frames: Sequence[Frame]) -> list[Instances]:
        """Find people; see `Network.find`."""
        if self._network is None:
            msg = f"{type(self).__name__} is not open: call open() first"
            raise RuntimeError(msg)
        return self._network.find(frames)
