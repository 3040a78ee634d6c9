"""How far an item has come, on disk."""

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import ConfigError, SinkError
from stages.dataloop.delivery.journal import Journal, journal_path
from stages.dataloop.delivery.outbox import Outbox
from stages.dataloop.timeline.annotations import Segment
from stages.state import state_folder

SETTINGS = {"size": 1000, "weights": "a.pth", "options": {"boxes": True}}


@pytest.fixture
def open_journal(tmp_path: Path) -> Iterator[Callable[..., Journal]]:
    """Open the journal of one item, with the arguments of `Journal.open`; close it as a killed process does: not."""
    opened: list[Journal] = []

    def open_it(settings: dict[str, Any] = SETTINGS, *, resume: bool = False) -> Journal:
        for one in opened:
            one.close()
        journal = Journal(tmp_path / "item.sqlite")
        opened.append(journal)
        journal.open(settings, resume=resume)
        return journal

    yield open_it
    for one in opened:
        one.close()


def annotation(key: str) -> dict[str, Any]:
    return {"label": key, "metadata": {"system": {}, "user": {"kinestream": {"run": "r", "key": key}}}}


def segment(object_id: str = "1", number: int = 0, children: int = 2, last_frame: int = 9) -> Segment:
    named = [annotation(f"{object_id}/{number}/{child}") for child in range(children)]
    return Segment(object_id, number, number * 10, last_frame, annotation(f"{object_id}/{number}/pose"), named)


def keys(found: list[Any]) -> list[str]:
    return [one.key for one in found]


@pytest.mark.parametrize("item_id", ["", "../x", "a/b", "a b", "x" * 200])
def test_what_is_no_id_names_no_file(item_id: str) -> None:
    with pytest.raises(ConfigError, match="not the id of an item"):
        journal_path(item_id)


def test_journals_lie_in_the_state_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KINESTREAM_STATE", str(tmp_path))
    assert state_folder() == tmp_path
    assert journal_path("64b0") == tmp_path / "dataloop" / "64b0.sqlite"


def test_a_folder_that_cannot_be_made_is_an_error_that_names_the_file_and_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "in the way").touch()
    with pytest.raises(SinkError, match=r"in the way/item\.sqlite.*or set KINESTREAM_STATE"):
        Journal(tmp_path / "in the way" / "item.sqlite").open(SETTINGS)


def test_a_damaged_file_is_an_error_that_says_so_and_leaves_it_alone(tmp_path: Path) -> None:
    path = tmp_path / "item.sqlite"
    path.write_bytes(b"something else entirely" * 100)
    with pytest.raises(SinkError, match="damaged: move it away"):
        Journal(path).open(SETTINGS)
    assert path.read_bytes().startswith(b"something else")


def test_two_at_a_time_are_refused_with_what_to_do(open_journal: Callable[..., Journal]) -> None:
    first = open_journal()
    with pytest.raises(SinkError, match=r"another process has .* it annotates the same item; wait for it, or stop it"):
        Journal(first.file.path).open(SETTINGS)
    Outbox(first).put(segment())  # the first one does not notice


def test_an_interrupted_run_goes_on_as_itself(open_journal: Callable[..., Journal]) -> None:
    run_id = open_journal().run_id
    assert open_journal(resume=True).run_id == run_id


def test_without_resume_each_run_is_another_and_knows_the_one_that_it_leaves_unfinished(
    open_journal: Callable[..., Journal],
) -> None:
    first = open_journal()
    Outbox(first).put(segment())
    first.note_complete()
    runs = [first.run_id, open_journal().run_id]
    third = open_journal()
    assert third.abandoned == runs
    assert third.run_id not in runs
    assert not third.is_complete
    assert Outbox(third).count() == 0
    third.note_result({"annotations": 0})
    assert open_journal().abandoned == []


def test_other_settings_are_refused_with_what_differs(open_journal: Callable[..., Journal]) -> None:
    open_journal()
    with pytest.raises(ConfigError) as caught:
        open_journal(SETTINGS | {"weights": "b.pth"}, resume=True)
    assert "weights was 'a.pth', now it is 'b.pth'. Resume it with the settings it had, or" in str(caught.value)
    assert "size" not in str(caught.value)
    assert open_journal(resume=True).run_id  # it let go of the file, and left it as it was


def test_a_finished_run_has_its_result_and_nothing_else(open_journal: Callable[..., Journal]) -> None:
    journal = open_journal()
    Outbox(journal).put(segment(children=2000))
    full = journal.file.path.stat().st_size + journal.file.path.with_name("item.sqlite-wal").stat().st_size
    journal.note_result({"annotations": 3})
    again = open_journal(resume=True)
    assert again.result == {"annotations": 3}
    assert Outbox(again).count() == 0
    assert again.file.path.stat().st_size < full / 5


def test_other_settings_than_those_of_a_finished_run_begin_a_new_one(open_journal: Callable[..., Journal]) -> None:
    journal = open_journal()
    journal.note_result({"annotations": 3})
    other = open_journal(SETTINGS | {"size": 1}, resume=True)
    assert other.run_id != journal.run_id
    assert other.result is None


def test_parents_come_first_then_children_of_those_that_are_there(open_journal: Callable[..., Journal]) -> None:
    outbox = Outbox(open_journal())
    for one in (segment("1"), segment("2"), segment("1", number=1)):
        outbox.put(one)
    assert keys(outbox.batch(10, 10**6)) == ["1/0/pose", "2/0/pose"]
    outbox.note_sent(outbox.batch(1, 10**6))
    outbox.note_stored({"1/0/pose": "id-1"})
    outbox.note_sent(outbox.batch(10, 10**6))
    children = outbox.batch(10, 10**6)
    assert keys(children) == ["1/0/0", "1/0/1", "1/1/0", "1/1/1"]  # the other parent is in doubt
    assert {one.body["metadata"]["system"]["parentId"] for one in children} == {"id-1"}
    assert keys(outbox.doubtful(10, 10**6)) == ["2/0/pose"]


@pytest.mark.parametrize(
    ("most", "most_bytes", "expected"),
    [(1, 10**6, 1), (2, 10**6, 2), (10, 1, 1), (10, 0, 1), (10, 10**6, 3)],
    ids=["one", "count", "bytes", "no-room", "all"],
)
def test_a_batch_keeps_within_its_bounds_but_is_never_empty(
    open_journal: Callable[..., Journal], most: int, most_bytes: int, expected: int
) -> None:
    outbox = Outbox(open_journal())
    for number in range(3):
        outbox.put(segment(str(number), children=0))
    assert len(outbox.batch(most, most_bytes)) == expected


def test_a_batch_is_as_large_as_its_bytes_allow(open_journal: Callable[..., Journal]) -> None:
    outbox = Outbox(open_journal())
    for number in range(9):
        outbox.put(segment(str(number), children=0))
    (one,) = outbox.batch(1, 10**6)
    size = len(str(one.body).replace(" ", ""))
    assert len(outbox.batch(9, 5 * size)) == 5
    assert len(outbox.batch(9, 5 * size - 1)) == 4


def test_a_segment_that_is_made_again_changes_nothing(open_journal: Callable[..., Journal]) -> None:
    outbox = Outbox(open_journal())
    outbox.put(segment())
    outbox.note_sent(outbox.batch(1, 1))
    outbox.note_stored({"1/0/pose": "id-1"})
    outbox.put(segment())
    assert outbox.count() == 3
    assert outbox.count("stored") == 1


def test_what_was_sent_is_in_doubt_for_the_next_process(open_journal: Callable[..., Journal]) -> None:
    outbox = Outbox(open_journal())
    outbox.put(segment())
    outbox.note_sent(outbox.batch(10, 10**6))
    assert keys(Outbox(open_journal(resume=True)).doubtful(10, 10**6)) == ["1/0/pose"]


def test_who_is_seen_longer_than_in_the_first_segment_is_told_once(open_journal: Callable[..., Journal]) -> None:
    outbox = Outbox(open_journal())
    outbox.put(segment("1", last_frame=9))
    outbox.put(segment("2", last_frame=9))
    outbox.put(segment("1", number=1, last_frame=30))
    outbox.note_stored({"1/0/pose": "id-1", "2/0/pose": "id-2"})
    (end,) = outbox.ends()
    assert (end.annotation_id, end.last_frame) == ("id-1", 30)
    outbox.note_told(end)
    assert list(outbox.ends()) == []


def test_a_disk_that_is_full_is_an_error_that_says_so_and_nothing_is_kept_of_a_half(
    open_journal: Callable[..., Journal],
) -> None:
    journal = open_journal()
    outbox = Outbox(journal)
    outbox.put(segment("1"))
    (pages,) = journal.file.rows("PRAGMA page_count")[0]
    journal.file.rows(f"PRAGMA max_page_count={pages + 2}")
    with pytest.raises(SinkError, match=r"item\.sqlite: database or disk is full; make room") as caught:
        outbox.put(segment("2", children=1000))
    assert isinstance(caught.value.__cause__, sqlite3.OperationalError)
    assert outbox.count() == 3
    journal.file.rows("PRAGMA max_page_count=100000")
    outbox.put(segment("2", children=1000))
    assert outbox.count() == 1004
