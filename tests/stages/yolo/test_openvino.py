from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import fakes
import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.errors import ConfigError, WeightsError
from pipeline.types import Frame, HostPixels
from stages.yolo.model import Network, load
from stages.yolo.openvino import OpenVinoNetwork
from stages.yolo.options import ModelOptions

Export = Callable[..., Path]


@contextmanager
def network(folder: Path, **options: Any) -> Iterator[Network]:
    opened = load("detect", ModelOptions(weights=str(folder), **options))
    assert isinstance(opened, OpenVinoNetwork)
    yield opened
    opened.close()


def coloured(index: int, *, width: int = 64, height: int = 32, bgr: tuple[int, int, int] = (51, 102, 153)) -> Frame:
    image = np.full((height, width, 3), bgr, np.uint8)
    return replace(fakes.make_frame(index), pixels=HostPixels(image))


def test_colours_reach_the_network_as_red_green_blue_from_0_to_1(tiny_export: Export) -> None:
    with network(tiny_export()) as opened:
        (people,) = opened.find([coloured(0)])
    x, y, width = 64 * 0.6, 32 * 0.4, 64 * 0.2  # red, green, blue
    np.testing.assert_allclose(people.xyxy, [[x - width / 2, y - 4, x + width / 2, y + 4]], rtol=1e-2)
    np.testing.assert_allclose(people.score, [0.75])
    assert not people.class_id.any()


@pytest.mark.parametrize("batch", [1, 2, 16])
@pytest.mark.parametrize("count", [0, 1, 7, 40])
def test_an_export_for_one_picture_takes_any_number_in_order(batch: int, count: int, tiny_export: Export) -> None:
    frames = [coloured(i, bgr=(6 * i, 100, 6 * i)) for i in range(count)]
    with network(tiny_export(), batch=batch) as opened:
        centres = [people.xyxy[0, [0, 2]].mean() for people in opened.find(frames)]
        alone = [opened.find([frame])[0].xyxy[0, [0, 2]].mean() for frame in frames]
    assert centres == alone
    assert centres == sorted(centres)
    assert len(set(centres)) == count


@pytest.mark.parametrize("dynamic", [False, True], ids=["fixed", "dynamic"])
def test_frames_of_different_sizes_do_not_disturb_each_other(*, dynamic: bool, tiny_export: Export) -> None:
    sizes = [(64, 32), (32, 64), (200, 100), (640, 32), (64, 32), (31, 333)]
    frames = [coloured(i, width=width, height=height) for i, (width, height) in enumerate(sizes)]
    with network(tiny_export(dynamic=dynamic)) as opened:
        together = opened.find(frames)
        alone = [opened.find([frame])[0] for frame in frames]
    for left, right in zip(together, alone, strict=True):
        np.testing.assert_array_equal(left.xyxy, right.xyxy)
    assert (together[2].xyxy <= [200, 100, 200, 100]).all()


@dataclass(frozen=True)
class Unreadable:
    width: int = 64
    height: int = 32

    def bgr(self) -> NDArray[np.uint8]:
        msg = "the picture is gone"
        raise OSError(msg)


def test_after_a_frame_that_cannot_be_read_the_next_batch_works(tiny_export: Export) -> None:
    good = [coloured(i) for i in range(5)]
    with network(tiny_export()) as opened:
        with pytest.raises(OSError, match="the picture is gone"):
            opened.find([*good[:3], replace(good[3], pixels=Unreadable())])
        assert len(opened.find(good)) == 5


def test_what_scores_too_low_is_left_out(tiny_export: Export) -> None:
    with network(tiny_export(), confidence=0.75) as opened:
        assert len(opened.find([coloured(0)])[0]) == 0


def test_weights_cut_short_are_damage(tiny_export: Export) -> None:
    folder = tiny_export()
    weights = folder / "tiny.bin"
    weights.write_bytes(weights.read_bytes()[:4])
    with pytest.raises(WeightsError, match="is damaged: Incorrect weights"):
        load("detect", ModelOptions(weights=str(folder)))


def test_a_graph_cut_short_is_damage(tiny_export: Export) -> None:
    folder = tiny_export()
    graph = folder / "tiny.xml"
    graph.write_bytes(graph.read_bytes()[:500])
    with pytest.raises(WeightsError, match="is damaged"):
        load("detect", ModelOptions(weights=str(folder)))


def test_a_card_of_another_network_is_noticed(tiny_export: Export) -> None:
    folder = tiny_export(names={0: "person", 1: "bicycle"})
    with pytest.raises(WeightsError, match=r"gives \(1, 5, 1\), its metadata.yaml promises \(1, 6, boxes\)"):
        load("detect", ModelOptions(weights=str(folder)))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        pytest.param({"image_size": 320}, "fixed to pictures of 64x32, got image_size 320", id="image size"),
        pytest.param({"device": "cuda:0"}, "runs on the CPU, not on 'cuda:0'", id="device"),
    ],
)
def test_options_that_an_export_cannot_follow_are_refused(
    options: dict[str, Any], words: str, tiny_export: Export
) -> None:
    with pytest.raises(ConfigError, match=words):
        load("detect", ModelOptions(weights=str(tiny_export()), **options))


def test_the_image_size_that_an_export_is_fixed_to_may_be_said(tiny_export: Export) -> None:
    with network(tiny_export(), image_size=64) as opened:
        assert len(opened.find([coloured(0)])[0]) == 1


def test_a_dynamic_export_sees_pictures_of_the_size_asked_for(tiny_export: Export) -> None:
    with network(tiny_export(dynamic=True), image_size=320) as opened:
        (people,) = opened.find([coloured(0, width=640, height=320)])
    np.testing.assert_allclose(people.xyxy[0, [0, 2]].mean(), 2 * 64 * 0.6, rtol=1e-2)
