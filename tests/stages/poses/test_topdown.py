from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import spots
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import ValidationError

from pipeline.errors import ConfigError
from pipeline.types import NO_TRACK, Frame, Instances
from stages.poses.onnx import OnnxPose, Options
from stages.topdown.people import touching

WIDTH, HEIGHT = 130, 120
PLACES = [(60.0, 40.0), (50.0, 62.0), (72.0, 75.0)]
AROUND = [34.0, 25.0, 82.0, 91.0]

Make = Callable[..., OnnxPose]


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return spots.write_onnx(tmp_path_factory.mktemp("network") / "spots.onnx", sides=("n", 3, "h", "w"))


@pytest.fixture
def make(network: Path) -> Iterator[Make]:
    opened: list[OnnxPose] = []

    def make(**options: Any) -> OnnxPose:
        plain = {"mean": (0, 0, 0), "std": (255, 255, 255), "image_size": spots.SIZE, "decoding": "dark"}
        machine = {"device": "cpu", "engine": "onnxruntime", "weights": str(network)}
        model = OnnxPose(Options.model_validate({**plain, **machine, **options}))
        opened.append(model)
        model.open()
        return model

    yield make
    for model in opened:
        model.close()


def street(index: int = 0, shift: float = 0.0, source_id: str = "cam") -> Frame:
    places = [(x + shift, y) for x, y in PLACES]
    return spots.frame_of(spots.paint(WIDTH, HEIGHT, places), index, source_id)


def people(*boxes: list[float]) -> Instances:
    return Instances.of(np.reshape(boxes, (-1, 4)), np.linspace(0.9, 0.5, len(boxes)))


def joints(table: Instances) -> NDArray[np.float32]:
    assert table.keypoints is not None
    return table.keypoints


def scores(table: Instances) -> NDArray[np.float32]:
    assert table.keypoint_score is not None
    return table.keypoint_score


def counted(model: OnnxPose, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Keep the sizes of the batches that the engine gets."""
    (engine,) = model._engines
    sizes: list[int] = []
    run = engine.run

    def counting(pictures: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        sizes.append(len(pictures))
        return run(pictures)

    monkeypatch.setattr(engine, "run", counting)
    return sizes


# Options


@pytest.mark.parametrize(
    "options",
    [
        {"padding": 0.5},
        {"max_batch": 0},
        {"batch": 0},
        {"joints": 0},
        {"people_per_second": 0},
        {"deadline_ms": 0},
        {"image_size": (256,)},
        {"image_size": (0, 192)},
        {"decoding": "argmax"},
        {"weights": ""},
    ],
    ids=str,
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Options.model_validate({"weights": "a.onnx"} | options)


def test_before_open_it_says_what_to_do() -> None:
    with pytest.raises(RuntimeError, match=r"OnnxPose is not open: call open\(\) first"):
        OnnxPose(Options(weights="a.onnx")).estimate([street()], [people(AROUND)])


def test_without_boxes_it_says_what_is_missing(make: Make) -> None:
    with pytest.raises(ConfigError, match="got none for frame 3 of 'cam': put a detector before it"):
        make().estimate([street(), street(3)], [people(AROUND), None])


def test_it_takes_as_many_frames_at_once_as_the_options_say() -> None:
    assert OnnxPose(Options(weights="a.onnx", batch=5)).max_batch == 5


def test_it_opens_again_after_it_was_closed(make: Make) -> None:
    model = make()
    model.close()
    model.close()
    model.open()
    assert np.abs(joints(model.estimate([street()], [people(AROUND)])[0]) - PLACES).max() < 1


# Rows


def test_nobody_in_any_frame_asks_no_network(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    model = make()
    sizes = counted(model, monkeypatch)
    tables = model.estimate([street(), street(1)], [Instances.empty(), Instances.empty()])
    assert sizes == []
    assert [joints(table).shape for table in tables] == [(0, 3, 2), (0, 3, 2)]
    assert all(table.skeleton is model.skeleton for table in tables)


def test_rows_keep_their_order_and_everything_they_had(make: Make) -> None:
    before = people(AROUND, [30, 20, 80, 95], [36, 22, 84, 90]).with_columns(
        track_id=[7, NO_TRACK, 2], embedding=np.eye(3), class_id=[0, 1, 0]
    )
    (after,) = make().estimate([street()], [before])
    for column in ("xyxy", "score", "class_id", "track_id", "embedding", "predicted"):
        assert np.array_equal(getattr(after, column), getattr(before, column))
    assert np.abs(joints(after) - np.array(PLACES)).max() < 1


def test_people_of_several_frames_and_cameras_go_through_the_network_together(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = make()
    sizes = counted(model, monkeypatch)
    frames = [street(0, 0, "one"), street(0, 5, "two"), street(1, 10, "one")]
    moved = [[AROUND[0] + shift, AROUND[1], AROUND[2] + shift, AROUND[3]] for shift in (0, 5, 10)]
    tables = model.estimate(frames, [people(moved[0]), Instances.empty(), people(moved[2], moved[2])])
    assert sizes == [3]
    assert [len(table) for table in tables] == [1, 0, 2]
    for table, shift in ((tables[0], 0), (tables[2], 10)):
        assert np.abs(joints(table) - np.add(PLACES, [shift, 0])).max() < 1


def test_500_people_in_a_frame_go_through_in_pieces(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    model = make(max_batch=64)
    sizes = counted(model, monkeypatch)
    (table,) = model.estimate([street()], [people(*[AROUND] * 500)])
    assert sizes == [64] * 7 + [52]
    assert np.abs(joints(table) - np.array(PLACES)).max() < 1


def test_frame_by_frame_in_batches_and_twice_the_numbers_are_the_same(make: Make) -> None:
    model = make()
    frames = [street(index, 3.0 * index) for index in range(5)]
    tables = [people(*[[x + 3 * index for x in AROUND]] * (index % 3)) for index in range(5)]
    together = model.estimate(frames, tables)
    again = model.estimate(frames, tables)
    alone = [model.estimate([frame], [table])[0] for frame, table in zip(frames, tables, strict=True)]
    for one, two, three in zip(together, again, alone, strict=True):
        assert np.abs(joints(one) - joints(two)).max(initial=0) < 1e-4
        assert np.abs(joints(one) - joints(three)).max(initial=0) < 1e-4


@pytest.mark.parametrize(
    ("box", "seen"),
    [
        pytest.param([200, 20, 240, 80], False, id="to the right"),
        pytest.param([-90, -80, -10, -5], False, id="above and to the left"),
        pytest.param([WIDTH, 0, WIDTH + 50, 80], False, id="begins where the picture ends"),
        pytest.param([-50, 0, 0, 80], False, id="ends where the picture begins"),
        pytest.param([0, 0, 0, 0], False, id="nothing"),
        pytest.param([60, 10, 60, 90], False, id="no width"),
        pytest.param([80, 90, 30, 20], False, id="corners swapped"),
        pytest.param([1e30, 1e30, 2e30, 2e30], False, id="far away"),
        pytest.param([-3e38, -3e38, 3e38, 3e38], True, id="everywhere"),
        pytest.param([WIDTH - 1, 0, WIDTH + 50, 80], True, id="one column inside"),
        pytest.param(AROUND, True, id="inside"),
    ],
)
def test_a_box_outside_the_picture_gives_finite_joints_and_score_0(make: Make, box: list[float], *, seen: bool) -> None:
    (table,) = make().estimate([street()], [people(box, AROUND)])
    assert touching(table.xyxy, WIDTH, HEIGHT).tolist() == [seen, True]
    assert np.isfinite(joints(table)).all()
    assert seen or (scores(table)[0] == 0).all()
    assert np.abs(joints(table)[1] - np.array(PLACES)).max() < 1
    if not seen:
        centre = table.xyxy[0].astype(np.float64).reshape(2, 2).mean(axis=0)
        assert np.allclose(joints(table)[0], centre)


def test_only_boxes_outside_ask_no_network(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    model = make()
    sizes = counted(model, monkeypatch)
    (table,) = model.estimate([street()], [people([200, 20, 240, 80])])
    assert sizes == []
    assert (scores(table) == 0).all()


inside = st.tuples(st.floats(18, 32), st.floats(12, 30), st.floats(80, 100), st.floats(85, 105))


@settings(max_examples=25)
@given(box=inside, shift=st.sampled_from([-40.0, 0.0, 25.0]))
def test_spots_are_found_wherever_the_box_is_also_across_the_border(
    shared_model: OnnxPose, box: tuple[float, ...], shift: float
) -> None:
    x1, y1, x2, y2 = box
    (table,) = shared_model.estimate([street(shift=shift)], [people([x1 + shift, y1, x2 + shift, y2])])
    places = np.add(PLACES, [shift, 0])
    in_picture = (places[:, 0] >= 0) & (places[:, 0] < WIDTH)
    assert in_picture.any()
    assert np.abs(joints(table)[0] - places)[in_picture].max() < 1


@pytest.fixture(scope="module")
def shared_model(network: Path) -> Iterator[OnnxPose]:
    options = Options(
        weights=str(network),
        mean=(0, 0, 0),
        std=(255, 255, 255),
        device="cpu",
        engine="onnxruntime",
        decoding="dark",
        image_size=(128, 96),
    )
    with OnnxPose(options) as model:
        yield model


def test_scores_are_cut_to_0_and_1(make: Make) -> None:
    (table,) = make(std=(25.5, 25.5, 25.5)).estimate([street()], [people(AROUND, [0, 100, 10, 119])])
    assert (scores(table)[0] == 1).all()
    assert (scores(table) >= 0).all()
    assert (scores(table) <= 1).all()


@pytest.mark.parametrize("padding", [1.0, 1.25, 2.0])
def test_padding_makes_the_crop_larger_and_moves_nothing(make: Make, padding: float) -> None:
    (table,) = make(padding=padding).estimate([street()], [people(AROUND)])
    assert np.abs(joints(table) - PLACES).max() < 1.5


# Heat maps


def test_heat_maps_come_with_the_joints_they_were_read_from(make: Make) -> None:
    model = make(decoding="plain")
    tables = [people(AROUND, [200, 0, 220, 50]), Instances.empty(), people(AROUND)]
    frames = [street(), street(1), street(2)]
    found = model.estimate_with_heatmaps(frames, tables)
    assert [heatmaps.shape for _, heatmaps in found] == [(2, 3, 16, 12), (0, 3, 16, 12), (1, 3, 16, 12)]
    for (table, heatmaps), alone in zip(found, model.estimate(frames, tables), strict=True):
        assert np.array_equal(joints(table), joints(alone))
        assert np.allclose(heatmaps.max(axis=(2, 3), initial=0), scores(table))
    assert not found[0][1][1].any()


def test_where_nobody_is_there_are_no_heat_maps(make: Make) -> None:
    ((table, heatmaps),) = make().estimate_with_heatmaps([street()], [Instances.empty()])
    assert len(table) == len(heatmaps) == 0


# Budget


def test_no_more_people_are_looked_at_than_the_budget_allows(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    model = make(people_per_second=25)
    sizes = counted(model, monkeypatch)
    tables = [people(AROUND, [30, 20, 80, 95], [36, 22, 84, 90])] * 50
    for index, table in enumerate(tables):
        (found,) = model.estimate([street(index)], [table])
        assert found.predicted is not None
        assert (~found.predicted).sum() == (sizes[-1] if index else sizes[0])
        assert joints(found).shape == (3, 3, 2)
    assert sum(sizes) <= 25 * 2 + 25  # two seconds, and what may be saved up
    assert model.estimate_with_heatmaps([street(60)], [tables[0]])[0][1].shape[0] == 3


def test_a_batch_that_failed_may_be_repeated_frame_by_frame(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    model, calm = make(people_per_second=25), make(people_per_second=25)
    frames, tables = [street(index) for index in range(4)], [people(AROUND, [30, 20, 80, 95])] * 4
    (engine,) = model._engines

    def fail(_: Any) -> Any:
        msg = "lost"
        raise RuntimeError(msg)

    with monkeypatch.context() as broken:
        broken.setattr(engine, "run", fail)
        for _ in range(3):
            with pytest.raises(RuntimeError, match="lost"):
                model.estimate(frames, tables)
    for frame, table in zip(frames, tables, strict=True):
        (one,), (other,) = model.estimate([frame], [table]), calm.estimate([frame], [table])
        assert np.array_equal(np.asarray(one.predicted), np.asarray(other.predicted))
        assert np.array_equal(joints(one), joints(other))


def test_a_deadline_is_learnt_and_somebody_is_always_looked_at(make: Make) -> None:
    model = make(deadline_ms=0.001)
    tables = [people(AROUND, [30, 20, 80, 95], [36, 22, 84, 90])] * 6
    looked = [
        int((~np.asarray(model.estimate([street(index)], [table])[0].predicted)).sum())
        for index, table in enumerate(tables)
    ]
    assert looked[-1] == 1
    assert min(looked) == 1


def test_the_end_of_a_source_forgets_its_people(make: Make) -> None:
    model = make(people_per_second=1)
    model.estimate([street()], [people(AROUND)])
    model.end_source("cam")
    model.end_source("cam")
    make().end_source("cam")
    (table,) = model.estimate([street(1)], [people(AROUND)])
    assert len(table) == 1
