"""People and their joints in pictures, with one object: for notebooks and programs that need no pipeline.

    with PoseEstimator("hrnet-w32-256x192") as estimator:
        people = estimator.predict(cv2.imread("street.jpg"))

Then `people.xyxy` (n, 4) are the boxes, `people.keypoints` (n, joints, 2) the joints as (x, y), both in pixels of the
picture, and `people.keypoint_score` (n, joints) what the network thinks of each.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from itertools import count
from typing import Any, Final, Literal, Protocol, cast

import numpy as np
from numpy.typing import ArrayLike

from pipeline.errors import ConfigError
from pipeline.plugin import Plugin
from pipeline.registry import options_model, resolve, shorthand, validate_options
from pipeline.types import Frame, HostPixels, Instances, Stream
from stages.arguments import Picture, are_several, checked_boxes, checked_picture

__all__ = ["PoseEstimator"]

_STREAM: Final = Stream("picture")


class FindsPeople(Protocol):
    """What a detector is to the estimator: see `stages.detectors.base.Detector`."""

    max_batch: int

    def open(self) -> None:
        """Load it."""

    def close(self) -> None:
        """Give it back."""

    def detect(self, frames: Sequence[Frame]) -> list[Instances]:
        """Find people."""


class PoseEstimator(Plugin):
    """Finds people with a detector, and their joints with a top-down network.

    The networks are loaded by `open` or `with`, or else by the first `predict`; `close` gives them back. One thread at
    a time may use it.

    Args:
        weights: Of the pose network: a file, or a name of the model zoo, as `kinestream models list` shows them.
        detector: Who finds the people: weights (`yolo11n.pt`, `yolox_s.onnx`), the name of a plug-in (`blazepose`), a
            plug-in with its options (`{"kind": "onnx", "weights": "yolox_s.onnx", "confidence": 0.4}`), or an object
            that is a detector: it is opened and closed with the estimator. None or "none": nobody; then each `predict`
            needs boxes. YOLO11 is under AGPL-3.0; YOLOX, RTMDet, RT-DETR and BlazePose are under Apache-2.0.
        kind: The pose plug-in: `hrnet`, `poseresnet` or `onnx`. None: as the name of the weights tells.
        joints: How many joints the weights must find. None: whatever they find.
        image_size: Height and width of the picture that the pose network sees, pixels. None: what the weights were
            trained with, as their name tells.
        single_person: Take the whole picture as the box of one person; no detector is loaded.
        max_batch_size: How many people go through the network at once, at most.
        flip_test: Look at each person a second time, mirrored: a little more exact, for twice the time.
        decoding: From a heat map to a joint: `quarter` (as the official results), `dark` or `plain`. None: as the
            weights were trained, else `quarter`.
        return_heatmaps: `predict` gives pairs (people, heat maps).
        device: `auto`, `cpu`, `cuda`, `cuda:1` or `cuda:0,1`; of both networks.
        engine: `auto`, `torch`, `openvino`, `onnxruntime` or `tensorrt`; of the pose network.
        precision: `auto`, `f32`, `bf16`, `f16` or `int8`; of the pose network.

    Raises:
        ConfigError: An argument is wrong, or the weights are those of a one-stage network.
        MissingPackage: A package is not installed.
    """

    def __init__(  # noqa: PLR0913 - a user's one door; all but the first two are given by name
        self,
        weights: str,
        detector: str | Mapping[str, Any] | FindsPeople | None = "yolo11n.pt",
        *,
        kind: Literal["hrnet", "poseresnet", "onnx"] | None = None,
        joints: int | None = None,
        image_size: tuple[int, int] | None = None,
        single_person: bool = False,
        max_batch_size: int = 32,
        flip_test: bool = False,
        decoding: Literal["quarter", "dark", "plain"] | None = None,
        return_heatmaps: bool = False,
        device: str = "auto",
        engine: str = "auto",
        precision: str = "auto",
    ) -> None:
        """Check the arguments; nothing is loaded yet."""
        options = {
            "joints": joints,
            "image_size": image_size,
            "max_batch": max_batch_size,
            "flip_test": flip_test,
            "decoding": decoding,
            "device": device,
            "engine": engine,
            "precision": precision,
        }
        self._pose = _make_pose(str(weights), kind, options)
        self._detector = None if single_person else _make_detector(detector, device)
        self._single_person = single_person
        self._return_heatmaps = return_heatmaps
        self._numbers = count()
        self._opened: ExitStack | None = None

    def open(self) -> None:
        """Load the networks; does nothing if they are.

        Raises:
            WeightsError: Weights are missing, damaged, or of another network.
            ConfigError: They contradict an argument, or the engine or device is not there.
            MissingPackage: A package is not installed.
        """
        if self._opened is not None:
            return
        with ExitStack() as opening:
            for part in (self._pose, self._detector):
                if part is not None:
                    opening.callback(part.close)
                    part.open()
            self._opened = opening.pop_all()

    def close(self) -> None:
        """Give back the networks and their memory; the next `predict` loads them again."""
        opened, self._opened = self._opened, None
        if opened is not None:
            opened.close()

    def predict(self, images: Picture | Sequence[Picture], boxes: ArrayLike | Sequence[ArrayLike] | None = None) -> Any:  # noqa: ANN401 - of one picture one result, of several a list
        """Find people and their joints.

        Args:
            images: One picture, shape (H, W, 3), uint8, BGR, as `cv2.imread` gives it; or several: a stack (n, H, W, 3)
                or a sequence of pictures, which may differ in size. They go through the networks in batches.
            boxes: Where the people are, so that no detector looks: shape (m, 4), (x1, y1, x2, y2) in pixels of the
                picture; m may be 0. For several pictures a sequence of such arrays, one each.

        Returns:
            For one picture its `Instances`: one row a person, boxes and joints in pixels of the picture; in the order
            of given boxes, else best first. With `return_heatmaps` a pair of it and the heat maps which the joints were
            read from, float32, shape (people, joints, h, w). For several pictures a list of these, in their order.

        Raises:
            TypeError: A picture is none, or not made of bytes; the message says how to convert it.
            ValueError: A picture or an array of boxes has another shape, or boxes are not finite or turned round.
            ConfigError: There is neither a detector nor boxes.
            OutOfMemory: Not even one person fits onto the device.
        """
        several = are_several(images)
        frames = [self._frame(*picture) for picture in _named(images, several=several)]
        tables = None if boxes is None else checked_boxes(boxes, len(frames) if several else None)
        self._check_boxes_are_known(given=tables is not None)
        self.open()
        found = self._estimate(frames, self._people(frames) if tables is None else tables)
        return found if several else found[0]

    def _check_boxes_are_known(self, *, given: bool) -> None:
        if not given and self._detector is None and not self._single_person:
            msg = (
                "there is no detector, so predict needs boxes: give predict(images, boxes=...), or make the estimator "
                "with a detector or with single_person=True"
            )
            raise ConfigError(msg)

    def _frame(self, picture: object, name: str) -> Frame:
        pixels = HostPixels(np.ascontiguousarray(checked_picture(picture, name)))
        number = next(self._numbers)
        return Frame(_STREAM, number, float(number), datetime.now(UTC), time.monotonic(), pixels)

    def _people(self, frames: Sequence[Frame]) -> list[Instances]:
        """Look for people, or take the whole picture."""
        if self._detector is None:
            return [Instances.of([[0, 0, frame.width, frame.height]], [1.0]) for frame in frames]
        batches = _batches(frames, self._detector.max_batch)
        return [table for some in batches for table in self._detector.detect(frames[some])]

    def _estimate(self, frames: Sequence[Frame], tables: Sequence[Instances]) -> list[Any]:
        look = self._pose.estimate_with_heatmaps if self._return_heatmaps else self._pose.estimate
        batches = _batches(frames, self._pose.max_batch)
        return [found for some in batches for found in look(frames[some], tables[some])]


def _named(images: Any, *, several: bool) -> Iterator[tuple[object, str]]:  # noqa: ANN401 - not checked yet
    """Give each picture with what it is called in messages."""
    if not several:
        yield images, "the picture"
        return
    for place, picture in enumerate(images):
        yield picture, f"images[{place}]"


def _batches(frames: Sequence[Frame], at_most: int) -> Iterator[slice]:
    return (slice(start, start + at_most) for start in range(0, len(frames), at_most))


def _make_pose(weights: str, kind: str | None, options: Mapping[str, object]) -> Any:  # noqa: ANN401 - a class by its name
    kind = kind or shorthand("pose", weights)["kind"]
    plugin = resolve("pose", kind)
    if plugin.boxes != "needed":
        msg = (
            f"PoseEstimator runs top-down networks, but '{weights}' is taken for the plug-in '{kind}', which finds "
            "people by itself: give weights of HRNet, PoseResNet or a top-down ONNX file; if their name does not tell, "
            "say `kind` too"
        )
        raise ConfigError(msg)
    return plugin(validate_options(plugin, {"weights": weights, **options}, "PoseEstimator"))


def _make_detector(detector: str | Mapping[str, Any] | FindsPeople | None, device: str) -> FindsPeople | None:
    if detector is None or detector == "none":
        return None
    if not isinstance(detector, str | Mapping):
        return detector
    options = dict(shorthand("detector", detector) if isinstance(detector, str) else detector)
    plugin = resolve("detector", options.pop("kind", ""))
    if "device" in options_model(plugin).model_fields:
        options.setdefault("device", device)
    return cast("FindsPeople", plugin(validate_options(plugin, options, "PoseEstimator.detector")))
