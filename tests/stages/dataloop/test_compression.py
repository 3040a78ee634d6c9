"""Bodies that are compressed: a server that takes them, and servers that do not, each in its own way."""

import gzip
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dataloop_faults import Fault, LoseReply, Status, Truncate
from dataloop_server import DataloopServer

from stages.dataloop.connection.platform import Platform
from stages.dataloop.errors import PlatformError, ReplyLost


@pytest.fixture
def platform(dataloop: DataloopServer) -> Iterator[Platform]:
    assert dataloop.port
    with Platform(timeout_seconds=5, attempts=3, wait=lambda _: False) as platform:
        yield platform


@pytest.fixture
def item_id(dataloop: DataloopServer, tmp_path: Path) -> str:
    (tmp_path / "clip.mp4").write_bytes(b"1")
    return dataloop.add_item(tmp_path / "clip.mp4", fps=25)


def points(count: int) -> list[dict[str, Any]]:
    places = random.Random(0)
    return [
        {
            "type": "point", "label": "nose", "coordinates": {"x": places.uniform(0, 640), "y": places.uniform(0, 480)},
            "metadata": {"system": {"objectId": str(number), "frame": 0, "endFrame": 3, "snapshots_": []}},
        }
        for number in range(count)
    ]  # fmt: skip


MANY = points(400)


def annotate(platform: Platform, item_id: str, annotations: list[dict[str, Any]] = MANY) -> Any:
    return platform.post(f"/items/{item_id}/annotations", annotations, repeatable=False)


def encodings(server: DataloopServer) -> list[str]:
    """How the annotations that came were compressed, in order."""
    sent = [request for request in server.requests if request.path.endswith("/annotations")]
    return [request.headers.get("Content-Encoding", "plain") for request in sent]


def test_many_annotations_come_as_they_were_sent_in_few_bytes(
    dataloop: DataloopServer, platform: Platform, item_id: str
) -> None:
    reply = annotate(platform, item_id)

    assert encodings(dataloop) == ["gzip"]
    assert dataloop.requests[-1].body == MANY
    assert dataloop.requests[-1].bytes < 20_000
    assert [one["coordinates"] for one in reply] == [one["coordinates"] for one in MANY]


def test_a_few_are_not_worth_it(dataloop: DataloopServer, platform: Platform, item_id: str) -> None:
    annotate(platform, item_id, points(3))

    assert encodings(dataloop) == ["plain"]


@pytest.mark.parametrize("status", [400, 415, 501])
def test_a_platform_that_refuses_gets_them_plain_at_once_and_from_then_on(
    status: int, dataloop: DataloopServer, platform: Platform, item_id: str
) -> None:
    dataloop.inject(Status(status), encoding="gzip", times=None)

    annotate(platform, item_id)
    annotate(platform, item_id)

    assert encodings(dataloop) == ["gzip", "plain", "plain"]
    assert len(dataloop.annotations(item_id)) == 2 * len(MANY)


def test_where_the_content_is_refused_compression_goes_on(
    dataloop: DataloopServer, platform: Platform, item_id: str
) -> None:
    wrong = [*MANY, {"type": "nothing"}]
    for _ in range(2):
        with pytest.raises(PlatformError, match="unknown type 'nothing'"):
            annotate(platform, item_id, wrong)

    assert encodings(dataloop) == ["gzip", "plain", "gzip", "plain"]
    assert dataloop.annotations(item_id) == []


@pytest.mark.parametrize(
    ("fault", "stored"),
    [
        pytest.param(Status(500), 0, id="breaks"),
        pytest.param(Status(502, body="<html>Bad Gateway</html>"), 0, id="gateway breaks"),
        pytest.param(LoseReply(), len(MANY), id="lost"),
    ],
)
def test_a_platform_that_breaks_at_the_first_one_is_not_sent_another(
    fault: Fault, stored: int, dataloop: DataloopServer, platform: Platform, item_id: str
) -> None:
    dataloop.inject(fault, encoding="gzip", times=None)

    with pytest.raises(ReplyLost):
        annotate(platform, item_id)

    assert encodings(dataloop) == ["gzip"]  # it may have been done: whoever sent it must ask
    assert len(dataloop.annotations(item_id)) == stored
    annotate(platform, item_id)
    assert encodings(dataloop) == ["gzip", "plain"]


@pytest.mark.parametrize("body", ["", "[]"])
def test_a_platform_that_finds_nothing_in_it_is_not_sent_another(
    body: str, dataloop: DataloopServer, platform: Platform, item_id: str
) -> None:
    dataloop.inject(Status(201, body=body), encoding="gzip", times=None)

    assert not annotate(platform, item_id)
    assert len(annotate(platform, item_id)) == len(MANY)

    assert encodings(dataloop) == ["gzip", "plain"]


def test_where_one_was_taken_a_fault_is_not_that_of_compression(
    dataloop: DataloopServer, platform: Platform, item_id: str
) -> None:
    annotate(platform, item_id)
    dataloop.inject(Status(500))
    with pytest.raises(ReplyLost):
        annotate(platform, item_id)

    annotate(platform, item_id)

    assert encodings(dataloop) == ["gzip"] * 3


def test_busy_platforms_are_asked_again_in_the_same_way(
    dataloop: DataloopServer, platform: Platform, item_id: str
) -> None:
    dataloop.inject(Status(429), times=2)

    annotate(platform, item_id)

    assert encodings(dataloop) == ["gzip"] * 3


def test_lists_come_compressed(dataloop: DataloopServer, platform: Platform, item_id: str) -> None:
    annotate(platform, item_id)

    listed = list(platform.query(dataloop.dataset_id, "annotations", [{"itemId": item_id}]))

    assert len(listed) == len(MANY)
    assert dataloop.requests[-1].headers["Accept-Encoding"] == "gzip"


def test_a_compressed_list_that_breaks_off_is_asked_for_again(
    dataloop: DataloopServer, platform: Platform, item_id: str
) -> None:
    annotate(platform, item_id)
    dataloop.inject(Truncate(2000), "POST", "/query$")

    listed = list(platform.query(dataloop.dataset_id, "annotations", [{"itemId": item_id}]))

    assert len(listed) == len(MANY)
    assert dataloop.count("POST", "/query$") == 2


def test_a_damaged_body_is_refused(dataloop: DataloopServer, platform: Platform, item_id: str) -> None:
    """The server of the tests must not take what no platform would."""
    whole = gzip.compress(b"[]")
    for sent in (whole[:-9], b"[]"):
        with pytest.raises(PlatformError, match="400"):
            platform._exchange.send(
                "POST", f"/items/{item_id}/annotations", sent, {"Content-Encoding": "gzip"}, changes=True
            )
    assert dataloop.annotations(item_id) == []
