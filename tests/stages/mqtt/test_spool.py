"""Events on disk."""

import logging
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes import ManualClock
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import SinkError
from stages.mqtt.spool import Spool

ROOMY = 2**20
HOUR = 3600.0


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def spool(tmp_path: Path, clock: ManualClock) -> Iterator[Spool]:
    spool = Spool(tmp_path / "spool.sqlite", ROOMY, HOUR, clock)
    spool.open()
    yield spool
    spool.close()


def bodies(spool: Spool) -> list[str]:
    return [event.body for event in spool.after(0, 10**6)]


def fill(spool: Spool, *numbers: int) -> None:
    for number in numbers:
        spool.add([("t", str(number))])


def test_a_folder_that_cannot_be_made_is_an_error_that_names_the_file_and_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "in the way").touch()
    with pytest.raises(SinkError, match=r"in the way/spool\.sqlite.*choose another file with `spool`"):
        Spool(tmp_path / "in the way" / "spool.sqlite", ROOMY, HOUR).open()


def test_a_damaged_file_is_an_error_that_says_so_and_leaves_it_alone(tmp_path: Path) -> None:
    path = tmp_path / "spool.sqlite"
    path.write_bytes(b"something else entirely" * 100)
    spool = Spool(path, ROOMY, HOUR)
    with pytest.raises(SinkError, match="damaged: move it away"):
        spool.open()
    spool.close()
    assert path.read_bytes().startswith(b"something else")


def test_two_at_a_time_are_refused_with_what_to_do(spool: Spool) -> None:
    with pytest.raises(SinkError, match=r"another process .* give one of them another `prefix`"):
        Spool(spool.path, ROOMY, HOUR).open()


def test_the_next_one_may_have_it_and_finds_what_is_left_in_order(spool: Spool) -> None:
    fill(spool, 1, 2, 3)
    spool.acknowledge(1)
    spool.tidy()
    spool.close()
    heir = Spool(spool.path, ROOMY, HOUR, ManualClock())
    heir.open()
    assert bodies(heir) == ["2", "3"]
    assert heir.identity == spool.identity
    assert heir.state.waiting == 2
    heir.close()


def test_numbers_are_never_used_twice_not_even_when_the_spool_was_empty_in_between(spool: Spool) -> None:
    fill(spool, 1, 2)
    for sequence in (1, 2):
        spool.acknowledge(sequence)
    spool.tidy()
    spool.close()
    spool.open()
    fill(spool, 3)
    assert [event.sequence for event in spool.after(0, 9)] == [3]
    assert spool.last_sequence == 3


def test_an_event_that_the_broker_has_is_not_given_again_even_while_it_is_on_disk(spool: Spool) -> None:
    fill(spool, 1, 2, 3, 4)
    spool.acknowledge(1)
    spool.acknowledge(3)
    assert [event.body for event in spool.after(0, 2)] == ["2", "4"]
    assert spool.state.waiting == 4
    spool.tidy()
    assert spool.state.waiting == 2


def test_events_of_one_packet_are_kept_all_or_none(spool: Spool, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "spool.sqlite") as other:
        other.execute(
            "CREATE TRIGGER no BEFORE INSERT ON event WHEN NEW.body = 'b' BEGIN SELECT RAISE(FAIL, 'no'); END"
        )
    other.close()
    with pytest.raises(SinkError, match=r"cannot keep what must not be lost in .*no"):
        spool.add([("t", "a"), ("t", "b")])
    assert bodies(spool) == []
    assert spool.state.waiting == spool.state.waiting_bytes == 0


def test_a_full_disk_is_an_error_and_what_was_kept_stays(spool: Spool) -> None:
    fill(spool, 1)
    (pages,) = spool._file.rows("PRAGMA page_count")[0]
    spool._file.rows(f"PRAGMA max_page_count={pages}")
    with pytest.raises(SinkError, match="full; make room"):
        spool.add([("t", "x" * 100_000)])
    assert bodies(spool) == ["1"]
    assert spool.state.waiting == 1


def test_beyond_its_size_the_oldest_go_counted_and_told(
    tmp_path: Path, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    spool = Spool(tmp_path / "small.sqlite", 10 * 164, HOUR, clock)
    spool.open()
    fill(spool, *range(10**99, 10**99 + 25))  # 100 bytes each, and 64 for the row
    assert bodies(spool) == [str(10**99 + number) for number in range(15, 25)]
    assert spool.state.waiting == 10
    assert spool.state.waiting_bytes == 10 * 164
    assert spool.state.lost == 15
    assert "1 event(s) dropped undelivered" in caplog.text
    spool.close()
    spool.open()
    assert spool.state.lost == 15
    spool.close()


def test_an_event_that_does_not_fit_at_all_is_lost_and_counted(tmp_path: Path, clock: ManualClock) -> None:
    spool = Spool(tmp_path / "small.sqlite", 200, HOUR, clock)
    spool.open()
    fill(spool, 10**999)
    assert (spool.state.waiting, spool.state.waiting_bytes, spool.state.lost) == (0, 0, 1)
    spool.close()


def test_what_is_too_old_goes_counted_and_told_also_when_it_was_left_by_another_process(
    spool: Spool, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    fill(spool, 1)
    clock.now += HOUR / 2
    fill(spool, 2)
    spool.close()
    clock.now += HOUR / 2 + 1
    spool.open()
    with caplog.at_level(logging.WARNING):
        spool.expire()
    assert bodies(spool) == ["2"]
    assert spool.state.lost == 1
    assert "1 lost so far" in caplog.text


def test_what_is_on_its_way_is_not_dropped(tmp_path: Path, clock: ManualClock) -> None:
    spool = Spool(tmp_path / "small.sqlite", 3 * 65, HOUR, clock)
    spool.open()
    fill(spool, 1, 2, 3)
    spool.in_flight = 2
    fill(spool, 4, 5)
    assert bodies(spool) == ["1", "2", "5"]
    assert spool.state.lost == 2
    spool.close()


def test_a_spool_that_is_closed_says_so(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool.sqlite", ROOMY, HOUR)
    with pytest.raises(SinkError, match="not open"):
        spool.add([("t", "1")])


@settings(max_examples=30)
@given(st.lists(st.one_of(st.integers(1, 4), st.sampled_from(["ack", "tidy", "reopen"])), max_size=40))
def test_whatever_happens_each_event_is_waiting_or_acknowledged_in_order(
    tmp_path_factory: pytest.TempPathFactory, steps: list[int | str]
) -> None:
    spool = Spool(tmp_path_factory.mktemp("spool") / "spool.sqlite", ROOMY, HOUR)
    spool.open()
    made, acknowledged = 0, set[int]()
    for step in steps:
        if isinstance(step, int):
            spool.add([("t", str(made + number)) for number in range(1, step + 1)])
            made += step
        elif step == "ack" and (first := spool.after(0, 1)):
            spool.acknowledge(first[0].sequence)
            acknowledged.add(first[0].sequence)
        elif step == "tidy":
            spool.tidy()
        elif step == "reopen":
            spool.tidy()
            spool.close()
            spool.open()
        waiting = [event.sequence for event in spool.after(0, 1000)]
        assert waiting == [number for number in range(1, made + 1) if number not in acknowledged]
    spool.tidy()
    assert spool.state.waiting == made - len(acknowledged)
    spool.close()
