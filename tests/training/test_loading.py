import logging
import multiprocessing
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import SourceError
from training.augmentation import AugmentationOptions
from training.datasets import People, PeopleFiles, read_people
from training.loading import Batch, Loader, LoadingOptions, network_input, open_loader
from training.order import Order
from training.targets import TargetOptions

Trees = Callable[..., dict[str, Any]]
Files = Callable[..., PeopleFiles]
SMALL = TargetOptions(image_size=(64, 64))


@pytest.fixture
def people(tree: Trees, people_files: Files) -> People:
    return read_people(people_files(tree(5)))


def loader(people: People, workers: int = 0, batch: int = 2, **others: int) -> Loader:
    loading = LoadingOptions(batch=batch, workers=workers)
    return open_loader(people, SMALL, AugmentationOptions(), loading, seed=1, **others)


def equal(one: Batch, other: Batch) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one[:4], other[:4], strict=True))


# The order


@given(count=st.integers(1, 60), batch=st.integers(1, 8), world=st.integers(1, 4), epoch=st.integers(0, 5))
def test_everybody_comes_in_every_epoch_and_every_process_has_full_batches(
    count: int, batch: int, world: int, epoch: int
) -> None:
    orders = [Order(count, batch, 7, rank, world) for rank in range(world)]
    for order in orders:
        order.epoch = epoch
    batches = [list(order) for order in orders]
    draws = [draw for own in batches for draws in own for draw in draws]

    assert {draw.row for draw in draws} == set(range(count))
    assert len({draw.place for draw in draws}) == len(draws) < count + batch * world
    assert {len(own) for own in batches} == {len(orders[0])}
    assert {len(draws) for own in batches for draws in own} == {batch}


def test_each_epoch_has_an_order_of_its_own() -> None:
    order = Order(50, 50, seed=3)

    assert not np.array_equal(order.rows(0), order.rows(1))
    assert np.array_equal(order.rows(1), Order(50, 50, seed=3).rows(1))
    assert not np.array_equal(order.rows(1), Order(50, 50, seed=4).rows(1))


# Batches


def test_a_batch_holds_what_the_network_and_its_target_need(people: People) -> None:
    with loader(people) as batches:
        batch = next(batches.epoch(0))

    assert len(batches) == 3
    assert (batch.pictures.shape, batch.pictures.dtype) == ((2, 64, 64, 3), torch.uint8)
    assert (batch.cells.shape, batch.cells.dtype) == ((2, 17, 2), torch.float32)
    assert (batch.weights.shape, batch.weights.dtype) == ((2, 17), torch.float32)
    assert batch.rows.shape == (2,)


def test_a_resumed_epoch_goes_on_with_the_same_batches(people: People) -> None:
    with loader(people) as batches:
        whole = list(batches.epoch(3))
    with loader(people) as batches:
        rest = list(batches.epoch(3, first=1))

    assert len(rest) == 2
    assert all(equal(a, b) for a, b in zip(whole[1:], rest, strict=True))


@pytest.mark.slow
def test_the_number_of_workers_changes_nothing_and_they_are_gone_afterwards(people: People) -> None:
    with loader(people) as batches:
        expected = [list(batches.epoch(epoch)) for epoch in range(2)]
    before = set(multiprocessing.active_children())
    with loader(people, workers=2) as batches:
        left_in_the_middle = batches.epoch(0)
        next(left_in_the_middle)
        found = [list(batches.epoch(epoch)) for epoch in range(2)]
        assert len(set(multiprocessing.active_children()) - before) == 2

    assert all(equal(a, b) for one, other in zip(expected, found, strict=True) for a, b in zip(one, other, strict=True))
    assert set(multiprocessing.active_children()) == before
    batches.close()
    with pytest.raises(RuntimeError, match="the loader is closed"):
        next(batches.epoch(0))


def test_broken_pictures_are_counted_and_said_once(people: People, caplog: pytest.LogCaptureFixture) -> None:
    people.path(2).write_bytes(b"")
    caplog.set_level(logging.WARNING)
    with loader(people) as batches:
        for epoch in range(3):
            assert all(len(batch.rows) == 2 for batch in batches.epoch(epoch))

    assert batches.broken == {str(people.path(2)): "is empty (0 bytes)"}
    assert [record.getMessage() for record in caplog.records] == [
        f"picture '{people.path(2)}' is empty (0 bytes); it is left out (1 so far)"
    ]


def test_too_many_broken_pictures_are_an_error(people: People) -> None:
    for row in range(len(people)):
        people.path(row).unlink()

    with loader(people) as batches, pytest.raises(SourceError, match=r"10 pictures in a row.*kinestream data coco"):
        next(batches.epoch(0))


def test_the_pace_tells_how_long_the_training_waited(people: People) -> None:
    with loader(people) as batches:
        assert batches.pace.images_per_second == batches.pace.waiting == 0
        for _ in batches.epoch(0):
            pass

    assert batches.pace.images == 6
    assert 0 < batches.pace.waited_seconds <= batches.pace.seconds
    assert batches.pace.images_per_second == pytest.approx(6 / batches.pace.seconds)
    assert 0 < batches.pace.waiting <= 1


def test_the_network_gets_normalised_colours_in_its_order() -> None:
    red = torch.zeros(1, 4, 6, 3, dtype=torch.uint8)
    red[..., 2] = 255

    rgb = network_input(red, "cpu")

    assert rgb.shape == (1, 3, 4, 6)
    assert rgb.is_contiguous(memory_format=torch.channels_last)
    assert rgb[0, :, 0, 0].tolist() == pytest.approx([(1 - 0.485) / 0.229, -0.456 / 0.224, -0.406 / 0.225], abs=1e-5)
    assert network_input(red, "cpu", "bgr")[0, 2, 0, 0] == pytest.approx((255 - 103.53) / 57.375)
