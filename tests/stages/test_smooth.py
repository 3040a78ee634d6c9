"""The smooth stage: a filter a source, and what it takes."""

import numpy as np
import pytest
from fakes import make_packet
from pydantic import ValidationError

from pipeline.skeletons import COCO_17
from pipeline.types import Instances, Packet
from stages.smooth import Options, Smooth


def packet(index: int, source_id: str, place: float) -> Packet:
    people = Instances.of(
        [[0, 0, 50, 100]],
        [0.9],
        keypoints=np.full((1, 17, 2), place),
        keypoint_score=np.ones((1, 17)),
        skeleton=COCO_17,
    )
    return make_packet(index, source_id, people.with_columns(track_id=[1]))


async def shown(stage: Smooth, one: Packet) -> float:
    (got,) = await stage.process([one])
    assert got.frame is one.frame
    assert got.instances is not None
    assert got.instances.keypoints is not None
    return float(got.instances.keypoints[0, 0, 0])


async def test_joints_are_steadied_source_by_source() -> None:
    stage = Smooth(Options())
    assert await shown(stage, packet(0, "a", 0.0)) == 0.0
    assert await shown(stage, packet(0, "b", 1.0)) == 1.0
    assert 0.0 < await shown(stage, packet(1, "a", 1.0)) < 1.0
    assert await shown(stage, packet(1, "b", 1.0)) == 1.0


async def test_strong_moves_joints_less_than_light() -> None:
    moved = {}
    for strength in ("light", "strong"):
        stage = Smooth(Options.model_validate({"strength": strength}))
        await shown(stage, packet(0, "a", 0.0))
        moved[strength] = await shown(stage, packet(1, "a", 1.0))
    assert moved["strong"] < moved["light"]


async def test_after_its_end_a_source_begins_anew() -> None:
    stage = Smooth(Options())
    await shown(stage, packet(0, "a", 0.0))
    await stage.end_source("a")
    await stage.end_source("nobody knows it")
    assert await shown(stage, packet(1, "a", 1.0)) == 1.0


async def test_a_packet_in_which_nobody_looked_for_people_goes_through() -> None:
    one = make_packet(0)
    assert await Smooth(Options()).process([one]) == [one]


def test_an_unknown_strength_is_refused() -> None:
    with pytest.raises(ValidationError, match="'light' or 'strong'"):
        Options.model_validate({"strength": "medium"})
