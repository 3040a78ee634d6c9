import importlib.util
import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from threading import Barrier
from typing import Any

import numpy as np
import pytest
import spots
import torch
from numpy.typing import NDArray

from pipeline.errors import OutOfMemory
from pipeline.types import HostPixels
from stages.engines import EngineOptions, open_engines
from stages.engines.base import Engine, EngineName, Model
from stages.engines.torch import TorchEngine
from stages.topdown.choose import choose_path
from stages.topdown.crops import cut
from stages.topdown.device_path import Album, DevicePath, parted
from stages.topdown.heads import HeatmapHead, SimccHead
from stages.topdown.paths import HostPath, Joints, LookPath
from stages.topdown.regions import regions_of_boxes, to_input

HEAD = HeatmapHead(joints=3, decoding="dark")
ENGINES: tuple[EngineName, ...] = ("torch", "openvino", "onnxruntime")
ASPECT = spots.SIZE[1] / spots.SIZE[0]
NO_PEOPLE = regions_of_boxes(np.empty((0, 4)), ASPECT)


class NumpyEngine(Engine):
    """Finds spots with numpy, in crops of `FORM`; out of memory above `fits`; keeps the sizes of its batches."""

    name = "torch"

    def __init__(self, fits: int = 1000, max_batch: int = 64, device: str = "cpu") -> None:
        super().__init__(Model(Path("spots"), spots.FORM), "f32", device, max_batch)
        self.fits = fits
        self.batches: list[int] = []
        self.together: Barrier | None = None
        network = spots.SpotNetwork()
        self._forward: Callable[[torch.Tensor], torch.Tensor] = network.forward

    def run(self, pictures: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        self.batches.append(len(pictures))
        if self.together is not None:
            self.together.wait(timeout=10)
            self.together = None
        if len(pictures) > self.fits:
            msg = f"{len(pictures)} do not fit"
            raise OutOfMemory(msg)
        rgb = np.ascontiguousarray(pictures[..., ::-1].transpose(0, 3, 1, 2))
        with torch.inference_mode():
            return [self._forward(torch.from_numpy(rgb).float() / 255).numpy()]


@pytest.fixture
def torch_engine(tmp_path: Path) -> Iterator[TorchEngine]:
    with TorchEngine(Model(tmp_path / "none.pth", spots.FORM, spots.SpotNetwork), "f32", "cpu", 4) as engine:
        yield engine


def scene(seed: int, people: int) -> tuple[HostPixels, NDArray[np.float64], NDArray[np.float64]]:
    """Paint one picture; give it with boxes about its spots, shape (n, 4), and the spots, shape (3, 2)."""
    random = np.random.default_rng(seed)
    places = np.array([60.0, 60.0]) + np.array([[0, -20], [-9, 5], [9, 17]]) + random.uniform(-3, 3, (3, 2))
    centre = places.mean(axis=0) + random.uniform(-4, 4, (people, 2))
    half = np.array([24, 32]) * random.uniform(0.9, 1.2, (people, 1))
    return HostPixels(spots.paint(130, 120, places.tolist())), np.hstack([centre - half, centre + half]), places


def look(path: LookPath[Any], scenes: Sequence[tuple[HostPixels, NDArray[Any], NDArray[Any]]]) -> Joints:
    regions = [regions_of_boxes(boxes, ASPECT) for _, boxes, _ in scenes]
    return path.look([picture for picture, *_ in scenes], regions)


def test_nobody_anywhere_calls_no_engine() -> None:
    engine = NumpyEngine()
    joints = HostPath([engine], HEAD).look([scene(0, 0)[0]] * 2, [NO_PEOPLE] * 2, keep_heatmaps=True)
    assert engine.batches == []
    assert joints.points.shape == (0, 3, 2)
    assert joints.score.shape == (0, 3)
    assert joints.heatmaps is not None


def test_a_picture_without_people_is_not_touched() -> None:
    class FarAway(HostPixels):
        def bgr(self) -> NDArray[np.uint8]:
            pytest.fail("fetched for nobody")

    picture, boxes, places = scene(1, 2)
    path = HostPath([NumpyEngine()], HEAD)
    far = FarAway(np.zeros((5, 5, 3), np.uint8))
    joints = path.look([far, picture, far], [NO_PEOPLE, regions_of_boxes(boxes, ASPECT), NO_PEOPLE])
    assert np.abs(joints.points - places).max() < 1


@pytest.mark.parametrize("name", ENGINES)
def test_every_engine_finds_every_spot(name: EngineName, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KINESTREAM_CACHE", str(tmp_path / "cache"))
    file = spots.write_onnx(tmp_path / "spots.onnx")
    model = Model(file, spots.FORM, spots.SpotNetwork if name == "torch" else None)
    (engine,) = open_engines(model, EngineOptions(engine=name, precision="f32", device="cpu"), 4)
    scenes = [scene(seed, people) for seed, people in enumerate((1, 0, 5, 2))]
    joints = look(HostPath([engine], HEAD), scenes)
    expected = np.concatenate([np.broadcast_to(places, (len(boxes), 3, 2)) for _, boxes, places in scenes])
    assert np.abs(joints.points - expected).max() < 1
    assert (joints.score > 0.2).all()
    engine.close()


@pytest.mark.parametrize("flip_test", [False, True], ids=["once", "and mirrored"])
@pytest.mark.parametrize("decoding", ["plain", "quarter", "dark"])
def test_on_the_device_the_joints_are_those_of_the_host(
    torch_engine: TorchEngine, decoding: Any, *, flip_test: bool
) -> None:
    head = HeatmapHead(3, ((0, 1),) if flip_test else (), decoding)
    scenes = [scene(seed, people) for seed, people in enumerate((1, 0, 7, 2))]
    here = look(HostPath([torch_engine], head, flip_test=flip_test), scenes)
    there = look(DevicePath([torch_engine], head, flip_test=flip_test), scenes)
    # Crops differ by single grey values, so where two neighbours are nearly equal a quarter step may turn round.
    apart = np.abs(here.points - there.points).max(axis=2)
    assert np.quantile(apart, 0.9) < 0.05
    assert apart.max() < 2
    assert np.abs(here.score - there.score).max() < 0.02


@pytest.mark.parametrize("make", [HostPath, DevicePath])
@pytest.mark.parametrize("udp", [False, True], ids=["official pixels", "udp"])
def test_the_heat_maps_of_the_flip_test_are_averages_with_left_and_right_swapped(
    torch_engine: TorchEngine, make: Any, *, udp: bool
) -> None:
    head = HeatmapHead(3, ((0, 1),), udp=udp)
    picture, boxes, _ = scene(3, 1)
    regions = regions_of_boxes(boxes, ASPECT)
    both = make([torch_engine], head, udp=udp, flip_test=True).look([picture], [regions], keep_heatmaps=True)
    crop = cut(
        [picture.bgr()], [to_input(regions, spots.SIZE[1], spots.SIZE[0], udp=udp)], spots.SIZE[1], spots.SIZE[0]
    )
    (straight,), (mirrored,) = torch_engine.run(crop), torch_engine.run(np.ascontiguousarray(crop[:, :, ::-1]))
    back = mirrored[:, [1, 0, 2], :, ::-1].copy()
    if not udp:
        back[..., 1:] = back[..., :-1].copy()
    assert np.abs(back - straight).max() > 0.5
    assert np.abs(both.heatmaps - (straight + back) / 2).max() < 0.01


@pytest.mark.parametrize("make", [HostPath, DevicePath])
def test_alone_in_a_batch_or_among_others_a_person_has_the_same_joints(torch_engine: TorchEngine, make: Any) -> None:
    scenes = [scene(seed, people) for seed, people in enumerate((3, 1, 6))]
    path = make([torch_engine], HEAD)
    together = look(path, scenes).points
    by_picture = np.concatenate([look(path, [one]).points for one in scenes])
    alone = [
        look(path, [(picture, boxes[[row]], places)]).points
        for picture, boxes, places in scenes
        for row in range(len(boxes))
    ]
    backwards = np.split(look(path, scenes[::-1]).points, [6, 7])[::-1]
    for other in (by_picture, np.concatenate(alone), np.concatenate(backwards)):
        assert np.abs(together - other).max() < 1e-4


def test_500_people_go_through_in_pieces() -> None:
    engine = NumpyEngine(max_batch=64)
    joints = look(HostPath([engine], HEAD), [scene(0, 500)])
    assert engine.batches == [64] * 7 + [52]
    assert np.abs(joints.points - scene(0, 500)[2]).max() < 1


def test_what_does_not_fit_is_halved_and_stays_so(caplog: pytest.LogCaptureFixture) -> None:
    engine = NumpyEngine(fits=3, max_batch=8)
    path = HostPath([engine], HEAD)
    scenes = [scene(4, 9)]
    with caplog.at_level(logging.WARNING):
        joints = look(path, scenes)
    assert engine.batches == [8, 4, 2, 2, 4, 2, 2, 1]
    assert "8 do not fit; now 4 at once at most" in caplog.text
    assert np.array_equal(joints.points, look(HostPath([NumpyEngine()], HEAD), scenes).points)
    engine.batches.clear()
    look(path, scenes)
    assert engine.batches == [2, 2, 2, 2, 1]


def test_one_crop_that_does_not_fit_is_said() -> None:
    engine = NumpyEngine(fits=0)
    with pytest.raises(OutOfMemory, match="1 do not fit"):
        look(HostPath([engine], HEAD), [scene(0, 3)])


def test_several_engines_work_at_the_same_time_and_the_order_is_kept() -> None:
    engines = [NumpyEngine(max_batch=4), NumpyEngine(max_batch=4)]
    engines[0].together = engines[1].together = Barrier(2)  # breaks, unless both are in `run` at once
    path = HostPath(engines, HEAD)
    scenes = [scene(seed, people) for seed, people in enumerate((5, 2, 6))]
    joints = look(path, scenes)
    assert np.array_equal(joints.points, look(HostPath([NumpyEngine()], HEAD), scenes).points)
    assert sum(map(sum, (engine.batches for engine in engines))) == 13
    path.close()


def test_a_few_people_are_shared_evenly() -> None:
    engines = [NumpyEngine(), NumpyEngine()]
    engines[0].together = engines[1].together = Barrier(2)
    path = HostPath(engines, HEAD)
    look(path, [scene(0, 10)])
    assert [engine.batches for engine in engines] == [[5], [5]]
    path.close()


def test_an_error_comes_out_when_all_engines_are_at_rest() -> None:
    good, bad = NumpyEngine(max_batch=1), NumpyEngine(fits=0, max_batch=1)
    good.together = bad.together = Barrier(2)
    path = HostPath([good, bad], HEAD)
    with pytest.raises(OutOfMemory):
        look(path, [scene(0, 200)])
    assert len(good.batches) < 199
    assert look(HostPath([good], HEAD), [scene(0, 1)]).points.shape == (1, 3, 2)
    path.close()


def test_a_network_that_gives_no_numbers_is_named_once(caplog: pytest.LogCaptureFixture) -> None:
    engine = NumpyEngine()
    engine._forward = lambda pictures: torch.full((len(pictures), 3, 16, 12), torch.nan)
    path = HostPath([engine], HEAD)
    with caplog.at_level(logging.WARNING):
        look(path, [scene(0, 2)])
        joints = look(path, [scene(0, 2)])
    assert [record.message for record in caplog.records] == [
        "torch f32 on cpu gave NaN or infinity for some joints: they score 0. Give precision: f32"
    ]
    assert np.isnan(joints.score).all()
    assert np.isfinite(joints.points).all()


def test_a_picture_on_the_device_is_not_fetched(torch_engine: TorchEngine) -> None:
    picture, boxes, places = scene(5, 3)

    class OnDevice(HostPixels):
        def bgr(self) -> NDArray[np.uint8]:
            pytest.fail("fetched to the host")

        def rgb(self) -> torch.Tensor:
            return torch.from_numpy(np.ascontiguousarray(picture.bgr()[..., ::-1].transpose(2, 0, 1)))

    joints = look(DevicePath([torch_engine], HEAD), [(OnDevice(picture.bgr()), boxes, places)])
    assert np.abs(joints.points - places).max() < 1


def test_a_picture_goes_to_the_device_once() -> None:
    album = Album([scene(0, 1)[0]], "cpu")
    assert album[0] is album[0]
    assert album[0].shape == (3, 120, 130)


@pytest.mark.parametrize(
    ("counts", "rows", "expected"),
    [
        pytest.param([3], slice(0, 3), [(0, slice(0, 3))], id="all"),
        pytest.param([3, 2], slice(2, 4), [(0, slice(2, 3)), (1, slice(0, 1))], id="across two pictures"),
        pytest.param([1, 1, 1], slice(1, 2), [(1, slice(0, 1))], id="the middle one"),
        pytest.param([2, 5], slice(4, 7), [(1, slice(2, 5))], id="the end"),
    ],
)
def test_rows_are_found_in_their_pictures(counts: list[int], rows: slice, expected: list[Any]) -> None:
    assert list(parted([np.zeros((count, 2, 3)) for count in counts], rows)) == expected


@pytest.mark.parametrize("device", ["cpu", "cuda:0"])
def test_the_gpu_path_is_taken_for_pytorch_on_a_gpu(device: str) -> None:
    engine = TorchEngine(Model(Path("none.pth"), spots.FORM), "f32", "cpu", 1)
    engine.device = device  # opening it is not needed to choose, and there may be no GPU here
    is_there = isinstance(choose_path([engine], HEAD), DevicePath)
    assert is_there == (device != "cpu")
    assert isinstance(choose_path([engine], SimccHead(3, 48, 64)), HostPath)
    assert isinstance(choose_path([NumpyEngine(device=device)], HEAD), HostPath)


def test_all_three_engines_are_installed_where_these_tests_run() -> None:
    assert all(importlib.util.find_spec(name) for name in ENGINES)
