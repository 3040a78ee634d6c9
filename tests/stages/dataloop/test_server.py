"""The test server, as dtlpy itself sees it, used the way its documentation says."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import requests
from dataloop_faults import LoseReply
from dataloop_server import DataloopServer

pytestmark = pytest.mark.filterwarnings("ignore:.*:DeprecationWarning:dtlpy")  # what dtlpy calls is not ours to mend


@pytest.fixture
def item(dl: Any, dataloop: DataloopServer, video: Path) -> Any:
    return dl.items.get(item_id=dataloop.add_item(video, width=64, height=48, fps=25, frame_count=50))


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "clip.mp4"
    path.write_bytes(bytes(range(256)) * 400)
    return path


def joint(frame: int = 10, **system: Any) -> dict[str, Any]:
    """Make a nose with keyframes at `frame`, `frame` + 1 and `frame` + 10."""

    def place(x: float) -> dict[str, float]:
        return {"x": x, "y": 5.0, "z": 0.0}

    def snapshot(at: int, x: float) -> dict[str, Any]:
        seen = {"fixed": True, "label": "nose", "type": "point", "objectVisible": True, "namedAttributes": {}}
        return {**seen, "frame": at, "data": place(x)}

    times = {"frame": frame, "startTime": frame / 25, "endTime": (frame + 10) / 25, "endFrame": frame + 10}
    snapshots = [snapshot(frame + 1, 2.0), snapshot(frame + 10, 4.0)]
    system = {"automated": True, "objectId": "3", "attributes": {}, **times, "snapshots_": snapshots, **system}
    model = {"name": "m", "model_id": "1", "confidence": 0.9}
    return {
        "type": "point", "label": "nose", "coordinates": place(1.0), "source": "sdk", "attributes": None,
        "metadata": {"user": {"model": model}, "system": system},
    }  # fmt: skip


def pose(**system: Any) -> dict[str, Any]:
    times = {"frame": 10, "startTime": 0.4, "endTime": 0.8, "endFrame": 20, "snapshots_": []}
    system = {"automated": True, "objectId": "3", "attributes": {}, **times, **system}
    coordinates = {"templateId": "tpl1", "instanceId": "3"}
    return {"type": "pose", "label": "person", "coordinates": coordinates, "metadata": {"system": system}}


def test_an_item_has_what_dtlpy_looks_for(item: Any) -> None:
    assert (item.fps, item.width, item.height, item.mimetype) == (25, 64, 48, "video/mp4")
    assert item.dataset.recipes.list()[0].ontologies.list()


def test_a_pose_and_its_joint_come_back_as_they_went_up(item: Any, dataloop: DataloopServer) -> None:
    (parent,) = item.annotations.upload([pose()])
    item.annotations.upload([joint(parentId=parent.id)])
    found = {annotation.label: annotation for annotation in item.annotations.list()}
    assert found["nose"].parent_id == found["person"].id
    assert {kind: (each.start_frame, each.end_frame, each.object_id) for kind, each in found.items()} == {
        "person": (10, 20, "3"),
        "nose": (10, 20, "3"),
    }
    assert list(found["nose"].frames.actual_keys()) == [10, 11, 20]
    stored = dataloop.annotations(item.id)[1]["metadata"]
    assert stored["system"]["snapshots_"] == joint()["metadata"]["system"]["snapshots_"]
    assert dataloop.store.get("items", item.id)["annotationsCount"] == 2


def test_what_dtlpy_makes_by_itself_is_taken(dl: Any, item: Any, dataloop: DataloopServer) -> None:
    made = dl.Annotation.new(
        item=item, object_id=3, frame_num=10, annotation_definition=dl.Pose("person", "tpl1", instance_id=3)
    )
    made.end_frame = 20
    item.annotations.upload([made])
    system = dataloop.annotations(item.id)[0]["metadata"]["system"]
    times = {"frame": 10, "startTime": 0.4, "endTime": 0.8, "endFrame": 20, "snapshots_": []}
    assert system == {"automated": True, "objectId": "3", "attributes": {}, **times}


def test_two_thousand_annotations_come_in_pages(item: Any, dataloop: DataloopServer) -> None:
    dataloop.store.annotate(item.id, [joint() for _ in range(2100)])
    assert len({annotation.id for annotation in item.annotations.list()}) == 2100
    assert dataloop.count("POST", "/query$") >= 3


def test_annotations_are_changed_and_deleted(dl: Any, item: Any, dataloop: DataloopServer) -> None:
    first, second, third = item.annotations.upload([joint(), joint(), joint()])
    first.end_frame = 30
    first.update(system_metadata=True)
    second.delete()
    assert [kept["id"] for kept in dataloop.annotations(item.id)] == [first.id, third.id]
    assert dataloop.annotations(item.id)[0]["metadata"]["system"]["endFrame"] == 30
    filters = dl.Filters(resource=dl.FiltersResource.ANNOTATION, field="metadata.user.model.name", values="m")
    item.annotations.delete(filters=filters)
    assert dataloop.annotations(item.id) == []


@pytest.mark.parametrize(("cascade", "left"), [(False, 1), (True, 0)])
def test_children_go_with_their_parent_if_that_is_switched_on(
    item: Any, dataloop: DataloopServer, *, cascade: bool, left: int
) -> None:
    dataloop.cascade = cascade
    (parent,) = item.annotations.upload([pose()])
    item.annotations.upload([joint(parentId=parent.id)])
    parent.delete()
    assert len(dataloop.annotations(item.id)) == left


def test_labels_and_templates_are_kept(item: Any) -> None:
    item.dataset.add_label("person", color=(255, 0, 0))
    recipe = item.dataset.recipes.list()[0]
    recipe.metadata["system"]["collectionTemplates"] = [{"name": "person", "id": "", "order": ["nose"], "arcs": []}]
    recipe.update(system_metadata=True)
    recipe = item.dataset.recipes.list()[0]
    assert [label.tag for label in recipe.ontologies.list()[0].labels] == ["person"]
    assert len(recipe.get_annotation_template_id("person")) == 24


def test_a_file_comes_down_as_it_is(item: Any, video: Path, tmp_path: Path) -> None:
    path = item.download(local_path=str(tmp_path / "down" / "x.mp4"), overwrite=True)
    assert Path(path).read_bytes() == video.read_bytes()


def test_left_alone_dtlpy_stores_twice_where_an_answer_gets_lost(item: Any, dataloop: DataloopServer) -> None:
    dataloop.inject(LoseReply(), "POST", "/annotations$")
    item.annotations.upload([joint()])
    assert len(dataloop.annotations(item.id)) == 2


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        pytest.param([1], "must be an object", id="no object"),
        pytest.param(joint() | {"type": "dot"}, "unknown type", id="type"),
        pytest.param(joint() | {"label": ""}, "label", id="no label"),
        pytest.param(joint() | {"coordinates": {"x": 1}}, "y must be", id="no y"),
        pytest.param(joint() | {"coordinates": {"x": "1", "y": 2}}, "x must be", id="x as text"),
        pytest.param(pose() | {"coordinates": {}}, "templateId", id="pose of no template"),
        pytest.param(joint(objectId=3), "objectId must be a text", id="object id as number"),
        pytest.param(joint(parentId="f" * 24), "no annotation has the parentId", id="unknown parent"),
        pytest.param(joint(endFrame=5), "before it begins", id="ends too soon"),
        pytest.param(joint(snapshots_=2 * joint()["metadata"]["system"]["snapshots_"][:1]), "in order", id="twice"),
        pytest.param(joint(endFrame=15), "behind the end", id="snapshot behind the end"),
        pytest.param(joint(snapshots_=joint()["metadata"]["system"]["snapshots_"][::-1]), "in order", id="unsorted"),
    ],
)
def test_it_refuses(annotation: Any, words: str, dataloop: DataloopServer, video: Path) -> None:
    item_id = dataloop.add_item(video)
    response = post(dataloop, item_id, [joint(), *(annotation if isinstance(annotation, list) else [annotation])])
    assert response.status_code == 400
    assert words in response.json()["message"]
    assert dataloop.annotations(item_id) == []  # all or none


def test_it_refuses_a_parent_of_another_item_frames_of_a_picture_and_nan(
    dataloop: DataloopServer, video: Path, tmp_path: Path
) -> None:
    one, other = dataloop.add_item(video), dataloop.add_item(video)
    (parent,) = dataloop.store.annotate(one, [pose()])
    assert "is of the item" in post(dataloop, other, joint(parentId=parent["id"])).json()["message"]
    photo = tmp_path / "a.jpg"
    photo.write_bytes(b"x")
    assert "is no video" in post(dataloop, dataloop.add_item(photo), joint()).json()["message"]
    broken = json.dumps(joint()).replace("1.0", "NaN")
    assert "NaN" in post(dataloop, one, broken).json()["message"]


def post(server: DataloopServer, item_id: str, body: Any) -> requests.Response:
    return requests.post(
        f"{server.url}/items/{item_id}/annotations",
        data=body if isinstance(body, str) else json.dumps(body),
        headers={"Authorization": f"Bearer {server.new_token()}"},
        timeout=10,
    )


def test_it_runs_as_a_process_of_its_own(video: Path) -> None:
    program = Path(__file__).parents[2] / "dataloop_server.py"
    with subprocess.Popen([sys.executable, str(program), str(video)], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            start = json.loads(process.stdout.readline())
            headers = {"Authorization": f"Bearer {start['token']}"}
            answer = requests.get(f"{start['url']}/items/{start['items'][0]}", headers=headers, timeout=10)
            assert answer.json()["metadata"]["system"]["size"] == video.stat().st_size
        finally:
            os.kill(process.pid, signal.SIGTERM)
        assert process.wait(10) == 0
