"""Whole trainings of a very narrow network."""

import csv
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from programs import Program, until
from typer.testing import CliRunner, Result

from pipeline.cli import app
from training.checkpoints import BEST, LAST, read_checkpoint
from training.writing import write_whole

pytestmark = pytest.mark.usefixtures("one_thread")

Write = Callable[..., Path]


def train(path: Path, *words: str) -> Result:
    return CliRunner().invoke(app, ["train", str(path), *words])


def rows_of(folder: Path, name: str = "steps.csv") -> list[dict[str, str]]:
    with (folder / name).open(newline="") as file:
        return list(csv.DictReader(file))


def state_of(folder: Path) -> dict[str, Any]:
    return read_checkpoint(folder / LAST)


def assert_same(one: Any, other: Any) -> None:
    """Compare trees of tensors to the last bit."""
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other)
    elif isinstance(one, dict):
        assert one.keys() == other.keys()
        for name in one:
            assert_same(one[name], other[name])
    else:
        assert one == other


def without_times(state: dict[str, Any]) -> dict[str, Any]:
    history = [{n: v for n, v in row.items() if n not in {"images_per_second", "waiting"}} for row in state["history"]]
    return {**state, "history": history, "config": None}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return tmp_path / "run"


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_training_leaves_checkpoints_weights_logs_and_curves(training_file: Write, run: Path) -> None:
    path = training_file(4)
    data = {"validation": {"annotations": str(run.parent / "annotations.json"), "images": str(run.parent / "pictures")}}

    result = train(path, "-o", f"data.validation={json.dumps(data['validation'])}", "-o", "tensorboard=true")

    assert result.exit_code == 0, result.output
    assert "trained 2 epochs, best 0." in result.output
    assert "HRNet-W2, random weights" in result.output
    weights = {"pose_hrnet_w2_64x64.pth", "pose_hrnet_w2_64x64_last.pth"}
    logs = {"config.yaml", "curves.png", "epochs.csv", "steps.csv", "tensorboard"}
    assert {entry.name for entry in run.iterdir()} == {BEST, LAST, *weights, *logs}
    assert [row["step"] for row in rows_of(run)] == ["1", "2", "3", "4"]
    assert all(float(row["AP"]) >= 0 and float(row["AR"]) >= 0 for row in rows_of(run, "epochs.csv"))


def test_without_a_validation_set_the_last_weights_are_kept(training_file: Write, run: Path) -> None:
    result = train(training_file(4), "-o", "epochs=1")

    assert result.exit_code == 0, result.output
    assert "nothing is measured" in result.output
    assert (run / "pose_hrnet_w2_64x64_last.pth").exists()
    assert not (run / BEST).exists()


def test_a_training_in_two_parts_is_one_in_one_part_to_the_last_bit(training_file: Write, run: Path) -> None:
    path = training_file(6, ema=0.99, schedule={"milestones": [1.5], "warm_up_epochs": 0.5})
    whole = run.with_name("whole")
    assert train(path, "-o", f"out={whole}").exit_code == 0
    assert train(path, "-o", "epochs=1").exit_code == 0

    result = train(path, "--resume")

    assert result.exit_code == 0, result.output
    assert "goes on in epoch 2 at batch 1" in result.output
    assert_same(without_times(state_of(run)), without_times(state_of(whole)))
    assert rows_of(run) == rows_of(whole)


def test_a_folder_with_a_training_is_not_begun_again(training_file: Write) -> None:
    path = training_file(2)
    assert train(path, "-o", "epochs=1").exit_code == 0

    result = train(path)

    assert result.exit_code == 2
    assert "holds a training already: go on with it by --resume" in result.output


def test_a_checkpoint_of_other_joints_or_another_network_is_refused(training_file: Write, run: Path) -> None:
    path = training_file(2)
    assert train(path, "-o", "epochs=1").exit_code == 0

    other = train(path, "--resume", "-o", "network.size=4")
    saved = state_of(run)
    saved["note"]["skeleton"]["joints"] = ["nose"]
    # Its tensors lie in the file that was read: a new one takes its place.
    write_whole(run / LAST, lambda part: torch.save(saved, part))
    joints = train(path, "--resume")

    assert (other.exit_code, joints.exit_code) == (2, 2)
    assert "has network.size 2, the configuration 4" in other.output
    assert "is for 1 joints, the annotations have 17" in joints.output


def test_a_loss_that_is_no_number_keeps_the_last_good_checkpoint_and_says_which_batch(
    training_file: Write, run: Path
) -> None:
    path = training_file(8)

    result = train(path, "-o", "optimiser={kind: sgd, lr: 1e30}", "-o", "save_minutes=0")

    assert result.exit_code == 1
    assert "training has diverged: in epoch 1, batch" in result.output
    assert ".png" in result.output
    assert "was written before that" in result.output
    assert "Traceback" not in result.output
    weights = state_of(run)["state_dict"]
    assert all(tensor.isfinite().all() for tensor in weights.values())


def test_a_picture_that_is_cut_short_is_left_out_and_counted(training_file: Write, run: Path) -> None:
    path = training_file(4)
    broken = run.parent / "pictures" / "2.png"
    broken.write_bytes(broken.read_bytes()[:40])

    result = train(path, "-o", "epochs=1")

    assert result.exit_code == 0, result.output
    assert rows_of(run, "epochs.csv")[0]["broken"] == "1"


@pytest.mark.parametrize(
    ("override", "code", "said"),
    [
        ("data.train.images=gone", 2, "the folder of pictures 'gone' does not exist"),
        ("data.train.annotations=gone.json", 2, "cannot read the annotations"),
        ("data={coco: gone}", 2, "lacks parts of COCO's train2017"),
        ("network.start=gone.pth", 1, "gone.pth"),
        ("loss.hardest_joints=18", 2, "at most the 17 joints"),
        ("device=cuda:9", 2, "device must be auto, cpu or one of"),
        ("out=training.yaml/run", 1, "cannot make the folder"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_trained(
    training_file: Write, monkeypatch: pytest.MonkeyPatch, override: str, code: int, said: str
) -> None:
    path = training_file(2)
    monkeypatch.chdir(path.parent)

    result = train(path, "-o", override)

    assert result.exit_code == code, result.output
    assert said in result.output
    assert not (path.parent / "run" / LAST).exists()


def test_annotations_without_a_joint_are_said(training_file: Write, run: Path) -> None:
    path = training_file(2)
    annotations = run.parent / "annotations.json"
    tree = json.loads(annotations.read_text())
    for person in tree["annotations"]:
        person["keypoints"] = [0] * 51
    annotations.write_text(json.dumps(tree))

    result = train(path)

    assert result.exit_code == 2
    assert "has nobody to learn from (2 without joints)" in result.output


def test_a_batch_is_shown_and_nothing_trained(training_file: Write, run: Path) -> None:
    result = train(training_file(2), "--show-batch", "4")

    assert result.exit_code == 0, result.output
    assert (run / "batch.png").read_bytes().startswith(b"\x89PNG")
    assert not (run / LAST).exists()


def _as_one_thread() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1"}


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_training_that_was_asked_to_stop_goes_on_with_the_losses_of_one_that_was_not(
    training_file: Write, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    path = training_file(
        30, ema=0.99, loading={"batch": 2, "workers": 1}, schedule={"kind": "cosine", "warm_up_epochs": 1}
    )
    whole = run.with_name("whole")
    assert train(path, "-o", f"out={whole}").exit_code == 0

    with Program(Path(sys.executable).with_name("kinestream"), "train", path) as program:
        until(lambda: (run / "steps.csv").exists() and len(rows_of(run)) > 3, "no steps were taken", 100)
        program.process.terminate()
        code = program.process.wait(60)
        said = program.errors()
    stopped = len(rows_of(run))
    resumed = train(path, "--resume")

    assert code == 0, said
    assert resumed.exit_code == 0, resumed.output
    assert stopped < 10, "it did not stop in the first half of the first epoch"
    assert len(rows_of(whole)[stopped:]) >= 20
    assert rows_of(run) == rows_of(whole)
    assert_same(without_times(state_of(run)), without_times(state_of(whole)))


def torchrun(processes: int, *words: Any) -> str:
    program = str(Path(sys.executable).with_name("kinestream"))
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(processes), "--no-python"]
    every = [*command, "--standalone", program, "train", *map(str, words)]
    done = subprocess.run(every, capture_output=True, text=True, env=_as_one_thread(), timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return done.stderr


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_two_processes_learn_together_and_one_of_them_speaks(training_file: Write, run: Path) -> None:
    path = training_file(8, optimiser={"accumulate": 2})

    said = torchrun(2, path, "-o", "epochs=1")
    torchrun(2, path, "--resume")

    assert said.count("random weights") == 1
    assert [(row["epoch"], row["batch"]) for row in rows_of(run)] == [("0", "0"), ("1", "0")]
    assert [row["images"] for row in rows_of(run, "epochs.csv")] == ["8", "8"]
    assert all(not name.startswith("module.") for name in state_of(run)["state_dict"])
