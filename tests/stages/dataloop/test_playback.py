"""What the platform shows at a frame."""

from typing import Any

import pytest
from dataloop_people import annotate, annotations_of, make_item, person

from stages.dataloop.timeline.playback import play


def point(first: int, last: int, *snapshots: dict[str, Any], **system: Any) -> dict[str, Any]:
    system = {"objectId": "7", "frame": first, "endFrame": last, "snapshots_": list(snapshots), **system}
    return {
        "id": "a-1",
        "type": "point",
        "label": "nose",
        "coordinates": {"x": 1, "y": 2},
        "metadata": {"system": system},
    }


def nose(annotation: dict[str, Any], frame: int) -> tuple[float, float] | None:
    people = play([annotation], frame)
    return people["7"]["joints"]["nose"] if people else None


MOVED = {"frame": 5, "data": {"x": 3, "y": 4}}
HIDDEN = {"frame": 8, "data": {"x": 3, "y": 4}, "objectVisible": False}


def test_no_annotations_show_nobody() -> None:
    assert play([], 0) == {}


@pytest.mark.parametrize(
    ("frame", "place"),
    [(2, None), (3, (1, 2)), (4, (1, 2)), (5, (3, 4)), (7, (3, 4)), (8, None), (20, None), (21, None)],
)
def test_a_frame_without_a_record_repeats_the_one_before(frame: int, place: tuple[float, float] | None) -> None:
    assert nose(point(3, 20, MOVED, HIDDEN), frame) == place


def test_a_pose_alone_shows_nobody() -> None:
    (segment,) = annotate([(0, person())])

    assert play([segment.pose], 0) == {}


def test_points_and_box_of_an_object_id_are_one_person() -> None:
    segments = annotate([(0, person(1)), (1, person(1))])

    people = play(annotations_of(segments), 1)

    assert people.keys() == {"1"}
    assert len(people["1"]["joints"]) == 17
    assert people["1"]["box"] == (80.0, 50.0, 120.0, 140.0)


def test_annotations_of_a_picture_are_always_shown() -> None:
    segments = annotate([(0, person())], make_item("p.png"))

    assert play(annotations_of(segments)) == play(annotations_of(segments), 99) != {}


def test_who_has_no_object_id_is_known_by_the_pose() -> None:
    annotation = point(0, 9, objectId=None, parentId="pose-1")

    assert play([annotation], 3).keys() == {"pose-1"}
