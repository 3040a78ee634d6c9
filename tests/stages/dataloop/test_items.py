"""What the platform says about a file, and what it leaves out."""

import json
from pathlib import Path
from typing import Any

import pytest
from dataloop_faults import Status
from dataloop_server import DataloopServer
from hypothesis import given
from hypothesis import strategies as st

from stages.dataloop.connection.platform import Platform
from stages.dataloop.errors import PlatformError
from stages.dataloop.items import Item, get_item


def described(**changes: Any) -> dict[str, Any]:
    system = {"mimetype": "video/mp4", "size": 10, "width": 64, "height": 48, "ffmpeg": {"nb_read_frames": "50"}}
    json = {"id": "a1", "datasetId": "d1", "name": "x.mp4", "filename": "/s/x.mp4"}
    return {**json, "metadata": {"fps": 25, "system": {**system, **changes.pop("system", {})}}, **changes}


def test_a_video_is_read_whole() -> None:
    item = Item.from_json(described())
    assert item == Item("a1", "d1", "x.mp4", "/s/x.mp4", "video/mp4", 10, 64, 48, 25.0, 50)
    assert (item.is_video, item.is_image) == (True, False)
    assert str(item) == "/s/x.mp4 (a1)"


def test_a_picture_has_no_frames() -> None:
    item = Item.from_json(described(metadata={"system": {"mimetype": "image/jpeg", "size": 5}}))
    assert (item.is_video, item.is_image, item.frames_per_second, item.frame_count) == (False, True, None, None)


@pytest.mark.parametrize("fps", [None, 0, "", "nonsense", float("inf"), float("nan"), -25])
def test_a_frame_rate_that_is_none_is_none(fps: Any) -> None:
    assert Item.from_json(described(metadata={"fps": fps, "system": {"size": 1}})).frames_per_second is None


@pytest.mark.parametrize(
    ("json", "missing"),
    [
        pytest.param({}, "an item without id, datasetId, filename, metadata.system.size", id="nothing"),
        pytest.param(described(id=None), "/s/x.mp4 without id;", id="no id"),
        pytest.param(described(system={"size": None}), "without metadata.system.size", id="no size"),
        pytest.param(described(system={"size": -1}), "without metadata.system.size", id="less than nothing"),
        pytest.param(described(system={"size": float("inf")}), "without metadata.system.size", id="endless"),
        pytest.param(described(metadata=None), "without metadata.system.size", id="no metadata"),
    ],
)
def test_what_cannot_be_used_is_named(json: dict[str, Any], missing: str) -> None:
    with pytest.raises(PlatformError, match=missing):
        Item.from_json(json)


trees = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["system", "size", "fps", "ffmpeg", "width", "nb_read_frames"]), inner)
    ),
)


@given(tree=st.dictionaries(st.sampled_from(["id", "datasetId", "filename", "name", "metadata"]), trees))
def test_whatever_comes_is_an_item_or_an_error_of_ours(tree: dict[str, Any]) -> None:
    try:
        item = Item.from_json(tree)
    except PlatformError:
        return
    assert item.size >= 0


def test_an_item_is_looked_up_by_its_id(dataloop: DataloopServer, tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(b"x" * 10)
    item_id = dataloop.add_item(clip, fps=25)
    with Platform(attempts=1) as platform:
        assert get_item(platform, item_id).frames_per_second == 25
        with pytest.raises(PlatformError, match="404"):
            get_item(platform, "../users/me")
        dataloop.inject(Status(200, body=json.dumps(["no", "item"])))
        with pytest.raises(PlatformError, match="an item without id"):
            get_item(platform, item_id)
