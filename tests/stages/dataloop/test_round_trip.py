"""What is on the platform at the end, read back by dtlpy itself, against what a run writes into a file."""

import json
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dataloop_server import DataloopServer
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.registry import PLUGINS
from pipeline.skeletons import COCO_17

pytestmark = pytest.mark.filterwarnings("ignore:.*:DeprecationWarning:dtlpy")  # what dtlpy calls is not ours to mend

FRAMES, MIN_SCORE, TOLERANCE_PX = 302, 0.3, 2.0
ROUNDING = 0.005
"""Of a score or a place in the file."""

Json = dict[str, Any]
Joints = dict[str, tuple[float, float]]


@pytest.fixture
def chain(shared: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The preset with a real pose model; of three runs over the film, the first one looks for people."""
    monkeypatch.setitem(PLUGINS["pose"], "remembered", "remembered_pose:RememberedPose")
    weights = shared / "models" / "yolov8n-pose_int8_openvino_model"
    return ["--preset", "dataloop", "--pose", "remembered", "-o", f"pose.weights={weights}"]


def kinestream(*arguments: str) -> Json:
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    return dict(json.loads(done.stdout)) if "--json" in arguments else {}


def in_file(path: Path) -> dict[tuple[str, int], Joints]:
    """Give the joints of a file that are certain enough: by identity and frame."""
    found = {}
    for line in map(json.loads, path.read_text(encoding="utf-8").splitlines()):
        for person in line["people"]:
            if person["id"] is not None:
                joints = zip(COCO_17.joints, person["keypoints"], strict=True)
                found[str(person["id"]), line["frame"]] = {
                    name: (x, y) for name, (x, y, score) in joints if score >= MIN_SCORE
                }
    return found


def as_dtlpy_reads(annotations: Any) -> dict[tuple[str, int], Joints]:
    """Give the joints that dtlpy shows: by object id and frame."""
    found: defaultdict[tuple[str, int], Joints] = defaultdict(dict)
    for annotation in annotations:
        for frame in range(annotation.start_frame, annotation.end_frame + 1) if annotation.type == "point" else ():
            shown = annotation.frames[frame]
            if shown.object_visible:
                found[annotation.object_id, frame][annotation.label] = shown.x, shown.y
    return found


def content(annotations: Iterable[Any]) -> list[str]:
    """Give annotations without what differs from run to run."""
    return sorted(
        json.dumps([one.type, one.label, one.object_id, one.start_frame, one.end_frame, one.coordinates])
        for one in annotations
    )


@pytest.mark.slow
@pytest.mark.shared
@pytest.mark.timeout(600)  # 302 frames of full HD on any machine
def test_dtlpy_reads_for_every_identity_and_frame_what_a_run_writes_into_a_file(
    dataloop: DataloopServer,
    dl: Any,
    shared: Path,
    chain: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("KINESTREAM_STATE", str(tmp_path / "state"))
    film = shared / "video" / "people.mp4"
    item_id = dataloop.add_item(film, width=1920, height=1080, fps=30, frame_count=FRAMES)
    item = dl.items.get(item_id=item_id)
    annotate = ("dataloop", "annotate", "--item", item_id, *chain, "-o", "annotations.min_seconds=0", "--json")

    kinestream("run", str(film), *chain, "--detector", "none", "--sink", "jsonl", "--out", str(tmp_path / "run"), "-q")
    kinestream("dataloop", "setup", "--dataset", dataloop.dataset_id)
    (row,) = kinestream(*annotate)["items"]

    listed = list(item.annotations.list())
    assert (row["state"], row["frames"], row["warnings"]) == ("annotated", FRAMES, [])
    assert len(listed) == row["annotations"] == len(dataloop.annotations(item_id))  # no pose that cannot be read
    wanted = {who: joints for who, joints in in_file(tmp_path / "run" / "people.jsonl").items() if joints}
    shown = as_dtlpy_reads(listed)
    assert {who for who, _ in wanted} == {one.object_id for one in listed if one.type == "pose"}
    assert_equal(wanted, shown)
    poses = {one.id: one.object_id for one in listed if one.type == "pose"}
    assert {(poses[one.parent_id], one.object_id) for one in listed if one.type != "pose"} == {
        (who, who) for who in poses.values()
    }

    kinestream(*annotate)
    again = list(item.annotations.list())
    assert content(again) == content(listed)
    assert not {one.id for one in again} & {one.id for one in listed}


def assert_equal(wanted: dict[tuple[str, int], Joints], shown: dict[tuple[str, int], Joints]) -> None:
    """See that the same joints are shown, each where it was seen."""
    assert wanted.keys() == shown.keys()
    different = {at: wanted[at].keys() ^ shown[at].keys() for at in wanted if wanted[at].keys() != shown[at].keys()}
    assert not different
    far = [np.hypot(*np.subtract(shown[at][joint], place)) for at in wanted for joint, place in wanted[at].items()]
    assert len(far) > 10_000
    assert max(far) <= TOLERANCE_PX + ROUNDING
