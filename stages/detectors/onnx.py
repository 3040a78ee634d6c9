"""Person detectors from ONNX files and OpenVINO graphs: YOLOX, RTMDet, RT-DETR, D-FINE, RF-DETR and their like."""

import logging
from collections.abc import Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from pipeline.types import Frame, Instances
from stages.detections.boxes import Wanted
from stages.detections.kinds import KINDS, KindName, arrange, recognise
from stages.detections.letterbox import GREY, Letterbox
from stages.detections.picture import input_format, picture_size
from stages.detections.pinned import pin_size
from stages.detections.placing import Fit, place
from stages.detections.reader import Reader
from stages.detections.rows import table
from stages.detectors.base import Detector
from stages.engines import open_engines
from stages.engines.base import Engine, Model
from stages.engines.options import EngineOptions
from stages.engines.sharing import Lane, share
from stages.engines.signature import read_signature
from stages.zoo import find_weights

__all__ = ["OnnxDetector", "Options"]

logger = logging.getLogger(__name__)

Positive = Annotated[float, Field(gt=0)]
Side = Annotated[int, Field(ge=1)]


class Options(EngineOptions):
    """Which detection network, what counts as found, and where it runs."""

    weights: str = Field(min_length=1)
    """An ONNX file, the .xml of an OpenVINO graph, or a name of the model zoo."""
    output: Literal["auto", KindName] = "auto"
    """How the outputs are to be read. `auto`: as their names and shapes tell. `yolox`: (n, boxes, 5 + classes), decoded
    or not. `dets`: `dets` and `labels` of MMDeploy, as of RTMDet. `detr`: `logits` and `pred_boxes` of RT-DETR and
    D-FINE from transformers. `rf-detr`: `dets` and `labels` of RF-DETR. `scored`: `labels`, `boxes` and `scores` of
    RT-DETR, D-FINE and DEIM with their post-processor. `anchor-free`: (n, 4 + classes, boxes) as of YOLOv8."""
    confidence: float = Field(default=0.25, ge=0, le=1)
    """Leave out what scores no more than this. Trackers that match in two rounds (ByteTrack) want it at 0.1."""
    iou: float = Field(default=0.65, ge=0, le=1)
    """Of two boxes of one class that overlap more than this, keep the better. Without effect on networks that need no
    suppression: all but `yolox` and `anchor-free`."""
    max_people: int = Field(default=300, ge=1)
    """At most so many rows a frame, the best ones."""
    classes: tuple[Annotated[int, Field(ge=0)], ...] | None = Field(default=None, min_length=1)
    """Classes to look for, as the network numbers them; rows keep those numbers. None: people, which is 0, or 1 in
    networks with 91 logits, which number them as COCO's annotations do; rows then say 0."""
    image_size: tuple[Side, Side] | None = None
    """Height and width of the picture that the network sees, pixels. None: what the file is fixed to, else 640x640."""
    mean: tuple[float, float, float] | None = None
    """Of each channel, 0..255, in the network's order. None: that of its kind. 0 for `yolox`, `detr`, `scored` and
    `anchor-free`; ImageNet's for `rf-detr`, and for `dets` unless the file is named after YOLOX."""
    std: tuple[Positive, Positive, Positive] | None = None
    """Standard deviation of each channel, as `mean`. None: that of its kind. 1 for `yolox`; 255 for `detr`, `scored`
    and `anchor-free`; ImageNet's for `rf-detr`, and for `dets` unless the file is named after YOLOX."""
    channels: Literal["rgb", "bgr"] | None = None
    """Order of the channels. None: `bgr` for `yolox` and `dets`, `rgb` for the others."""
    fit: Fit | None = None
    """How a frame is laid into the picture: `corner` and `centre` keep its aspect and fill up with grey, `stretch` does
    not. None: `corner` for `yolox` and `dets`, `centre` for `anchor-free`, `stretch` for the others."""
    precision: Literal["auto", "f32", "bf16", "f16", "int8"] = "auto"
    """`auto`: f32, in TensorRT f16. Most of these networks end with coordinates in pixels, which bf16 rounds to 2 or 4
    of them: `bf16` is faster on CPUs that compute in it, and fine in front of a pose model."""
    batch: int = Field(default=8, ge=1)
    """How many frames to take at once, at most."""


class OnnxDetector(Detector):
    """Finds people with a detection network in a file that needs no framework to be run."""

    def __init__(self, options: Options) -> None:
        """Keep the options."""
        self.options = options
        self.max_batch = options.batch
        self._held = ExitStack()
        self._lanes: list[Lane[Engine]] = []
        self._threads: Executor | None = None
        self._reader: Reader | None = None

    def open(self) -> None:
        """Read the file, tell how its outputs are to be read, and make the engines ready.

        Raises:
            WeightsError: The file is missing, damaged, or no detection network of a known kind.
            ConfigError: It contradicts an option, or the engine or device is not there.
            MissingPackage: A package is not installed.
        """
        path, options = find_weights(self.options.weights), self.options
        signature = read_signature(path)
        height, width = picture_size(signature, options.image_size, path)
        kind = recognise(signature, width, height, path) if options.output == "auto" else options.output
        self._places = arrange(kind, signature.outputs, path)
        self._fit, self._canvas = options.fit or KINDS[kind].fit, (width, height)
        look = input_format(kind, path, (height, width), options.mean, options.std, options.channels)
        with ExitStack() as opening:
            folder = Path(opening.enter_context(TemporaryDirectory(prefix="kinestream-")))
            self._open_engines(Model(pin_size(path, signature, width, height, folder), look), opening)
            self._held = opening.pop_all()
        wanted = Wanted(width, height, options.classes, options.confidence)
        self._reader = Reader(kind, wanted, options.iou, options.max_people)
        running = ", ".join(str(lane.engine) for lane in self._lanes)
        self.description = f"{path.name}, read as '{kind}', {height}x{width} (height x width), {running}"
        logger.info("%s", self.description)

    def _open_engines(self, model: Model, opening: ExitStack) -> None:
        options = self.options
        if options.precision == "auto" and options.engine != "tensorrt":
            options = options.model_copy(update={"precision": "f32"})
        engines = open_engines(model, options, options.batch)
        for engine in engines:
            opening.callback(engine.close)
        self._lanes = [Lane(engine) for engine in engines]
        if len(engines) > 1:
            self._threads = opening.enter_context(ThreadPoolExecutor(len(engines), "detection-engine"))

    def close(self) -> None:
        """Give back the engines and their memory."""
        self._lanes, self._threads, self._reader = [], None, None
        self._held.close()

    def detect(self, frames: Sequence[Frame]) -> list[Instances]:
        """Find people; see `Detector.detect`.

        Raises:
            WeightsError: The network gives something else than its kind does.
            OutOfMemory: Not even one frame fits onto the device.
        """
        if self._reader is None:
            msg = f"{type(self).__name__} is not open: call open() first"
            raise RuntimeError(msg)
        reader = self._reader
        canvases, letterboxes = self._drawn(frames)

        def look(engine: Engine, some: slice) -> list[NDArray[np.float32]]:
            outputs = engine.run(canvases[some])
            return reader.read([outputs[place] for place in self._places])

        found = [rows for piece in share(self._lanes, len(frames), look, self._threads) for rows in piece]
        return [table(rows, None, letterbox) for rows, letterbox in zip(found, letterboxes, strict=True)]

    def _drawn(self, frames: Sequence[Frame]) -> tuple[NDArray[np.uint8], list[Letterbox]]:
        """Lay every frame into a picture of the network's size: shape (n, height, width, 3), uint8, BGR."""
        width, height = self._canvas
        canvases = np.full((len(frames), height, width, 3), GREY, np.uint8)
        letterboxes = [place(self._fit, (frame.width, frame.height), self._canvas) for frame in frames]
        for frame, letterbox, canvas in zip(frames, letterboxes, canvases, strict=True):
            letterbox.draw(frame.image, canvas)
        return canvases, letterboxes
