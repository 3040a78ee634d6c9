"""`kinestream evaluate track`: what it measures, says and refuses."""

import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from stages.evaluation.commands import app

FRAMES = 40
Box = tuple[float, float, float, float]


def box(person: int, frame: int) -> Box:
    """Three people who walk on lanes of their own."""
    return 50.0 + 3 * frame + 10 * person, 60.0 + 120 * person, 40.0, 100.0


class Benchmark:
    """A folder of sequences, perfect until something is changed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("first", "second"):
            self.write(name, "seqinfo.ini", f"[Sequence]\nname={name}\nseqLength={FRAMES}\nframeRate=10\n")
            self.write(name, "det/det.txt", rows(lambda _, frame, b: f"{frame},-1,{b},0.9,-1,-1,-1"))
            self.write(name, "gt/gt.txt", rows(lambda person, frame, b: f"{frame},{person},{b},1,1,1"))

    def write(self, name: str, file: str, text: str) -> Path:
        path = self.folder / name / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def path(self, name: str, file: str) -> Path:
        return self.folder / name / file

    def measure(self, *arguments: object) -> Any:
        return CliRunner().invoke(app, ["track", str(self.folder), *(str(argument) for argument in arguments)])

    def report(self, *arguments: object) -> dict[str, Any]:
        result = self.measure(*arguments, "--json", "-")
        assert result.exit_code == 0, result.output
        report: dict[str, Any] = json.loads(result.stdout)
        return report


def rows(line: Any, people: int = 3) -> str:
    boxes = ((person, frame, ",".join(map(str, box(person, frame)))) for frame in range(1, FRAMES + 1)
             for person in range(people))  # fmt: skip
    return "".join(line(*one) + "\n" for one in boxes)


@pytest.fixture
def benchmark(tmp_path: Path) -> Benchmark:
    return Benchmark(tmp_path)


def test_perfect_tracks_of_perfect_detections_are_perfect(benchmark: Benchmark) -> None:
    report = benchmark.report()
    assert set(report["sequences"]) == {"first", "second"}
    for figures in (*report["sequences"].values(), report["combined"]):
        assert {name: figures[name] for name in ("HOTA", "DetA", "AssA", "IDF1", "MOTA")} == pytest.approx(
            {"HOTA": 1, "DetA": 1, "AssA": 1, "IDF1": 1, "MOTA": 1}
        )
        assert (figures["IDSW"], figures["FP"], figures["FN"]) == (0, 0, 0)
        assert figures["updates_per_second"] > 10
    assert report["protocol"] == {"every": 1, "camera_motion": False, "min_score": 0.1, "frames": 2 * FRAMES}
    assert report["tracker"]["options"]["patience_seconds"] == 1.5


def test_a_sequence_where_nobody_is_found_counts_as_missed(benchmark: Benchmark) -> None:
    benchmark.write("second", "det/det.txt", "")
    report = benchmark.report()
    assert report["sequences"]["second"]["HOTA"] == 0
    assert report["combined"]["FN"] == 3 * FRAMES
    assert report["combined"]["MOTA"] == pytest.approx(0.5)


def test_people_who_swap_places_in_the_truth_are_switches(benchmark: Benchmark) -> None:
    swapped = rows(lambda person, frame, b: f"{frame},{[1, 0, 2][person] if frame > 20 else person},{b},1,1,1")
    benchmark.write("first", "gt/gt.txt", swapped)
    report = benchmark.report("--sequences", "first")
    assert report["combined"]["IDSW"] == 2
    assert report["combined"]["DetA"] == pytest.approx(1)
    assert report["combined"]["AssA"] < 0.8


def test_tracks_on_people_who_do_not_count_are_neither_right_nor_wrong(benchmark: Benchmark) -> None:
    static = rows(lambda person, frame, b: f"{frame},{person},{b},{int(person != 2)},{7 if person == 2 else 1},1")
    benchmark.write("first", "gt/gt.txt", static)
    figures = benchmark.report("--sequences", "first")["combined"]
    assert (figures["FP"], figures["FN"]) == (0, 0)
    of_2015 = rows(lambda person, frame, b: f"{frame},{person},{b},{int(person != 2)},-1,-1,-1")
    benchmark.write("first", "gt/gt.txt", of_2015)
    assert benchmark.report("--sequences", "first")["combined"]["FP"] == FRAMES


def test_wide_and_tiny_boxes_are_left_out_where_benchmarks_do_it(benchmark: Benchmark) -> None:
    odd = "".join(f"{frame},-1,600,600,90,40,0.9\n{frame},-1,800,600,9,9,0.9\n" for frame in range(1, FRAMES + 1))
    detections = rows(lambda _, frame, b: f"{frame},-1,{b},0.9")
    benchmark.write("first", "det/det.txt", detections + odd)
    assert benchmark.report("--sequences", "first")["combined"]["FP"] == 2 * FRAMES
    with_a_car = benchmark.path("first", "gt/gt.txt").read_text() + "1,77,0,0,5,5,0,3,1\n"
    benchmark.write("first", "gt/gt.txt", with_a_car)
    assert benchmark.report("--sequences", "first")["combined"]["FP"] == 0


def test_refined_tracks_are_measured_with_their_gaps_filled(benchmark: Benchmark) -> None:
    half = rows(lambda person, frame, _: "" if frame in {7, 8, 9} else f"{frame},-1,{100 * person},9,40,100,0.9")
    benchmark.write("first", "det/det.txt", "\n".join(line for line in half.splitlines() if line))
    truth = rows(lambda person, frame, _: f"{frame},{person},{100 * person},9,40,100,1,1,1")
    benchmark.write("first", "gt/gt.txt", truth)
    online = benchmark.report("--sequences", "first")
    assert online["refinement"] is None
    assert online["combined"]["FN"] > 0
    refined = benchmark.report("--sequences", "first", "--refine", "--refine-option", "min_seconds=0.1")
    assert refined["refinement"]["min_seconds"] == 0.1
    assert refined["combined"]["HOTA"] == pytest.approx(1)
    assert refined["protocol"] == online["protocol"]


def test_doubtful_detections_are_not_shown(benchmark: Benchmark) -> None:
    benchmark.write("first", "det/det.txt", rows(lambda _, frame, b: f"{frame},-1,{b},0.6"))
    assert benchmark.report("--sequences", "first", "--min-score", 0.7)["combined"]["FN"] == 3 * FRAMES


def test_every_nth_frame_keeps_the_time_of_the_sequence(benchmark: Benchmark) -> None:
    """Every 15th frame at 10 frames a second is 1.5 s: more than a patience of one second, less than two."""
    still = rows(lambda person, frame, _: f"{frame},-1,{100 * person},9,40,100,0.9")
    benchmark.write("first", "det/det.txt", still)
    truth = rows(lambda person, frame, _: f"{frame},{person},{100 * person},9,40,100,1,1,1")
    benchmark.write("first", "gt/gt.txt", truth)
    patient = benchmark.report("--sequences", "first", "--every", 15, "-o", "patience_seconds=2")
    assert patient["protocol"]["frames"] == 3
    assert patient["combined"]["HOTA"] == pytest.approx(1)
    hasty = benchmark.report("--sequences", "first", "--every", 15, "-o", "patience_seconds=1")
    assert hasty["combined"]["AssA"] < 0.7


@pytest.mark.parametrize("every", [1, 3])
def test_a_tracker_that_is_told_how_the_camera_moved_keeps_people(benchmark: Benchmark, every: int) -> None:
    """The camera jumps by 60 px to and fro, as far as a half and one person is wide."""
    offset = [60 * jump for jump in np.random.default_rng(0).integers(0, 2, FRAMES).tolist()]

    def shaken(ids: bool, tail: str) -> str:  # noqa: FBT001
        return rows(
            lambda person, frame, _: (
                f"{frame},{person if ids else -1},"
                f"{box(person, frame)[0] + offset[frame - 1]},{box(person, frame)[1]},40,100,{tail}"
            )
        )

    benchmark.write("first", "det/det.txt", shaken(ids=False, tail="0.9"))
    benchmark.write("first", "gt/gt.txt", shaken(ids=True, tail="1,1,1"))
    shifts = [0, *(now - before for before, now in pairwise(offset))]
    benchmark.write("first", "gmc/gmc.txt", "".join(f"{i} 1 0 {shift} 0 1 0\n" for i, shift in enumerate(shifts)))
    arguments = ("--sequences", "first", "--every", every)
    assert benchmark.report(*arguments, "--camera-motion", "file")["combined"]["HOTA"] == pytest.approx(1)
    assert benchmark.report(*arguments)["combined"]["HOTA"] < 0.9


def test_people_read_a_row_a_sequence_and_one_for_all(benchmark: Benchmark, tmp_path: Path) -> None:
    out = tmp_path / "report.json"
    result = benchmark.measure("--json", out)
    assert result.exit_code == 0, result.output
    header, first, second, together, about = result.stdout.splitlines()
    assert header.split("\t")[:5] == ["sequence", "HOTA", "DetA", "AssA", "IDF1"]
    assert [line.split("\t")[0] for line in (first, second, together)] == ["first", "second", "all together"]
    assert first.split("\t")[1] == "100.00"
    assert about == "kinesort, not told how the camera moved; 80 frames"
    assert json.loads(out.read_text())["combined"]["IDSW"] == 0


def test_a_folder_may_be_one_sequence(benchmark: Benchmark) -> None:
    one = CliRunner().invoke(app, ["track", str(benchmark.folder / "first"), "--json", "-"])
    assert set(json.loads(one.stdout)["sequences"]) == {"first"}


def refused(result: Any) -> str:
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    return str(result.stderr)


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        pytest.param("gt/gt.txt", None, "sequence 'first' has no ground truth", id="no ground truth"),
        pytest.param("det/det.txt", None, "sequence 'first' has no detections", id="no detections"),
        pytest.param("det/det.txt", "1,-1,1,2,3,4,0.5\n1,-1,1,2\n", "det.txt:2: must be 7 numbers", id="a cut line"),
        pytest.param("det/det.txt", "41,-1,1,2,3,4,0.5\n", "has frame 41, but", id="behind the end"),
        pytest.param("gt/gt.txt", "1,1,1,2,3,4,1,1,1\n" * 2, "ground truth of sequence 'first' is wrong", id="twice"),
        pytest.param("seqinfo.ini", "[Sequence]\nseqLength=40\n", "must have a section.*frameRate", id="no rate"),
        pytest.param("seqinfo.ini", "seqLength=40\n", "must have a section", id="no section"),
        pytest.param("seqinfo.ini", "[Sequence]\nseqLength=ten\nframeRate=9\n", "must have.*ten", id="a word"),
        pytest.param("seqinfo.ini", "[Sequence]\nseqLength=0\nframeRate=9\n", "must be more than 0", id="no frames"),
    ],
)
def test_a_wrong_sequence_is_refused(benchmark: Benchmark, file: str, text: str | None, message: str) -> None:
    path = benchmark.path("first", file)
    if text is None:
        path.unlink()
    else:
        path.write_text(text)
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(refused(benchmark.measure()))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(["--sequences", "first,secnd"], "no sequence 'secnd'. Did you mean 'second'?", id="a sequence"),
        pytest.param(["--camera-motion", "file"], "has no camera motion", id="no warps"),
        pytest.param(["--tracker", "byte"], "unknown tracker 'byte'", id="a tracker"),
        pytest.param(["-o", "patience=1"], "unknown option 'patience'", id="an option"),
        pytest.param(["--json", "/gone/report.json"], "is in '/gone', which does not exist", id="no folder"),
        pytest.param(["--json", "/"], "is a folder", id="a folder"),
    ],
)
def test_wrong_arguments_are_refused(benchmark: Benchmark, arguments: list[str], message: str) -> None:
    assert message in refused(benchmark.measure(*arguments))


@pytest.mark.parametrize(
    ("folder", "got"), [("gone", "does not exist"), ("empty", "has none"), ("file", "is a file")], ids=str
)
def test_a_folder_without_sequences_is_refused(tmp_path: Path, folder: str, got: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    message = refused(CliRunner().invoke(app, ["track", str(tmp_path / folder)]))
    assert "NAME/seqinfo.ini, NAME/det/det.txt and NAME/gt/gt.txt" in message
    assert got in message


def test_warps_of_another_number_of_frames_are_refused(benchmark: Benchmark) -> None:
    benchmark.write("first", "gmc/gmc.txt", "0 1 0 0 0 1 0\n")
    message = refused(benchmark.measure("--sequences", "first", "--camera-motion", "file"))
    assert "must have a line for each of 40 frames, got 1" in message


def test_without_the_counter_the_command_to_install_it_is_given(
    benchmark: Benchmark, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "trackeval", None)
    assert "pip install 'kinestream[evaluate]'" in refused(benchmark.measure())


def test_nothing_slow_or_optional_is_imported_with_the_commands() -> None:
    code = (
        "import sys, stages.evaluation.commands, stages.tracking.commands;"
        "print([name for name in ('trackeval', 'scipy', 'cv2', 'torch') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
