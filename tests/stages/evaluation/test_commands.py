"""What the command says, writes and refuses."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from pipeline.registry import resolve
from stages.evaluation.asked import asked_model, image_size

Folder = Any
"""The data set of conftest."""

Change = Callable[[dict[str, Any]], object]

BOX = [5, 5, 50, 100]


def refused(result: Any) -> str:
    """Give the message of a run that was refused: on stderr, nothing on stdout."""
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    return str(result.stderr)


# Files that are wrong


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("", "are not JSON, or were cut off", id="empty"),
        pytest.param('{"images": [', "are not JSON, or were cut off", id="cut off"),
        pytest.param("\x80", "are not JSON, or were cut off", id="no text"),
        pytest.param("[]", "is no data set of people.* got an empty list", id="an empty list"),
        pytest.param("{}", "is no data set of people.* got an object of nothing", id="an empty object"),
        pytest.param('[{"bbox": [1, 2, 3, 4]}]', "got a list of objects of bbox", id="detections"),
        pytest.param("3", "got a int", id="a number"),
        pytest.param(
            '{"images": [], "annotations": [], "categories": []}', "images: List should have at least 1", id="no images"
        ),
    ],
)
def test_annotations_of_no_known_form_are_refused(coco: Folder, text: str, message: str) -> None:
    path = coco.path / "bad.json"
    path.write_bytes(text.encode("latin-1"))
    assert_says(refused(coco.measure(annotations=path)), message)


def assert_says(text: str, pattern: str) -> None:
    with pytest.raises(AssertionError, match=f"(?s){pattern}"):
        raise AssertionError(text)


def first(**fields: Any) -> Change:
    """Set fields of the first annotation."""
    return lambda tree: tree["annotations"][0].update(fields)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param(
            lambda tree: [row.update(keypoints=[0] * 51, num_keypoints=0) for row in tree["annotations"]],
            "has no person with joints: give the file of person keypoints",
            id="no joints",
        ),
        pytest.param(lambda tree: tree["annotations"].clear(), "has no person with joints", id="nobody"),
        pytest.param(
            lambda tree: tree["categories"][0].update(name="dog", keypoints=[]),
            "must have one category with keypoints, got 0 among its categories: dog; .* be called 'person'",
            id="no joints and no person among the categories",
        ),
        pytest.param(
            lambda tree: tree["categories"][0].update(id=7), "has no person with joints", id="people of another id"
        ),
        pytest.param(
            first(keypoints=[1.0] * 42),
            r"annotations\.0: got 14 joints, expected the 17 of its category",
            id="other joints",
        ),
        pytest.param(
            first(bbox=[1, 2, -3, 4]), r"annotations\.0\.bbox\.2: .*greater than or equal to 0, got -3", id="a"
        ),
        pytest.param(first(bbox=[1, 2, 3]), r"annotations\.0\.bbox\.3: .*got nothing", id="a box of three numbers"),
        pytest.param(first(area=float("nan")), r"annotations\.0\.area: .*finite number, got nan", id="no area"),
        pytest.param(first(image_id=99), r"people in 1 images that it does not list, such as \[99\]", id="image"),
        pytest.param(
            lambda tree: tree["images"][1].update(id=10), "3 images only 2 different ids", id="an id given twice"
        ),
    ],
)
def test_damaged_annotations_are_refused(coco: Folder, change: Change, message: str) -> None:
    change(coco.tree)
    assert_says(refused(coco.measure(annotations=coco.write("bad.json", coco.tree))), message)


def test_annotations_that_are_not_there_are_refused(coco: Folder) -> None:
    assert_says(refused(coco.measure(annotations=coco.path / "no.json")), r"no\.json': No such file or directory")


def test_of_many_faults_the_first_are_named(coco: Folder) -> None:
    for row in coco.tree["annotations"]:
        row["area"] = None
    said = refused(coco.measure(annotations=coco.write("bad.json", coco.tree)))
    assert said.count("annotations.") == 3
    assert "... and 3 more" in said


@pytest.mark.parametrize(
    ("row", "message"),
    [
        pytest.param((10, [float("nan"), 5, 50, 100], 0.9), r"1\.bbox\.0: .*finite number, got nan", id="nan"),
        pytest.param((10, [5, 5, 50, -1], 0.9), r"1\.bbox\.3: .*greater than or equal to 0, got -1", id="negative"),
        pytest.param((10, BOX, float("inf")), r"1\.score: .*finite number, got inf", id="endless score"),
        pytest.param({"image_id": 10, "bbox": BOX}, r"1\.score: .*got nothing", id="no score"),
        pytest.param({"image_id": "a", "bbox": BOX, "score": 1}, r"1\.image_id: .*got 'a'", id="no number"),
        pytest.param(
            {"bbox": BOX, "score": 1, "image_id": 10, "category_id": None}, r"1\.category_id", id="no category"
        ),
    ],
)
def test_damaged_detections_are_refused_by_row(coco: Folder, row: Any, message: str) -> None:
    path = coco.detections((10, BOX, 0.9), row)
    assert_says(refused(coco.measure("--detections", path)), r"detections\.json' is not as expected:\s+" + message)


def test_detections_that_are_no_list_are_refused(coco: Folder) -> None:
    path = coco.write("detections.json", {"annotations": []})
    assert_says(refused(coco.measure("--detections", path)), "the file: Input should be a valid list")


def test_what_is_not_looked_at_is_counted_by_reason(coco: Folder) -> None:
    path = coco.detections(
        (10, BOX, 0.9),
        (99, BOX, 0.9),
        (98, BOX, 0.9),
        (10, BOX, 0.05),
        {"image_id": 10, "category_id": 3, "bbox": BOX, "score": 0.9},
    )
    counts = coco.report("--detections", path, "--min-score", "0.05")["counts"]
    assert counts["detections_of_unknown_images"] == 2
    assert counts["detections_of_other_categories"] == 1
    assert counts["boxes"] == 2
    assert coco.report("--detections", path, "--min-score", "0.1")["counts"]["detections_below_min_score"] == 1
    assert "2 detections of unknown images" in coco.measure("--detections", path).stdout


def test_no_detections_at_all_are_an_ap_of_zero(coco: Folder) -> None:
    report = coco.report("--detections", coco.detections())
    assert set(report["metrics"].values()) == {0.0}
    assert report["counts"]["boxes"] == 0


def test_a_box_of_no_size_is_looked_at_as_any_other(coco: Folder) -> None:
    assert coco.report("--detections", coco.detections((10, [30, 55, 0, 0], 0.5)))["counts"]["poses"] == 1


# Pictures that are missing or damaged


def test_missing_pictures_are_named_before_anything_is_run(coco: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a.png", "b.png"):
        (coco.images / name).unlink()
    monkeypatch.setattr(resolve("pose", "truth"), "open", None)
    assert_says(refused(coco.measure()), r"2 of 3 images are not in '.*images': a\.png, b\.png; give their folder")


def test_a_picture_in_which_nobody_is_sought_may_be_missing(coco: Folder) -> None:
    (coco.images / "nobody.png").unlink()
    assert coco.report()["metrics"]["AP"] == 1.0
    assert_says(refused(coco.measure(kind="finder")), r"1 of 3 images are not in '.*': nobody\.png;")


def test_with_max_images_the_first_that_are_there_are_measured(coco: Folder) -> None:
    (coco.images / "a.png").unlink()
    report = coco.report("--max-images", "2")
    assert report["counts"]["images"] == 2
    assert report["counts"]["images_missing"] == 1
    assert report["counts"]["people"] == 1
    assert report["metrics"]["AP"] == 1.0


def test_max_images_of_a_folder_without_any_is_refused(coco: Folder) -> None:
    for path in coco.images.iterdir():
        path.unlink()
    assert_says(refused(coco.measure("--max-images", "3", kind="finder")), "3 of 3 images are not in")


def test_a_damaged_picture_is_an_error_that_names_it(coco: Folder) -> None:
    (coco.images / "b.png").write_bytes(b"no picture")
    result = coco.measure()
    assert result.exit_code == 1
    assert_says(result.stderr, r"b\.png' is not a picture that OpenCV can read")


# The model


@pytest.mark.parametrize("kind", ["truth", "finder"])
def test_a_model_of_other_joints_is_refused_with_both_counts(coco: Folder, kind: str) -> None:
    said = refused(coco.measure("-o", "pose.joints=16", kind=kind))
    assert_says(said, r"finds 16 joints \(mpii-16\), the annotations have 17 \(coco-17\)")


def test_a_model_that_shows_its_joints_only_in_its_tables_is_refused_too(coco: Folder) -> None:
    said = refused(coco.measure("-o", "pose.joints=16", "-o", "pose.says_joints=false"))
    assert_says(said, "finds 16 joints")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        pytest.param(["--flip-test"], "unknown option 'flip_test'", id="an option the model has not"),
        pytest.param(["--decode", "dark"], "unknown option 'decoding'", id="the short spelling"),
        pytest.param(["--decoding", "dark"], "unknown option 'decoding'", id="the long spelling"),
        pytest.param(["-o", "pose.noise=much"], "pose.noise: .*got 'much'", id="a wrong value"),
        pytest.param(["-o", "detect.x=1"], "must be pose.option=value here, got 'detect.x=1'", id="another part"),
        pytest.param(["-o", "pose.kind=blazepose"], "must not change that: use --kind", id="another plug-in"),
        pytest.param(["--kind", "trueth"], "unknown pose 'trueth'. Did you mean 'truth'", id="a misspelt plug-in"),
        pytest.param(["--image-size", "large"], "must be HEIGHTxWIDTH.*got 'large'", id="a size in words"),
        pytest.param(["--head-boxes", "x.mat"], "leave out --head-boxes", id="sizes of heads"),
        pytest.param(["--results", "no/such/folder/out.json"], "which does not exist", id="no such folder"),
        pytest.param(["--results", "."], "'.' is a folder", id="a folder for a file"),
    ],
)
def test_wrong_options_are_refused(coco: Folder, words: list[str], message: str) -> None:
    assert_says(refused(coco.measure(*words)), message)


def test_boxes_for_a_model_that_takes_none_are_refused(coco: Folder) -> None:
    said = refused(coco.measure("--detections", coco.detections(), kind="finder"))
    assert_says(said, "finds people by itself and takes no boxes: leave out --detections")


@pytest.mark.parametrize(
    ("text", "size"), [("256x192", (256, 192)), ("384X288", (384, 288)), ("640", 640), (None, None)]
)
def test_an_image_size_is_height_and_width(text: str | None, size: object) -> None:
    assert image_size(text) == size


@pytest.mark.parametrize(
    ("kind", "name"),
    [pytest.param("truth", "max_batch", id="people"), pytest.param("ultralytics", "batch", id="pictures")],
)
def test_batch_means_people_or_pictures_as_the_model_counts(kind: str, name: str) -> None:
    asked = asked_model("weights.pt", kind, {"max_batch": 4, "device": None}, [])
    assert asked.options.model_dump()[name] == 4


def test_the_plug_in_is_told_by_the_name_of_the_weights() -> None:
    asked = asked_model("yolo11n-pose.pt", None, {}, ["pose.confidence=0.001"])
    assert asked.kind == "ultralytics"
    assert asked.options.model_dump()["confidence"] == 0.001


def test_without_the_package_the_command_says_how_to_get_it(coco: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faster_coco_eval", None)
    said = refused(coco.measure())
    assert_says(said, r"needs the package 'faster_coco_eval': pip install 'kinestream\[evaluate\]'")


# What is said and written


def test_people_read_the_numbers_and_whose_boxes_they_are_for(coco: Folder, capfd: pytest.CaptureFixture[str]) -> None:
    result = coco.measure()
    assert result.exit_code == 0
    assert result.stdout.startswith("AP\t1.000\nAP50\t1.000\n")
    assert "boxes: ground truth" in result.stdout
    assert "4 people" in result.stdout
    assert result.stderr == ""
    assert capfd.readouterr().out == ""  # the counter prints nothing past us


def test_a_terminal_shows_a_table(coco: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "┃" in coco.measure().stdout


def test_programs_read_numbers_settings_and_what_was_measured(coco: Folder) -> None:
    report = coco.report("--max-images", "3", "-o", "pose.noise=1")
    assert list(report) == ["measure", "metrics", "boxes", "counts", "seconds", "model", "data"]
    sha256 = hashlib.sha256(coco.annotations.read_bytes()).hexdigest()
    assert report["model"]["weights_sha256"] == {"annotations.json": sha256}
    assert report["model"]["kind"] == "truth"
    assert report["model"]["options"]["noise"] == 1
    assert report["data"]["most"] == 3
    assert report["data"]["annotations"] == str(coco.annotations)
    assert 0 <= report["seconds"]["looking"] <= report["seconds"]["all"]


def test_results_are_in_the_format_of_coco(coco: Folder) -> None:
    out = coco.path / "out.json"
    assert coco.measure("--results", out).exit_code == 0
    results = json.loads(out.read_text())
    assert len(results) == 4
    assert all(list(row) == ["image_id", "category_id", "keypoints", "score"] for row in results)
    assert {len(row["keypoints"]) for row in results} == {51}


def test_results_that_cannot_be_written_are_an_error_that_costs_no_numbers(coco: Folder) -> None:
    target = coco.path / "link.json"
    target.symlink_to(coco.path / "no" / "folder.json")
    result = coco.measure("--results", target)
    assert result.exit_code == 1
    assert result.stdout.startswith("AP\t1.000\n")
    assert_says(result.stderr, "cannot write the results")


def test_help_shows_how_to_get_the_published_numbers() -> None:
    main = typer.Typer(rich_markup_mode="markdown")
    main.add_typer(resolve("command", "evaluate"), name="evaluate")
    said = CliRunner().invoke(main, ["evaluate", "pose", "--help"], terminal_width=200).stdout
    assert "kinestream evaluate pose" in said
    assert "--detections" in said


def test_missing_options_are_wrong_usage(coco: Folder) -> None:
    assert CliRunner().invoke(resolve("command", "evaluate"), ["pose"]).exit_code == 2
    assert CliRunner().invoke(resolve("command", "evaluate"), ["pose", "--max-images", "0"]).exit_code == 2
    assert coco.measure("--batch", "0").exit_code == 2


def test_nothing_slow_or_optional_is_imported_with_the_command() -> None:
    """`kinestream --help` imports every group of commands."""
    heavy = "{'torch', 'faster_coco_eval', 'openvino', 'onnxruntime', 'scipy', 'cv2'}"
    code = f"import sys, stages.evaluation.commands; print(*{heavy} & set(sys.modules))"
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
