"""MOTChallenge text: what is read, what is refused, what is written."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import ConfigError
from pipeline.types import NO_TRACK, Instances
from stages.tracking.mot import Rows, format_rows, read_rows


def read(folder: Path, text: str) -> Rows:
    path = folder / "det.txt"
    path.write_text(text, encoding="utf-8")
    return read_rows(path)


def test_an_empty_file_has_no_rows(tmp_path: Path) -> None:
    rows = read(tmp_path, "\n")
    assert len(rows) == len(rows.of(1)) == len(rows.of(1).people()) == rows.last_frame == 0


def test_rows_of_any_order_come_by_frame(tmp_path: Path) -> None:
    rows = read(tmp_path, "3,-1,5,6,7,8,0.5\n1,-1,10,20,30,40,0.9\r\n\n 3, -1, 1, 2, 3, 4, 0.25\n")
    assert rows.frame.tolist() == [1, 3, 3]
    assert rows.last_frame == 3
    assert len(rows.of(2)) == len(rows.of(4)) == 0
    np.testing.assert_array_equal(rows.of(1).people().xyxy, [[10, 20, 40, 60]])
    np.testing.assert_array_equal(rows.of(3).score, [0.5, 0.25])


def test_rows_of_a_frame_keep_their_order(tmp_path: Path) -> None:
    rows = read(tmp_path, "".join(f"{2 - i % 2},{i},1,2,3,4,0.5\n" for i in range(200)))
    assert rows.of(1).track_id.tolist() == list(range(1, 200, 2))


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        pytest.param("1,4,5,6,7,8,1", 1, id="no more"),
        pytest.param("1,4,5,6,7,8,1,7,0.3", 7, id="class and visibility"),
        pytest.param("1,4,5,6,7,8,1,3.9,4.5,0", 1, id="a place in the world"),
    ],
)
def test_a_class_is_read_where_there_is_one(tmp_path: Path, columns: str, expected: int) -> None:
    rows = read(tmp_path, columns)
    assert rows.class_id.tolist() == [expected]


GOOD = "1,-1,10,20,30,40,0.9,-1,-1,-1\n"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        pytest.param("1,-1,10,20,30", r"10 numbers, frame,id,x,y,w,h,score,\.\.\., got '1,-1,10,20,30'", id="cut off"),
        pytest.param("1;-1;10;20;30;40;1", "must be 10 numbers", id="semicolons"),
        pytest.param("1,-1,10,20,thirty,40,1,-1,-1,-1", "must be 10 numbers.*thirty", id="a word"),
        pytest.param("1,-1,10,20,nan,40,1,-1,-1,-1", "must be finite numbers", id="nan"),
        pytest.param("1,-1,10,20,30,inf,1,-1,-1,-1", "must be finite numbers", id="infinity"),
        pytest.param("0,-1,10,20,30,40,1,-1,-1,-1", "whole numbers from 1, got '0,-1", id="frame 0"),
        pytest.param("1.5,-1,10,20,30,40,1,-1,-1,-1", "whole numbers from 1, got '1.5,-1", id="half a frame"),
        pytest.param("1,-1,10,20,-30,40,1,-1,-1,-1", "w and h must not be negative", id="negative width"),
        pytest.param("1,-1,10,20,30,40,97,-1,-1,-1", r"score must be in 0\.\.1", id="percent"),
    ],
)  # fmt: skip
def test_a_wrong_row_is_refused_with_the_number_of_its_line(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(ConfigError, match=rf"det\.txt:4: .*{message}"):
        read(tmp_path, f"{GOOD}\n{GOOD}{line}\n{GOOD}")


def test_too_few_numbers_throughout_are_refused_at_the_first_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"det\.txt:1: must be frame,id,x,y,w,h,score,\.\.\., got '1,2,3,4,5,6'"):
        read(tmp_path, "1,2,3,4,5,6\n" * 3)


def test_a_file_that_is_not_there_or_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot read .*gone\.txt': No such file"):
        read_rows(tmp_path / "gone.txt")
    (tmp_path / "det.txt").write_bytes(b"\xff\x00")
    with pytest.raises(ConfigError, match="it is no text"):
        read_rows(tmp_path / "det.txt")


def test_only_those_with_an_id_are_written(tmp_path: Path) -> None:
    table = Instances.of(np.array([[1, 2, 4, 6.5], [0, 0, 9, 9]]), [0.75, 0.5])
    text = "".join(format_rows(7, table.with_columns(track_id=[12, NO_TRACK])))
    assert text == "7,12,1.00,2.00,3.00,4.50,0.7500,-1,-1,-1\n"
    rows = read(tmp_path, text)
    assert (rows.frame.item(), rows.track_id.item(), rows.xywh.tolist()) == (7, 12, [[1, 2, 3, 4.5]])
    assert list(format_rows(1, Instances.empty().with_columns(track_id=[]))) == []


@given(st.lists(st.tuples(st.floats(-999, 999), st.floats(-999, 999), st.floats(0, 999), st.floats(0, 1)), max_size=4))
def test_what_is_written_can_be_read(tmp_path_factory: pytest.TempPathFactory, people: list[tuple[float, ...]]) -> None:
    columns = np.array(people).reshape(-1, 4)
    corner, size, score = columns[:, :2], columns[:, 2:3], columns[:, 3]
    table = Instances.of(np.hstack([corner, corner + size]), score)
    tracked = table.with_columns(track_id=np.arange(len(people)) + 1)
    rows = read(tmp_path_factory.mktemp("mot"), "".join(format_rows(3, tracked)))
    np.testing.assert_allclose(rows.of(3).people().xyxy, table.xyxy, atol=0.011)
    np.testing.assert_array_equal(rows.of(3).track_id, tracked.track_id)
