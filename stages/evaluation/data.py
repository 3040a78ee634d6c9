"""From the files that were named to a data set and its measure."""

from pathlib import Path
from typing import NamedTuple

from pipeline.errors import ConfigError
from stages.evaluation.coco import CocoKeypoints
from stages.evaluation.measure import Measure
from stages.evaluation.mpii import MpiiPeople, people_of
from stages.evaluation.people import read_detections, truth_of
from stages.evaluation.reading import read_json

__all__ = ["Data", "open_data"]


class Data(NamedTuple):
    """The data set that was asked for: which files, and how much of them."""

    annotations: Path
    images: Path
    detections: Path | None = None
    head_boxes: Path | None = None
    min_score: float = 0.0
    most: int | None = None


def open_data(data: Data, boxes: str) -> Measure:
    """Read the annotations; what they are tells how poses are measured.

    Args:
        data: Which files.
        boxes: What the model does with boxes: `PoseModel.boxes`.

    Raises:
        ConfigError: A file is missing, damaged or of an unknown form; or does not go with the others or the model.
        MissingPackage: What measures is not installed.
    """
    tree = read_json(data.annotations, "annotations")
    match tree:
        case {"images": _, "annotations": _, "categories": _}:
            return _coco(tree, data, boxes)
        case [{"joints": _, "center": _}, *_]:
            return _mpii(tree, data, boxes)
    msg = (
        f"'{data.annotations}' is no data set of people: expected a COCO file (images, annotations, categories) or a"
        f" list in MPII's form (joints, joints_vis, image, scale, center), got {_shape_of(tree)}"
    )
    raise ConfigError(msg)


def _coco(tree: object, data: Data, boxes: str) -> CocoKeypoints:
    _refuse("head_boxes", data, "COCO needs no sizes of heads")
    finds_people = boxes == "unused"
    if finds_people:
        _refuse("detections", data, "this model finds people by itself and takes no boxes")
    truth = truth_of(tree, data.annotations)
    found = None if data.detections is None else read_detections(data.detections, truth, data.min_score)
    return CocoKeypoints(truth, data.images, found, finds_people=finds_people, most=data.most)


def _mpii(tree: object, data: Data, boxes: str) -> MpiiPeople:
    _refuse("detections", data, "MPII is measured at the annotated places of people")
    if boxes == "unused":
        msg = "MPII is measured at the annotated places of people, and this model finds them by itself: use COCO"
        raise ConfigError(msg)
    return MpiiPeople(people_of(tree, data.annotations), data.images, data.head_boxes, most=data.most)


def _refuse(name: str, data: Data, why: str) -> None:
    """Refuse a file that would be read for nothing."""
    if getattr(data, name) is not None:
        msg = f"{why}: leave out --{name.replace('_', '-')}"
        raise ConfigError(msg)


def _shape_of(tree: object) -> str:
    match tree:
        case dict():
            return f"an object of {', '.join(map(str, list(tree)[:5])) or 'nothing'}"
        case [dict() as first, *_]:
            return f"a list of objects of {', '.join(map(str, list(first)[:5])) or 'nothing'}"
    return "an empty list" if tree == [] else f"a {type(tree).__name__}"
