"""What joints, gates and smoothing do in the similarity of frames."""

import numpy as np
import pytest
from numpy.typing import ArrayLike
from scenes import FRAME, NOBODY, every, ids_of, people, posed

from pipeline.skeletons import MPII_16
from pipeline.types import NO_TRACK, Instances
from stages.drawing.figures import Walkers
from trackers.similarity import Options, Similarity


def spread(seed: int) -> np.ndarray:
    """Joints of one person, relative to the centre of the box, shape (1, 17, 2)."""
    return np.random.default_rng(seed).uniform([-20, -50], [20, 50], (1, 17, 2))


def two(left: np.ndarray, right: np.ndarray, xs: tuple[float, float], **given: ArrayLike) -> Instances:
    return posed((xs[0], 300), (xs[1], 300), joints=np.concatenate([left, right]), **given)


ONE, OTHER = spread(1), spread(2)


@pytest.mark.parametrize(
    ("pose_alpha", "expected"), [(0.0, [1, 2]), (0.9, [2, 1])], ids=["boxes say stay", "poses say swapped"]
)
def test_poses_tell_people_apart_whose_boxes_do_not(pose_alpha: float, expected: list[int]) -> None:
    tracker = Similarity(Options(pose_alpha=pose_alpha))
    scene = [two(ONE, OTHER, (300, 306)), two(OTHER, ONE, (300, 306))]
    assert ids_of(tracker, zip(every(FRAME, 2), scene, strict=True)) == [[1, 2], expected]


def test_joints_that_nobody_is_sure_of_say_nothing() -> None:
    tracker = Similarity(Options(pose_alpha=0.9))
    scene = [two(ONE, OTHER, (300, 306), joint_score=0.05), two(OTHER, ONE, (300, 306), joint_score=0.05)]
    assert ids_of(tracker, zip(every(FRAME, 2), scene, strict=True)) == [[1, 2], [1, 2]]


def test_a_joint_counts_as_far_as_both_poses_are_sure_of_it() -> None:
    """In the second frame, sixteen joints say that both have swapped, but only the nose is sure, and it says not."""
    left, right = OTHER.copy(), ONE.copy()
    left[0, 0], right[0, 0] = ONE[0, 0], OTHER[0, 0]
    sure = np.array([0.9] + [0.02] * 16)
    tracker = Similarity(Options(pose_alpha=0.9))
    scene = [two(ONE, OTHER, (300, 306)), two(left, right, (300, 306), joint_score=sure)]
    assert ids_of(tracker, zip(every(FRAME, 2), scene, strict=True)) == [[1, 2], [1, 2]]


def test_one_joint_in_place_does_not_excuse_sixteen_far_away() -> None:
    away = ONE + 500.0
    away[0, 0] = ONE[0, 0]
    scene = [posed((300, 300), joints=ONE), *[posed((300, 300), joints=away)] * 2]
    got = ids_of(Similarity(Options(pose_alpha=1.0)), zip(every(FRAME, 3), scene, strict=True))
    assert got == [[1], [NO_TRACK], [2]]


def test_without_joints_the_threshold_is_of_iou_alone() -> None:
    for shift_px, expected in ((16, [1]), (18, [NO_TRACK])):  # IoU 0.43 and 0.38
        scene = [(0, people((100, 300))), (FRAME, people((100 + shift_px, 300)))]
        assert ids_of(Similarity(Options(pose_alpha=1.0)), scene)[-1] == expected


def test_a_pair_below_the_threshold_takes_no_partner_from_another() -> None:
    """The best sum without a gate pairs 1 with the right box and 2 with the far one; one of both is below it."""
    scene = [people((100, 300), (120, 300)), people((112, 300), (155, 300))]
    assert ids_of(Similarity(), zip(every(FRAME, 2), scene, strict=True))[-1] == [2, NO_TRACK]


@pytest.mark.parametrize(("patience_seconds", "expected"), [(0.05, [NO_TRACK]), (0.1, [1])])
def test_a_missed_frame_is_survived_if_patience_says_so(patience_seconds: float, expected: list[int]) -> None:
    scene = [people((100, 300)), NOBODY, people((100, 300))]
    tracker = Similarity(Options(patience_seconds=patience_seconds))
    assert ids_of(tracker, zip(every(FRAME, 3), scene, strict=True))[-1] == expected


def test_another_skeleton_from_one_frame_to_the_next_is_borne() -> None:
    boxes = people((300, 300))
    joints = np.full((1, 16, 2), 300.0)
    of_mpii = Instances.of(
        boxes.xyxy, boxes.score, keypoints=joints, keypoint_score=np.full((1, 16), 0.9), skeleton=MPII_16
    )
    scene = [posed((300, 300), joints=ONE), of_mpii, boxes, posed((300, 300), joints=ONE), NOBODY, of_mpii]
    for alpha in (0.0, 0.3):
        got = ids_of(Similarity(Options(smoothing_alpha=alpha)), zip(every(FRAME, 6), scene, strict=True))
        assert got == [[1], [1], [1], [1], [], [1]]


def test_joints_of_another_skeleton_are_not_smoothed() -> None:
    tracker, boxes = Similarity(Options(smoothing_alpha=0.5)), people((300, 300))
    tracker.update(boxes, 0.0)
    got = tracker.update(posed((300, 300), joints=ONE), FRAME)
    assert got.keypoints is not None
    np.testing.assert_allclose(got.keypoints, ONE + 300, atol=1e-4)


def test_what_comes_back_is_what_was_given_unless_smoothing_is_asked_for() -> None:
    tracker, given = Similarity(), posed((100, 300), joints=ONE)
    tracker.update(given, 0.0)
    moved = posed((110, 300), joints=ONE)
    got = tracker.update(moved, FRAME)
    np.testing.assert_array_equal(got.xyxy, moved.xyxy)
    assert got.keypoints is not None
    assert moved.keypoints is not None
    np.testing.assert_array_equal(got.keypoints, moved.keypoints)


def test_smoothing_keeps_a_share_of_what_was_shown_and_writes_into_nothing_of_the_callers() -> None:
    tracker, xs, shown = Similarity(Options(smoothing_alpha=0.25)), [100.0, 104.0, 108.0], 100.0
    for number, x in enumerate(xs):
        given = posed((x, 300), joints=ONE)
        before = given.xyxy.copy()
        got = tracker.update(given, number * FRAME)
        shown = x + (0.25 * (shown - x) if number else 0.0)
        assert got.keypoints is not None
        assert got.xyxy[0, 0] == pytest.approx(shown - 20, abs=1e-3)
        np.testing.assert_allclose(got.keypoints[0], ONE[0] + [shown, 300], atol=1e-3)
        np.testing.assert_array_equal(given.xyxy, before)


def test_after_a_gap_and_for_strangers_nothing_is_smoothed() -> None:
    tracker = Similarity(Options(smoothing_alpha=0.5))
    for number, table in enumerate([people((100, 300)), NOBODY]):
        tracker.update(table, number * FRAME)
    back = people((108, 300), (500, 300))
    np.testing.assert_array_equal(tracker.update(back, 2 * FRAME).xyxy, back.xyxy)


def switches(tracker: Similarity, walkers: Walkers, seconds: float) -> int:
    """How often somebody gets another id, seen by a detector that is 3 px off and misses one in twenty."""
    random, last, count = np.random.default_rng(0), dict[int, int](), 0
    for t in every(FRAME, round(seconds / FRAME)):
        truth = walkers.truth(t)
        seen = truth[random.permutation(np.flatnonzero(random.random(len(truth)) > 0.05))]
        assert seen.keypoints is not None
        assert seen.track_id is not None
        table = seen.with_columns(
            xyxy=seen.xyxy + random.normal(0, 3, seen.xyxy.shape),
            keypoints=seen.keypoints + random.normal(0, 3, seen.keypoints.shape),
        )
        tracked = tracker.update(table, t).track_id
        assert tracked is not None
        for person, track in zip(seen.track_id.tolist(), tracked.tolist(), strict=True):
            if track != NO_TRACK:
                count += last.get(person, track) != track
                last[person] = track
    return count


def test_poses_keep_people_apart_who_walk_past_each_other() -> None:
    """Measured: 0 and 8 switches of 12 people in 12 seconds."""
    walkers = Walkers(people=12, width=1280, height=720, seed=0)
    with_poses, boxes_alone = (switches(Similarity(Options(pose_alpha=alpha)), walkers, 12) for alpha in (0.2, 0.0))
    assert with_poses < 0.5 * boxes_alone


def test_options_have_the_names_and_constants_of_simple_hrnet() -> None:
    options = Options()
    assert (options.pose_alpha, options.similarity_threshold, options.smoothing_alpha) == (0.2, 0.4, 0.0)
