"""`kinestream track`: what it writes, says and refuses."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from stages.tracking.commands import app
from stages.tracking.mot import read_rows


def track(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def detections(tmp_path: Path) -> Path:
    """Two people who pass each other in 2 seconds at 10 frames a second, with a gap, and a ghost."""
    path = tmp_path / "det.txt"
    rows = []
    for frame in range(1, 21):
        if frame not in {8, 9}:
            rows += [(frame, 100 + 4 * frame, 100), (frame, 400 - 4 * frame, 240)]
        if frame == 5:
            rows.append((frame, 700, 100))
    path.write_text("".join(f"{frame},-1,{x},{y},40,100,0.9,-1,-1,-1\n" for frame, x, y in rows))
    return path


def test_people_of_a_file_get_identities(detections: Path, tmp_path: Path) -> None:
    out = tmp_path / "tracks.txt"
    result = track(detections, "--out", out, "--fps", 10)
    assert result.exit_code == 0, result.output
    assert "2 people, 36 of 37 boxes, 20 frames" in result.output
    rows = read_rows(out)
    assert sorted(set(rows.track_id.tolist())) == [1, 2]
    assert [row for row in rows.xywh[rows.track_id == 1][:, 1].tolist() if row != 100] == []
    assert list(tmp_path.glob("*.part")) == []


def test_refined_the_gap_is_filled_and_the_beginning_is_there(detections: Path, tmp_path: Path) -> None:
    out = tmp_path / "tracks.txt"
    result = track(detections, "--out", out, "--fps", 10, "--refine")
    assert result.exit_code == 0, result.output
    assert "2 people, 40 boxes out of 37 found, 20 frames" in result.output
    rows = read_rows(out)
    assert rows.frame.tolist() == [frame for frame in range(1, 21) for _ in range(2)]
    assert rows.score[rows.frame == 8].tolist() == pytest.approx([0.2, 0.2])
    result = track(detections, "--out", out, "--fps", 10, "--refine", "--refine-option", "gap_seconds=0.2")
    assert "36 boxes out of 37 found" in result.output


def test_fps_makes_frames_into_time(detections: Path, tmp_path: Path) -> None:
    """Three frames are 0.3 s at 10 frames a second, and 3 s at 1."""
    people = []
    for fps in (10, 1):
        result = track(detections, "--out", tmp_path / "out.txt", "--fps", fps, "-o", "patience_seconds=1")
        assert result.exit_code == 0, result.output
        people.append(int(result.output.split(" people")[0].split()[-1]))
    assert people[0] == 2
    assert people[1] != 2


def test_an_empty_file_gives_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "det.txt").touch()
    result = track(tmp_path / "det.txt", "--out", tmp_path / "out.txt")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "out.txt").read_text() == ""


def test_warps_of_a_file_are_told(tmp_path: Path) -> None:
    """The camera swings by two boxes a frame; nobody could follow that without being told."""
    frames, xs = range(1, 13), [100 + 90 * (frame % 2) for frame in range(1, 13)]
    rows = [f"{frame},-1,{x},100,40,100,0.9\n" for frame, x in zip(frames, xs, strict=True)]
    (tmp_path / "det.txt").write_text("".join(rows))
    shifts = [0, *(now - before for before, now in pairwise(xs))]
    (tmp_path / "gmc.txt").write_text("".join(f"{i} 1 0 {shift} 0 1 0\n" for i, shift in enumerate(shifts)))
    told = track(tmp_path / "det.txt", "--out", tmp_path / "a.txt", "--camera-motion", tmp_path / "gmc.txt")
    assert "1 people, 12 of 12 boxes" in told.output
    assert "12 of 12" not in track(tmp_path / "det.txt", "--out", tmp_path / "b.txt").output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(["--tracker", "bytetrak"], "unknown tracker 'bytetrak'. Did you mean 'bytetrack'", id="tracker"),
        pytest.param(["-o", "patience=3"], "unknown option 'patience'. Did you mean 'patience_seconds'", id="option"),
        pytest.param(["-o", "patience_seconds"], "--option must be NAME=VALUE", id="no value"),
        pytest.param(["-o", "kind=other"], "--option must be NAME=VALUE", id="another tracker by an option"),
        pytest.param(["-o", "patience_seconds=-1"], "greater than or equal to 0, got -1", id="value"),
        pytest.param(["--out", "/gone/tracks.txt"], "is in '/gone', which does not exist", id="no folder"),
        pytest.param(["--out", "/"], "is a folder", id="a folder"),
        pytest.param(["--camera-motion", "/gone.txt"], "cannot read the camera motion", id="no warps"),
        pytest.param(["--refine-option", "gap_seconds=1"], "that is not done; add --refine", id="no refinement"),
        pytest.param(["--refine", "--refine-option", "gap=1"], "unknown option 'gap'", id="refinement's option"),
        pytest.param(
            ["--refine", "--refine-option", "gap"], "--refine-option must be NAME=VALUE", id="no value for it"
        ),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_written(
    detections: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    out = tmp_path / "out.txt"
    result = track(detections, "--out", out, *arguments)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert message in result.stderr
    assert not out.exists()


def test_detections_are_not_written_over(detections: Path) -> None:
    before = detections.read_text()
    result = track(detections, "--out", detections)
    assert result.exit_code == 2
    assert "--out must be another file" in result.stderr
    assert detections.read_text() == before


def test_a_wrong_line_of_the_detections_is_named(detections: Path, tmp_path: Path) -> None:
    detections.write_text(detections.read_text() + "21,-1,1,2,3\n")
    result = track(detections, "--out", tmp_path / "out.txt")
    assert result.exit_code == 2
    assert "det.txt:38: must be 10 numbers" in result.stderr
