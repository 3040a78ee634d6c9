"""`kinestream evaluate pose` on MPII: PCKh counted by hand, and the region that the official code looks at."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.io import savemat

from pipeline.skeletons import MPII_16
from stages.evaluation.mpii import Person, box_of
from stages.evaluation.pckh import pckh
from stages.topdown.regions import regions_of_boxes

Folder = Any
"""The data set of conftest."""


def entry(image: str, x: float, seed: int, **fields: Any) -> dict[str, Any]:
    joints = np.random.default_rng(seed).uniform(20, 100, (16, 2)).round()
    row = {"image": image, "center": [x, 50.0], "scale": 0.4, "joints": joints.tolist(), "joints_vis": [1] * 16}
    return row | {"head_size": 20.0} | fields


def entries(**fields: Any) -> list[dict[str, Any]]:
    """Two people in one picture, not beside each other in the list, and one in another."""
    return [entry("a.png", 30, 1, **fields), entry("b.png", 60, 2, **fields), entry("a.png", 110, 3, **fields)]


def heads(tree: list[dict[str, Any]], diagonal: float = 20.0) -> dict[str, Any]:
    """Make what `gt_valid.mat` holds."""
    boxes = np.zeros((2, 2, len(tree)))
    boxes[1] = np.array([[0.6], [0.8]]) * diagonal
    joints = np.array([row["joints"] for row in tree]).transpose(1, 2, 0)
    return {"headboxes_src": boxes, "pos_gt_src": joints, "jnt_missing": np.zeros((16, len(tree)))}


@pytest.fixture
def mpii(folder: Callable[..., Folder]) -> Folder:
    return folder(entries(), ["a.png", "b.png"])


def measured(mpii: Folder, *words: Any) -> dict[str, float]:
    report = mpii.report("-o", "pose.joints=16", *words)
    assert report["boxes"] == "ground truth: annotated centre and scale"
    metrics: dict[str, float] = report["metrics"]
    return metrics


# The whole command


def test_the_truth_is_all_right(mpii: Folder) -> None:
    metrics = measured(mpii)
    assert set(metrics.values()) == {100.0}
    assert list(metrics) == [
        *("head", "shoulder", "elbow", "wrist", "hip", "knee", "ankle"),
        *("mean", "mean@0.1", "mean@0.11"),
    ]
    assert mpii.report("-o", "pose.joints=16")["counts"] == {"images": 2, "images_missing": 0, "people": 3}


def test_the_official_file_of_heads_is_the_truth(mpii: Folder) -> None:
    columns = heads(mpii.tree)
    columns["pos_gt_src"][9] += 1000  # the top of the head of everybody
    columns["jnt_missing"][0, 1] = 1
    savemat(mpii.path / "gt.mat", columns)
    metrics = measured(mpii, "--head-boxes", mpii.path / "gt.mat")
    assert metrics["head"] == 0
    assert metrics["ankle"] == 100
    assert metrics["mean"] == pytest.approx(100 * (14 * 3 - 3 - 1) / (14 * 3 - 1))


def test_head_boxes_of_the_annotations_are_as_good(mpii: Folder) -> None:
    for row in mpii.tree:
        del row["head_size"]
        row["headboxes"] = [[0, 0], [12, 16]]
    mpii.write("annotations.json", mpii.tree)
    assert measured(mpii)["mean"] == 100


def test_only_people_of_the_chosen_pictures_count(mpii: Folder) -> None:
    (mpii.images / "a.png").unlink()
    report = mpii.report("-o", "pose.joints=16", "--max-images", "5")
    assert report["counts"] == {"images": 1, "images_missing": 1, "people": 1}
    assert report["metrics"]["mean"] == 100


def test_results_are_in_the_order_and_the_pixels_of_the_annotations(mpii: Folder) -> None:
    out = mpii.path / "out.json"
    measured(mpii, "--results", out)
    assert json.loads(out.read_text()) == [{"image": row["image"], "joints": row["joints"]} for row in mpii.tree]


@pytest.mark.parametrize(
    ("fields", "words", "message"),
    [
        pytest.param({"head_size": None}, [], "3 of 3 people have none: give the official gt_valid.mat", id="no heads"),
        pytest.param({"head_size": 0}, [], "0.head_size: Input should be greater than 0", id="a head of no size"),
        pytest.param({"scale": -1}, [], "0.scale: Input should be greater than 0", id="a negative scale"),
        pytest.param({"joints": [[1, 1]] * 17}, [], "0.joints: List should have at most 16", id="17 joints"),
        pytest.param({"center": [1, float("nan")]}, [], "0.center.1: .*finite", id="nan"),
        pytest.param({}, ["--detections", "d.json"], "leave out --detections", id="detections"),
        pytest.param({}, ["--head-boxes", "no.mat"], "cannot read the sizes of heads 'no.mat'", id="no file of heads"),
        pytest.param({}, ["-o", "pose.joints=17"], r"finds 17 joints \(coco-17\).* 16 \(mpii-16\)", id="other joints"),
        pytest.param({}, ["--kind", "finder"], "this model finds them by itself: use COCO", id="one stage"),
    ],
)
def test_what_does_not_fit_is_refused(
    folder: Callable[..., Folder], fields: dict[str, Any], words: list[str], message: str
) -> None:
    result = folder(entries(**fields), ["a.png", "b.png"]).measure("-o", "pose.joints=16", *words)
    assert result.exit_code == 2, result.output
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(result.stderr)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param({"headboxes_src": np.zeros((2, 2, 4))}, r"shape \(2, 2, 3\).* got \(2, 2, 4\)", id="more people"),
        pytest.param({"jnt_missing": None}, r"'jnt_missing' of shape \(16, 3\).* got nothing", id="no visibility"),
        pytest.param({"headboxes_src": np.zeros((2, 2, 3))}, "heads of 3 people have no size", id="no size"),
        pytest.param(None, "cannot read the sizes of heads", id="another format"),
    ],
)
def test_a_file_of_heads_that_does_not_fit_is_refused(
    mpii: Folder, change: dict[str, Any] | None, message: str
) -> None:
    path = mpii.path / "gt.mat"
    path.write_bytes(b"MATLAB 7.3, which is HDF5" * 20)
    if change is not None:
        columns = heads(mpii.tree) | change
        savemat(path, {name: column for name, column in columns.items() if column is not None})
    result = mpii.measure("-o", "pose.joints=16", "--head-boxes", path)
    assert result.exit_code == 2, result.output
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(result.stderr)


# The region


@pytest.mark.parametrize("scale", [0.3, 1.0, 4.7])
def test_the_padded_box_is_the_official_region(scale: float) -> None:
    person = Person.model_validate(entry("a.png", 594, 1, center=[594.0, 257.0], scale=scale))
    region = regions_of_boxes([box_of(person)], aspect=1.0, padding=1.25)
    centre, official = np.array([594.0, 257.0]), np.array([scale, scale])
    centre[1] += 15 * official[1]
    np.testing.assert_allclose(region.centre[0], centre - 1)
    np.testing.assert_allclose(region.size[0], official * 1.25 * 200)


# PCKh by hand


TRUTH = np.zeros((2, 16, 2))
ALL = np.ones((2, 16), bool)
DIAGONAL = np.array([10.0, 20.0])  # heads of 6 and 12 px


def shares(offset_px: dict[tuple[int, str], float], visible: Any = ALL) -> dict[str, float | None]:
    found = TRUTH.copy()
    for (row, joint), distance in offset_px.items():
        found[row, MPII_16.joints.index(joint), 0] = distance
    return pckh(found, TRUTH, visible, DIAGONAL)


@pytest.mark.parametrize(
    ("offset_px", "name", "expected"),
    [
        pytest.param({(0, "head_top"): 3.0}, "head", 100, id="half a head is right"),
        pytest.param({(0, "head_top"): 3.01}, "head", 50, id="more is wrong"),
        pytest.param({(1, "head_top"): 6.0}, "head", 100, id="a larger head, a larger half"),
        pytest.param({(0, "left_wrist"): 9.0}, "wrist", 75, id="one of four wrists"),
        pytest.param({(0, "left_wrist"): 9.0}, "mean", 100 * 27 / 28, id="one of 28 joints of the mean"),
        pytest.param({(0, "pelvis"): 99.0, (1, "thorax"): 99.0}, "mean", 100, id="pelvis and thorax do not count"),
        pytest.param({(0, "left_knee"): 0.6}, "mean@0.1", 100, id="a tenth of a head"),
        pytest.param({(0, "left_knee"): 0.65}, "mean@0.1", 100 * 27 / 28, id="more than a tenth"),
        pytest.param({(0, "left_knee"): 0.65}, "mean@0.11", 100, id="what the official code prints as 0.1"),
        pytest.param({(0, "left_knee"): 0.67}, "mean@0.11", 100 * 27 / 28, id="more than that"),
    ],
)
def test_a_joint_is_right_within_its_share_of_a_head(
    offset_px: dict[tuple[int, str], float], name: str, expected: float
) -> None:
    assert shares(offset_px)[name] == pytest.approx(expected)


def test_a_joint_that_is_not_annotated_counts_for_nothing() -> None:
    visible = ALL.copy()
    visible[0, MPII_16.joints.index("left_wrist")] = False
    metrics = shares({(0, "left_wrist"): 99.0, (1, "right_wrist"): 99.0}, visible)
    assert metrics["wrist"] == (100 + 50) / 2
    assert metrics["mean"] == pytest.approx(100 * 26 / 27)


def test_where_nothing_is_annotated_there_is_no_number() -> None:
    assert set(shares({}, np.zeros((2, 16), bool)).values()) == {None}
