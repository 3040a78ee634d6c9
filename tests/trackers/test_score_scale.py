"""The scale of scores: what large and small detectors mean by theirs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scenes import FRAME, NOBODY, people

from trackers.score_scale import ScoreScale


def scaled(scale: ScoreScale, *score: float, frames: int = 1, step_seconds: float = FRAME) -> list[float]:
    """The scores of the last of some frames with these people."""
    seen = people(*[(100 * i, 300) for i in range(len(score))], score=list(score)) if score else NOBODY
    for _ in range(frames):
        on_scale = scale.scaled(seen, step_seconds)
    return [float(one) for one in on_scale.score]


def test_nobody_ever_changes_nothing() -> None:
    scale = ScoreScale()
    assert scaled(scale, frames=1000) == []
    assert scale.plain_sight == 0.9


@pytest.mark.parametrize("sure", [0.9, 0.92, 1.0], ids=["just", "large detector", "always sure"])
def test_scores_of_a_large_detector_stay_as_they_are(sure: float) -> None:
    assert scaled(ScoreScale(), sure, 0.5, 0.2, frames=500) == pytest.approx([sure, 0.5, 0.2])


def test_scores_of_a_small_detector_are_raised_alike() -> None:
    assert scaled(ScoreScale(), 0.75, 0.5, 0.2, frames=100) == pytest.approx([0.9, 0.6, 0.24])


def test_a_few_boxes_do_not_make_a_detector_small() -> None:
    assert scaled(ScoreScale(), 0.5, frames=3) == [0.5]


def test_doubtful_boxes_alone_are_raised_only_so_far() -> None:
    assert scaled(ScoreScale(), 0.2, 0.1, frames=5000) == pytest.approx([0.3, 0.15])


def test_a_night_of_doubtful_boxes_is_forgotten_within_minutes_of_the_day() -> None:
    scale = ScoreScale()
    scaled(scale, 0.5, frames=10_000)
    assert scaled(scale, 0.92, frames=30 * 20) == pytest.approx([0.92])


def test_what_is_known_of_a_detector_lasts_while_nobody_is_there() -> None:
    scale = ScoreScale()
    scaled(scale, 0.75, frames=100)
    scaled(scale, frames=20_000)
    assert scaled(scale, 0.75) == pytest.approx([0.9])


def test_after_a_leap_of_time_a_detector_is_unknown_again() -> None:
    scale = ScoreScale()
    scaled(scale, 0.75, frames=100, step_seconds=0.0)
    assert scaled(scale, 0.75, step_seconds=1e9) == [0.75]


@given(scores=st.lists(st.floats(0, 1, width=32), max_size=12), frames=st.integers(1, 20))
def test_the_order_of_scores_is_kept_none_is_lowered_and_none_is_above_1(scores: list[float], frames: int) -> None:
    got = np.array(scaled(ScoreScale(), *scores, frames=frames))
    before = np.array(scores, np.float32)
    assert ((got >= before) & (got <= 1)).all()
    assert (np.diff(got[np.argsort(before)]) >= 0).all()
