import os
from collections.abc import Callable
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.errors import ConfigError, SinkError
from stages.poses.networks.trained import Encoding
from stages.topdown.crops import cut
from stages.topdown.regions import regions_of_boxes, to_input
from training.augmentation import AugmentationOptions
from training.crops import CropCache
from training.datasets import People, PeopleFiles, read_people
from training.samples import NOBODY, TRIES, Draw, Sample, Samples
from training.targets import TargetOptions

LEFT_WRIST, RIGHT_WRIST, BLUE, RED = 9, 10, 0, 2
NOTHING = AugmentationOptions.none()

Trees = Callable[..., dict[str, Any]]
Files = Callable[..., PeopleFiles]


@pytest.fixture
def people(tree: Trees, people_files: Files) -> People:
    return read_people(people_files(tree()))


def as_workers_get(samples: Samples) -> Samples:
    copied: Samples = ForkingPickler.loads(ForkingPickler.dumps(samples))
    return copied


def same(one: Sample, other: Sample) -> bool:
    arrays = ((one.picture, other.picture), (one.cells, other.cells), (one.weights, other.weights))
    return one.row == other.row and all(np.array_equal(a, b) for a, b in arrays)


@pytest.mark.parametrize("encoding", ["plain", "udp"])
@pytest.mark.parametrize(
    "augmentation",
    [
        pytest.param(NOTHING, id="as they are"),
        pytest.param(AugmentationOptions(flip=1, scale=0, rotation=0, half_body=0), id="mirrored"),
        pytest.param(AugmentationOptions(flip=0, scale=0.35, rotation=0, half_body=0), id="scaled"),
        pytest.param(AugmentationOptions(flip=0, scale=0, rotation=1, half_body=0, rotation_degrees=40), id="turned"),
        pytest.param(AugmentationOptions(), id="everything"),
    ],
)
def test_joints_land_where_the_pixels_of_their_dots_are(
    people: People,
    dot: Callable[[NDArray[np.uint8], int], NDArray[np.float64]],
    augmentation: AugmentationOptions,
    encoding: Encoding,
) -> None:
    target = TargetOptions(encoding=encoding)
    samples = Samples(people, target, augmentation, seed=3)
    mirrored = 0
    for place in range(30):
        sample = samples[Draw(0, place, 0)]
        joints = sample.cells * target.cell_px
        colours = (RED, BLUE) if sample.view.is_mirrored else (BLUE, RED)
        for joint, colour in zip((LEFT_WRIST, RIGHT_WRIST), colours, strict=True):
            if (joints[joint] > 25).all() and (joints[joint] < [target.width - 25, target.height - 25]).all():
                assert np.abs(dot(sample.picture, colour) - joints[joint]).max() < 0.6
        mirrored += sample.view.is_mirrored
    assert mirrored == 30 * augmentation.flip or 0 < mirrored < 30


def test_without_augmentation_the_picture_is_the_one_that_inference_cuts(people: People) -> None:
    image = cv2.imread(str(people.path(0)))
    assert image is not None
    matrix = to_input(regions_of_boxes(people.xyxy, 192 / 256), 192, 256)
    expected = cut([np.asarray(image, np.uint8)], [matrix], 192, 256)[0]

    sample = Samples(people, TargetOptions(), NOTHING, seed=0)[Draw(0, 0, 0)]

    assert np.abs(sample.picture.astype(int) - expected).max() <= 1
    assert np.flatnonzero(sample.weights).tolist() == [LEFT_WRIST, RIGHT_WRIST]


def test_the_same_draw_is_the_same_sample_and_another_one_is_not(people: People) -> None:
    samples = Samples(people, TargetOptions(), AugmentationOptions(colour=0.3, cutout=0.5), seed=1)
    sample = samples[Draw(2, 5, 0)]

    assert same(sample, samples[Draw(2, 5, 0)])
    assert same(sample, as_workers_get(samples)[Draw(2, 5, 0)])
    assert not same(sample, samples[Draw(3, 5, 0)])
    assert not same(sample, samples[Draw(2, 6, 0)])
    assert not same(sample, Samples(people, TargetOptions(), AugmentationOptions(), seed=2)[Draw(2, 5, 0)])


def test_nothing_in_the_samples_changes_over_an_epoch(people: People) -> None:
    samples = Samples(people, TargetOptions(), AugmentationOptions(colour=0.3, cutout=0.5), seed=1)
    before = ForkingPickler.dumps(samples).tobytes()

    for place in range(20):
        samples[Draw(0, place, 0)]

    assert ForkingPickler.dumps(samples).tobytes() == before


def test_a_joint_outside_of_what_is_seen_has_no_weight(tree: Trees, people_files: Files) -> None:
    people = read_people(people_files(tree(bbox=[165, 85, 30, 30])))

    sample = Samples(people, TargetOptions(), NOTHING, seed=0)[Draw(0, 0, 0)]

    assert np.flatnonzero(sample.weights).tolist() == [LEFT_WRIST]
    assert not sample.cells[RIGHT_WRIST].any()


def test_joints_may_weigh_more(people: People) -> None:
    samples = Samples(people, TargetOptions(joint_weights={"left_wrist": 1.5}), NOTHING, seed=0)

    assert samples[Draw(0, 0, 0)].weights[[LEFT_WRIST, RIGHT_WRIST]].tolist() == [1.5, 1.0]


def test_a_box_beside_the_pixels_is_black(tree: Trees, people_files: Files) -> None:
    made = tree()
    made["images"][0] |= {"width": 4000, "height": 4000}
    made["annotations"][0]["bbox"] = [3000, 3000, 90, 120]
    people = read_people(people_files(made))

    assert not Samples(people, TargetOptions(), NOTHING, seed=0)[Draw(0, 0, 0)].picture.any()


def test_mirroring_without_known_pairs_is_refused(tree: Trees, people_files: Files) -> None:
    made = tree(keypoints=[180, 100, 2, 150, 140, 2])
    made["categories"][0] |= {"keypoints": ["tail", "snout"]}
    people = read_people(people_files(made))

    with pytest.raises(ConfigError, match=r"tail, snout .*augmentation\.flip=0"):
        Samples(people, TargetOptions(), AugmentationOptions(), seed=0)
    assert Samples(people, TargetOptions(), NOTHING, seed=0)[Draw(0, 0, 0)].weights.sum() == 2


# Broken pictures


def test_somebody_else_stands_in_for_a_broken_picture(tree: Trees, people_files: Files) -> None:
    people = read_people(people_files(tree(3)))
    people.path(1).write_bytes(people.path(1).read_bytes()[:200])
    people.path(2).unlink()
    samples = Samples(people, TargetOptions(), AugmentationOptions(), seed=0)

    found = [samples[Draw(0, place, 1)] for place in range(10)]

    assert {sample.row for sample in found} == {0}
    assert dict(fault for sample in found for fault in sample.broken).keys() >= {str(people.path(1))}
    assert "damaged" in found[0].broken[0][1]
    assert same(found[3], samples[Draw(0, 3, 1)])


def test_after_ten_broken_pictures_it_is_said(people: People) -> None:
    people.path(0).unlink()

    sample = Samples(people, TargetOptions(), NOTHING, seed=0)[Draw(0, 0, 0)]

    assert sample.row == NOBODY
    assert len(sample.broken) == TRIES
    assert not sample.weights.any()


# Kept crops


def test_kept_crops_change_no_bit(people: People, tmp_path: Path) -> None:
    augmentation = AugmentationOptions()
    plain = Samples(people, TargetOptions(), augmentation, seed=1)
    keeping = Samples(people, TargetOptions(), augmentation, seed=1, cache=CropCache(tmp_path / "crops"))

    for _ in range(2):
        assert all(same(plain[Draw(0, place, 0)], keeping[Draw(0, place, 0)]) for place in range(5))
    (kept,) = (tmp_path / "crops").rglob("*.*")
    assert kept.suffix == ".npy"
    kept.write_bytes(kept.read_bytes()[:100])
    assert same(plain[Draw(0, 0, 0)], keeping[Draw(0, 0, 0)])
    assert len(np.load(kept)) > 0


def test_a_kept_crop_is_read_instead_of_the_picture_until_that_changes(people: People, tmp_path: Path) -> None:
    black, grey = (cv2.imencode(".bmp", np.full((240, 320, 3), value, np.uint8))[1].tobytes() for value in (0, 9))
    people.path(0).write_bytes(black)
    os.utime(people.path(0), ns=(0, 0))
    samples = Samples(people, TargetOptions(), NOTHING, seed=1, cache=CropCache(tmp_path / "crops"))
    samples[Draw(0, 0, 0)]
    (kept,) = (tmp_path / "crops").rglob("*.npy")
    np.save(kept, np.full_like(np.load(kept), 77))
    assert samples[Draw(0, 0, 0)].picture[128, 96].tolist() == [77, 77, 77]

    people.path(0).write_bytes(grey)  # as long as before, but later

    assert samples[Draw(0, 0, 0)].picture[128, 96].tolist() == [9, 9, 9]


def test_a_folder_that_cannot_be_written_is_named(people: People, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(SinkError, match=r"cannot keep crops in '.*file'"):
        Samples(people, TargetOptions(), NOTHING, seed=1, cache=CropCache(tmp_path / "file"))[Draw(0, 0, 0)]
