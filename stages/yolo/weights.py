"""What a file or folder of weights says about itself, and whether that fits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import yaml

from pipeline.errors import WeightsError
from pipeline.skeletons import COCO_17, Skeleton

__all__ = [
    "Card",
    "Task",
    "check_fit",
    "check_task",
    "is_finished",
    "is_plain",
    "openvino_graph",
    "read_card",
    "skeleton_of",
]

Task = Literal["detect", "pose"]

_ROLES: Final[dict[str, str]] = {"detect": "the detector", "pose": "the pose model"}


@dataclass(frozen=True, slots=True)
class Card:
    """What a network says about itself."""

    task: str
    """`detect`, `pose`, `segment`, ..."""
    names: Mapping[int, str]
    """Its classes."""
    joint_shape: tuple[int, ...] = ()
    """Of a pose network: (joints, values a joint)."""


def openvino_graph(path: Path) -> Path | None:
    """Give the .xml of an OpenVINO export; None if `path` is something else.

    Raises:
        WeightsError: The export is not complete.
    """
    graph = path if path.suffix == ".xml" else next(iter(sorted(path.glob("*.xml"))), None) if path.is_dir() else None
    if graph is None:
        if path.name.endswith("_openvino_model"):
            msg = f"the OpenVINO export '{path}' has no .xml file: copy the whole folder again"
            raise WeightsError(msg)
        return None
    for part in (graph.with_suffix(".bin"), graph.with_name("metadata.yaml")):
        if not part.is_file() or not part.stat().st_size:
            state = "is empty" if part.is_file() else "is missing"
            msg = f"the OpenVINO export '{path}' is not complete: {part.name} {state}. Copy the whole folder again"
            raise WeightsError(msg)
    return graph


def read_card(graph: Path) -> dict[str, Any]:
    """Read the metadata.yaml beside an exported graph.

    Raises:
        WeightsError: It is damaged, or was not written by an ultralytics export.
    """
    path = graph.with_name("metadata.yaml")
    try:
        card = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        msg = f"'{path}' cannot be read: {error}. Export the model again"
        raise WeightsError(msg) from error
    needed = ("task", "names", "stride", "imgsz")
    if not isinstance(card, dict) or not all(key in card for key in needed):
        msg = f"'{path}' does not describe an ultralytics export: expected {', '.join(needed)}. Export the model again"
        raise WeightsError(msg)
    return card


def is_finished(card: Mapping[str, Any]) -> bool:
    """Say whether an export gives rows that need no suppression any more."""
    return bool(card.get("end2end") or (card.get("args") or {}).get("nms"))


def is_plain(card: Mapping[str, Any]) -> bool:
    """Say whether an export takes one letterboxed colour picture at a time, as nearly all do."""
    dynamic = bool((card.get("args") or {}).get("dynamic"))
    single = dynamic or int(card.get("batch", 1)) == 1
    return single and int(card.get("channels", 3)) == 3 and "RTDETR" not in str(card.get("head", ""))


def check_fit(card: Card, task: Task, classes: Sequence[int], path: Path) -> None:
    """See that a network does what a plug-in needs.

    Raises:
        WeightsError: It has another task, other joints, or lacks a class.
    """
    check_task(card.task, task, path)
    if task == "pose" and (len(card.joint_shape) != 2 or card.joint_shape[0] != len(COCO_17)):
        got = card.joint_shape[0] if card.joint_shape else "an unknown number of"
        msg = (
            f"'{path}' finds {got} joints, expected the {len(COCO_17)} of {COCO_17.name}: give weights trained on COCO"
        )
        raise WeightsError(msg)
    if unknown := sorted(set(classes) - set(card.names)):
        msg = f"'{path}' knows no class {unknown}: its {len(card.names)} classes are {_enumerated(card.names)}"
        raise WeightsError(msg)


def check_task(got: str, task: Task, path: Path) -> None:
    """See that a network was made for a task.

    Raises:
        WeightsError: It was made for another one.
    """
    if got != task:
        hint = f"use it as {_ROLES[got]}, or give" if got in _ROLES else "give"
        msg = f"'{path}' was made for the task '{got}', expected '{task}': {hint} weights made for '{task}'"
        raise WeightsError(msg)


def _enumerated(names: Mapping[int, str]) -> str:
    """List the first classes."""
    shown = [f"{number} ({name})" for number, name in list(names.items())[:5]]
    return ", ".join(shown) + (" ..." if len(names) > len(shown) else "")


def skeleton_of(task: Task) -> Skeleton | None:
    """Say which joints come with a task."""
    return COCO_17 if task == "pose" else None
