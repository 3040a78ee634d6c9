"""What a dataset needs: planned without asking anybody, made on a server, and never made twice."""

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from dataloop_server import DataloopServer

from pipeline.skeletons import COCO_17, MPII_16, Skeleton
from stages.dataloop.connection.platform import Platform
from stages.dataloop.errors import PlatformError
from stages.dataloop.labels import Template
from stages.dataloop.recipes import Recipes, carry_out, find_template, plan

Json = dict[str, Any]


@pytest.fixture
def platform(dataloop: DataloopServer) -> Iterator[Platform]:
    assert dataloop.url
    with Platform.from_environment() as platform:
        yield platform


@pytest.fixture
def set_up(dataloop: DataloopServer, platform: Platform) -> Callable[..., Template]:
    def set_up(skeleton: Skeleton = COCO_17) -> Template:
        found = Recipes.read(platform, dataloop.dataset_id)
        return carry_out(platform, plan(found, skeleton), skeleton)

    return set_up


def templates(server: DataloopServer) -> list[Json]:
    found: list[Json] = server.store.get("recipes", server.recipe_id)["metadata"]["system"]["collectionTemplates"]
    return found


def keep_templates(server: DataloopServer, *kept: Json) -> None:
    server.store.change(
        "recipes", server.recipe_id, {"metadata": {"system": {"collectionTemplates": copy.deepcopy(list(kept))}}}
    )


def as_dataset(template: Json | None = None, tags: tuple[str, ...] = ()) -> Recipes:
    recipe = {"id": "r", "ontologyIds": ["o"], "metadata": {"system": {"collectionTemplates": []}}}
    if template is not None:
        recipe["metadata"] = {"system": {"collectionTemplates": [template]}}
    roots = [{"value": {"tag": tag}} for tag in tags]
    return Recipes({"id": "d", "name": "street"}, recipe, {"id": "o", "roots": roots})


# The plan: pure


def test_of_nothing_everything_is_missing() -> None:
    wanted = plan(Recipes({"id": "d", "name": "street"}, None, None))

    assert list(wanted.labels) == ["person", *COCO_17.joints]
    assert wanted.lines()[:2] == [
        "+ recipe 'street people', as the dataset has none",
        "+ ontology, as the recipe has none",
    ]
    assert wanted.lines()[-1] == "+ template 'person': 17 points, 19 arcs, positions"


def test_a_template_has_every_joint_once_with_arcs_between_joints() -> None:
    template = plan(as_dataset()).template

    assert template is not None
    assert template["order"] == list(COCO_17.joints)
    assert {end for arc in template["arcs"] for end in arc} == set(COCO_17.joints)
    assert [place["label"] for place in template["defaultPosition"]] == list(COCO_17.joints)
    assert template["ontology"] == "o"


def test_what_is_there_is_not_wanted_again() -> None:
    whole = {**(plan(as_dataset()).template or {}), "id": "t"}

    assert plan(as_dataset(whole, ("person", *COCO_17.joints))).lines() == []


def test_labels_are_compared_to_the_letter() -> None:
    assert "person" in plan(as_dataset(tags=("Person", *COCO_17.joints))).labels


def test_what_somebody_arranged_by_hand_stays() -> None:
    places = [{"label": joint, "x": 1, "y": 2, "z": 0} for joint in COCO_17.joints]
    by_hand = {
        "id": "t", "name": "person", "ontology": "o", "order": list(reversed(COCO_17.joints)),
        "arcs": [["nose", "left_eye"]], "defaultPosition": places, "colour": "red",
    }  # fmt: skip

    assert plan(as_dataset(by_hand)).template is None


@pytest.mark.parametrize(
    ("lacking", "line"),
    [
        pytest.param({"arcs": []}, "~ template 'person': arcs (17 points, 19 arcs)", id="arcs"),
        pytest.param({"defaultPosition": []}, "~ template 'person': defaultPosition (17 points, 19 arcs)", id="places"),
        pytest.param({"id": ""}, "~ template 'person': id (17 points, 19 arcs)", id="id"),
        pytest.param(
            {"order": list(COCO_17.joints[:5])}, "~ template 'person': order (17 points, 19 arcs)", id="some joints"
        ),
    ],
)
def test_what_a_template_lacks_is_completed(lacking: Json, line: str) -> None:
    whole = {**(plan(as_dataset()).template or {}), "id": "t"}

    assert plan(as_dataset({**whole, **lacking})).lines()[-1] == line


def test_a_template_of_something_else_is_left_alone() -> None:
    car = {"id": "t", "name": "person", "order": ["bonnet", "boot"]}

    with pytest.raises(PlatformError, match=r"has the points bonnet, boot.*rename it"):
        plan(as_dataset(car))


def test_other_joints_have_a_template_of_their_own() -> None:
    wanted = plan(as_dataset(), MPII_16)

    assert wanted.template is not None
    assert wanted.template["name"] == "person-mpii-16"
    assert {"person-mpii-16", "thorax"} <= set(wanted.labels)


# On the platform


def test_what_was_made_is_found(dataloop: DataloopServer, platform: Platform, set_up: Callable[..., Template]) -> None:
    made = set_up()

    assert made.id == templates(dataloop)[0]["id"] != ""
    assert find_template(platform, dataloop.dataset_id, COCO_17) == made
    tags = {root["value"]["tag"] for root in dataloop.store.get("ontologies", dataloop.ontology_id)["roots"]}
    assert tags == {"person", *COCO_17.joints}


def test_a_second_time_nothing_is_sent(dataloop: DataloopServer, set_up: Callable[..., Template]) -> None:
    first = set_up()
    sent = dataloop.count("PATCH") + dataloop.count("POST")

    assert set_up() == first
    assert dataloop.count("PATCH") + dataloop.count("POST") == sent


def test_planning_changes_nothing(dataloop: DataloopServer, platform: Platform) -> None:
    plan(Recipes.read(platform, dataloop.dataset_id))

    assert {request.method for request in dataloop.requests} == {"GET"}


def test_a_dataset_without_a_recipe_gets_one(
    dataloop: DataloopServer, platform: Platform, set_up: Callable[..., Template]
) -> None:
    dataloop.store.change("datasets", dataloop.dataset_id, {"metadata": {"system": {"recipes": []}}})
    with pytest.raises(PlatformError, match=r"has no recipe .*kinestream dataloop setup"):
        find_template(platform, dataloop.dataset_id, COCO_17)

    made = set_up()

    assert find_template(platform, dataloop.dataset_id, COCO_17) == made
    assert Recipes.read(platform, dataloop.dataset_id).recipe != dataloop.store.get("recipes", dataloop.recipe_id)


def test_a_recipe_without_an_ontology_gets_one(dataloop: DataloopServer, set_up: Callable[..., Template]) -> None:
    dataloop.store.change("recipes", dataloop.recipe_id, {"ontologyIds": []})

    set_up()

    assert dataloop.store.get("recipes", dataloop.recipe_id)["ontologyIds"]


def test_other_templates_and_labels_stay(dataloop: DataloopServer, set_up: Callable[..., Template]) -> None:
    car = {"id": "car", "name": "car", "order": ["bonnet"], "arcs": [], "defaultPosition": []}
    keep_templates(dataloop, car)
    roots = [{"value": {"tag": "car", "color": "#123456"}, "children": []}]
    dataloop.store.change("ontologies", dataloop.ontology_id, {"roots": roots})

    set_up()
    set_up(MPII_16)

    assert [template["name"] for template in templates(dataloop)] == ["car", "person", "person-mpii-16"]
    assert templates(dataloop)[0] == car
    assert dataloop.store.get("ontologies", dataloop.ontology_id)["roots"][0] == roots[0]


def test_a_template_that_is_not_whole_is_not_used(
    dataloop: DataloopServer, platform: Platform, set_up: Callable[..., Template]
) -> None:
    set_up()
    keep_templates(dataloop, {**templates(dataloop)[0], "order": ["nose"]})

    with pytest.raises(PlatformError, match=f"no template 'person' .*setup --dataset {dataloop.dataset_id}$"):
        find_template(platform, dataloop.dataset_id, COCO_17)


def test_what_the_platform_takes_and_does_not_keep_is_told(
    platform: Platform, set_up: Callable[..., Template], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "patch", lambda _path, body: body)

    with pytest.raises(PlatformError, match="has not kept"):
        set_up()
