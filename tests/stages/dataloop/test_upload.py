"""Annotations from the disk to the platform: each of them once, whatever the platform does meanwhile."""

import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

import pytest
from dataloop_faults import Hang, Lose, LoseReply, Status
from dataloop_server import DataloopServer
from dataloop_walk import FPS, MODEL, OPTIONS, TEMPLATE, walk
from fakes import ManualClock

from stages.dataloop.connection.platform import Platform
from stages.dataloop.delivery.journal import Journal
from stages.dataloop.delivery.upload import Upload, UploadLimits
from stages.dataloop.errors import LoginFailed, PlatformError, PlatformUnavailable
from stages.dataloop.items import Item, get_item
from stages.dataloop.timeline.annotations import Annotator, Segment, Stamp

FRAMES, PEOPLE = 60, 3
HURRY = UploadLimits(most=20, pause_seconds=0.001, patience_seconds=5)
POSTS = r"/annotations$"


@pytest.fixture
def platform(dataloop: DataloopServer) -> Iterator[Platform]:
    assert dataloop.url
    with Platform.from_environment(timeout_seconds=5, attempts=2, wait=lambda _: False) as platform:
        yield platform


@pytest.fixture
def item(dataloop: DataloopServer, platform: Platform, tmp_path: Path) -> Item:
    path = tmp_path / "walk.mp4"
    path.write_bytes(b"nobody reads this")
    item_id = dataloop.add_item(path, width=320, height=240, fps=FPS, frame_count=FRAMES)
    return get_item(platform, item_id)


@pytest.fixture
def open_journal(item: Item, tmp_path: Path) -> Iterator[Callable[..., Journal]]:
    """Open the journal of the item, of a new run if not told to resume; the one that was open is closed."""
    opened: list[Journal] = []

    def open_it(*, resume: bool = False) -> Journal:
        for one in opened:
            one.close()
        journal = Journal(tmp_path / f"{item.id}.sqlite")
        opened.append(journal)
        journal.open({"of": "a test"}, resume=resume)
        return journal

    yield open_it
    for one in opened:
        one.close()


@pytest.fixture
def uploads(platform: Platform, item: Item) -> Iterator[Callable[..., Upload]]:
    """Make uploads, and abandon them after the test."""
    made: list[Upload] = []

    def make(journal: Journal, limits: UploadLimits = HURRY, **options: Any) -> Upload:
        made.append(Upload(platform, item, journal, MODEL, limits, **options))
        return made[-1]

    yield make
    for one in made:
        one.abandon()


@pytest.fixture
def journal(open_journal: Callable[..., Journal]) -> Journal:
    return open_journal()


def segments(item: Item, run_id: str, frames: int = FRAMES, people: int = PEOPLE, model: str = MODEL) -> list[Segment]:
    annotator = Annotator(item, TEMPLATE, Stamp(run_id, model, "m-1"), OPTIONS)
    made: list[Segment] = []
    for packet in walk(frames, people):
        assert packet.instances is not None
        made += annotator.add(packet.frame.pts_seconds, packet.instances)
    return made + annotator.finish()


def wait_until_stored(upload: Upload, made: list[Segment]) -> None:
    pause = threading.Event()
    while upload._delivery.outbox.count("stored") < len(expected_keys(made)):
        pause.wait(0.001)


def put_all(upload: Upload, made: list[Segment]) -> Upload:
    for segment in made:
        upload.put(segment)
    return upload


def expected_keys(made: list[Segment]) -> set[str]:
    whole = [one for each in made for one in [*([each.pose] if each.number == 0 else []), *each.children]]
    return {one["metadata"]["user"]["kinestream"]["key"] for one in whole}


def assert_is_all_there_once(server: DataloopServer, item: Item, run_id: str, made: list[Segment]) -> None:
    """Check that of our model exactly these annotations are there, each once, below its own parent, whole."""
    there = [one for one in server.annotations(item.id) if model_of(one) == MODEL]
    counts = Counter(one["metadata"]["user"]["kinestream"]["key"] for one in there)
    assert set(counts) == expected_keys(made)
    assert set(counts.values()) == {1}
    assert {one["metadata"]["user"]["kinestream"]["run"] for one in there} == {run_id}
    poses = {one["id"]: one for one in there if one["type"] == "pose"}
    assert len(poses) == len({one.object_id for one in made})
    for one in there:
        system = one["metadata"]["system"]
        if one["type"] != "pose":
            assert poses[system["parentId"]]["metadata"]["system"]["objectId"] == system["objectId"]
    for pose in poses.values():
        system = pose["metadata"]["system"]
        last = max(one.last_frame for one in made if one.object_id == system["objectId"])
        assert (system["endFrame"], system["endTime"]) == (last, pytest.approx(last / FPS, abs=1e-5))


def model_of(annotation: dict[str, Any]) -> str | None:
    return (annotation["metadata"].get("system", {}).get("model") or {}).get("name")


def test_all_is_there_once_below_its_parent_and_the_journal_says_so(
    dataloop: DataloopServer, item: Item, journal: Journal, uploads: Callable[..., Upload]
) -> None:
    made = segments(item, journal.run_id)
    uploaded = put_all(uploads(journal), made).finish().result(10)
    assert_is_all_there_once(dataloop, item, journal.run_id, made)
    assert (uploaded.people, uploaded.annotations, uploaded.replaced) == (PEOPLE, len(expected_keys(made)), 0)
    assert journal.result == {
        "item_id": item.id, "run_id": journal.run_id, "people": 3, "annotations": uploaded.annotations, "replaced": 0,
    }  # fmt: skip


def test_nobody_in_a_video_is_a_result_too(journal: Journal, uploads: Callable[..., Upload]) -> None:
    uploaded = uploads(journal).finish().result(10)
    assert (uploaded.people, uploaded.annotations, uploaded.replaced) == (0, 0, 0)


def test_all_parents_that_wait_go_in_one_request(
    dataloop: DataloopServer, item: Item, journal: Journal, uploads: Callable[..., Upload]
) -> None:
    made = segments(item, journal.run_id, people=8)
    upload = uploads(journal)
    for segment in made:
        upload._delivery.outbox.put(segment)
    upload.finish().result(10)
    first, *others = dataloop.bodies("POST", POSTS)
    assert [one["type"] for one in first] == ["pose"] * 8
    assert all(one["type"] != "pose" for body in others for one in body)


@pytest.mark.parametrize(("most", "most_bytes"), [(7, 10**6), (1000, 20_000)], ids=["count", "bytes"])
def test_requests_keep_within_their_bounds(
    dataloop: DataloopServer, item: Item, journal: Journal, uploads: Callable[..., Upload], most: int, most_bytes: int
) -> None:
    made = segments(item, journal.run_id)
    limits = UploadLimits(most=most, most_bytes=most_bytes, pause_seconds=0.001)
    put_all(uploads(journal, limits), made).finish().result(10)
    requests = [one for one in dataloop.requests if one.method == "POST" and one.path.endswith("/annotations")]
    assert max(len(one.body) for one in requests) <= most
    assert max(one.bytes for one in requests if len(one.body) > 1) <= most_bytes * 1.05  # parent ids, spaces
    assert_is_all_there_once(dataloop, item, journal.run_id, made)


# A platform that is ill


@pytest.mark.parametrize(
    "fault",
    [LoseReply(), Lose(), Status(503), Status(502, after=True), Status(429), Status(500), Status(500, after=True)],
    ids=["reply-lost", "request-lost", "503", "502-stored", "429", "500", "500-stored"],
)
@pytest.mark.parametrize("skip", [0, 1, 4], ids=["parents", "children", "later"])
def test_a_request_that_goes_wrong_is_not_repeated_before_the_platform_was_asked(
    dataloop: DataloopServer, item: Item, journal: Journal, uploads: Callable[..., Upload], fault: Any, skip: int
) -> None:
    dataloop.inject(fault, "POST", POSTS, skip=skip)
    made = segments(item, journal.run_id)
    uploaded = put_all(uploads(journal), made).finish().result(20)
    assert_is_all_there_once(dataloop, item, journal.run_id, made)
    assert uploaded.annotations == len(expected_keys(made))
    if isinstance(fault, LoseReply) or getattr(fault, "after", False):  # it was done
        posted = [
            one["metadata"]["user"]["kinestream"]["key"] for body in dataloop.bodies("POST", POSTS) for one in body
        ]
        assert len(posted) == len(expected_keys(made))


@pytest.mark.parametrize("every", ["POST", "PUT"])
def test_a_burst_of_503_costs_time_and_nothing_else(
    dataloop: DataloopServer, item: Item, journal: Journal, uploads: Callable[..., Upload], every: str
) -> None:
    dataloop.inject(Status(503), every, times=15)
    made = segments(item, journal.run_id)
    put_all(uploads(journal), made).finish().result(20)
    assert_is_all_there_once(dataloop, item, journal.run_id, made)


def test_what_is_too_large_is_sent_in_smaller_parts(
    dataloop: DataloopServer, item: Item, journal: Journal, uploads: Callable[..., Upload]
) -> None:
    dataloop.max_body_bytes = 30_000
    made = segments(item, journal.run_id)
    put_all(uploads(journal, UploadLimits(most=500, pause_seconds=0.001)), made).finish().result(10)
    assert_is_all_there_once(dataloop, item, journal.run_id, made)


def test_an_annotation_that_is_too_large_by_itself_is_an_error_that_says_what_to_do(
    dataloop: DataloopServer, item: Item, journal: Journal, uploads: Callable[..., Upload]
) -> None:
    dataloop.max_body_bytes = 1500
    with pytest.raises(PlatformError, match=r"\d/0/\w+.*too large by itself.*segment_seconds"):
        put_all(uploads(journal), segments(item, journal.run_id)).finish().result(10)


def test_an_item_that_was_deleted_meanwhile_is_an_error_and_no_loop(
    dataloop: DataloopServer, item: Item, journal: Journal, uploads: Callable[..., Upload]
) -> None:
    del dataloop.store.kinds["items"][item.id]
    upload = uploads(journal)
    with pytest.raises(PlatformError, match=f"404.*{item.id}|{item.id}.*404"):
        put_all(upload, segments(item, journal.run_id)).finish().result(10)
    assert isinstance(upload.failure, PlatformError)
    upload.put(segments(item, journal.run_id)[0])  # waits on disk all the same


def test_a_login_that_has_expired_ends_the_upload_and_the_next_run_finishes_it(
    dataloop: DataloopServer, item: Item, open_journal: Callable[..., Journal], uploads: Callable[..., Upload],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    journal = open_journal()
    made = segments(item, journal.run_id)
    upload = uploads(journal)
    upload.put(made[0])
    dataloop.expire_tokens()
    with pytest.raises(LoginFailed):
        put_all(upload, made[1:]).finish().result(10)
    monkeypatch.setenv("DATALOOP_TOKEN", dataloop.new_token())
    journal = open_journal(resume=True)
    assert journal.is_complete
    with Platform.from_environment() as again:
        Upload(again, item, journal, MODEL, HURRY).finish().result(10)
    assert_is_all_there_once(dataloop, item, journal.run_id, made)


def test_a_platform_that_stays_away_at_the_end_is_waited_for_no_longer_than_said_and_all_waits_on_disk(
    dataloop: DataloopServer, item: Item, open_journal: Callable[..., Journal], uploads: Callable[..., Upload]
) -> None:
    journal = open_journal()
    made = segments(item, journal.run_id)
    clock = ManualClock()
    dataloop.inject(Status(503), times=None)
    upload = put_all(uploads(journal, clock=clock), made)
    done = upload.finish()
    clock.now += 100
    with pytest.raises(PlatformUnavailable, match=rf"{len(expected_keys(made))} annotations wait in .*--resume"):
        done.result(10)
    dataloop.faults.clear()
    journal = open_journal(resume=True)
    uploads(journal).finish().result(10)
    assert_is_all_there_once(dataloop, item, journal.run_id, made)


def test_nothing_waits_for_a_platform_that_hangs(
    dataloop: DataloopServer, item: Item, journal: Journal, uploads: Callable[..., Upload], platform: Platform
) -> None:
    dataloop.inject(Hang(), times=None)
    made = segments(item, journal.run_id)
    upload = put_all(uploads(journal), made)
    platform.close()
    upload.abandon()
    assert upload._delivery.outbox.count() == len(expected_keys(made))


def test_a_platform_that_takes_everything_and_keeps_nothing_is_found_out(
    dataloop: DataloopServer, item: Item, journal: Journal, uploads: Callable[..., Upload]
) -> None:
    dataloop.inject(Status(200, body="[]"), "POST", POSTS, times=None)
    with pytest.raises(PlatformError, match="has none of them"):
        put_all(uploads(journal), segments(item, journal.run_id)).finish().result(10)


NOTHING = Status(200, body='{"items": [], "totalItemsCount": 0, "hasNextPage": false}')


def test_what_is_stored_and_not_listed_yet_is_waited_for_and_not_posted_again(
    dataloop: DataloopServer, item: Item, journal: Journal, uploads: Callable[..., Upload]
) -> None:
    dataloop.inject(NOTHING, "POST", "/query$", times=3, contains="kinestream.key")
    made = segments(item, journal.run_id)
    put_all(uploads(journal), made).finish().result(10)
    assert sum(len(body) for body in dataloop.bodies("POST", POSTS)) == len(expected_keys(made))
    assert_is_all_there_once(dataloop, item, journal.run_id, made)


def test_what_is_never_listed_is_an_error_and_replaces_nothing(
    dataloop: DataloopServer, item: Item, open_journal: Callable[..., Journal], uploads: Callable[..., Upload]
) -> None:
    first = open_journal()
    put_all(uploads(first), segments(item, first.run_id)).finish().result(10)
    before = {one["id"] for one in dataloop.annotations(item.id)}
    second = open_journal()
    dataloop.inject(NOTHING, "POST", "/query$", times=None, contains="kinestream.key")
    with pytest.raises(PlatformError, match=r"are not listed, \d/0/pose is one of them.*--resume"):
        put_all(uploads(second), segments(item, second.run_id)).finish().result(10)
    assert before <= {one["id"] for one in dataloop.annotations(item.id)}


def test_a_count_that_does_not_fit_is_looked_at_again_from_the_start(
    dataloop: DataloopServer, item: Item, journal: Journal, uploads: Callable[..., Upload]
) -> None:
    made = segments(item, journal.run_id)
    upload = put_all(uploads(journal), made)
    dataloop.inject(NOTHING, "POST", "/query$", times=2, contains='"pageSize":0')
    assert upload.finish().result(10).annotations == len(expected_keys(made))
    assert_is_all_there_once(dataloop, item, journal.run_id, made)


# Going on


def test_an_upload_that_was_abandoned_goes_on_where_it_was(
    dataloop: DataloopServer, item: Item, open_journal: Callable[..., Journal], uploads: Callable[..., Upload]
) -> None:
    journal = open_journal()
    made = segments(item, journal.run_id)
    upload = put_all(uploads(journal), made[:3])
    upload.abandon()
    upload.abandon()
    journal = open_journal(resume=True)
    put_all(uploads(journal), made).finish().result(10)
    assert_is_all_there_once(dataloop, item, journal.run_id, made)


def test_an_upload_that_is_withdrawn_leaves_nothing_of_it_and_all_that_was_there(
    dataloop: DataloopServer, item: Item, open_journal: Callable[..., Journal], uploads: Callable[..., Upload]
) -> None:
    first = open_journal()
    made = segments(item, first.run_id)
    put_all(uploads(first), made).finish().result(10)
    second = open_journal()
    upload = put_all(uploads(second), segments(item, second.run_id))
    posted = threading.Event()
    while not upload._delivery.outbox.count("stored"):
        posted.wait(0.001)
    upload.withdraw()
    assert_is_all_there_once(dataloop, item, first.run_id, made)


def test_nobody_waits_for_an_upload_that_is_abandoned(
    dataloop: DataloopServer, item: Item, journal: Journal, uploads: Callable[..., Upload]
) -> None:
    dataloop.inject(Status(503), times=None)
    upload = put_all(uploads(journal), segments(item, journal.run_id))
    done = upload.finish()
    upload.abandon()
    with pytest.raises(CancelledError):
        done.result(1)


def test_what_was_posted_by_a_process_that_could_not_note_it_is_not_posted_again(
    dataloop: DataloopServer, item: Item, journal: Journal, uploads: Callable[..., Upload], platform: Platform
) -> None:
    made = segments(item, journal.run_id)
    upload = uploads(journal)
    for segment in made:
        upload._delivery.outbox.put(segment)
    batch = upload._delivery.outbox.batch(2, 10**6)
    upload._delivery.outbox.note_sent(batch)
    platform.post(f"/items/{item.id}/annotations", [one.body for one in batch], repeatable=False)
    upload.finish().result(10)
    assert_is_all_there_once(dataloop, item, journal.run_id, made)


def test_what_came_twice_or_from_nowhere_is_deleted_and_what_has_vanished_is_posted_again(
    dataloop: DataloopServer, item: Item, journal: Journal, uploads: Callable[..., Upload], platform: Platform
) -> None:
    made = segments(item, journal.run_id)
    upload = put_all(uploads(journal), made)
    expected = len(expected_keys(made))
    posted = threading.Event()
    while upload._delivery.outbox.count("stored") < expected:
        posted.wait(0.001)
    there = dataloop.annotations(item.id)
    pose = next(one for one in there if one["type"] == "pose")
    child = next(one for one in there if one["type"] == "point")
    unknown = {**child, "metadata": {**child["metadata"], "user": {"kinestream": {"run": journal.run_id, "key": "?"}}}}
    platform.post(f"/items/{item.id}/annotations", [pose, child, unknown], repeatable=True)
    platform.delete_where(item.dataset_id, "annotations", [{"id": there[-1]["id"]}])
    upload.finish().result(10)
    assert_is_all_there_once(dataloop, item, journal.run_id, made)


def test_a_parent_that_has_vanished_comes_back_with_its_children(
    dataloop: DataloopServer, item: Item, journal: Journal, uploads: Callable[..., Upload], platform: Platform
) -> None:
    made = segments(item, journal.run_id)
    upload = put_all(uploads(journal), made)
    wait_until_stored(upload, made)
    pose = next(one for one in dataloop.annotations(item.id) if one["type"] == "pose")
    platform.delete_where(item.dataset_id, "annotations", [{"id": pose["id"]}])
    upload.finish().result(10)
    assert_is_all_there_once(dataloop, item, journal.run_id, made)


def test_a_parent_that_is_another_one_now_gets_all_its_children(
    dataloop: DataloopServer, item: Item, journal: Journal, uploads: Callable[..., Upload], platform: Platform
) -> None:
    made = segments(item, journal.run_id)
    upload = put_all(uploads(journal), made)
    wait_until_stored(upload, made)
    pose = next(one for one in dataloop.annotations(item.id) if one["type"] == "pose")
    platform.post(f"/items/{item.id}/annotations", [pose], repeatable=True)
    platform.delete_where(item.dataset_id, "annotations", [{"id": pose["id"]}])
    upload.finish().result(10)
    assert_is_all_there_once(dataloop, item, journal.run_id, made)


def test_a_finished_run_asks_the_platform_nothing(
    dataloop: DataloopServer, item: Item, open_journal: Callable[..., Journal], uploads: Callable[..., Upload]
) -> None:
    journal = open_journal()
    first = put_all(uploads(journal), segments(item, journal.run_id)).finish().result(10)
    asked = len(dataloop.requests)
    again = put_all(uploads(open_journal(resume=True)), segments(item, journal.run_id))
    assert again.finish().result(10) == first
    assert len(dataloop.requests) == asked


# What was there before


def stray(key: str, **user: Any) -> dict[str, Any]:
    system = {"automated": True, "objectId": "9", "attributes": {}, "frame": 0, "endFrame": 1, "snapshots_": []}
    return {
        "type": "point", "label": "nose", "coordinates": {"x": 1.0, "y": 2.0, "z": 0.0}, "source": "sdk",
        "metadata": {"system": system | {"startTime": 0, "endTime": 0.04}, "user": {"note": key, **user}},
    }  # fmt: skip


def test_earlier_runs_are_replaced_after_the_new_one_was_seen_and_others_are_left_alone(
    dataloop: DataloopServer, item: Item, open_journal: Callable[..., Journal], uploads: Callable[..., Upload],
    platform: Platform,
) -> None:  # fmt: skip
    human, other = stray("human"), stray("other", model={"name": "somebody-else", "confidence": 0.5})
    seeds = stray("seed", model={"name": MODEL, "confidence": 0.5})
    platform.post(f"/items/{item.id}/annotations", [human, other, seeds], repeatable=True)
    first = open_journal()
    put_all(uploads(first), segments(item, first.run_id, people=1)).finish().result(10)
    second = open_journal()
    made = segments(item, second.run_id)
    uploaded = put_all(uploads(second), made).finish().result(10)
    assert uploaded.replaced == len(expected_keys(segments(item, "", people=1)))
    assert_is_all_there_once(dataloop, item, second.run_id, made)
    notes = [one["metadata"]["user"].get("note") for one in dataloop.annotations(item.id)]
    assert sorted(filter(None, notes)) == ["human", "other"]
    deletes = [
        index for index, one in enumerate(dataloop.requests) if isinstance(one.body, dict) and one.body.get("delete")
    ]
    posts = [
        index for index, one in enumerate(dataloop.requests) if one.method == "POST" and one.path.endswith(POSTS[:-1])
    ]
    assert deletes[-1] > posts[-1]


def test_what_an_unfinished_run_has_left_goes_too_under_whatever_name_it_was_filed(
    dataloop: DataloopServer, item: Item, open_journal: Callable[..., Journal], uploads: Callable[..., Upload],
    platform: Platform,
) -> None:  # fmt: skip
    first = open_journal()
    left = segments(item, first.run_id, people=1, model="renamed-since")[0]
    posted = platform.post(f"/items/{item.id}/annotations", [left.pose], repeatable=True)
    children = [{**one} for one in left.children]
    for one in children:
        one["metadata"]["system"]["parentId"] = (posted[0] if isinstance(posted, list) else posted)["id"]
    platform.post(f"/items/{item.id}/annotations", children, repeatable=True)
    second = open_journal()
    made = segments(item, second.run_id)
    put_all(uploads(second), made).finish().result(10)
    assert len(dataloop.annotations(item.id)) == len(expected_keys(made))


def test_a_refusal_leaves_what_was_there_before(
    dataloop: DataloopServer, item: Item, open_journal: Callable[..., Journal], uploads: Callable[..., Upload],
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    first = open_journal()
    made = segments(item, first.run_id, people=1)
    put_all(uploads(first), made).finish().result(10)
    second = open_journal()
    dataloop.inject(Status(400, "label is not in the recipe"), "POST", POSTS, skip=3)
    with caplog.at_level(logging.ERROR), pytest.raises(PlatformError, match="label is not in the recipe"):
        put_all(uploads(second), segments(item, second.run_id)).finish().result(10)
    assert "label is not in the recipe" in caplog.text
    there = [one["metadata"]["user"]["kinestream"] for one in dataloop.annotations(item.id)]
    assert {one["key"] for one in there if one["run"] == first.run_id} == expected_keys(made)
