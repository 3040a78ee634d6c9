"""The adapter for Dataloop's own machines: real dtlpy, the real run, a server that speaks as the platform."""

import json
import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import checkpoints
import dataloop_square
import pytest
from clips import Clip
from dataloop_faults import Hang, Status
from dataloop_models import Bench

from pipeline.errors import ConfigError, PipelineError
from pipeline.skeletons import COCO_17, MPII_16
from stages.dataloop.annotating.desk import Filing
from stages.dataloop.errors import PlatformError
from stages.dataloop.model_options import ModelOptions
from stages.dataloop.standing import Assignment

SQUARE = {"pose": "square"}
TINY = {
    "weights": "tiny.pth", "detector": "square", "weight_config": "hrnet_w32_256x192",
    "options": {"pose.engine": "torch", "pose.precision": "f32", "annotations.min_score": 0.0},
}  # fmt: skip

Json = dict[str, Any]


@pytest.fixture
def clip(make_clip: Callable[..., Clip]) -> Clip:
    return make_clip(fps=10, seconds=1)


def assigned(configuration: Json, folder: Path = Path("/nowhere")) -> Assignment:
    return ModelOptions.read(configuration).assignment(folder, Filing())


# Items


def test_predict_items_gives_what_is_on_the_platform_then(bench: Bench, clip: Clip) -> None:
    video, photo = bench.add_video(clip), bench.add_photo()
    items = bench.items(video, photo)

    same, annotations = bench.load(SQUARE).predict_items(items)

    assert same is items
    assert bench.kinds(video) == bench.kinds(photo) == {"pose": 1, "point": 17, "box": 1}
    stored = [one["id"] for item in (video, photo) for one in bench.server.annotations(item)]
    assert sorted(one.id for one in annotations) == sorted(stored)


def test_every_item_has_a_collection_in_its_place(bench: Bench) -> None:
    paper, photo = bench.add_paper(), bench.add_photo()

    found = bench.load(SQUARE).predict(bench.items(paper, photo, paper, photo))

    assert [len(collection) for collection in found] == [0, 19, 0, 19]


def test_an_item_that_fails_has_an_empty_collection_whatever_was_there_before(bench: Bench) -> None:
    photo, adapter = bench.add_photo(), bench.load(SQUARE)
    adapter.predict(bench.items(photo))
    bench.server.inject(Status(400), "POST", f"{photo}/annotations", times=None)

    assert [len(collection) for collection in adapter.predict(bench.items(photo))] == [0]


def test_a_dataset_that_is_not_set_up_is_refused_before_its_items_are_listed(bench: Bench) -> None:
    bench.server.store.change("recipes", bench.server.recipe_id, {"metadata": {"system": {"collectionTemplates": []}}})
    bench.add_photo()
    adapter, dataset = bench.load(SQUARE), bench.dataset()

    with pytest.raises(PlatformError, match="kinestream dataloop setup"):
        adapter.predict_dataset(dataset)

    assert not bench.server.count("POST", f"{dataset.id}/query")


def test_items_that_fail_are_named_and_the_others_are_done(bench: Bench, clip: Clip) -> None:
    paper, photo = bench.add_paper(), bench.add_photo()
    timeless = bench.add_video(clip, fps=None)

    with pytest.raises(PlatformError) as raised:
        bench.load(SQUARE).predict_items(bench.items(paper, photo, timeless))

    said = str(raised.value)
    assert "2 of 3 items are not annotated (1 refused, 1 annotated, 1 failed)" in said
    assert f"/a.pdf ({paper}): refused: application/pdf is neither a video nor a picture" in said
    assert "metadata.fps" in said
    assert bench.kinds(photo)["pose"] == 1
    assert not bench.kinds(paper)


def test_of_very_many_that_fail_some_are_named(bench: Bench) -> None:
    papers = [bench.add_paper() for _ in range(22)]

    with pytest.raises(PlatformError, match=r"22 of 22 items .*22 refused") as raised:
        bench.load(SQUARE).predict_items(bench.items(*papers))

    assert len(str(raised.value).splitlines()) == 22
    assert str(raised.value).endswith("and 2 more")


def test_nothing_is_doubled_and_models_are_loaded_once(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    photo, by_hand = bench.add_photo(), {"type": "point", "label": "nose", "coordinates": {"x": 1, "y": 2, "z": 0}}
    bench.server.store.annotate(photo, by_hand)
    loaded: list[int] = []
    monkeypatch.setattr(dataloop_square.SquarePose, "open", lambda _: loaded.append(1))
    adapter = bench.load(SQUARE)
    assert loaded == [1]

    for _ in range(3):
        adapter.predict_items(bench.items(photo))

    assert bench.kinds(photo) == {"pose": 1, "point": 17 + 1, "box": 1}
    assert loaded == [1]


def test_annotations_carry_the_model_and_replace_those_of_the_same_only(bench: Bench) -> None:
    photo = bench.add_photo()
    one, other = bench.load(SQUARE, name="one"), bench.load(SQUARE, name="other")

    for adapter in (one, other, one):
        _, annotations = adapter.predict_items(bench.items(photo))
        names = {annotation.metadata["system"]["model"]["name"] for annotation in annotations}
        ids = {annotation.metadata["user"]["model"]["model_id"] for annotation in annotations}
        assert (names, ids) == ({adapter.model_entity.name}, {adapter.model_entity.id})

    assert bench.kinds(photo) == {"pose": 2, "point": 34, "box": 2}


def test_an_item_that_two_threads_want_at_a_time_is_annotated_once(bench: Bench, clip: Clip) -> None:
    video = bench.add_video(clip)
    adapter, items = bench.load(SQUARE), bench.items(video)
    bench.server.inject(Status(503), "GET", "/stream")  # long enough for both to come
    threads = [threading.Thread(target=adapter.predict, args=(items,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert bench.server.count("GET", f"{video}/stream") == 2
    assert bench.kinds(video) == {"pose": 1, "point": 17, "box": 1}


def test_a_dataset_that_is_not_set_up_is_refused_before_anything_is_downloaded(bench: Bench) -> None:
    bench.server.store.change("recipes", bench.server.recipe_id, {"metadata": {"system": {"collectionTemplates": []}}})
    photo = bench.add_photo()

    with pytest.raises(PlatformError, match="kinestream dataloop setup"):
        bench.load(SQUARE).predict_items(bench.items(photo))

    assert not bench.server.count("GET", f"{photo}/stream")


def test_it_logs_in_as_the_client_of_the_model_does(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    photo = bench.add_photo()
    monkeypatch.setenv("DATALOOP_URL", "http://127.0.0.1:1/api/v1")
    monkeypatch.setenv("DATALOOP_TOKEN", "of another platform")

    bench.load(SQUARE).predict_items(bench.items(photo))

    assert bench.kinds(photo)["pose"] == 1


def test_it_takes_the_newer_token_of_that_client_when_its_own_is_refused(bench: Bench) -> None:
    photo, adapter = bench.add_photo(), bench.load(SQUARE)
    bench.server.expire_tokens()
    bench.client.token = bench.server.new_token()

    adapter.predict_items(bench.items(photo))

    assert bench.kinds(photo)["pose"] == 1


# Datasets


def test_predict_dataset_annotates_what_the_filter_takes(bench: Bench, clip: Clip) -> None:
    import dtlpy as dl  # noqa: PLC0415 - it takes a second

    video, photo, paper = bench.add_video(clip), bench.add_photo(), bench.add_paper()
    adapter = bench.load(SQUARE)

    assert adapter.predict_dataset(bench.dataset(), dl.Filters(field="metadata.system.mimetype", values="image/png"))
    assert not bench.kinds(video)
    assert adapter.predict_dataset(bench.dataset(), {"name": clip.path.name})
    assert [bench.kinds(item) for item in (video, photo)] == [{"pose": 1, "point": 17, "box": 1}] * 2
    with pytest.raises(PlatformError, match=r"a\.pdf"):
        adapter.predict_dataset(bench.dataset())
    assert not bench.kinds(paper)


def test_a_filter_that_cannot_be_kept_is_refused(bench: Bench) -> None:
    import dtlpy as dl  # noqa: PLC0415 - it takes a second

    filters = dl.Filters()
    filters.add_join(field="type", values="box")

    with pytest.raises(ConfigError, match="join"):
        bench.load(SQUARE).predict_dataset(bench.dataset(), filters)


def test_progress_is_told_of_each_item(bench: Bench) -> None:
    for number in range(4):
        bench.add_photo(number)
    told: list[tuple[int, str]] = []

    class Progress:
        def update(self, *, progress: int, message: str) -> None:
            told.append((progress, message))

    bench.load(SQUARE).predict_dataset(bench.dataset(), progress=Progress())

    assert [progress for progress, _ in told] == [25, 50, 75, 100]
    assert told[0][1] == "/0.png: annotated"


# Loading, and what goes wrong


def test_loading_looks_for_the_artifacts_and_changes_nothing(bench: Bench, tmp_path: Path) -> None:
    weights = checkpoints.write_hrnet(tmp_path / "tiny.pth")
    before = len(bench.server.requests)

    bench.load(TINY, weights)

    asked = {(request.method, request.path) for request in bench.server.requests[before:] if request.method != "GET"}
    assert asked == {("POST", "/datasets/query")}


def test_a_model_without_a_configuration_is_the_default_one(bench: Bench) -> None:
    assert ModelOptions.read({}) == ModelOptions.read({"device": None, "batch_size": 4})
    with pytest.raises(PipelineError):  # weights that are not here, from a place that is not there
        bench.load({"weights": "hrnet-of-nobody", "detector": "square"})


def test_weights_of_ones_own_come_from_the_artifacts(bench: Bench, tmp_path: Path, clip: Clip) -> None:
    video = bench.add_video(clip)
    weights = checkpoints.write_hrnet(tmp_path / "tiny.pth")

    adapter = bench.load(TINY, weights)
    adapter.predict_items(bench.items(video))

    assert bench.kinds(video)["pose"] >= 1
    own = adapter._assignment.config.pose.options
    assert own["weights"] == str(tmp_path / "model people" / "tiny.pth")
    assert own["image_size"] == [256, 192]


def test_a_file_that_is_not_among_the_artifacts_is_named_with_those_that_are(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "other.pth").write_bytes(b"x")

    with pytest.raises(ConfigError, match=r"'tiny.pth' is not among the artifacts of the model \(other.pth\)"):
        bench.load(TINY, tmp_path / "other.pth")


def test_what_is_saved_can_be_loaded_without_the_rest(bench: Bench, tmp_path: Path) -> None:
    own = tmp_path / "elsewhere" / "mine.pth"
    own.parent.mkdir()
    checkpoints.write_hrnet(own)
    photo, saved = bench.add_photo(), tmp_path / "saved"
    adapter = bench.load({**TINY, "weights": str(own)})

    adapter.save(str(saved))

    assert [path.name for path in saved.iterdir()] == ["mine.pth"]
    assert bench.server.count("PATCH", "/ml/models/") == 1
    configuration = bench.server.store.get("models", adapter.model_entity.id)["configuration"]
    assert configuration["weights"] == "mine.pth"
    own.unlink()
    bench.load(configuration, saved / "mine.pth", name="saved").predict_items(bench.items(photo))
    assert bench.kinds(photo)["pose"] == 1


def test_an_adapter_without_a_model_says_so(tmp_path: Path) -> None:
    from stages.dataloop.adapter import KinestreamAdapter  # noqa: PLC0415 - imports dtlpy

    with pytest.raises(ConfigError, match="no model is loaded"):
        KinestreamAdapter().save(str(tmp_path))


def test_a_model_that_breaks_fails_its_items_and_works_again_when_it_is_mended(
    bench: Bench, clip: Clip, monkeypatch: pytest.MonkeyPatch
) -> None:
    video = bench.add_video(clip)
    adapter = bench.load(SQUARE)

    def fail(*_: object) -> None:
        msg = "out of order"
        raise RuntimeError(msg)

    with monkeypatch.context() as broken:
        broken.setattr(dataloop_square.SquarePose, "estimate", fail)
        with pytest.raises(PipelineError, match="out of order"):
            adapter.predict_items(bench.items(video))

    adapter.predict_items(bench.items(video))
    assert bench.kinds(video)["pose"] == 1


def test_it_works_again_after_it_was_closed(bench: Bench) -> None:
    photo = bench.add_photo()
    adapter = bench.load(SQUARE)
    adapter.close()
    adapter.close()

    adapter.predict_items(bench.items(photo))

    assert bench.kinds(photo)["pose"] == 1
    adapter.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "dataloop run"]


def test_what_is_under_way_when_it_is_closed_fails_and_says_so(bench: Bench, clip: Clip) -> None:
    video = bench.add_video(clip)
    adapter, items = bench.load({**SQUARE, "options": {"run.drain_timeout_seconds": 0.2}}), bench.items(video)
    bench.server.inject(Hang(), "GET", "/stream", times=None)
    raised: list[BaseException] = []

    def predict() -> None:
        try:
            adapter.predict_items(items)
        except PipelineError as error:
            raised.append(error)

    thread = threading.Thread(target=predict)
    thread.start()
    while bench.server.count("GET", f"/items/{video}$") < 2:  # that of dtlpy, then that of the run
        thread.join(0.01)
    adapter.close()
    thread.join()

    assert "closed before the item was done" in str(raised[0])
    assert not bench.kinds(video)


def test_resume_leaves_alone_what_is_finished(bench: Bench) -> None:
    photo = bench.add_photo()
    adapter = bench.load({**SQUARE, "resume": True})
    adapter.predict_items(bench.items(photo))
    before = [one["id"] for one in bench.server.annotations(photo)]

    adapter.predict_items(bench.items(photo))

    assert [one["id"] for one in bench.server.annotations(photo)] == before


# The configuration


@pytest.mark.parametrize(
    ("given", "where", "value"),
    [
        ({}, "pose.weights", "hrnet-w48-384x288"),
        ({"weight_config": "hrnet_w32_256x192"}, "pose.weights", "hrnet-w32-256x192"),
        ({"weight_config": "hrnet_w32_256x256"}, "pose.weights", "hrnet-w32-256x256-mpii"),
        ({"weight_config": "hrnet_w32_256x256"}, "pose.joints", 16),
        ({"weight_config": "hrnet_w32_256x256", "hrnet_joints_set": "mpii"}, "pose.joints", 16),
        ({"weights": "hrnet-w32-384x288", "hrnet_joints_set": "mpii"}, "pose.joints", 16),
        ({}, "detect.weights", "yolo11m"),
        ({"yolo_version": "v3"}, "detect.weights", "yolo11m"),
        ({"use_tiny_yolo": True}, "detect.weights", "yolo11n"),
        ({"detector": "blazepose"}, "detect.kind", "blazepose"),
        ({"single_person": True}, "detect.max_people", 1),
        ({"pose": "yolo11n-pose", "single_person": True}, "pose.max_people", 1),
        ({"pose": "blazepose"}, "pose.kind", "blazepose"),
        ({}, "track.kind", "kinesort"),
        ({"tracker": "sort"}, "track.kind", "sort"),
        ({}, "pose.max_batch", 16),
        ({"max_batch_size": 3}, "pose.max_batch", 3),
        ({"enable_tensorrt": True}, "pose.engine", "tensorrt"),
        ({"options": {"pose.flip_test": True}}, "pose.flip_test", True),
        ({"options": {"pose.max_batch": 5}}, "pose.max_batch", 5),
    ],
    ids=str,
)
def test_a_key_asks_for(given: Json, where: str, value: object) -> None:
    section, _, name = where.partition(".")

    part = getattr(assigned(given).config, section)

    assert (part.kind if name == "kind" else part.options[name]) == value


def test_keys_beside_the_models() -> None:
    assert assigned({}).config.run.device == "auto"
    assert assigned({"device": "cuda:1"}).config.run.device == "cuda:1"
    assert assigned({}).options.boxes
    assert assigned({}).options.tracked
    assert not assigned({"bounding_boxes": False}).options.boxes
    untracked = assigned({"disable_tracking": True, "workers": 5})
    assert untracked.config.track is None
    assert not untracked.options.tracked
    assert (untracked.workers, untracked.config.run.max_open_files) == (5, 5)
    assert assigned({"options": {"annotations.min_score": 0.5}}).options.min_score == 0.5


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"weight_config": "hrnet_w64"}, "configuration.weight_config: .*hrnet_w48_384x288.*got 'hrnet_w64'"),
        ({"hrnet_joints_set": "mpii"}, "17 joints of COCO: set weight_config to hrnet_w32_256x256"),
        ({"yolo_version": "v99"}, "yolo_version"),
        ({"max_batch_size": 0}, "max_batch_size"),
        ({"weights": "mine.pth"}, r"'mine.pth' is not among the artifacts of the model \(there is none\)"),
        ({"detector": "a.onnx"}, "'a.onnx' is not among the artifacts"),
        ({"options": {"annotations.min_skore": 1}}, "min_score"),
        ({"options": {"sources": "x.mp4", "detekt": 1}}, "detekt"),
    ],
    ids=str,
)
def test_a_configuration_that_is_wrong_says_what_to_do(given: Json, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        assigned(given)


def test_a_key_that_means_nothing_is_told(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        ModelOptions.read({"weight_konfig": "x", "batch_size": 4, "include_background": False})

    assert [record.getMessage() for record in caplog.records] == [
        "the configuration of the model has 'weight_konfig', which means nothing here; did you mean 'weight_config'?"
    ]


def test_mpii_is_told(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        ModelOptions.read({"weight_config": "hrnet_w32_256x256"})

    assert "16 joints" in caplog.text
    assert "setup --skeleton mpii-16" in caplog.text


# The files beside it

ROOT = Path(__file__).parents[3]
MANIFEST = json.loads((ROOT / "dataloop.json").read_text(encoding="utf-8"))
DEPLOY = ROOT / "deploy" / "dataloop"


def test_the_manifest_is_what_dtlpy_reads() -> None:
    import dtlpy as dl  # noqa: PLC0415 - it takes a second

    app = dl.Dpk.from_json(MANIFEST, client_api=None, project=None)

    modules = {module.name: module for module in app.components.modules}
    computers = {compute.name for compute in app.components.compute_configs}
    assert {one["moduleName"] for one in MANIFEST["components"]["models"]} == set(modules)
    for module in modules.values():
        assert (ROOT / module.entry_point).is_file()
        assert module.compute_config in computers


def test_the_class_and_the_functions_of_the_manifest_exist() -> None:
    from stages.dataloop import adapter  # noqa: PLC0415 - imports dtlpy

    (module,) = MANIFEST["components"]["modules"]
    assert hasattr(adapter, module["className"])
    names = [function["name"] for function in module["functions"]]
    assert names == ["predict_items", "predict_dataset"]
    assert all(hasattr(adapter.KinestreamAdapter, name) for name in names)


def test_the_models_of_the_manifest_have_configurations_that_mean_something(caplog: pytest.LogCaptureFixture) -> None:
    for model in MANIFEST["components"]["models"]:
        with caplog.at_level(logging.WARNING):
            options = ModelOptions.read(model["configuration"])
        skeleton = MPII_16 if "mpii" in model["name"] else None
        joints = MPII_16.joints if skeleton else tuple(label for label in model["labels"] if "person" not in label)
        assert model["labels"] == ["person" if skeleton is None else "person-mpii-16", *joints]
        assert options.assignment(Path("/nowhere"), Filing()).config.pose is not None
    assert "means nothing" not in caplog.text


def test_the_first_model_has_the_keys_and_defaults_of_the_earlier_adapter() -> None:
    assert MANIFEST["components"]["models"][0]["configuration"] == {
        "weight_config": "hrnet_w48_384x288", "hrnet_joints_set": "coco", "single_person": False, "yolo_version": "v5",
        "use_tiny_yolo": False, "disable_tracking": False, "max_batch_size": 16, "device": None,
        "enable_tensorrt": False, "bounding_boxes": True,
    }  # fmt: skip
    assert ModelOptions.read(MANIFEST["components"]["models"][0]["configuration"]) == ModelOptions()


def test_ontology_and_recipe_can_be_imported_as_they_are(bench: Bench) -> None:
    import dtlpy as dl  # noqa: PLC0415 - it takes a second

    from stages.dataloop.connection.platform import Platform  # noqa: PLC0415 - as above
    from stages.dataloop.recipes import Recipes, find_template, plan  # noqa: PLC0415

    server = bench.server
    ontology = server.store.add("ontologies", json.loads((DEPLOY / "ontology.json").read_text(encoding="utf-8")))
    wanted = json.loads((DEPLOY / "recipe.json").read_text(encoding="utf-8")) | {"ontologyIds": [ontology["id"]]}
    recipe = server.store.add("recipes", wanted)
    dataset = server.add_dataset("imported")
    server.store.change("datasets", dataset, {"metadata": {"system": {"recipes": [recipe["id"]]}}})

    read = dl.repositories.Recipes(client_api=bench.client).get(recipe_id=recipe["id"])
    assert read.get_annotation_template_id("person")
    assert len(dl.repositories.Ontologies(client_api=bench.client).get(ontology_id=ontology["id"]).labels) == 18
    with Platform(like=bench.client) as platform:
        assert plan(Recipes.read(platform, dataset)).lines() == ["~ template 'person': ontology (17 points, 19 arcs)"]
        assert find_template(platform, dataset, COCO_17).id == read.get_annotation_template_id("person")
