from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from pipeline.errors import SinkError, SourceError
from training.augmentation import AugmentationOptions
from training.datasets import PeopleFiles, read_people
from training.samples import Draw, Samples
from training.sheet import write_sheet
from training.targets import TargetOptions


@pytest.fixture
def samples(tree: Callable[..., dict[str, Any]], people_files: Callable[..., PeopleFiles]) -> Samples:
    return Samples(read_people(people_files(tree())), TargetOptions(), AugmentationOptions.none(), seed=0)


def test_the_sheet_shows_as_many_crops_as_asked_with_their_joints(samples: Samples, tmp_path: Path) -> None:
    write_sheet(samples, 8, tmp_path / "batch.png")

    sheet = cv2.imread(str(tmp_path / "batch.png"))
    assert sheet is not None
    assert sheet.shape[1] > 6 * 384
    assert sheet.shape[0] > 2 * 512
    sample = samples[Draw(0, 0, 0)]
    large = cv2.resize(sample.picture, None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST)
    y, x = np.nonzero((sheet[48 : 48 + 512, 16 : 16 + 384] != large).any(axis=2))
    away = np.linalg.norm(np.stack([x, y], axis=1)[:, None] - 8 * sample.cells[[9, 10]] - 0.5, axis=2)
    assert (away.min(axis=1) < 5).all()
    assert (away.min(axis=0) < 2).all()


def test_a_sheet_that_cannot_be_written_is_an_error(samples: Samples, tmp_path: Path) -> None:
    with pytest.raises(SinkError, match="cannot write the sheet"):
        write_sheet(samples, 1, tmp_path / "gone" / "batch.png")


def test_a_sheet_without_pictures_is_an_error(samples: Samples, tmp_path: Path) -> None:
    samples.people.path(0).unlink()

    with pytest.raises(SourceError, match=r"no picture can be read.*No such file"):
        write_sheet(samples, 1, tmp_path / "batch.png")
