"""Any COCO file is measured by the joints that it names: five of a horse, seventeen that are not COCO's, MPII's."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from trained_networks import HORSE, trained, write_trained

from pipeline.errors import ConfigError
from pipeline.skeletons import COCO_17, MPII_16, Skeleton, skeleton_of
from stages.evaluation.people import clipped_boxes, truth_of

Folder = Any
"""The data set of conftest."""
Make = Callable[[Any, Sequence[str]], Folder]

ANIMAL = skeleton_of([f"{side}_{part}" for part in "abcdefgh" for side in ("left", "right")] + ["tail"])
"""As many joints as COCO's."""

every_skeleton = pytest.mark.parametrize("skeleton", [HORSE, ANIMAL, MPII_16], ids=["5", "17", "16"])


def make_tree(skeleton: Skeleton, /, **category: Any) -> Any:
    """Two pictures with two of them each, in the boxes of whole pixels that AP counts as medium and large."""
    random, rows = np.random.default_rng(0), []
    for number, (x, y, width, height) in enumerate(
        [(5, 5, 60, 100), (80, 10, 50, 90), (10, 10, 90, 105), (100, 5, 50, 80)]
    ):
        joints = np.column_stack(
            [random.uniform(x, x + width, len(skeleton)), random.uniform(y, y + height, len(skeleton))]
        ).round()
        rows.append(
            {
                "id": number + 1,
                "image_id": number // 2,
                "category_id": 7,
                "bbox": [x, y, width, height],
                "area": width * height * (1.1 if number == 2 else 0.6),
                "iscrowd": 0,
                "keypoints": np.column_stack([joints, np.full(len(skeleton), 2)]).ravel().tolist(),
                "num_keypoints": len(skeleton),
            }
        )
    own = {"name": "horse", "keypoints": skeleton.joints, "skeleton": [(a + 1, b + 1) for a, b in skeleton.bones]}
    return {
        "images": [
            {"id": i, "file_name": name, "width": 160, "height": 120} for i, name in enumerate(("a.png", "b.png"))
        ],
        "annotations": rows,
        "categories": [{"id": 1, "name": "saddle"}, {"id": 7} | own | category],
    }


def names(skeleton: Skeleton) -> list[str]:
    return ["-o", f"pose.names={json.dumps(skeleton.joints)}"]


@pytest.fixture
def horses(folder: Make) -> Callable[..., Folder]:
    return lambda skeleton: folder(make_tree(skeleton), ["a.png", "b.png"])


def by_pycocotools(annotations: Path, results: Path, sigmas: Sequence[float]) -> list[float]:
    coco, counter = pytest.importorskip("pycocotools.coco"), pytest.importorskip("pycocotools.cocoeval")
    truth = coco.COCO(str(annotations))
    count = counter.COCOeval(truth, truth.loadRes(str(results)), "keypoints")
    count.params.kpt_oks_sigmas = np.array(sigmas)
    count.evaluate()
    count.accumulate()
    count.summarize()
    return [float(value) for value in count.stats]


@every_skeleton
def test_the_truth_has_an_ap_of_one(horses: Callable[..., Folder], skeleton: Skeleton) -> None:
    report = horses(skeleton).report(*names(skeleton))
    assert set(report["metrics"].values()) == {1.0}
    assert report["measure"] == "keypoints of 'horse'"
    assert report["counts"]["people"] == report["counts"]["boxes"] == 4


@every_skeleton
@pytest.mark.parametrize("noise", [2.0, 6.0])
def test_degraded_poses_have_the_numbers_of_pycocotools_with_these_sigmas(
    horses: Callable[..., Folder], skeleton: Skeleton, noise: float
) -> None:
    data = horses(skeleton)
    out = data.path / "results.json"
    metrics = data.report(*names(skeleton), "-o", f"pose.noise={noise}", "--results", out)["metrics"]
    assert list(metrics.values()) == pytest.approx(by_pycocotools(data.annotations, out, skeleton.sigmas), abs=1e-9)
    assert 0 < metrics["AP"] < 1
    assert {len(row["keypoints"]) for row in json.loads(out.read_text())} == {3 * len(skeleton)}


def test_sigmas_of_the_file_are_taken(horses: Callable[..., Folder]) -> None:
    data, found = horses(HORSE), []
    for sigma in (0.02, 0.2):
        data.annotations.write_text(json.dumps(make_tree(HORSE, sigmas=[sigma] * 5)))
        found.append(data.report(*names(HORSE), "-o", "pose.noise=3")["metrics"]["AP"])
    assert found[0] < found[1]


def test_the_joints_of_a_file_are_what_its_category_says() -> None:
    truth = truth_of(make_tree(HORSE), Path("a.json"))
    assert truth.skeleton == HORSE
    assert truth.skeleton.bones == ((0, 1), (0, 2), (0, 3), (3, 4))
    assert truth.skeleton.mirrored == ((1, 2),)


@pytest.mark.parametrize(("count", "known"), [(17, COCO_17), (16, MPII_16)])
def test_where_no_joints_are_named_their_number_tells(count: int, known: Skeleton) -> None:
    tree = make_tree(known, name="person", keypoints=[], skeleton=[])
    assert len(tree["annotations"][0]["keypoints"]) == 3 * count
    assert truth_of(tree, Path("a.json")).skeleton is known


@pytest.mark.parametrize(
    ("category", "said"),
    [
        pytest.param({"skeleton": [[1, 6]]}, r"bones of 'horse' must join joints 1 to 5, got \[\(1, 6\)\]", id="bone"),
        pytest.param({"skeleton": [[0, 1]]}, "bones of 'horse' must join joints 1 to 5", id="bones from 0"),
        pytest.param({"keypoints": ["a"] * 5}, "category 'horse': .* names of their own, got a, a", id="one name"),
        pytest.param({"sigmas": [0.1]}, "needs 5 sigmas above 0", id="a sigma for all"),
        pytest.param({"sigmas": [0.0] * 5}, "needs 5 sigmas above 0", id="no spread"),
        pytest.param({"keypoints": ["a", "b"], "skeleton": []}, "got 5 joints, expected the 2 of its category", id="2"),
        pytest.param({"keypoints": [], "skeleton": []}, "got 0 among its categories: saddle, horse", id="no joints"),
    ],
)
def test_what_does_not_fit_together_is_refused(category: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=f"'a.json'.*{said}"):
        truth_of(make_tree(HORSE, **category), Path("a.json"))


def test_of_several_with_joints_the_person_is_measured() -> None:
    tree = make_tree(HORSE, name="person")
    tree["categories"][0]["keypoints"] = ["girth"]
    assert truth_of(tree, Path("a.json")).category.id == 7
    tree["categories"][1]["name"] = "horse"
    with pytest.raises(ConfigError, match="must have one category with keypoints"):
        truth_of(tree, Path("a.json"))


def test_another_number_of_joints_is_refused_with_both(horses: Callable[..., Folder]) -> None:
    result = horses(HORSE).measure()
    assert result.exit_code == 2
    assert "finds 17 joints (coco-17), the annotations have 5 (joints-5)" in result.stderr


def test_other_names_are_measured_by_place_and_the_log_says_so(
    horses: Callable[..., Folder], caplog: pytest.LogCaptureFixture
) -> None:
    data = horses(ANIMAL)
    assert data.report()["metrics"]["AP"] == 1.0  # the model is taken for one of COCO's joints, by their number
    (record,) = [record for record in caplog.records if "measured by their place" in record.getMessage()]
    assert "finds nose, left_eye" in record.getMessage()
    assert "annotated are left_a, right_a" in record.getMessage()


def test_the_same_names_in_another_order_are_refused(horses: Callable[..., Folder]) -> None:
    result = horses(HORSE).measure(*names(skeleton_of(HORSE.joints[::-1])))
    assert result.exit_code == 2
    assert "in another order: it finds tail, withers" in result.stderr


def test_a_network_of_our_trainer_is_measured_on_its_joints(
    horses: Callable[..., Folder], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it finds is written down as the truth, and found again: only with the settings of its training."""
    monkeypatch.setenv("KINESTREAM_CACHE", str(tmp_path / "cache"))
    torch.set_num_threads(1)
    data = horses(HORSE)
    weights = write_trained(tmp_path / "pose_hrnet_w4.pth", trained(image_size=(64, 64)))
    words: list[Any] = ["--engine", "torch", "--precision", "f32", "--device", "cpu", "--weights", weights]
    out = tmp_path / "out.json"
    assert data.measure(*words, "--results", out, kind="hrnet").exit_code == 0

    for row, found in zip(data.tree["annotations"], json.loads(out.read_text()), strict=True):
        row["keypoints"] = [2 if place % 3 == 2 else value for place, value in enumerate(found["keypoints"])]
    data.annotations.write_text(json.dumps(data.tree))

    assert data.report(*words, kind="hrnet")["metrics"]["AP"] == 1.0
    assert data.report(*words, "-o", "pose.padding=3", kind="hrnet")["metrics"]["AP"] < 1.0


@given(
    st.tuples(*[st.floats(-300, 300)] * 2, *[st.floats(0, 300)] * 2),
    st.tuples(st.integers(1, 200), st.integers(1, 200)),
)
def test_boxes_are_cut_as_the_official_code_does_it_one_by_one(box: Any, size: tuple[int, int]) -> None:
    x, y, w, h = box
    x1, y1 = max(0, x), max(0, y)
    x2, y2 = min(size[0] - 1, x1 + max(0, w - 1)), min(size[1] - 1, y1 + max(0, h - 1))

    (got,) = clipped_boxes([box], [size])

    assert got.tolist() == [x1, y1, x2, y2]
    if x2 >= x1 and y2 >= y1:
        assert (got >= 0).all()
        assert (got[2:] <= np.array(size) - 1).all()
