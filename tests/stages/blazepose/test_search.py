import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from pipeline.skeletons import COCO_17
from stages.blazepose.poses import Poses
from stages.blazepose.search import PeopleFinder, SearchOptions, tile_layout
from stages.geometry import Region, box_to_region

NOSE, LEFT_SHOULDER, RIGHT_SHOULDER, LEFT_HIP, RIGHT_HIP, LEFT_ANKLE, RIGHT_ANKLE = 0, 5, 6, 11, 12, 15, 16

# Where people are in the photographs, as a person sees it: (left, top, right, bottom), pixels.
COAT, SUIT = (45, 395, 235, 905), (220, 400, 350, 865)
PROFILE, FRONT = (140, 200, 790, 720), (740, 40, 1150, 720)


@given(st.integers(128, 5000), st.integers(128, 5000), st.floats(0, 0.8))
def test_tiles_of_each_size_cover_the_picture_and_overlap(width: int, height: int, overlap: float) -> None:
    whole, *tiles = tile_layout(width, height, (0.5,), overlap)
    assert (whole.width, whole.height) == (max(width, height), max(width, height))
    side = 0.5 * min(width, height)
    for length, centres in ((width, {tile.x for tile in tiles}), (height, {tile.y for tile in tiles})):
        across = np.sort(list(centres))
        assert across[0] == pytest.approx(side / 2)
        assert across[-1] == pytest.approx(length - side / 2)
        assert np.diff(across).max() <= side * (1 - overlap) * (1 + 1e-6)


def test_a_square_picture_is_not_looked_at_twice() -> None:
    assert tile_layout(300, 300, (1.0,), 0.5) == [Region(150, 150, 300, 300)]


def test_tiles_too_small_to_see_somebody_are_left_out() -> None:
    assert tile_layout(5000, 3, (1.0, 0.5), 0.5) == [Region(2500, 1.5, 5000, 5000)]


def test_before_open_it_says_what_to_do() -> None:
    with pytest.raises(RuntimeError, match="call open"):
        PeopleFinder(SearchOptions()).search(np.zeros((8, 8, 3), np.uint8))


@pytest.mark.parametrize(
    "shape",
    [pytest.param((1, 1), id="one pixel"), pytest.param((3, 500), id="a strip"), pytest.param((480, 640), id="black")],
)
def test_in_an_empty_picture_there_is_nobody(finder: PeopleFinder, shape: tuple[int, int]) -> None:
    assert len(finder.search(np.zeros((*shape, 3), np.uint8))) == 0


def overlap_with(box: NDArray[np.float64], person: tuple[float, ...]) -> float:
    shared = np.clip(np.minimum(box[2:], person[2:]) - np.maximum(box[:2], person[:2]), 0, None).prod()
    return float(shared / ((box[2:] - box[:2]).prod() + np.subtract(person[2:], person[:2]).prod() - shared))


def found_at(people: Poses, person: tuple[float, ...], image: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Joints, shape (17, 2), of the one who is found where a person is."""
    height, width = image.shape[:2]
    overlaps = [overlap_with(box, person) for box in people.boxes(width, height)]
    assert max(overlaps, default=0) > 0.6, f"nobody at {person}"
    return np.asarray(people.keypoints()[int(np.argmax(overlaps))])


@pytest.mark.parametrize("person", [pytest.param(COAT, id="coat"), pytest.param(SUIT, id="suit")])
def test_people_on_the_street_are_found_with_their_joints(
    finder: PeopleFinder, street: NDArray[np.uint8], person: tuple[int, ...]
) -> None:
    joints = found_at(finder.search(street), person, street)
    left, top, right, bottom = person
    assert (joints > (left - 10, top - 10)).all()
    assert (joints < (right + 10, bottom + 10)).all()
    assert joints[NOSE, 1] < joints[LEFT_SHOULDER, 1] < joints[LEFT_HIP, 1] < joints[LEFT_ANKLE, 1]
    assert joints[NOSE, 1] < joints[RIGHT_SHOULDER, 1] < joints[RIGHT_HIP, 1] < joints[RIGHT_ANKLE, 1]
    assert joints[RIGHT_SHOULDER, 0] < joints[LEFT_SHOULDER, 0], "they face us: their right is on our left"


def test_both_men_at_the_touchline_are_found_and_nobody_else(
    finder: PeopleFinder, touchline: NDArray[np.uint8]
) -> None:
    people = finder.search(touchline)
    assert len(people) == 2
    for person in (PROFILE, FRONT):
        joints = found_at(people, person, touchline)
        assert joints[NOSE, 1] < joints[LEFT_HIP, 1]
        assert joints[NOSE, 1] < joints[RIGHT_HIP, 1]
        assert joints[RIGHT_SHOULDER, 0] < joints[LEFT_SHOULDER, 0]


def test_a_mirrored_picture_gives_mirrored_people(finder: PeopleFinder, street: NDArray[np.uint8]) -> None:
    width = street.shape[1]
    seen = finder.search(np.ascontiguousarray(street[:, ::-1]))
    left, top, right, bottom = COAT
    mirrored = found_at(seen, (width - right, top, width - left, bottom), street)
    swapped = np.arange(17)
    for one, other in COCO_17.mirrored:
        swapped[[one, other]] = other, one
    joints = found_at(finder.search(street), COAT, street)
    assert np.median(np.abs(mirrored[swapped] * (-1, 1) + (width, 0) - joints)) < 4


@pytest.mark.parametrize("most", [1, 2])
def test_there_are_never_more_than_max_people(street: NDArray[np.uint8], most: int) -> None:
    finder = PeopleFinder(SearchOptions(max_people=most, threads=1))
    finder.open()
    try:
        assert len(finder.search(street)) == most
    finally:
        finder.close()
        finder.close()


def oks(joints: NDArray[np.float64], truth: dict[str, object]) -> float:
    """Object keypoint similarity as COCO defines it (cocodataset.org/#keypoints-eval, section 1.2)."""
    annotated = np.array(truth["keypoints"], np.float64).reshape(17, 3)
    labelled = annotated[:, 2] > 0
    squared = np.square(joints - annotated[:, :2]).sum(axis=1) / (2 * np.array(COCO_17.sigmas)) ** 2
    return float(np.exp(-squared / (2 * float(str(truth["area"]))))[labelled].mean())


@pytest.mark.shared
@pytest.mark.slow
@pytest.mark.parametrize(
    ("boxes", "least"), [pytest.param("given", 0.7, id="boxes given"), pytest.param("none", 0.65, id="found by itself")]
)
def test_joints_agree_with_the_annotators_of_coco(finder: PeopleFinder, shared: Path, boxes: str, least: float) -> None:
    truth = json.loads((shared / "coco" / "person_keypoints.json").read_text())
    similarities = []
    for entry in truth["images"]:
        image = np.asarray(cv2.imread(str(shared / "coco" / "images" / entry["file_name"])), np.uint8)
        people = [a for a in truth["annotations"] if a["image_id"] == entry["id"] and a["num_keypoints"] > 0]
        if boxes == "given":
            corners = [(x, y, x + width, y + height) for x, y, width, height in (a["bbox"] for a in people)]
            _, first = finder.look(image, [], [box_to_region(box, padding=1.4) for box in corners])
            _, poses = finder.look(image, [], first.regions())
            similarities += [oks(joints, person) for joints, person in zip(poses.keypoints(), people, strict=True)]
        else:
            found = finder.search(image).keypoints()
            similarities += [max((oks(joints, person) for joints in found), default=0.0) for person in people]
    assert len(similarities) == 12
    assert np.mean(similarities) > least
