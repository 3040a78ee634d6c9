"""A file of weights is read once; what is noted then is believed only of that very file."""

import subprocess
import sys
from pathlib import Path

import checkpoints
import pytest

from pipeline.errors import WeightsError
from stages.engines import artefacts
from stages.poses.networks.notes import card_of


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KINESTREAM_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    return checkpoints.write_hrnet(tmp_path / "hrnet.pth")


def note(weights: Path) -> Path:
    (found,) = artefacts.folder().glob(f"{weights.stem}-*.json")
    return found


def test_a_card_says_what_the_file_holds(weights: Path) -> None:
    card = card_of(weights)
    assert (card.architecture, card.size, card.joints, card.channels) == ("hrnet", 4, 17, "rgb")
    assert card.name == "HRNet-W4"


def test_the_second_look_needs_no_pytorch(weights: Path) -> None:
    card_of(weights)
    program = (
        "import sys; from pathlib import Path; from stages.poses.networks.notes import card_of;"
        "print(card_of(Path(sys.argv[1])).name, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program, weights], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["HRNet-W4", "False"]


def test_another_file_of_the_same_name_is_read_anew(weights: Path) -> None:
    card_of(weights)
    checkpoints.write_hrnet(weights, joints=16)
    assert card_of(weights).joints == 16


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("{", id="torn"),
        pytest.param("[]", id="no mapping"),
        pytest.param('{"architecture": "hrnet"}', id="of another release"),
        pytest.param('{"architecture": "vit", "size": 1, "joints": 1, "channels": "rgb"}', id="unknown network"),
    ],
)
def test_a_note_that_cannot_be_read_is_written_anew(text: str, weights: Path) -> None:
    card_of(weights)
    before = note(weights).read_text(encoding="utf-8")
    note(weights).write_text(text, encoding="utf-8")
    assert card_of(weights).name == "HRNet-W4"
    assert note(weights).read_text(encoding="utf-8") == before


def test_a_folder_that_cannot_be_written_is_no_obstacle(
    weights: Path, cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cache.write_text("a file where the folder should be", encoding="utf-8")
    with caplog.at_level("INFO"):
        assert card_of(weights).name == "HRNet-W4"
    assert "is not noted" in caplog.text


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"gone\.pth' cannot be read: No such file"):
        card_of(tmp_path / "gone.pth")
