"""From people, frame by frame, to annotations."""

import json
from typing import Any

import dtlpy
import numpy as np
import pytest
from dataloop_people import FPS, STAMP, Moment, annotate, annotations_of, make_item, person, table, videos
from hypothesis import given
from hypothesis import strategies as st

from pipeline.skeletons import COCO_17, MPII_16
from pipeline.types import NO_TRACK, Instances
from stages.dataloop.labels import Template
from stages.dataloop.timeline.annotations import AnnotationOptions, Annotator
from stages.dataloop.timeline.playback import play

NOBODY = Instances.empty()
TEMPLATE = Template("t-1", COCO_17)


def spans(video: list[tuple[int, Instances]], **options: Any) -> list[tuple[str, int, int, int]]:
    return [(one.object_id, one.number, one.first_frame, one.last_frame) for one in annotate(video, **options)]


def shown(video: list[tuple[int, Instances]], **options: Any) -> list[set[str]]:
    """Say who is shown in each frame, from 0 to the last one."""
    annotations = annotations_of(annotate(video, **options))
    return [set(play(annotations, frame)) for frame in range(video[-1][0] + 1)]


def labelled(annotations: list[dict[str, Any]], label: str) -> dict[str, Any]:
    (found,) = (one for one in annotations if one["label"] == label and one["type"] == "point")
    return found


# Nobody, and next to nobody


def test_a_video_without_frames_has_no_annotations() -> None:
    assert annotate([]) == []


def test_a_video_without_people_has_no_annotations() -> None:
    assert annotate([(frame, NOBODY) for frame in range(5)]) == []


def test_who_shows_no_joint_and_no_box_is_not_annotated() -> None:
    assert annotate([(0, person(score=0.1))], boxes=False) == []


def test_people_without_an_identity_are_left_out_of_a_video() -> None:
    assert annotate([(0, person(NO_TRACK)), (1, person(NO_TRACK))]) == []


def test_a_video_whose_frame_rate_is_not_known_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"no frame rate \(metadata\.fps\) of /v\.mp4"):
        annotate([], make_item(frames_per_second=None))


def test_people_whom_nobody_tracked_are_an_error_and_not_lost() -> None:
    with pytest.raises(ValueError, match="no identities"):
        annotate([(0, person().with_columns(track_id=None))])


def test_people_with_other_joints_than_the_template_are_an_error() -> None:
    annotator = Annotator(make_item(), TEMPLATE, STAMP, AnnotationOptions())

    with pytest.raises(ValueError, match="joints of coco-17, the people have mpii-16"):
        annotator.add(0.0, person(skeleton=MPII_16))


# What an annotation looks like


def test_pose_points_and_box_belong_together() -> None:
    (segment,) = annotate([(3, person(7)), (4, person(7))])
    points, boxes = ([one for one in segment.children if one["type"] == kind] for kind in ("point", "box"))

    assert segment.pose["coordinates"] == {"templateId": "t-1", "instanceId": "7"}
    assert [one["label"] for one in points] == list(COCO_17.joints)
    assert [one["label"] for one in (segment.pose, *boxes)] == ["person", "person"]
    assert {one["metadata"]["system"]["objectId"] for one in annotations_of([segment])} == {"7"}


def test_mpii_has_sixteen_points() -> None:
    (segment,) = annotate([(0, person(skeleton=MPII_16))], boxes=False)

    assert [one["label"] for one in segment.children] == list(MPII_16.joints)


def test_a_pose_has_no_snapshots_and_ends_with_the_person() -> None:
    (segment,) = annotate([(frame, person(at=(100 + 9 * frame, 50))) for frame in range(5, 10)])

    times = segment.pose["metadata"]["system"]
    assert times["snapshots_"] == []
    assert (times["frame"], times["endFrame"]) == (5, 9)
    assert (times["startTime"], times["endTime"]) == (0.2, 0.36)


def test_every_annotation_says_who_made_it_and_has_a_name_of_its_own() -> None:
    annotations = annotations_of(annotate([(0, table([person(1), person(2)])), (1, NOBODY), (99, person(1))]))
    signed = [one["metadata"]["user"]["kinestream"] for one in annotations]
    models = [one["metadata"][level]["model"] for one in annotations for level in ("system", "user")]

    assert {one["run"] for one in signed} == {"run-1"}
    assert len({one["key"] for one in signed}) == len(annotations) == 3 * 19
    assert {"1/0/pose", "1/0/nose", "1/0/box", "1/1/pose", "2/0/left_eye"} <= {one["key"] for one in signed}
    assert {(one["name"], one["model_id"]) for one in models} == {("hrnet", "m-1")}


def test_confidence_is_the_mean_while_it_is_seen_and_never_above_one() -> None:
    scores = np.full(17, 0.5)
    first, second, unseen = scores.copy(), scores.copy(), scores.copy()
    first[0], second[0], unseen[0] = 0.4, 0.8, 0.1
    scores[1:] = 1.02
    (segment,) = annotate([(0, person(score=first)), (1, person(score=second)), (2, person(score=unseen))])
    (sure,) = annotate([(0, person(score=scores))])

    assert labelled(segment.children, "nose")["metadata"]["user"]["model"]["confidence"] == pytest.approx(0.6)
    assert segment.pose["metadata"]["system"]["model"]["confidence"] == pytest.approx(0.8)
    assert labelled(sure.children, "left_eye")["metadata"]["user"]["model"]["confidence"] == 1.0


def test_boxes_end_where_the_picture_does() -> None:
    (segment,) = annotate([(0, person(at=(5, 200)))])

    assert segment.children[-1]["coordinates"] == [{"x": 0.0, "y": 200.0}, {"x": 25.0, "y": 240.0}]


def test_a_box_outside_of_the_picture_is_not_shown() -> None:
    (segment,) = annotate([(0, person(at=(-500, 50)))])

    assert {one["type"] for one in segment.children} == {"point"}


# Joints that are lost, people who are away


def test_a_joint_that_is_never_seen_has_no_annotation() -> None:
    (segment,) = annotate([(0, person(score=[0.1] + [0.9] * 16))])

    assert [one["label"] for one in segment.children[:-1]] == list(COCO_17.joints[1:])


def test_a_joint_begins_where_it_is_first_seen_and_ends_where_it_is_last_seen() -> None:
    lost, seen = person(score=[0.1] + [0.9] * 16), person()
    (segment,) = annotate([(0, lost), (1, seen), (2, lost), (3, seen), (4, lost), (5, lost)])

    times = labelled(segment.children, "nose")["metadata"]["system"]
    assert (times["frame"], times["endFrame"]) == (1, 3)
    assert [(one["frame"], one.get("objectVisible", True)) for one in times["snapshots_"]] == [(2, False), (3, True)]


def test_who_is_away_for_a_moment_is_hidden_meanwhile() -> None:
    video = [(0, person()), (1, NOBODY), (2, NOBODY), (3, person())]

    assert spans(video) == [("1", 0, 0, 3)]
    assert shown(video) == [{"1"}, set(), set(), {"1"}]


def test_who_is_away_for_long_begins_a_new_segment() -> None:
    video = [(0, person()), *((frame, NOBODY) for frame in range(1, 60)), (60, person())]

    assert spans(video, absent_seconds=2.0) == [("1", 0, 0, 0), ("1", 1, 60, 60)]


def test_a_video_that_stands_still_for_long_shows_the_person_meanwhile() -> None:
    video = [(0, person()), (200, person())]

    assert shown(video, absent_seconds=2.0) == [{"1"}] * 201
    assert spans(video, absent_seconds=2.0) == [("1", 0, 0, 200)]


def test_segments_are_bounded_and_leave_no_gap() -> None:
    video = [(2 * frame, person(5)) for frame in range(100)]

    found = spans(video, segment_seconds=2.0)

    assert len(found) > 3
    assert all(last - first < 2 * FPS for _, _, first, last in found)
    assert shown(video, segment_seconds=2.0) == [{"5"}] * 199


def test_a_crowd_that_came_together_does_not_end_together() -> None:
    crowd = table(person(track_id) for track_id in range(1, 9))
    annotator = Annotator(make_item(), TEMPLATE, STAMP, AnnotationOptions(segment_seconds=4))

    ended = [len(annotator.add(frame / FPS, crowd)) for frame in range(101)]

    assert sum(ended) >= 8
    assert max(ended) <= 2


# Who is there for too short a time


def test_who_is_there_for_a_short_time_is_left_out() -> None:
    video = [(frame, table([person(1), *([person(2)] if frame < 3 else [])])) for frame in range(20)]

    assert {one.object_id for one in annotate(video, min_seconds=0.2)} == {"1"}


def test_time_away_does_not_count_as_time_there() -> None:
    """Two frames, far apart, are two frames."""
    assert annotate([(0, person()), (1, NOBODY), (20, person())], min_seconds=3 / FPS) == []


def test_who_comes_back_until_it_is_enough_loses_nothing() -> None:
    there = {0, 1, 60, 61, 120, 121}
    video = [(frame, person() if frame in there else NOBODY) for frame in range(200)]

    assert spans(video, min_seconds=6 / FPS) == [("1", 0, 0, 1), ("1", 1, 60, 61), ("1", 2, 120, 121)]
    assert spans(video, min_seconds=7 / FPS) == []


# Numbers of frames


def test_frames_are_numbered_by_their_time() -> None:
    annotator = Annotator(make_item(frames_per_second=29.97), TEMPLATE, STAMP, AnnotationOptions(min_seconds=0))
    for index in range(0, 3000, 7):
        annotator.add(index * 1001 / 30000, person())

    (segment, *_), last = annotator.finish(), index
    assert segment.last_frame == last


def test_of_two_frames_with_the_same_number_the_first_one_counts() -> None:
    annotator = Annotator(make_item(), TEMPLATE, STAMP, AnnotationOptions(min_seconds=0))
    for seconds, x in ((0.0, 100), (0.04, 110), (0.0401, 300), (0.08, 120)):
        annotator.add(seconds, person(at=(x, 50)))

    (segment,) = annotator.finish()
    assert [play(segment.children, frame)["1"]["joints"]["nose"][0] for frame in range(3)] == [100, 110, 120]


def test_times_in_the_middle_between_two_frames_give_each_frame_a_number_of_its_own() -> None:
    annotator = Annotator(make_item(frames_per_second=1.0), TEMPLATE, STAMP, AnnotationOptions(min_seconds=0))
    for seconds in (0.5, 1.5, 2.5, 3.5):
        annotator.add(seconds, person())

    (segment,) = annotator.finish()
    assert (segment.first_frame, segment.last_frame) == (1, 4)


@pytest.mark.parametrize(("expected", "agrees"), [(None, True), (4, True), (5, False), (3, False)])
def test_frames_are_compared_with_those_that_the_platform_counts(expected: int | None, *, agrees: bool) -> None:
    annotator = Annotator(make_item(frame_count=expected), TEMPLATE, STAMP, AnnotationOptions())
    for frame in range(4):
        annotator.add(frame / FPS, NOBODY)

    mismatch = annotator.mismatch()
    assert (mismatch is None) == agrees
    assert agrees or f"the platform counts {expected} frames, 4 were read" in str(mismatch)


# Without a tracker, and pictures


def test_without_a_tracker_everybody_is_annotated_alone_and_for_one_frame() -> None:
    pair = table([person(1), person(2)]).with_columns(track_id=None)

    assert spans([(0, pair), (1, pair)], tracked=False) == [
        ("1", 0, 0, 0),
        ("2", 0, 0, 0),
        ("3", 0, 1, 1),
        ("4", 0, 1, 1),
    ]


def test_people_alone_are_given_at_once_and_forgotten() -> None:
    annotator = Annotator(make_item(), TEMPLATE, STAMP, AnnotationOptions(tracked=False))

    assert len(annotator.add(0.0, person())) == 1
    assert annotator.finish() == []


def test_annotations_of_a_picture_have_no_times() -> None:
    pair = table([person(1, score=[0.1] + [0.9] * 16), person(2, at=(310, 50))]).with_columns(track_id=None)
    first, second = annotate([(0, pair)], make_item("p.png"))

    for one in annotations_of([first, second]):
        assert one["metadata"]["system"].keys() == {"automated", "attributes", "objectId", "model"}
    assert [one.pose["coordinates"]["instanceId"] for one in (first, second)] == ["1", "2"]
    assert [len(one.children) for one in (first, second)] == [17, 18]
    assert second.children[-1]["coordinates"][1]["x"] == 320.0


# Of any video


@given(video=videos(), tolerance_px=st.sampled_from([0.5, 2.0]))
def test_what_is_played_is_what_was_seen(video: list[Moment], tolerance_px: float) -> None:
    annotations = annotations_of(annotate(video, tolerance_px=tolerance_px, absent_seconds=0.3, segment_seconds=0.8))

    for frame, people in video:
        played = play(annotations, frame)
        for object_id, (joints, box) in seen_in(people).items():
            person_played = played.pop(object_id, {"joints": {}, "box": None})
            assert person_played["joints"].keys() == joints.keys()
            for label, place in joints.items():
                assert np.hypot(*np.subtract(person_played["joints"][label], place)) <= tolerance_px + 1e-9
            assert (person_played["box"] is None) == (box is None)
            if box is not None and person_played["box"] is not None:
                ways = np.subtract(person_played["box"], box).reshape(2, 2)
                assert np.hypot(*ways.T).max() <= tolerance_px + 1e-9
        assert played == {}


def seen_in(people: Instances) -> dict[str, tuple[dict[str, Any], Any]]:
    """Say what is to be shown: joints that were seen, and the box within the picture of 320 x 240."""
    if people.track_id is None or people.keypoints is None or people.keypoint_score is None:
        return {}
    found = {}
    for row, track_id in enumerate(people.track_id.tolist()):
        box = people.xyxy[row].astype(float).clip(0, [320, 240, 320, 240])
        names = {name: place for name, place, score in zip(
            COCO_17.joints, people.keypoints[row].astype(float), people.keypoint_score[row], strict=True
        ) if score >= 0.3}  # fmt: skip
        if track_id != NO_TRACK:
            found[str(track_id)] = names, box if (box[2:] > box[:2]).all() else None
    return found


@given(video=videos())
def test_annotations_are_plain_json_and_the_same_for_the_same_video(video: list[Moment]) -> None:
    annotations = annotations_of(annotate(video))
    written = json.dumps(annotations, allow_nan=False)

    assert json.loads(written) == annotations
    assert json.dumps(annotations_of(annotate(video))) == written
    for one in annotations:
        system = one["metadata"]["system"]
        frames = [system["frame"], *(snapshot["frame"] for snapshot in system["snapshots_"])]
        assert frames == sorted(set(frames))
        assert frames[-1] <= system["endFrame"]


@given(video=videos())
def test_dtlpy_reads_every_annotation_back(video: list[Moment]) -> None:
    """It holds the last record, as the platform does, so it must show what our playback shows."""
    for annotation in annotations_of(annotate(video)):
        read = dtlpy.Annotation.from_json(as_stored(annotation), is_video=True, fps=FPS)
        system = annotation["metadata"]["system"]

        assert (read.object_id, read.label, read.type) == (system["objectId"], annotation["label"], annotation["type"])
        assert (read.start_frame, read.end_frame) == (system["frame"], system["endFrame"])
        if read.type == "pose":
            continue
        for frame in range(read.start_frame, read.end_frame + 1):
            played = play([annotation], frame).get(system["objectId"])
            now = read.frames[frame]
            assert now.object_visible == (played is not None)
            if played is not None and read.type == "point":
                assert (now.x, now.y) == played["joints"][read.label]
            elif played is not None:
                assert (now.left, now.top, now.right, now.bottom) == played["box"]


def test_dtlpy_reads_annotations_of_a_picture_back() -> None:
    for annotation in annotations_of(annotate([(0, person())], make_item("p.png"))):
        read = dtlpy.Annotation.from_json(as_stored(annotation), is_video=False)

        assert (read.object_id, read.label, read.type) == ("1", annotation["label"], annotation["type"])


def as_stored(annotation: dict[str, Any]) -> dict[str, Any]:
    """Add what the platform does."""
    by_whom = {"creator": "me@x.com", "createdAt": "2026-01-02", "updatedBy": "me@x.com", "updatedAt": "2026-01-02"}
    return {**json.loads(json.dumps(annotation)), "id": "a-1", **by_whom}
