import subprocess
import sys
from pathlib import Path

import pytest
import torch

from pipeline.errors import ConfigError, SinkError, WeightsError
from pipeline.skeletons import COCO_17
from stages.poses.networks.checkpoint import read_checkpoint as read_weights
from stages.poses.networks.hrnet import HRNet
from training.checkpoints import BEST, LAST, Folder, read_checkpoint
from training.config import TrainConfig
from training.writing import write_whole

_FILL_THE_DISK = """
import resource, signal, sys
from pathlib import Path
import torch
from pipeline.errors import SinkError
from training.writing import write_whole
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # as on a full disk, write() fails
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    write_whole(Path(sys.argv[1]), lambda part: torch.save({"a": torch.zeros(100_000)}, part))
except SinkError as error:
    print(error)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    config = TrainConfig.model_validate({"network": {"size": 2}, "data": {"coco": tmp_path}, "target": {"sigma": 1.5}})
    return Folder(tmp_path, config, COCO_17)


def test_bare_weights_are_in_the_official_layout_and_say_what_they_are(folder: Folder) -> None:
    network = HRNet(2)

    folder.save({"state_dict": network.state_dict()}, is_best=True)

    saved = torch.load(folder.best_weights, weights_only=True)
    assert folder.best_weights.name == "pose_hrnet_w2_256x192.pth"
    assert saved.keys() == network.state_dict().keys()
    network.load_state_dict(saved, strict=True)
    note = saved._metadata[""]["kinestream"]
    assert (note["encoding"], note["sigma"], note["image_size"]) == ("plain", 1.5, [256, 192])
    assert note["skeleton"]["joints"] == list(COCO_17.joints)
    assert read_weights(folder.last_weights).name == "HRNet-W2"


def test_only_the_best_replaces_the_best(folder: Folder) -> None:
    for step, is_best in ((1, True), (2, False)):
        folder.save({"state_dict": HRNet(2).state_dict(), "step": step}, is_best=is_best)

    assert read_checkpoint(folder.path / LAST)["step"] == 2
    assert read_checkpoint(folder.path / BEST)["step"] == 1


@pytest.mark.parametrize("content", [{"state_dict": {}}, [1], {"format": "kinestream-training-0"}])
def test_what_is_no_checkpoint_of_ours_is_refused(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / LAST)

    with pytest.raises(ConfigError, match="no checkpoint to go on from"):
        read_checkpoint(tmp_path / LAST)


def test_a_checkpoint_that_was_cut_short_is_refused(folder: Folder) -> None:
    folder.save({"state_dict": HRNet(2).state_dict()}, is_best=False)
    path = folder.path / LAST
    path.write_bytes(path.read_bytes()[:-1000])

    with pytest.raises(WeightsError, match="damaged or cut short"):
        read_checkpoint(path)


def test_a_full_disk_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / LAST
    torch.save({"a": 1}, path)

    command = [sys.executable, "-c", _FILL_THE_DISK, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=100)

    assert f"cannot write '{path}'" in done.stdout
    assert "the one that was there is untouched" in done.stdout
    assert torch.load(path, weights_only=True) == {"a": 1}
    assert [entry.name for entry in tmp_path.iterdir()] == [LAST]


def test_a_writer_that_is_interrupted_leaves_what_was_there(tmp_path: Path) -> None:
    def write(part: Path) -> None:
        part.write_text("half")
        raise KeyboardInterrupt

    path = tmp_path / "a"
    path.write_text("whole")

    with pytest.raises(KeyboardInterrupt):
        write_whole(path, write)

    assert path.read_text() == "whole"


def test_a_folder_that_is_gone_is_said(tmp_path: Path) -> None:
    with pytest.raises(SinkError, match=r"cannot write .*No such file or directory"):
        write_whole(tmp_path / "gone" / "a", lambda part: part.write_text(""))
