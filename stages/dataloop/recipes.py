"""What a dataset needs before people can be annotated: found, compared with what is wanted, and made.

    dataset -> recipes (the first one counts) -> metadata.system.collectionTemplates   the template: joints, arcs
                                              -> ontologies (the first one counts)     labels and their colours

`Recipes.read` looks, `plan` compares and asks nobody, `carry_out` changes the platform, and sees that it has. Only what
is missing is made: nothing is renamed, recoloured or removed.
"""

import copy
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pipeline.skeletons import COCO_17, MPII_16, Skeleton
from stages.dataloop.connection.platform import Platform
from stages.dataloop.errors import PlatformError
from stages.dataloop.labels import PERSON, Template, arcs, colours, labels, standing

__all__ = ["Plan", "Recipes", "carry_out", "find_template", "plan", "require_template", "template_name"]

Json = dict[str, Any]

_UI_SETTINGS: Final = {"allowObjectIdAutoAssign": True, "studioV2App": True}
"""Of a new recipe: as `dtlpy` makes one."""


@dataclass(frozen=True, slots=True)
class Recipes:
    """How a dataset is set up."""

    dataset: Json
    recipe: Json | None
    """The first one; None where there is none."""
    ontology: Json | None
    """The recipe's first one."""

    @classmethod
    def read(cls, platform: Platform, dataset_id: str) -> "Recipes":
        """Look at a dataset.

        Raises:
            PlatformError: It is not there, or cannot be read.
        """
        dataset = platform.get(f"/datasets/{dataset_id}")
        recipe_id = next(iter(_system(dataset).get("recipes") or ()), None)
        recipe = None if recipe_id is None else platform.get(f"/recipes/{recipe_id}")
        ontology_id = next(iter((recipe or {}).get("ontologyIds") or ()), None)
        ontology = None if ontology_id is None else platform.get(f"/ontologies/{ontology_id}")
        return cls(dataset, recipe, ontology)

    @property
    def name(self) -> str:
        """The dataset's name."""
        return str(self.dataset.get("name", self.dataset["id"]))

    def template(self, name: str) -> Json | None:
        """Find a template by its name, which is compared to the letter."""
        found = _system(self.recipe or {}).get("collectionTemplates") or ()
        return next((template for template in found if template.get("name") == name), None)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is missing in a dataset; nothing, if it is empty."""

    recipes: Recipes
    labels: Mapping[str, str]
    """Labels the ontology lacks, with their colours."""
    template: Json | None
    """The template as it should be; None where it is so already."""

    def lines(self) -> list[str]:
        """Say what would be made, a line each."""
        found, lines = self.recipes, []
        if found.recipe is None:
            lines.append(f"+ recipe '{found.name} people', as the dataset has none")
        if found.ontology is None:
            lines.append("+ ontology, as the recipe has none")
        lines += [f"+ label {label} {colour}" for label, colour in self.labels.items()]
        if self.template is not None:
            lines.append(self._template_line(self.template))
        return lines

    def _template_line(self, wanted: Json) -> str:
        have = self.recipes.template(wanted["name"])
        size = f"{len(wanted['order'])} points, {len(wanted['arcs'])} arcs"
        if have is None:
            return f"+ template '{wanted['name']}': {size}, positions"
        fields = [key for key in ("ontology", "order", "arcs", "defaultPosition") if have.get(key) != wanted[key]]
        return f"~ template '{wanted['name']}': {', '.join(fields) or 'id'} ({size})"


def template_name(skeleton: Skeleton) -> str:
    """Name the template of a skeleton: `person`, and another name for other joints than COCO's."""
    return PERSON if skeleton == COCO_17 else f"{PERSON}-{skeleton.name}"


def plan(recipes: Recipes, skeleton: Skeleton = COCO_17) -> Plan:
    """Compare what there is with what people with those joints need.

    Raises:
        PlatformError: There is a template of that name with other points: what was annotated with it would be lost.
    """
    name = template_name(skeleton)
    wanted = colours(skeleton) | {name: colours(skeleton)[PERSON]}
    there = _tags((recipes.ontology or {}).get("roots") or ())
    missing = {label: colour for label, colour in wanted.items() if label not in there}
    have = recipes.template(name)
    if have is not None:
        _check(have, skeleton, recipes.name)
    template = _completed(have or {}, name, skeleton, (recipes.ontology or {}).get("id", ""))
    return Plan(recipes, missing, None if template == have and template.get("id") else template)


def _check(template: Json, skeleton: Skeleton, dataset: str) -> None:
    points = list(template.get("order") or ())
    if set(points) - set(labels(skeleton)):
        msg = (
            f"the template '{template['name']}' of the dataset '{dataset}' has the points {', '.join(points)}, but the "
            f"joints are {', '.join(labels(skeleton))} ({skeleton.name}): rename it in the recipe, and run "
            f"kinestream dataloop setup once more"
        )
        raise PlatformError(msg)


def _completed(have: Json, name: str, skeleton: Skeleton, ontology_id: str) -> Json:
    """Give a template with all that it needs; what somebody has arranged by hand stays."""
    order, places = list(have.get("order") or ()), standing(skeleton)
    is_whole = set(order) == set(labels(skeleton))
    positions = [{"label": joint, "x": x, "y": y, "z": 0} for joint, (x, y) in places.items()]
    return {
        **have,
        "id": have.get("id") or "",
        "name": name,
        "ontology": have.get("ontology") or ontology_id,
        "order": order if is_whole else list(labels(skeleton)),
        "arcs": have.get("arcs") or [list(arc) for arc in arcs(skeleton)],
        "defaultPosition": have.get("defaultPosition") if is_whole and have.get("defaultPosition") else positions,
    }


def carry_out(platform: Platform, wanted: Plan, skeleton: Skeleton = COCO_17) -> Template:
    """Make what is missing; then look whether it is there.

    Raises:
        PlatformError: The platform refuses, or has not kept what it was given.
    """
    found = wanted.recipes
    dataset_id = str(found.dataset["id"])
    ontology = found.ontology or _make_ontology(platform, found)
    if wanted.labels:
        _add_labels(platform, str(ontology["id"]), wanted.labels)
    recipe = found.recipe or _make_recipe(platform, found, str(ontology["id"]))
    if found.recipe is not None and found.ontology is None:
        recipe = platform.patch(f"/recipes/{recipe['id']}", recipe | {"ontologyIds": [ontology["id"]]})
    if wanted.template is not None:
        _keep_template(platform, str(recipe["id"]), wanted.template | {"ontology": ontology["id"]})
    left = plan(Recipes.read(platform, dataset_id), skeleton).lines()
    if left:
        msg = f"the platform took the changes to the dataset '{found.name}', but has not kept: {'; '.join(left)}"
        raise PlatformError(msg)
    return find_template(platform, dataset_id, skeleton)


def _make_ontology(platform: Platform, found: Recipes) -> Json:
    body = {"title": f"{found.name} people", "roots": [], "projectIds": _projects(found), "attributes": []}
    return dict(platform.post("/ontologies", body, repeatable=False))


def _add_labels(platform: Platform, ontology_id: str, missing: Mapping[str, str]) -> None:
    nodes = [
        {"tag": label, "displayLabel": label, "color": colour, "attributes": [], "displayData": {}}
        for label, colour in missing.items()
    ]
    platform.patch(f"/ontologies/{ontology_id}/labels", {"labelsNode": nodes, "upsert": True})


def _make_recipe(platform: Platform, found: Recipes, ontology_id: str) -> Json:
    body = {
        "title": f"{found.name} people",
        "projectIds": _projects(found),
        "ontologyIds": [ontology_id],
        "uiSettings": _UI_SETTINGS,
    }
    recipe = dict(platform.post("/recipes", body, repeatable=False))
    dataset = copy.deepcopy(found.dataset)
    dataset.setdefault("metadata", {}).setdefault("system", {})["recipes"] = [recipe["id"]]
    platform.patch(f"/datasets/{dataset['id']}?system=true", dataset)
    return recipe


def _keep_template(platform: Platform, recipe_id: str, template: Json) -> None:
    """Put a template into a recipe. Its id is the platform's to give; if it gives none, it gets one of ours."""
    _put_template(platform, recipe_id, template)
    kept = Recipes({}, platform.get(f"/recipes/{recipe_id}"), None).template(template["name"])
    if kept is not None and not kept.get("id"):
        _put_template(platform, recipe_id, template | {"id": uuid.uuid4().hex[:24]})


def _put_template(platform: Platform, recipe_id: str, template: Json) -> None:
    recipe = copy.deepcopy(platform.get(f"/recipes/{recipe_id}"))  # anew: there is no way to send one template alone
    system = recipe.setdefault("metadata", {}).setdefault("system", {})
    others = [other for other in system.get("collectionTemplates") or () if other.get("name") != template["name"]]
    system["collectionTemplates"] = [*others, template]
    platform.patch(f"/recipes/{recipe_id}?system=true", recipe)


def find_template(platform: Platform, dataset_id: str, skeleton: Skeleton) -> Template:
    """Find what poses with those joints point to.

    Raises:
        PlatformError: The dataset has no recipe, or no such template with these points; says how to make it.
    """
    recipes = Recipes.read(platform, dataset_id)
    name = template_name(skeleton)
    found = recipes.template(name)
    if found is None or not found.get("id") or set(found.get("order") or ()) != set(labels(skeleton)):
        what = "no recipe" if recipes.recipe is None else f"no template '{name}' with the {len(skeleton)} joints"
        msg = (
            f"the dataset '{recipes.name}' has {what} ({skeleton.name}): "
            f"kinestream dataloop setup --dataset {dataset_id}"
            f"{'' if skeleton == COCO_17 else f' --skeleton {skeleton.name}'}"
        )
        raise PlatformError(msg)
    return Template(str(found["id"]), skeleton, name)


def require_template(platform: Platform, dataset_id: str) -> None:
    """See that a dataset is set up for poses of some kind, while it is not known yet of which.

    Raises:
        PlatformError: It is for none; says how to make it.
    """
    try:
        find_template(platform, dataset_id, COCO_17)
    except PlatformError as error:
        try:
            find_template(platform, dataset_id, MPII_16)
        except PlatformError:
            raise error from None


def _system(entity: Mapping[str, Any]) -> Json:
    return dict((entity.get("metadata") or {}).get("system") or {})


def _projects(found: Recipes) -> list[str]:
    return list(found.dataset.get("projects") or ())


def _tags(roots: Sequence[Mapping[str, Any]]) -> set[str]:
    """Name the labels of an ontology; only those at the top can be used as they are."""
    return {str(root.get("value", root).get("tag")) for root in roots}
