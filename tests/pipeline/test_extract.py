"""`kinestream extract`: what was asked for lies where it was asked for, and nothing else beside it."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import av
import numpy as np
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner, Result

from pipeline import plugin
from pipeline.cli import app
from pipeline.errors import ConfigError, PipelineError, SourceError
from pipeline.registry import PLUGINS
from pipeline.skeletons import COCO_17
from pipeline.types import Frame, Instances
from stages.poses.base import PoseModel

PEOPLE = 2


class Options(plugin.Options):
    """Options of the pose model."""

    max_people: int = PEOPLE
    """How many there are."""
    predicted: bool = False
    """Say that nobody looked at them."""


class Statues(PoseModel):
    """Finds people who stand still, wherever it looks, and nobody in frame 4."""

    boxes: ClassVar[str] = "unused"

    def __init__(self, options: Options) -> None:
        self.options = options

    def estimate(self, frames: Sequence[Frame], instances: Sequence[Instances | None]) -> list[Instances]:  # noqa: ARG002 - needs no boxes
        return [self._find(0 if frame.index == 4 else self.options.max_people) for frame in frames]

    def _find(self, count: int) -> Instances:
        left = np.arange(count) * 20.0
        boxes = np.stack([left, left * 0, left + 10, left * 0 + 30], axis=1)
        joints = boxes[:, None, :2] + np.linspace([1, 2], [9, 28], 17)
        scores = np.full((count, 17), 0.75)
        table = Instances.of(
            boxes, np.linspace(0.9, 0.6, count), keypoints=joints, keypoint_score=scores, skeleton=COCO_17
        )
        return table.with_columns(predicted=[True] * count) if self.options.predicted else table


class Needy(Statues):
    boxes: ClassVar[str] = "needed"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give an empty working folder, and models of this file."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(
        PLUGINS, "pose", PLUGINS["pose"] | {"statues": f"{__name__}:Statues", "needy": f"{__name__}:Needy"}
    )
    return tmp_path


def clip(path: Path, frames: int = 5) -> Path:
    path.parent.mkdir(exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for shade in range(frames):
            picture = np.full((48, 64, 3), shade * 20, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "bgr24")))
        container.mux(stream.encode())
    return path


def extract(*arguments: object, pose: str = "statues", tracker: str = "none") -> Result:
    words = ["extract", *map(str, arguments), "--pose", pose, "--tracker", tracker]
    result: Result = CliRunner().invoke(app, words)
    if isinstance(result.exception, PipelineError):
        raise result.exception
    return result


def files(folder: Path) -> set[str]:
    """All files but the reports of runs."""
    found = (path for path in folder.rglob("*") if path.is_file() and path.name != "report.json")
    return {str(path.relative_to(folder)) for path in found}


# Formats


def read_csv(path: Path) -> list[tuple[int, int]]:
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[0]["left_eye_x"] == "1.5"
    return [(int(row["frame"]), int(row["id"])) for row in rows]


def people_of(frames: list[dict[str, Any]]) -> list[tuple[int, int]]:
    assert [frame["frame"] for frame in frames] == list(range(5))
    return [(frame["frame"], person["id"]) for frame in frames for person in frame["people"]]


def read_json(path: Path) -> list[tuple[int, int]]:
    document = json.loads(path.read_text())
    assert (document["source"], document["width"], document["skeleton"]["name"]) == ("street", 64, "coco-17")
    return people_of(document["frames"])


def read_jsonl(path: Path) -> list[tuple[int, int]]:
    return people_of([json.loads(line) for line in path.read_text().splitlines()])


def read_parquet(path: Path) -> list[tuple[int, int]]:
    table = pq.read_table(path)
    assert table.schema.names[-1] == "right_ankle_score"
    return list(zip(table["frame"].to_pylist(), table["id"].to_pylist(), strict=True))


def read_seed_csv(path: Path) -> list[tuple[int, int]]:
    with path.open(newline="") as file:
        rows = list(csv.reader(file))
    assert {len(row) for row in rows} == {53}
    assert [float(value) for value in rows[0][2:5]] == [2.0, 1.0, 0.75]  # y, x, score
    return [(int(row[0]), int(row[1]) + 1) for row in rows]


def read_seed_json(path: Path) -> list[tuple[int, int]]:
    document = json.loads(path.read_text())
    assert list(document) == list("01234")
    assert document["1"][0][0] == [2.0, 1.0, 0.75]
    return [(int(frame), place + 1) for frame, people in document.items() for place in range(len(people))]


@pytest.mark.parametrize(
    ("kind", "ending", "read"),
    [
        ("csv", "csv", read_csv),
        ("json", "json", read_json),
        ("jsonl", "jsonl", read_jsonl),
        ("parquet", "parquet", read_parquet),
        ("seed-csv", "csv", read_seed_csv),
        ("seed-json", "json", read_seed_json),
    ],
)
@pytest.mark.parametrize("out", ["named", "default"])
def test_everybody_is_in_the_file_that_was_asked_for(
    elsewhere: Path, kind: str, ending: str, read: Any, out: str
) -> None:
    name = f"results/mine.{ending}" if out == "named" else f"street.{ending}"
    words = ("--out", name) if out == "named" else ()
    result = extract(clip(elsewhere / "street.mp4"), "--format", kind, *words, tracker="bytetrack")
    assert result.exit_code == 0, result.output
    assert files(elsewhere) == {"street.mp4", name}
    assert str(elsewhere / (name if out == "named" else f"{{source}}.{ending}")) in result.output
    assert read(elsewhere / name) == [(frame, person) for frame in range(4) for person in range(1, PEOPLE + 1)]


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("a.csv", "source,frame,"),
        ("a.CSV", "source,frame,"),
        ("a.json", '{"source":"street"'),
        ("a.jsonl", '{"source":"street","frame":0'),
    ],
)
def test_the_ending_tells_the_format(elsewhere: Path, name: str, first: str) -> None:
    assert extract(clip(elsewhere / "street.mp4"), "--out", name).exit_code == 0
    assert (elsewhere / name).read_text().startswith(first)


def test_without_a_pose_model_there_are_times_and_no_joints(elsewhere: Path) -> None:
    assert extract(clip(elsewhere / "street.mp4"), "--out", "a.jsonl", pose="none").exit_code == 0
    frames = [json.loads(line) for line in (elsewhere / "a.jsonl").read_text().splitlines()]
    assert [frame["pts"] for frame in frames] == [0.0, 0.04, 0.08, 0.12, 0.16]


def test_predicted_joints_are_told_apart(elsewhere: Path) -> None:
    assert extract(clip(elsewhere / "street.mp4"), "--out", "a.csv", "-o", "pose.predicted=true").exit_code == 0
    header, *rows = (elsewhere / "a.csv").read_text().splitlines()
    assert header.endswith(",predicted")
    assert all(row.endswith(",true") for row in rows)


# Options


@pytest.mark.parametrize(("kind", "columns"), [("csv", 61), ("seed-csv", 53)])
@pytest.mark.parametrize(
    ("given", "delimiter"), [(";", ";"), ("\t", "\t"), (r"\t", "\t")], ids=["semicolon", "tab", "t"]
)
def test_values_are_parted_as_asked_for(elsewhere: Path, kind: str, columns: int, given: str, delimiter: str) -> None:
    source = clip(elsewhere / "street.mp4")
    assert extract(source, "--format", kind, "--out", "a.csv", "--csv-delimiter", given).exit_code == 0
    assert {len(line.split(delimiter)) for line in (elsewhere / "a.csv").read_text().splitlines()} == {columns}


def test_the_delimiter_is_checked(elsewhere: Path) -> None:
    result = extract(clip(elsewhere / "street.mp4"), "--out", "a.csv", "--csv-delimiter", ";;")
    assert result.exit_code == 2
    assert "sinks.0.delimiter" in result.output


def test_frames_and_options_can_be_limited(elsewhere: Path) -> None:
    source = clip(elsewhere / "street.mp4")
    result = extract(source, "--out", "a.json", "--format", "seed-json", "--max-frames", 2, "-o", "sources.0.every=2")
    assert result.exit_code == 0
    assert list(json.loads((elsewhere / "a.json").read_text())) == ["0", "2"]


def test_one_person_can_be_kept(elsewhere: Path) -> None:
    assert extract(clip(elsewhere / "street.mp4"), "--out", "a.json", "--single-person").exit_code == 0
    frames = json.loads((elsewhere / "a.json").read_text())["frames"]
    assert [[person["score"] for person in frame["people"]] for frame in frames] == [*[[0.9]] * 4, []]


def test_the_report_is_printed_as_json_and_lies_among_the_runs(elsewhere: Path) -> None:
    result = extract(clip(elsewhere / "street.mp4"), "--out", "a.csv", "--json")
    assert json.loads(result.stdout)["sources"]["street"]["delivered"] == 5
    (report,) = elsewhere.rglob("report.json")
    assert report.parent.parent == elsewhere / "runs"


def test_quiet_says_nothing(elsewhere: Path) -> None:
    assert extract(clip(elsewhere / "street.mp4"), "--out", "a.csv", "--quiet").output == ""


def test_a_configuration_file_may_say_what_to_watch_and_how(elsewhere: Path) -> None:
    clip(elsewhere / "street.mp4")
    (elsewhere / "my.yaml").write_text("sources: [{kind: file, path: street.mp4, id: door}]\nsinks: [video]\n")
    assert extract("my.yaml", "--out", "a.json").exit_code == 0
    assert json.loads((elsewhere / "a.json").read_text())["source"] == "door"
    assert files(elsewhere) == {"street.mp4", "my.yaml", "a.json"}


# Several sources


@pytest.mark.parametrize(
    ("out", "names"),
    [
        pytest.param("tables/", {"tables/a.csv", "tables/b.csv"}, id="folder-by-slash"),
        pytest.param("videos", {"videos/a.csv", "videos/b.csv"}, id="folder-that-is-there"),
        pytest.param("of-{source}.csv", {"of-a.csv", "of-b.csv"}, id="pattern"),
        pytest.param(None, {"a.csv", "b.csv"}, id="default"),
    ],
)
def test_every_source_has_a_file(elsewhere: Path, out: str | None, names: set[str]) -> None:
    videos = {str(clip(elsewhere / "videos" / f"{name}.mp4").relative_to(elsewhere)) for name in "ab"}
    words = () if out is None else ("--out", out)
    assert extract("videos/*.mp4", "--format", "csv", *words).exit_code == 0
    assert files(elsewhere) == names | videos


@pytest.mark.parametrize("sources", [("videos/*.mp4",), ("videos/a.mp4", "videos/b.mp4")], ids=["pattern", "named"])
def test_one_file_for_several_sources_is_refused_before_anything_runs(
    elsewhere: Path, sources: tuple[str, ...]
) -> None:
    videos = {str(clip(elsewhere / "videos" / f"{name}.mp4").relative_to(elsewhere)) for name in "ab"}
    with pytest.raises(ConfigError, match=r"all\.csv', and 2 sources: give a folder.*'all-\{source\}\.csv'"):
        extract(*sources, "--out", "all.csv")
    assert files(elsewhere) == videos
    assert not (elsewhere / "runs").exists()


# What is refused


@pytest.mark.parametrize(
    ("words", "message"),
    [
        pytest.param((), "--out is not given: add --format, one of csv, json", id="neither"),
        pytest.param(("--out", "a.txt"), r"'a\.txt' ends in none of", id="ending"),
        pytest.param(("--out", "a"), "'a' ends in none of", id="no-ending"),
        pytest.param(
            ("--out", "a.json", "--csv-delimiter", ";"), "for csv and seed-csv, and the format is json", id="json"
        ),
        pytest.param(("--format", "csv", "--out", "street.mp4"), "is what is to be watched", id="onto-itself"),
        pytest.param(("--out", "a.csv", "--preset", "no"), "unknown preset 'no'", id="preset"),
        pytest.param(
            ("--out", "a.csv", "-o", "detect=none", "-o", "pose=none", "--single-person"), "nothing looks", id="who"
        ),
        pytest.param(("--out", "a.csv", "--detector", "blazepoze"), "Did you mean 'blazepose'", id="detector"),
    ],
)
def test_what_cannot_be_is_said_before_anything_runs(elsewhere: Path, words: tuple[str, ...], message: str) -> None:
    before = clip(elsewhere / "street.mp4").read_bytes()
    with pytest.raises(PipelineError, match=message):
        extract("street.mp4", *words)
    assert files(elsewhere) == {"street.mp4"}
    assert (elsewhere / "street.mp4").read_bytes() == before


def test_a_format_that_is_not_there_is_a_wrong_usage(elsewhere: Path) -> None:
    result = extract(clip(elsewhere / "street.mp4"), "--format", "xml")
    assert result.exit_code == 2
    assert "seed-json" in result.output


def test_a_source_that_is_not_there_is_named() -> None:
    with pytest.raises(SourceError, match=r"missing\.mp4"):
        extract("missing.mp4", "--out", "a.csv")


@pytest.mark.parametrize(("pose", "wanted"), [("none", "needs keypoints"), ("needy", "needs xyxy")])
def test_a_chain_that_lacks_a_part_is_refused(elsewhere: Path, pose: str, wanted: str) -> None:
    words = (clip(elsewhere / "street.mp4"), "--format", "seed-csv", "--out", "a.csv")
    result = extract(*words, "-o", "detect=none", pose=pose)
    assert result.exit_code == 2
    assert wanted in result.output
    assert files(elsewhere) == {"street.mp4"}


def test_a_file_that_cannot_be_written_is_a_failure(elsewhere: Path) -> None:
    result = extract(clip(elsewhere / "street.mp4"), "--out", "street.mp4/a.csv")
    assert result.exit_code == 1
    assert "street.mp4: " in result.output
    assert files(elsewhere) == {"street.mp4"}


def test_help_shows_examples() -> None:
    said = CliRunner().invoke(app, ["extract", "--help"], terminal_width=160).stdout
    assert "kinestream extract street.mp4 --out street.csv" in said
    assert "seed-json" in said


@pytest.mark.slow
@pytest.mark.shared
def test_real_people_in_a_real_clip_are_extracted(elsewhere: Path, shared: Path) -> None:
    words = (shared / "video" / "people.mp4", "--out", "people.json", "--max-frames", 10, "--single-person")
    model = shared / "models" / "yolov8n-pose_int8_openvino_model"
    result = extract(*words, pose=str(model), tracker="bytetrack")
    assert result.exit_code == 0, result.output
    document = json.loads((elsewhere / "people.json").read_text())
    assert [len(frame["people"]) for frame in document["frames"]] == [1] * 10
    joints = np.array(document["frames"][-1]["people"][0]["keypoints"])
    assert (joints[joints[:, 2] > 0.5, :2] <= [document["width"], document["height"]]).all()
