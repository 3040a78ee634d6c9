"""What was wrong with the earlier adapter (simple-HRNet adapter): a test for each defect, by its number.

Most run the adapter of today on the real client of dtlpy and a server that speaks as the platform; what concerns one
part alone is seen at that part.
"""

import json
import logging
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import checkpoints
import dataloop_square
import numpy as np
import pytest
from clips import Clip
from dataloop_faults import Status
from dataloop_models import Bench
from dataloop_people import annotate, annotations_of, make_item, person, table

from pipeline.errors import ConfigError, PipelineError
from pipeline.skeletons import COCO_17, MPII_16
from stages.dataloop.annotating.desk import Filing
from stages.dataloop.connection.platform import Platform
from stages.dataloop.delivery.journal import Journal
from stages.dataloop.delivery.sending import Delivery
from stages.dataloop.errors import PlatformError
from stages.dataloop.items import get_item
from stages.dataloop.labels import Template
from stages.dataloop.model_options import ModelOptions
from stages.dataloop.timeline.annotations import AnnotationOptions, Annotator
from stages.dataloop.timeline.playback import play
from stages.dataloop.timeline.segments import Stamp
from stages.zoo.entries import lookup

ROOT = Path(__file__).parents[3]
DEPLOY = ROOT / "deploy" / "dataloop"
SQUARE = {"pose": "square"}
ROW = {"pose": "row"}
TORCH = {"pose.engine": "torch", "pose.precision": "f32", "pose.image_size": [64, 64], "annotations.min_score": 0.0}

Json = dict[str, Any]


@pytest.fixture
def clip(make_clip: Callable[..., Clip]) -> Clip:
    return make_clip(fps=10, seconds=1)


def system(annotation: Json) -> Json:
    return dict(annotation["metadata"]["system"])


def of_type(annotations: list[Json], *types: str) -> list[Json]:
    return [one for one in annotations if one["type"] in types]


def read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def test_defect_38_hrnet_w32_256x256_is_the_mpii_model_and_says_so(
    bench: Bench, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It was loaded as a network of 17 joints, which its weights are not, and never worked."""
    network = lookup("hrnet-w32-256x256-mpii").network
    assert network is not None
    assert network.joints == 16
    bench.set_up(MPII_16)
    weights, photo = checkpoints.write_hrnet(tmp_path / "mpii.pth", joints=16), bench.add_photo()
    configuration = {"weight_config": "hrnet_w32_256x256", "weights": "mpii.pth", "detector": "square"}

    with caplog.at_level(logging.WARNING):
        adapter = bench.load({**configuration, "options": TORCH}, weights)
    adapter.predict_items(bench.items(photo))

    assert "is made from MPII" in caplog.text
    stored = bench.server.annotations(photo)
    assert {one["label"] for one in of_type(stored, "point")} == set(MPII_16.joints)
    assert {one["label"] for one in of_type(stored, "pose", "box")} == {"person-mpii-16"}


def test_defect_39_joints_of_mpii_come_from_weights_of_mpii_and_no_others(bench: Bench, tmp_path: Path) -> None:
    """`hrnet_joints_set: mpii` met a network of 17 joints, and the 17th had no label."""
    with pytest.raises(ConfigError, match="set weight_config to hrnet_w32_256x256"):
        ModelOptions.read({"hrnet_joints_set": "mpii"})
    weights = checkpoints.write_hrnet(tmp_path / "coco.pth")
    wrong = {"hrnet_joints_set": "mpii", "weights": "coco.pth", "detector": "square", "options": TORCH}

    with pytest.raises(PipelineError, match=r"17.*16|16.*17"):
        bench.load(wrong, weights)


@pytest.mark.parametrize("people", [0, 1, 2, 3])
def test_defect_40_without_tracking_every_person_is_annotated_with_a_box(
    bench: Bench, make_clip: Callable[..., Clip], people: int
) -> None:
    """`disable_tracking: true` failed for three people, took two for their boxes, and lost the boxes of videos."""
    photo, video = bench.add_photo(), bench.add_video(make_clip(fps=5, seconds=1))

    bench.load({**ROW, "disable_tracking": True, "options": {"pose.people": people}}).predict_items(
        bench.items(photo, video)
    )

    expected = {"pose": people, "point": 17 * people, "box": people} if people else {}
    assert bench.kinds(photo) == expected
    assert bench.kinds(video) == {kind: 5 * count for kind, count in expected.items()}
    ids = [system(one)["objectId"] for one in of_type(bench.server.annotations(video), "pose")]
    assert len(set(ids)) == len(ids)


def test_defect_41_annotations_never_land_on_another_item_of_the_batch(bench: Bench, clip: Clip) -> None:
    """Items that are neither gave no result, so the results of the others moved up by one."""
    paper, photo, video = bench.add_paper(), bench.add_photo(), bench.add_video(clip)

    found = bench.load(SQUARE).predict(bench.items(paper, photo, paper, video))

    assert not bench.kinds(paper)
    for place, item in ((1, photo), (3, video)):
        assert {one.item_id for one in found[place].annotations} == {item}
        assert bench.kinds(item) == {"pose": 1, "point": 17, "box": 1}


def test_defect_42_poses_go_up_together(bench: Bench, tmp_path: Path) -> None:
    """Each pose was a request of its own, in the middle of inference."""
    photo = bench.add_photo()
    with Platform(like=bench.client) as platform:
        item, journal = get_item(platform, photo), Journal(tmp_path / "journal.sqlite")
        journal.open({})
        delivery = Delivery(platform, item, journal, "people", most=100, most_bytes=1_000_000)
        for segment in annotate([(0, table([person(), person(), person()]))], item, tracked=False):
            delivery.outbox.put(segment)
        while delivery.post_some():
            pass
        journal.close()

    posts = bench.server.bodies("POST", f"/items/{photo}/annotations")
    assert [[one["type"] for one in body].count("pose") for body in posts] == [3, 0]


def test_defect_42_nothing_is_deleted_before_the_new_annotations_are_there(bench: Bench) -> None:
    """What was there was deleted between the poses and the rest."""
    photo, adapter = bench.add_photo(), bench.load(ROW)
    adapter.predict_items(bench.items(photo))
    before = len(bench.server.requests)

    adapter.predict_items(bench.items(photo))

    asked = [(one.path, one.body) for one in bench.server.requests[before:] if one.method == "POST"]
    last_post = max(index for index, (path, _) in enumerate(asked) if path.endswith("/annotations"))
    assert [index > last_post for index, (_, body) in enumerate(asked) if "delete" in body] == [True]


def test_defect_43_no_pose_is_left_over(bench: Bench, clip: Clip) -> None:
    """Poses did not carry the model's name, so none was ever deleted; people who were left out kept theirs."""
    video, photo, adapter = bench.add_video(clip), bench.add_photo(), bench.load(SQUARE)
    for _ in range(2):
        adapter.predict_items(bench.items(video, photo))
    for item in (video, photo):
        stored = bench.server.annotations(item)
        assert {system(one)["model"]["name"] for one in stored} == {"people"}
        parents = {one["id"] for one in of_type(stored, "pose")}
        assert parents == {system(one)["parentId"] for one in of_type(stored, "point", "box")}
        assert len(parents) == 1

    brief = bench.load({**SQUARE, "options": {"annotations.min_seconds": 60}})
    brief.predict_items(bench.items(video))

    assert not bench.kinds(video)


def test_defect_44_a_pose_lasts_as_long_as_its_points(bench: Bench, clip: Clip) -> None:
    """It lasted one frame, or had no frame at all."""
    video = bench.add_video(clip)

    _, annotations = bench.load(SQUARE).predict_items(bench.items(video))

    stored = bench.server.annotations(video)
    (pose,) = of_type(stored, "pose")
    assert system(pose)["frame"] == min(system(one)["frame"] for one in of_type(stored, "point", "box")) == 0
    assert system(pose)["endFrame"] == max(system(one)["endFrame"] for one in of_type(stored, "point", "box")) == 9
    assert [(one.start_frame, one.end_frame) for one in annotations if one.type == "pose"] == [(0, 9)]


def test_defect_45_confidence_is_kept_and_what_was_not_seen_is_not_shown(bench: Bench) -> None:
    """All confidences were lost, and a joint that nobody saw was a point like the others."""
    photo = bench.add_photo()
    bench.load(SQUARE).predict_items(bench.items(photo))
    for one in bench.server.annotations(photo):
        expected = 0.95 if one["type"] != "point" else 0.9
        assert system(one)["model"]["confidence"] == one["metadata"]["user"]["model"]["confidence"] == expected

    scores = np.full(17, 0.9)
    scores[3] = 0.01
    picture = annotations_of(annotate([(0, person(score=scores))], make_item("a.png")))
    assert COCO_17.joints[3] not in {one["label"] for one in picture}
    moments = [(0, person()), (1, person(score=scores)), (2, person())]
    shown = [play(annotations_of(annotate(moments)), frame)["1"]["joints"] for frame in range(3)]
    assert [COCO_17.joints[3] in joints for joints in shown] == [True, False, True]


def test_defect_46_a_box_hangs_on_its_person_and_stays_in_the_picture(bench: Bench, clip: Clip) -> None:
    """Boxes had no parent, in pictures no object id, and in videos they left the picture."""
    photo, video = bench.add_photo(), bench.add_video(clip)
    bench.load(SQUARE).predict_items(bench.items(photo, video))
    for item in (photo, video):
        stored = bench.server.annotations(item)
        (pose,), (box,) = of_type(stored, "pose"), of_type(stored, "box")
        assert system(box)["parentId"] == pose["id"]
        assert system(box)["objectId"] == system(pose)["objectId"] == pose["coordinates"]["instanceId"]

    beyond = annotations_of(annotate([(frame, person(at=(310, 200))) for frame in range(5)]))
    (box,) = of_type(beyond, "box")
    assert [(corner["x"], corner["y"]) for corner in box["coordinates"]] == [(290, 200), (320, 240)]


def test_defect_47_who_is_too_short_is_told_by_the_frames_that_show_them() -> None:
    """The span from the first to the last frame was counted, though somebody was there in two of 500."""
    short = [(0, person(1)), *((frame, table([])) for frame in range(1, 500)), (500, person(1))]
    long = [(frame, person(2)) for frame in range(501, 521)]

    segments = annotate([*short, *long], min_seconds=10 / 25)

    assert {segment.object_id for segment in segments} == {"2"}


def test_defect_48_who_is_away_is_not_shown() -> None:
    """The last place was shown until somebody came back."""
    away, back = range(10, 20), range(20, 30)
    moments = [(frame, person()) for frame in range(10)]
    moments += [(frame, table([])) for frame in away] + [(frame, person()) for frame in back]

    annotations = annotations_of(annotate(moments))

    assert all("1" in play(annotations, frame) for frame in (*range(10), *back))
    assert not any(play(annotations, frame) for frame in away)


def test_defect_49_a_run_that_breaks_at_the_end_has_kept_what_it_made(
    bench: Bench, make_clip: Callable[..., Clip], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All was kept in memory and sent in one request at the end: broken at 99 %, nothing was there."""
    film = make_clip(fps=10, seconds=4)
    video, same = bench.add_video(film), bench.add_video(film)
    adapter = bench.load({**SQUARE, "resume": True})
    find = dataloop_square.SquarePose._find

    def fail_at_the_end(self: Any, frame: Any) -> Any:
        if frame.index >= 12:
            msg = "out of order"
            raise RuntimeError(msg)
        return find(self, frame)

    with monkeypatch.context() as broken:
        broken.setattr(dataloop_square.SquarePose, "_find", fail_at_the_end)
        with pytest.raises(PipelineError):
            adapter.predict_items(bench.items(video))
    seen = {number for _, number in dataloop_square.SquarePose.looked_at}
    dataloop_square.SquarePose.looked_at.clear()

    adapter.predict_items(bench.items(video))
    again = {number for _, number in dataloop_square.SquarePose.looked_at}
    assert len(seen) >= 4
    assert again <= set(range(40)) - set(range(4)), "the first batch was looked at once more"
    adapter.predict_items(bench.items(same))
    assert bench.kinds(video) == bench.kinds(same)


def test_defect_49_a_long_video_is_sent_bit_by_bit() -> None:
    """The same: memory and requests grew with the length of the video."""
    annotator = Annotator(
        make_item(), Template("t-1", COCO_17), Stamp("run", "model", ""), AnnotationOptions(segment_seconds=2.0)
    )
    sizes = [
        len(json.dumps(annotations_of(annotator.add(frame / 25, person(at=(100 + frame % 50, 50))))))
        for frame in range(2000)
    ]

    ready = [size for size in sizes if size > 2]
    assert len(ready) >= 2000 / 25 / 2 - 1
    assert max(ready) < 300_000


def test_defect_50_an_item_is_looked_at_by_its_own_pixels(
    bench: Bench, make_clip: Callable[..., Clip], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two items of the same name, the second one got the people of the first; and downloads were never deleted."""
    downloads = tmp_path / "downloads"
    downloads.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(downloads))
    clips = [make_clip(fps=10, seconds=1, first=first) for first in (0, 60)]
    videos = [bench.add_video(one, filename="/same.mp4") for one in clips]
    adapter = bench.load(SQUARE)

    for _ in range(2):
        adapter.predict_items(bench.items(*videos))

    places = [next(iter(play(bench.server.annotations(video), 5).values()))["box"] for video in videos]
    assert places[0] != places[1]
    adapter.close()
    assert not list(downloads.iterdir())


def test_defect_51_what_cannot_be_read_is_a_result_and_not_a_crash(bench: Bench, clip: Clip) -> None:
    """An unknown number of frames, a damaged video and a damaged picture each ended the run, for all items."""
    uncounted = bench.add_video(clip, frame_count=None)
    (bench.folder / "broken.mp4").write_bytes(clip.path.read_bytes()[:1500])
    (bench.folder / "broken.png").write_bytes(b"\x89PNG and no more")
    video = bench.server.add_item(bench.folder / "broken.mp4", fps=10)
    photo = bench.server.add_item(bench.folder / "broken.png")

    with pytest.raises(PlatformError, match="2 of 3 items") as raised:
        bench.load(SQUARE).predict_items(bench.items(video, photo, uncounted))

    assert "/broken.mp4" in str(raised.value)
    assert "/broken.png" in str(raised.value)
    assert bench.kinds(uncounted)["pose"] == 1


def test_defect_52_labels_template_and_manifest_say_the_same(bench: Bench) -> None:
    """The template was `person` and the label `Person`; ids and arcs of the example were empty; no recipe, a crash."""
    photo = bench.add_photo()
    bench.load(SQUARE).predict_items(bench.items(photo))
    labels = {one["label"] for one in bench.server.annotations(photo)}
    ontology, recipe = (read_json(DEPLOY / f"{name}.json") for name in ("ontology", "recipe"))
    (template,) = recipe["metadata"]["system"]["collectionTemplates"]
    (model, *_) = read_json(ROOT / "dataloop.json")["components"]["models"]
    assert labels == {root["value"]["tag"] for root in ontology["roots"]} == set(model["labels"])
    assert labels - {template["name"]} == set(template["order"])
    assert template["id"]
    assert {end for arc in template["arcs"] for end in arc} == set(template["order"])

    bench.server.store.change("datasets", bench.server.dataset_id, {"metadata": {"system": {"recipes": []}}})
    downloads = bench.server.count("GET", "/stream")
    with pytest.raises(PlatformError, match=r"no recipe .*kinestream dataloop setup --dataset"):
        bench.load(SQUARE).predict_items(bench.items(photo))
    assert bench.server.count("GET", "/stream") == downloads


def test_defect_53_weights_come_whole_or_the_model_does_not_load(bench: Bench, tmp_path: Path) -> None:
    """A download that failed was a line in the log; artifacts were passed over; the working folder was changed."""
    here = Path.cwd()
    assert all(lookup(f"hrnet-{name}").sha256 for name in ("w48-384x288", "w32-256x192"))
    options = {"detector": "square", "options": TORCH}
    (tmp_path / "cut.pth").write_bytes(checkpoints.write_hrnet(tmp_path / "own.pth").read_bytes()[:5000])
    with pytest.raises(PipelineError, match=r"cut\.pth"):
        bench.load({**options, "weights": "cut.pth"}, tmp_path / "cut.pth")
    with pytest.raises(ConfigError, match="is not among the artifacts"):
        bench.load({**options, "weights": "gone.pth"})

    adapter = bench.load({**options, "weights": "own.pth"}, tmp_path / "own.pth", name="own")
    photo = bench.add_photo()
    adapter.predict_items(bench.items(photo))
    adapter.save(str(tmp_path / "saved"))

    assert bench.kinds(photo)["pose"] == 1
    assert (tmp_path / "saved" / "own.pth").read_bytes() == (tmp_path / "own.pth").read_bytes()
    assert Path.cwd() == here


@pytest.mark.parametrize(("version", "tiny", "detector"), [("v3", False, "m"), ("v5", False, "m"), ("v3", True, "n")])
def test_defect_54_every_value_of_a_key_works(version: str, detector: str, *, tiny: bool) -> None:
    """`yolo_version: v3` needed a folder that was not there."""
    options = ModelOptions.read({"yolo_version": version, "use_tiny_yolo": tiny})

    config = options.assignment(Path("/nowhere"), Filing()).config

    assert config.detect is not None
    assert config.detect.options["weights"] == f"yolo11{detector}"
    assert lookup(f"yolo11{detector}").task == "person detection"


def test_defect_54_tensorrt_without_a_gpu_is_said_when_the_model_is_loaded(bench: Bench, tmp_path: Path) -> None:
    """`enable_tensorrt` failed with the first item, on a machine without a GPU; the machine had none by default."""
    weights = checkpoints.write_hrnet(tmp_path / "own.pth")
    configuration = {"weights": "own.pth", "detector": "square", "enable_tensorrt": True, "device": "cpu"}

    with pytest.raises(PipelineError, match=r"(?i)tensorrt"):
        bench.load(configuration, weights)

    manifest = read_json(ROOT / "dataloop.json")["components"]
    (module,), computers = manifest["modules"], {one["name"]: one for one in manifest["computeConfigs"]}
    assert computers[module["computeConfig"]]["runtime"]["podType"].startswith("gpu")


def test_defect_55_image_and_manifest_are_of_this_version() -> None:
    """Unquoted bounds went to the shell, which made files of them; image, program and repository did not match."""
    dockerfile = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    instructions = [line for line in dockerfile.splitlines() if not line.lstrip().startswith("#")]
    assert not re.search(r"[<>]", re.sub(r'"[^"]*"', "", "\n".join(instructions)))
    manifest = read_json(ROOT / "dataloop.json")
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert manifest["version"] == version
    for computer in manifest["components"]["computeConfigs"]:
        assert computer["runtime"]["runnerImage"].partition(":")[2].removesuffix("-gpu") == version
    assert "codebase" not in manifest  # the code is what is published with it


def test_defect_56_loading_writes_nothing_onto_the_platform(bench: Bench) -> None:
    """Every default that was missing became a request of its own, ten for a new model."""
    adapter = bench.load(SQUARE)
    adapter.predict_dataset(bench.dataset())

    assert not bench.server.count("PATCH", "/ml/models/")
    assert bench.server.store.get("models", adapter.model_entity.id)["configuration"] == SQUARE


def test_defect_57_frames_are_numbered_by_their_time_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    """They were numbered as they were decoded: a video of changing frame rate, or with gaps, shifted everything."""
    item = make_item(frame_count=100)
    annotator = Annotator(item, Template("t-1", COCO_17), Stamp("run", "model", ""), AnnotationOptions(min_seconds=0))
    times = [0.0, 0.04, 0.0801, 0.5, 0.51, 1.0]

    segments = [one for pts in times for one in annotator.add(pts, person(at=(100 + 100 * pts, 50)))]
    annotations = annotations_of(segments + annotator.finish())

    (box,) = of_type(annotations, "box")
    assert [system(box)["frame"], *(one["frame"] for one in system(box)["snapshots_"])] == [0, 1, 2, 13, 25]
    assert "the platform counts 100 frames, 6 were read" in str(annotator.mismatch())
    assert not caplog.records, "a line for each frame"


def test_defect_58_an_upload_that_fails_is_said_and_earlier_annotations_stay(bench: Bench, clip: Clip) -> None:
    """Batches that failed were passed over in silence, after what was there before had been deleted."""
    video, adapter = bench.add_video(clip), bench.load(SQUARE)
    adapter.predict_items(bench.items(video))
    before = bench.server.annotations(video)
    bench.server.inject(Status(400, "no more room"), "POST", "/annotations$", contains='"point"', times=None)

    with pytest.raises(PlatformError, match="no more room"):
        adapter.predict_items(bench.items(video))

    kept = {one["id"] for one in before}
    assert [one for one in bench.server.annotations(video) if one["id"] in kept] == before
    bench.server.faults.clear()
    adapter.predict_items(bench.items(video))
    assert bench.kinds(video) == {"pose": 1, "point": 17, "box": 1}
