"""Whole runs of `kinestream dataloop annotate`: the real command and pipeline, a server that speaks as the platform."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import cv2
import dataloop_square
import pytest
from clips import Clip, picture
from dataloop_faults import Hang, Status
from dataloop_server import DataloopServer
from programs import ROOT, Program, until
from typer.testing import CliRunner, Result

from pipeline.cli import app
from pipeline.registry import PLUGINS
from stages.dataloop.download import download
from stages.dataloop.timeline.playback import play
from stages.sources.pan import Options, PanSource

SQUARE = ("--pose", "square")
STOPPED = 130

Annotate = Callable[..., Result]
Json = dict[str, Any]


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where journals are."""
    monkeypatch.setenv("KINESTREAM_STATE", str(tmp_path / "state"))
    return tmp_path / "state" / "dataloop"


@pytest.fixture
def annotate(state: Path, monkeypatch: pytest.MonkeyPatch, dataloop: DataloopServer) -> Annotate:
    """Run the command in this process, with a model that sees squares, on a dataset that is set up."""
    assert not state.exists()
    monkeypatch.setitem(PLUGINS["pose"], "square", "dataloop_square:SquarePose")
    monkeypatch.setattr(dataloop_square.SquarePose, "looked_at", [])
    assert CliRunner().invoke(app, ["dataloop", "setup", "--dataset", dataloop.dataset_id]).exit_code == 0
    return lambda *arguments: CliRunner().invoke(app, ["dataloop", "annotate", *SQUARE, *arguments])


@pytest.fixture
def clip(make_clip: Callable[..., Clip]) -> Clip:
    return make_clip(fps=25, seconds=2)


@pytest.fixture
def video(dataloop: DataloopServer, clip: Clip) -> str:
    return add_video(dataloop, clip)


@pytest.fixture
def photo(dataloop: DataloopServer, tmp_path: Path) -> str:
    cv2.imwrite(str(tmp_path / "photo.png"), picture(3))
    return dataloop.add_item(tmp_path / "photo.png", width=320, height=192)


def add_video(server: DataloopServer, clip: Clip, **facts: Any) -> str:
    known = {"fps": clip.fps, "frame_count": clip.frames, "width": clip.width, "height": clip.height}
    return server.add_item(clip.path, **(known | facts))


def content(server: DataloopServer, item_id: str) -> list[Json]:
    """What is on an item, without what differs from run to run."""
    parents = {one["id"]: key(one) for one in server.annotations(item_id)}
    plain = []
    for one in server.annotations(item_id):
        system = dict(one["metadata"]["system"])
        system["parentId"] = parents.get(system.get("parentId"))
        plain.append({"key": key(one), "type": one["type"], "at": one["coordinates"], "system": system})
    return sorted(plain, key=lambda one: str(one["key"]))


def key(annotation: Json) -> str:
    return str(annotation["metadata"]["user"]["kinestream"]["key"])


def rows(result: Result) -> dict[str, Json]:
    """Give the rows of a report, by item."""
    return {row["item_id"]: row for row in json.loads(result.stdout)["items"]}


def kinds(server: DataloopServer, item_id: str) -> list[str]:
    return sorted({str(one["type"]) for one in server.annotations(item_id)})


# One item


def test_a_video_gets_the_person_where_it_is(annotate: Annotate, dataloop: DataloopServer, video: str) -> None:
    done = annotate("--item", video)

    assert done.exit_code == 0, done.output
    assert kinds(dataloop, video) == ["box", "point", "pose"]
    for frame in (0, 10, 20):
        shown = play(dataloop.annotations(video), frame)
        corners = dataloop_square.square_in(picture(frame))
        assert corners is not None
        assert [person["box"] for person in shown.values()] == [pytest.approx(tuple(corners), abs=5)]


def test_a_picture_gets_a_person_without_time(annotate: Annotate, dataloop: DataloopServer, photo: str) -> None:
    assert annotate("--item", photo).exit_code == 0

    assert kinds(dataloop, photo) == ["box", "point", "pose"]
    assert all("frame" not in one["metadata"]["system"] for one in dataloop.annotations(photo))


def test_two_runs_leave_the_annotations_once(annotate: Annotate, dataloop: DataloopServer, video: str) -> None:
    annotate("--item", video)
    before = content(dataloop, video)
    ids = {one["id"] for one in dataloop.annotations(video)}

    assert annotate("--item", video).exit_code == 0

    assert content(dataloop, video) == before
    assert not ids & {one["id"] for one in dataloop.annotations(video)}


def test_what_people_have_annotated_stays(annotate: Annotate, dataloop: DataloopServer, photo: str) -> None:
    by_hand = {"type": "point", "label": "nose", "coordinates": {"x": 1, "y": 2, "z": 0}, "metadata": {"system": {}}}
    dataloop.store.annotate(photo, by_hand)

    annotate("--item", photo)
    annotate("--item", photo)

    assert [one["label"] for one in dataloop.annotations(photo) if "user" not in one["metadata"]] == ["nose"]


def test_options_of_the_annotations_are_heard(annotate: Annotate, dataloop: DataloopServer, photo: str) -> None:
    assert annotate("--item", photo, "-o", "annotations.boxes=false").exit_code == 0

    assert kinds(dataloop, photo) == ["point", "pose"]


def test_the_file_is_gone_afterwards(
    annotate: Annotate, video: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "downloads").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "downloads"))

    annotate("--item", video)

    assert not list((tmp_path / "downloads").iterdir())


def test_mpii_has_a_template_of_its_own(annotate: Annotate, dataloop: DataloopServer, photo: str) -> None:
    sixteen = ("--item", photo, "-o", "pose.joints=16")
    refused = annotate(*sixteen)
    assert refused.exit_code == 1
    assert "--skeleton mpii-16" in refused.output
    CliRunner().invoke(app, ["dataloop", "setup", "--dataset", dataloop.dataset_id, "--skeleton", "mpii-16"])

    assert annotate(*sixteen).exit_code == 0

    assert {one["label"] for one in dataloop.annotations(photo)} >= {"thorax", "pelvis", "person-mpii-16"}


def test_without_a_tracker_each_person_of_each_frame_is_annotated_alone(
    annotate: Annotate, dataloop: DataloopServer, make_clip: Callable[..., Clip]
) -> None:
    short = make_clip(fps=5, seconds=1)
    video = add_video(dataloop, short)

    assert annotate("--item", video, "--tracker", "none").exit_code == 0

    spans = [one["metadata"]["system"] for one in dataloop.annotations(video) if one["type"] == "pose"]
    assert sorted((span["frame"], span["endFrame"]) for span in spans) == [(frame, frame) for frame in range(5)]


# Many items


def test_each_item_has_its_own_row_whatever_the_others_are(
    annotate: Annotate, dataloop: DataloopServer, clip: Clip, video: str, photo: str, tmp_path: Path
) -> None:
    (tmp_path / "a.pdf").write_bytes(b"%PDF")
    (tmp_path / "cut.mp4").write_bytes(clip.path.read_bytes()[:2000])
    paper, cut = dataloop.add_item(tmp_path / "a.pdf"), dataloop.add_item(tmp_path / "cut.mp4", fps=25)
    timeless = add_video(dataloop, clip, fps=None)
    vague = dataloop.add_item(clip.path, fps=25, size="unknown")

    done = annotate("--dataset", dataloop.dataset_id, "--json")

    assert done.exit_code == 1
    states = {item: row["state"] for item, row in rows(done).items()}
    assert states == {
        video: "annotated", photo: "annotated", paper: "refused", cut: "failed", timeless: "failed", vague: "failed"
    }  # fmt: skip
    details = {item: row["detail"] for item, row in rows(done).items()}
    assert details[paper] == "application/pdf is neither a video nor a picture"
    assert details[cut].startswith("cannot open '/cut.mp4'")
    assert "metadata.fps" in details[timeless]
    assert "metadata.system.size" in details[vague]
    assert not any(dataloop.annotations(item) for item in (paper, cut, timeless, vague))


def test_items_do_not_depend_on_each_other(
    annotate: Annotate, dataloop: DataloopServer, make_clip: Callable[..., Clip]
) -> None:
    clips = [make_clip(fps=25, seconds=2, first=first) for first in (0, 30, 60, 90, 120)]
    together = [add_video(dataloop, clip, filename="/same.mp4") for clip in clips]
    other = dataloop.add_dataset("other")
    dataloop.store.change("datasets", other, {"metadata": {"system": {"recipes": [dataloop.recipe_id]}}})
    alone = [add_video(dataloop, clip, dataset_id=other, filename="/same.mp4") for clip in clips]

    assert annotate("--dataset", dataloop.dataset_id, "--workers", "4").exit_code == 0
    for item in alone:
        assert annotate("--item", item, "--workers", "1").exit_code == 0

    for one, same in zip(together, alone, strict=True):
        assert content(dataloop, one) == content(dataloop, same)


def test_few_files_are_on_the_disk_at_a_time(
    annotate: Annotate, dataloop: DataloopServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cv2.imwrite(str(tmp_path / "photo.png"), picture(3))
    for _ in range(20):
        dataloop.add_item(tmp_path / "photo.png")
    most: list[int] = []

    def counting(platform: Any, item: Any, folder: Path) -> Path:
        path = download(platform, item, folder)
        most.append(len(list(folder.iterdir())))
        return path

    monkeypatch.setattr("stages.dataloop.annotating.desk.download", counting)

    assert annotate("--dataset", dataloop.dataset_id, "--workers", "1").exit_code == 0

    assert len(most) == 20
    assert max(most) <= 3


def test_frames_that_are_not_those_of_the_platform_are_told(
    annotate: Annotate, dataloop: DataloopServer, clip: Clip
) -> None:
    video = add_video(dataloop, clip, frame_count=clip.frames + 1)

    done = annotate("--item", video, "--json")

    assert done.exit_code == 0
    (warning,) = rows(done)[video]["warnings"]
    assert "the platform counts 51 frames, 50 were read" in warning
    assert "annotations may be off in time" in " ".join(annotate("--item", video).output.split())


def test_many_annotations_come_compressed_or_plain_where_that_is_refused(
    annotate: Annotate, dataloop: DataloopServer, video: str, clip: Clip
) -> None:
    other = add_video(dataloop, clip)

    def sent(item: str) -> list[str]:
        came = [one for one in dataloop.requests if one.path.endswith(f"{item}/annotations")]
        return [one.headers.get("Content-Encoding", "plain") for one in came]

    fine = ("-o", "annotations.tolerance_px=0.1")
    assert annotate("--item", video, *fine).exit_code == 0
    dataloop.inject(Status(415), encoding="gzip", times=None)
    assert annotate("--item", other, *fine).exit_code == 0

    assert "gzip" in sent(video)
    assert (sent(other).count("gzip"), sent(other)[-1]) == (1, "plain")
    assert content(dataloop, video) == content(dataloop, other)


def test_that_there_is_nothing_to_annotate_is_said(annotate: Annotate, dataloop: DataloopServer) -> None:
    done = annotate("--dataset", dataloop.dataset_id)

    assert (done.exit_code, done.stdout) == (0, "nothing to annotate: there is no such item\n")


def test_only_named_items_are_touched(
    annotate: Annotate, dataloop: DataloopServer, video: str, photo: str, clip: Clip
) -> None:
    elsewhere = add_video(dataloop, clip, dataset_id=dataloop.add_dataset("elsewhere"))

    done = annotate(
        "--item", photo, "--item", photo, "--item", elsewhere, "--item", "64b0aaaaaaaaaaaaaaaaaaaa",
        "--dataset", dataloop.dataset_id, "--json",
    )  # fmt: skip

    assert done.exit_code == 1
    said = [(row["state"], row["detail"]) for row in json.loads(done.stdout)["items"]]
    assert sorted(state for state, _ in said) == ["annotated", "failed", "failed", "refused"]
    assert any("was named twice" in detail for _, detail in said)
    assert any("404" in detail for _, detail in said)
    assert any("is in the dataset" in detail for _, detail in said)
    assert not dataloop.annotations(video)
    assert not dataloop.annotations(elsewhere)


@pytest.mark.parametrize("whole", [False, True], ids=["conditions", "whole query"])
def test_a_filter_chooses(
    annotate: Annotate, dataloop: DataloopServer, video: str, photo: str, tmp_path: Path, *, whole: bool
) -> None:
    conditions = {"metadata.system.mimetype": "image/png"}
    query = tmp_path / "pictures.json"
    query.write_text(json.dumps({"filter": {"$and": [conditions]}} if whole else conditions))

    done = annotate("--dataset", "street", "--project", "people", "--filter", str(query), "--json")

    assert done.exit_code == 0
    assert set(rows(done)) == {photo}
    assert not dataloop.annotations(video)


@pytest.mark.parametrize("by", ["dataset", "item", "item, dry"])
def test_a_dataset_without_a_template_is_refused_before_anything_is_downloaded(
    annotate: Annotate, dataloop: DataloopServer, video: str, tmp_path: Path, by: str
) -> None:
    dataloop.store.change("recipes", dataloop.recipe_id, {"metadata": {"system": {"collectionTemplates": []}}})
    which = ("--dataset", dataloop.dataset_id) if by == "dataset" else ("--item", video)

    done = annotate(*which, *(("--dry-run", str(tmp_path / "out.json")) if "dry" in by else ()))

    assert done.exit_code == 1
    assert f"kinestream dataloop setup --dataset {dataloop.dataset_id}" in " ".join(done.output.split())
    assert not dataloop.count("GET", f"{video}/stream")


def test_a_template_that_could_not_be_looked_up_once_is_looked_up_again(
    annotate: Annotate, dataloop: DataloopServer, video: str, clip: Clip
) -> None:
    other = add_video(dataloop, clip)
    dataloop.inject(Status(400, "not now"), "GET", "/recipes/")

    done = annotate("--item", video, "--item", other, "--workers", "1", "--json")

    assert sorted(row["state"] for row in rows(done).values()) == ["annotated", "failed"]


def test_an_item_that_the_platform_refuses_keeps_what_was_there(
    annotate: Annotate, dataloop: DataloopServer, video: str, photo: str
) -> None:
    annotate("--dataset", dataloop.dataset_id)
    before = [one["id"] for one in dataloop.annotations(video)]
    dataloop.inject(Status(400, "no more room"), "POST", f"{video}/annotations", times=None)

    done = annotate("--dataset", dataloop.dataset_id, "--json")

    assert done.exit_code == 1
    assert rows(done)[video]["state"] == "failed"
    assert "no more room" in rows(done)[video]["detail"]
    assert rows(done)[photo]["state"] == "annotated"
    assert [one["id"] for one in dataloop.annotations(video)][: len(before)] == before


def test_a_model_that_breaks_ends_the_run_and_loses_nothing(
    annotate: Annotate, dataloop: DataloopServer, video: str
) -> None:
    annotate("--item", video)
    before = dataloop.annotations(video)

    done = annotate("--item", video, "-o", "pose.fails=true")

    assert done.exit_code == 1
    assert "this model is broken" in done.output
    assert dataloop.annotations(video) == before


# Dry run


def test_a_dry_run_writes_what_would_be_there_and_changes_nothing(
    annotate: Annotate, dataloop: DataloopServer, video: str, photo: str, tmp_path: Path
) -> None:
    out = tmp_path / "annotations.json"
    sent = len(dataloop.requests)

    assert annotate("--dataset", dataloop.dataset_id, "--dry-run", str(out)).exit_code == 0

    changing = [one for one in dataloop.requests[sent:] if one.method != "GET" and not one.path.endswith("/query")]
    assert changing == []
    written = {item["id"]: item["annotations"] for item in json.loads(out.read_text())["items"]}
    annotate("--dataset", dataloop.dataset_id)
    for item in (video, photo):
        posed = [one for one in written[item] if one["type"] == "pose"]
        kept = [one for one in dataloop.annotations(item) if one["type"] == "pose"]
        assert sorted(map(key, written[item])) == sorted(map(key, dataloop.annotations(item)))
        assert {key(one): one["metadata"]["system"] for one in posed} == {
            key(one): one["metadata"]["system"] for one in kept
        }


def test_a_dry_run_that_cannot_write_says_so_at_once(annotate: Annotate, video: str, tmp_path: Path) -> None:
    done = annotate("--item", video, "--dry-run", str(tmp_path / "nowhere" / "out.json"))

    assert done.exit_code == 1
    assert "cannot write the annotations" in done.output


# Resume


def test_what_is_done_is_left_alone(annotate: Annotate, dataloop: DataloopServer, video: str) -> None:
    annotate("--item", video)
    sent = len(dataloop.requests)
    dataloop_square.SquarePose.looked_at.clear()

    done = annotate("--item", video, "--resume", "--json")

    assert done.exit_code == 0
    assert rows(done)[video]["state"] == "unchanged"
    assert rows(done)[video]["annotations"] == len(dataloop.annotations(video))
    assert [request.path for request in dataloop.requests[sent:]] == ["/users/me", f"/items/{video}"]
    assert dataloop_square.SquarePose.looked_at == []


PROGRAM = (sys.executable, str(ROOT / "tests" / "dataloop_square.py"))


def run_program(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command line, with a model that sees squares, in a process of its own."""
    return subprocess.run(
        [*PROGRAM, *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT], ids=lambda number: number.name)
def test_an_interrupted_run_goes_on_where_it_was(
    annotate: Annotate, dataloop: DataloopServer, make_clip: Callable[..., Clip], number: signal.Signals
) -> None:
    long = make_clip(fps=25, seconds=10)
    video, same = (add_video(dataloop, long) for _ in range(2))
    asked = ("dataloop", "annotate", *SQUARE, "--item", video, "--json", "-o", "annotations.segment_seconds=2")
    assert annotate("--item", same, *asked[-2:]).exit_code == 0
    dataloop_square.SquarePose.looked_at.clear()

    ended = run_program(*asked, SQUARE_SIGNAL=f"{number.value}@150")
    resumed = annotate(*asked[4:], "--resume")

    assert ended.returncode == (STOPPED if number == signal.SIGINT else -signal.SIGKILL), ended.stderr
    if number == signal.SIGINT:
        row = json.loads(ended.stdout)["items"][0]
        assert (row["state"], row["detail"]) == ("stopped", "--resume goes on with it")
    assert resumed.exit_code == 0, resumed.output
    assert len(dataloop_square.SquarePose.looked_at) < 150
    assert content(dataloop, video) == content(dataloop, same)
    assert len({one["metadata"]["user"]["kinestream"]["run"] for one in dataloop.annotations(video)}) == 1


def test_an_interrupted_run_does_not_go_on_with_other_settings(
    annotate: Annotate, dataloop: DataloopServer, video: str
) -> None:
    dataloop.inject(Status(400, "no"), "POST", f"{video}/annotations", times=None)
    annotate("--item", video)

    done = annotate("--item", video, "--resume", "-o", "annotations.min_score=0.5")

    assert done.exit_code == 1
    assert "min_score" in done.output
    assert "without --resume" in done.output


def test_only_what_failed_is_done_again(annotate: Annotate, dataloop: DataloopServer, video: str, photo: str) -> None:
    dataloop.inject(Status(400, "no"), "POST", f"{video}/annotations", times=1)
    assert annotate("--dataset", dataloop.dataset_id).exit_code == 1

    done = annotate("--dataset", dataloop.dataset_id, "--resume", "--json")

    assert done.exit_code == 0, done.output
    assert {item: row["state"] for item, row in rows(done).items()} == {video: "annotated", photo: "unchanged"}


def test_a_second_signal_ends_at_once_and_keeps_what_was_made(
    annotate: Annotate, dataloop: DataloopServer, video: str
) -> None:
    dataloop.inject(Hang(60), "POST", f"{video}/annotations")
    asked = ("--item", video, "-o", "run.drain_timeout_seconds=60")
    with Program(*PROGRAM, "dataloop", "annotate", *SQUARE, *asked) as program:
        until(lambda: not dataloop.faults._planned, "nothing was uploaded", 30)
        program.process.send_signal(signal.SIGINT)
        until(lambda: "stopping" in program.errors(), "the first signal was not heard")
        program.process.send_signal(signal.SIGINT)
        assert program.process.wait(10) == STOPPED

    assert annotate(*asked, "--resume").exit_code == 0
    assert dataloop_square.SquarePose.looked_at == []
    assert len({key(one) for one in dataloop.annotations(video)}) == len(dataloop.annotations(video)) > 0


# Real people


@pytest.mark.slow
def test_real_people_are_annotated_by_what_needs_no_weights(
    dataloop: DataloopServer, state: Path, tmp_path: Path
) -> None:
    film = tmp_path / "film.mp4"
    source = PanSource.expand(Options(seconds=1.0, frames_per_second=12.0, width=640, height=360), None)[-1]
    with source, av.open(str(film), "w") as container:
        stream = container.add_stream("libx264", rate=12)
        stream.width, stream.height = 640, 360
        while (frame := source.read()) is not None:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame.image, format="bgr24")))
        container.mux(stream.encode(None))
    item_id = dataloop.add_item(film, fps=12, frame_count=12, width=640, height=360)
    CliRunner().invoke(app, ["dataloop", "setup", "--dataset", dataloop.dataset_id])

    done = CliRunner().invoke(app, ["dataloop", "annotate", "--dataset", dataloop.dataset_id, "--json"])

    assert done.exit_code == 0, done.output
    assert state.exists()
    assert rows(done)[item_id]["frames"] == 12
    assert rows(done)[item_id]["warnings"] == []
    shown = play(dataloop.annotations(item_id), 6)
    assert len(shown) >= 1
    assert all(len(person["joints"]) >= 5 for person in shown.values())


# What is wrong is said before a model is loaded


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param((), "--dataset", id="nothing named"),
        pytest.param(("--dataset", "x", "--preset", "none"), "unknown preset", id="preset"),
        pytest.param(("--dataset", "x", "-o", "annotations.min_scor=1"), "min_score", id="annotations"),
        pytest.param(("--dataset", "x", "--weight-config", "hrnet"), "hrnet_w48_384x288", id="weights"),
        pytest.param(("--dataset", "x", "--weight-config", "hrnet_w32_256x192"), "leave one out", id="two poses"),
        pytest.param(("--dataset", "x"), "say --project too", id="a name alone"),
        pytest.param(("--dataset", "x", "--filter", "nowhere.json"), "cannot read the filter", id="filter"),
    ],
)
def test_wrong_usage_is_exit_code_2(annotate: Annotate, arguments: tuple[str, ...], said: str) -> None:
    done = annotate(*arguments)

    assert done.exit_code == 2, done.output
    assert said in " ".join(done.output.replace("│", " ").split())
