from pathlib import Path

import pytest

from pipeline.errors import WeightsError
from stages.zoo import find_weights


def test_an_existing_path_is_taken_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "mine.pt").write_bytes(b"x")
    assert find_weights(str(tmp_path / "mine.pt")) == tmp_path / "mine.pt"


def test_a_path_that_is_missing_names_the_closest_files(tmp_path: Path) -> None:
    (tmp_path / "yolo11n.pt").write_bytes(b"x")
    with pytest.raises(WeightsError, match=r"'.*yolo11.pt' do not exist\. Closest in '.*': yolo11n\.pt"):
        find_weights(str(tmp_path / "yolo11.pt"))


def test_a_folder_that_is_missing_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="Nor does the folder"):
        find_weights(str(tmp_path / "nowhere" / "yolo11n.pt"))


def test_a_name_that_nobody_knows_is_no_model_of_the_zoo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "unknowable-net.pt").write_bytes(b"x")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(WeightsError, match=r"neither a file nor a model of the zoo.*unknowable-net\.pt"):
        find_weights("unknowable-ne.pt")
