"""Keypoints in COCO's form, of any joints: poses of given boxes, or of a model that finds people, measured by AP."""

from collections import Counter
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from pipeline.skeletons import COCO_17
from pipeline.types import Instances
from stages.evaluation.average_precision import average_precision, need_the_counter
from stages.evaluation.measure import Measure, Metrics
from stages.evaluation.people import Detections, Image, Truth, truth_boxes
from stages.evaluation.pictures import Picture, choose
from stages.evaluation.scoring import oks_nms, rescore
from stages.topdown.regions import regions_of_boxes

__all__ = ["CocoKeypoints"]

_ASPECT: Final = 192 / 256
"""Width over height of a region, where the model does not say: that of the published COCO networks."""
_PADDING: Final = 1.25
"""Of a region around its box, where the model does not say: the official setting."""


class CocoKeypoints(Measure):
    """The people of a COCO file.

    Args:
        truth: The annotations.
        folder: Of the pictures.
        detections: Boxes to look into; None for the annotated ones.
        finds_people: The model wants no boxes: its people are ranked as it ranks them, and nothing is left out.
        most: Measure on the first so many pictures; None for all.

    Raises:
        ConfigError: Pictures are missing.
        MissingPackage: What counts AP is not installed.
    """

    digits: ClassVar[int] = 3

    def __init__(
        self,
        truth: Truth,
        folder: Path,
        detections: Detections | None = None,
        *,
        finds_people: bool = False,
        most: int | None = None,
    ) -> None:
        """Choose the pictures, and the boxes in them."""
        need_the_counter()
        self._truth, self._detections, self._finds_people = truth, detections, finds_people
        self.skeleton = truth.skeleton
        self.title = "COCO keypoints" if truth.skeleton == COCO_17 else f"keypoints of '{truth.category.name}'"
        self._aspect, self._padding = _ASPECT, _PADDING
        self._results: list[dict[str, Any]] = []
        every = [Picture(image.id, folder / image.file_name, self._people(image)) for image in truth.images]
        self.pictures, missing = choose(every, most, folder)
        self.boxes = "of the model itself" if finds_people else "ground truth" if detections is None else "detections"
        self.counts = self._counted(missing)

    def meet(self, model: object) -> None:
        """See that an open model fits; take over which region it looks at around a box."""
        super().meet(model)
        if (wanted := getattr(model, "input", None)) is not None:
            self._aspect = wanted.width / wanted.height
        self._padding = getattr(model, "padding", _PADDING)

    def add(self, picture: Picture, poses: Instances) -> None:
        """Rank the poses of one picture, and leave out those that say what a better one said."""
        self.check_joints(poses.skeleton)
        assert poses.keypoints is not None
        assert poses.keypoint_score is not None
        score, kept = poses.score.astype(np.float64), np.arange(len(poses))
        if not self._finds_people:
            score = rescore(poses.score, poses.keypoint_score)
            kept = oks_nms(poses.keypoints, score, self._areas(poses.xyxy), self.skeleton.sigmas)
        self.counts["poses"] += len(kept)
        self.counts["poses_left_out_by_oks_nms"] += len(poses) - len(kept)
        if poses.predicted is not None:
            self.counts["poses_not_looked_at"] += int(poses.predicted.sum())
        joints = np.concatenate([poses.keypoints, poses.keypoint_score[:, :, None]], axis=2)
        self._results += [self._result(picture, joints[row], score[row]) for row in kept]

    def metrics(self) -> Metrics:
        """Count AP and AR; see `average_precision`."""
        return average_precision(self._truth, [int(picture.key) for picture in self.pictures], self._results)

    def results(self) -> list[dict[str, Any]]:
        """Give COCO's result format; keypoints are x, y and the joint's score."""
        return self._results

    def _result(self, picture: Picture, joints: NDArray[np.float32], score: float) -> dict[str, Any]:
        return {
            "image_id": picture.key,
            "category_id": self._truth.category.id,
            "keypoints": joints.ravel().tolist(),
            "score": float(score),
        }

    def _areas(self, xyxy: NDArray[np.float32]) -> NDArray[np.float64]:
        """Measure what the model looks at, shape (n,), px^2: the official code's `prod(scale * 200)`."""
        return np.asarray(regions_of_boxes(xyxy, self._aspect, self._padding).size.prod(axis=1))

    def _people(self, image: Image) -> Instances | None:
        if self._finds_people:
            return None
        if self._detections is not None:
            return self._detections.people.get(image.id, Instances.empty())
        return truth_boxes(self._truth.people.get(image.id, ()), image)

    def _counted(self, missing: int) -> Counter[str]:
        """Count what there is; people are those that AP counts."""
        ids = [int(picture.key) for picture in self.pictures]
        people = [person for image_id in ids for person in self._truth.people.get(image_id, ())]
        boxes = [picture.people for picture in self.pictures if picture.people is not None]
        left_out = Counter() if self._detections is None else self._detections.left_out
        return Counter(
            images=len(ids),
            images_missing=missing,
            people=sum(bool(person.num_keypoints) and not person.iscrowd for person in people),
            boxes=sum(map(len, boxes)),
            poses=0,
            **left_out,
        )
