"""Contact sheets of what the platform shows."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from dataloop_people import annotate, annotations_of, person, table

from pipeline.errors import PipelineError
from pipeline.skeletons import COCO_17
from pipeline.types import Instances
from stages.dataloop.pictures import draw_sheet, people_of, save_jpeg
from stages.dataloop.timeline.playback import play
from stages.drawing.overlay import Style, draw

GREY = np.full((240, 320, 3), 120, np.uint8)


def test_a_sheet_without_pictures_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least one picture"):
        draw_sheet([], [], COCO_17, "nothing")


def test_nobody_is_drawn_where_nobody_is_shown() -> None:
    annotations = annotations_of(annotate([(0, person()), (1, Instances.empty()), (2, person())]))

    shown, hidden, nothing = (
        draw_sheet(given, [(frame, GREY)], COCO_17, "x", width=320)[48:288, 16:336]
        for given, frame in ((annotations, 0), (annotations, 1), ([], 0))
    )

    assert (hidden == nothing).all()
    assert (shown != nothing).any()


def test_boxes_are_drawn_only_around_those_who_have_one() -> None:
    boxed = annotations_of(annotate([(0, person(1))]))
    without = annotations_of(annotate([(0, person(2, at=(200, 50)))], boxes=False))
    annotations = [*boxed, *without]

    sheet = draw_sheet(annotations, [(0, GREY)], COCO_17, "x", width=320)[48:288, 16:336]

    people = people_of(play(annotations, 0), COCO_17)
    expected = draw(GREY, people[[1]], Style(boxes=False, scores=False))
    np.testing.assert_array_equal(sheet, draw(expected, people[[0]], Style(scores=False)))


def test_people_are_those_that_are_played() -> None:
    scores = [0.9] * 16 + [0.1]
    segments = annotate([(0, table([person(1, score=scores), person(12)]))])

    people = people_of(play(annotations_of(segments), 0), COCO_17)

    assert people.track_id is not None
    assert people.track_id.tolist() == [1, 12]
    assert people.keypoint_score is not None
    assert people.keypoint_score.sum(axis=1).tolist() == [16, 17]
    np.testing.assert_allclose(people.xyxy, [[80, 50, 120, 140]] * 2, atol=0.1)


def test_object_ids_of_other_programs_may_be_any_text() -> None:
    shown = {"left one": {"joints": {"nose": (1.0, 2.0), "tail": (5.0, 5.0)}, "box": None}}

    people = people_of(shown, COCO_17)  # type: ignore[arg-type]

    assert len(people) == 1
    assert people.xyxy.tolist() == [[1, 2, 1, 2]]


def test_a_saved_sheet_can_be_read(tmp_path: Path) -> None:
    save_jpeg(GREY, tmp_path / "sheet.jpg")

    image = cv2.imread(str(tmp_path / "sheet.jpg"))
    assert image is not None
    assert image.shape == GREY.shape


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match="cannot write the picture"):
        save_jpeg(GREY, tmp_path / "gone" / "sheet.jpg")
