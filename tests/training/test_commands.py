import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner, Result

from pipeline.cli import app

Trees = Callable[..., dict[str, Any]]


def check(root: Path, *words: str) -> Result:
    return CliRunner().invoke(app, ["data", "coco", "--root", str(root), *words])


@pytest.fixture
def root(tmp_path: Path, tree: Trees) -> Path:
    """A complete folder; the pictures of one half lie in `images`."""
    (tmp_path / "annotations").mkdir()
    for split, folder in (("train2017", tmp_path / "images" / "train2017"), ("val2017", tmp_path / "val2017")):
        folder.mkdir(parents=True)
        for number in range(3):
            cv2.imwrite(str(folder / f"{number}.png"), np.full((240, 320, 3), 60 * number, np.uint8))
        (tmp_path / "annotations" / f"person_keypoints_{split}.json").write_text(json.dumps(tree(3)))
    return tmp_path


def test_a_complete_folder_is_complete(root: Path) -> None:
    result = check(root)

    assert result.exit_code == 0, result.output
    assert "train2017: complete" in result.output
    assert "3 pictures listed, 3 people to learn from" in result.output
    assert "download" not in result.output


def test_an_empty_folder_says_what_to_download(tmp_path: Path) -> None:
    result = check(tmp_path)

    assert result.exit_code == 1
    assert result.output.count("annotations_trainval2017.zip") == 1
    assert f"train2017.zip  (18 GB; unpack it in {tmp_path})" in result.output
    assert "val2017.zip  (1 GB" in result.output


def test_a_folder_that_is_not_there_is_a_wrong_option(tmp_path: Path) -> None:
    result = check(tmp_path / "gone")

    assert result.exit_code == 2
    assert "--root must be an existing folder" in result.output


def test_missing_broken_and_strange_pictures_are_named(root: Path, tree: Trees) -> None:
    folder = root / "val2017"
    (folder / "0.png").unlink()
    (folder / "1.png").write_bytes((folder / "1.png").read_bytes()[:60])
    cv2.imwrite(str(folder / "2.png"), np.zeros((10, 20, 3), np.uint8))
    (folder / "strange.txt").write_text("")
    made = tree(3)
    made["annotations"][0]["bbox"] = [5, 5, 0, 0]
    (root / "annotations" / "person_keypoints_val2017.json").write_text(json.dumps(made))

    result = check(root)

    assert result.exit_code == 1
    assert "train2017: complete" in result.output
    assert "val2017: not complete" in result.output
    assert "3 pictures listed, 2 people to learn from" in result.output
    assert "left out: 1 without area" in result.output
    assert "1 pictures missing: 0.png" in result.output
    assert "broken: 1.png is no picture that OpenCV can read, or is damaged" in result.output
    assert "broken: 2.png is 20 x 10, and annotated as 320 x 240" in result.output
    assert "1 files that no annotation knows" in result.output


def test_pictures_need_not_be_read(root: Path) -> None:
    (root / "val2017" / "1.png").write_bytes(b"")

    assert check(root, "--skip-pictures").exit_code == 0
    assert check(root).exit_code == 1


def test_annotations_that_are_cut_off_are_said(root: Path) -> None:
    path = root / "annotations" / "person_keypoints_val2017.json"
    path.write_text(path.read_text()[:100])

    result = check(root)

    assert result.exit_code == 1
    assert "the annotations cannot be used" in result.output


def test_programs_get_everything_as_json(root: Path) -> None:
    (root / "val2017" / "0.png").unlink()

    halves = json.loads(check(root, "--json").stdout)

    assert [half["name"] for half in halves] == ["train2017", "val2017"]
    assert halves[1]["missing"] == ["0.png"]
    assert halves[0]["people"] == 3
