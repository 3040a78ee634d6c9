import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.errors import ConfigError
from pipeline.skeletons import COCO_17, MPII_16
from stages.evaluation.people import truth_boxes, truth_of
from training.datasets import DataOptions, PeopleFiles, read_people

Row = dict[str, Any]
Trees = Callable[..., Row]
Files = Callable[..., PeopleFiles]


def test_people_become_rows(tree: Trees, people_files: Files) -> None:
    people = read_people(people_files(tree(2)))

    assert len(people) == people.images == 2
    assert people.skeleton is COCO_17
    assert people.pictures.tolist() == ["0.png", "1.png"]
    assert people.xyxy.tolist() == [[120, 60, 209, 179]] * 2
    assert np.flatnonzero(people.labelled[0]).tolist() == [9, 10]
    assert people.joints[0, 9].tolist() == [180, 100]


def test_boxes_are_those_of_the_evaluation(tree: Trees, people_files: Files) -> None:
    made = tree(bbox=[-5.5, 10, 400, 100.25])
    files = people_files(made)
    truth = truth_of(made, files.annotations)

    assert np.array_equal(read_people(files).xyxy, truth_boxes(truth.people[0], truth.images[0]).xyxy)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        pytest.param({"iscrowd": 1}, "crowds", id="a crowd"),
        pytest.param({"keypoints": [0] * 51}, "without_joints", id="no joint is labelled"),
        pytest.param({"keypoints": []}, "without_joints", id="no joints at all"),
        pytest.param({"bbox": None}, "without_a_box", id="no box"),
        pytest.param({"bbox": [10, 10, 0, 20]}, "without_area", id="a box without width"),
        pytest.param({"area": 0}, "without_area", id="an outline without area"),
        pytest.param({"bbox": [320, 10, 20, 20]}, "outside_their_picture", id="outside"),
    ],
)
def test_who_cannot_be_learned_from_is_left_out_and_counted(
    tree: Trees, people_files: Files, fields: Row, reason: str
) -> None:
    made = tree(2)
    made["annotations"][0] |= fields

    people = read_people(people_files(made))

    assert len(people) == 1
    assert people.left_out == {reason: 1}


def test_any_joints_are_those_that_the_file_names(tree: Trees, people_files: Files) -> None:
    made = tree(keypoints=[130, 70, 2, 0, 0, 0, 150, 80, 1])
    made["categories"][0] |= {"name": "dog", "keypoints": ["tail", "left_ear", "right_ear"], "skeleton": [[1, 3]]}

    people = read_people(people_files(made))

    assert people.skeleton.joints == ("tail", "left_ear", "right_ear")
    assert people.skeleton.bones == ((0, 2),)
    assert people.skeleton.mirrored == ((1, 2),)
    assert people.labelled.tolist() == [[True, False, True]]


def test_seventeen_joints_without_names_are_those_of_coco(tree: Trees, people_files: Files) -> None:
    made = tree()
    made["categories"] = [{"id": 1, "name": "person"}]

    assert read_people(people_files(made)).skeleton is COCO_17


def test_mpii_counts_pixels_from_one(people_files: Files) -> None:
    visible = [1] * 15 + [0]
    row = {"image": "0.png", "center": [161, 106], "scale": 0.5, "joints": [[11, 21]] * 16, "joints_vis": visible}

    people = read_people(people_files([row, row | {"joints_vis": [0] * 16}]))

    assert people.skeleton is MPII_16
    assert people.joints[0, 0].tolist() == [10, 20]
    assert people.labelled[0].tolist() == [True] * 15 + [False]
    assert people.xyxy.tolist() == [[110, 62.5, 210, 162.5]]
    assert people.left_out == {"without_joints": 1}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param({"annotations": []}, "nobody to learn from", id="nobody"),
        pytest.param({"categories": []}, "one category with keypoints, got 0", id="no category"),
        pytest.param({"images": []}, "is not as expected", id="no images"),
        pytest.param({"images": [{"id": 7, "file_name": "0.png", "width": 1, "height": 1}]}, "image 0 is not", id="id"),
        pytest.param({"annotations": 5}, "is not as expected", id="another type"),
    ],
)
def test_a_damaged_file_is_named(tree: Trees, people_files: Files, change: Row, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_people(people_files(tree() | change))


@pytest.mark.parametrize(
    ("text", "message"),
    [("{", "not JSON"), ("[]", "holds no annotated people"), ('{"a": 1}', "holds no annotated people")],
)
def test_what_is_no_data_set_is_refused(tree: Trees, people_files: Files, text: str, message: str) -> None:
    files = people_files(tree())
    files.annotations.write_text(text)

    with pytest.raises(ConfigError, match=message):
        read_people(files)


def test_people_of_other_joints_than_named_are_an_error(tree: Trees, people_files: Files) -> None:
    with pytest.raises(ConfigError, match=r"annotations\.0: got 2 joints, expected 17"):
        read_people(people_files(tree(keypoints=[1, 1, 2] * 2)))


def test_bones_beyond_the_joints_are_an_error(tree: Trees, people_files: Files) -> None:
    made = tree()
    made["categories"][0]["skeleton"] = [[0, 1]]

    with pytest.raises(ConfigError, match="must join joints 1 to 17"):
        read_people(people_files(made))


def test_missing_files_are_named_before_anything_is_trained(tree: Trees, people_files: Files, tmp_path: Path) -> None:
    files = people_files(tree())

    with pytest.raises(ConfigError, match="cannot read the annotations"):
        read_people(files.model_copy(update={"annotations": tmp_path / "gone.json"}))
    with pytest.raises(ConfigError, match=r"gone' does not exist; expected files such as '0\.png'"):
        read_people(files.model_copy(update={"images": tmp_path / "gone"}))
    with pytest.raises(ConfigError, match="has none of the pictures"):
        read_people(files.model_copy(update={"images": tmp_path}))


def test_a_checkpoint_of_other_joints_is_an_error_with_both_numbers(tree: Trees, people_files: Files) -> None:
    people = read_people(people_files(tree()))
    people.check_joints(17, "checkpoint 'a.pth'")

    with pytest.raises(ConfigError, match=r"'a\.pth' is for 16 joints, the annotations have 17 \(coco-17\)"):
        people.check_joints(16, "checkpoint 'a.pth'")


def test_the_table_cannot_be_written_to(tree: Trees, people_files: Files) -> None:
    people = read_people(people_files(tree()))

    for column in (people.joints, people.xyxy, people.labelled, people.pictures):
        with pytest.raises(ValueError, match="read-only"):
            column[0] = column[0]


@pytest.mark.parametrize("layout", [".", "images"])
def test_a_folder_of_coco_stands_for_both_halves(tree: Trees, tmp_path: Path, layout: str) -> None:
    for split in ("train2017", "val2017"):
        (tmp_path / layout / split).mkdir(parents=True)
        (tmp_path / "annotations").mkdir(exist_ok=True)
        (tmp_path / "annotations" / f"person_keypoints_{split}.json").write_text(json.dumps(tree()))
    options = DataOptions(coco=tmp_path)

    validation = options.validation_files()

    assert options.train_files().images == tmp_path / layout / "train2017"
    assert validation is not None
    assert validation.annotations.name == "person_keypoints_val2017.json"


def test_an_empty_folder_of_coco_says_what_to_download(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"(?s)lacks parts.*annotations_trainval2017.zip.*train2017.zip \(18 GB\)"):
        DataOptions(coco=tmp_path).train_files()


def test_something_to_learn_from_must_be_named() -> None:
    with pytest.raises(ValueError, match="name what to learn from"):
        DataOptions()
