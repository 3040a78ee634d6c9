"""The families of detection networks: by which outputs each is known, and how it wants its picture.

Sources of the facts: the demo and export script of YOLOX; the configurations of RTMDet in MMDetection and of its export
in MMDeploy; the export scripts and post-processors of RT-DETR and D-FINE, and their settings in transformers; the page
on ONNX in the manual of RF-DETR. All of them are under Apache-2.0.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, NamedTuple

from pipeline.errors import WeightsError
from stages.detections.placing import Fit
from stages.engines.base import IMAGENET_MEAN, IMAGENET_STD
from stages.engines.signature import Port, Signature

__all__ = ["KINDS", "UNCHANGED", "Kind", "KindName", "Role", "Triple", "arrange", "cell_strides", "recognise"]

KindName = Literal["yolox", "dets", "detr", "rf-detr", "scored", "anchor-free"]
Triple = tuple[float, float, float]

UNCHANGED: Final = ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
"""Mean and standard deviation of a network that takes 0..255 as they are."""
_UNIT: Final = ((0.0, 0.0, 0.0), (255.0, 255.0, 255.0))
_IMAGENET: Final = (IMAGENET_MEAN, IMAGENET_STD)
_IMAGENET_BGR: Final = (IMAGENET_MEAN[::-1], IMAGENET_STD[::-1])


class Role(NamedTuple):
    """An output that a kind has."""

    names: tuple[str, ...]
    """What exports call it."""
    rank: int
    columns: int | None = None
    """Its last side, where that is always the same."""

    def fits(self, port: Port) -> bool:
        """Tell whether an output can be it, as far as the file says; one without any shape cannot."""
        if port.shape is None or len(port.shape) != self.rank:
            return False
        return self.columns is None or port.shape[-1] == self.columns


@dataclass(frozen=True, slots=True)
class Kind:
    """A family of networks."""

    expected: str
    """Its outputs, for messages."""
    roles: tuple[Role, ...]
    normalisation: tuple[Triple, Triple]
    """Mean and standard deviation of each channel, 0..255, in the order of `channels`."""
    channels: Literal["rgb", "bgr"]
    fit: Fit
    overlaps: bool = False
    """It finds a person several times over: its boxes need suppression."""


KINDS: Final[dict[KindName, Kind]] = {
    "yolox": Kind(
        "(n, boxes, 5 + classes), with a box for each cell of 8, 16 and 32 pixels",
        (Role(("output",), 3),),
        UNCHANGED,
        "bgr",
        "corner",
        overlaps=True,
    ),
    "dets": Kind(
        "'dets' (n, boxes, 5) and 'labels' (n, boxes)",
        (Role(("dets",), 3, 5), Role(("labels",), 2)),
        _IMAGENET_BGR,
        "bgr",
        "corner",
    ),
    "detr": Kind(
        "'pred_boxes' (n, queries, 4) and 'logits' (n, queries, classes)",
        (Role(("pred_boxes", "boxes"), 3, 4), Role(("logits", "pred_logits"), 3)),
        _UNIT,
        "rgb",
        "stretch",
    ),
    "rf-detr": Kind(
        "'dets' (n, queries, 4) and 'labels' (n, queries, classes)",
        (Role(("dets",), 3, 4), Role(("labels",), 3)),
        _IMAGENET,
        "rgb",
        "stretch",
    ),
    "scored": Kind(
        "'labels' (n, queries), 'boxes' (n, queries, 4) and 'scores' (n, queries)",
        (Role(("boxes",), 3, 4), Role(("labels",), 2), Role(("scores",), 2)),
        _UNIT,
        "rgb",
        "stretch",
    ),
    "anchor-free": Kind(
        "(n, 4 + classes, boxes), with a box for each cell of 8, 16 and 32 pixels",
        (Role(("output0",), 3),),
        _UNIT,
        "rgb",
        "centre",
        overlaps=True,
    ),
}
"""Every kind by the name that the option `output` gives it."""

_STRIDES: Final = ((8, 16, 32), (8, 16, 32, 64))


def cell_strides(width: int, height: int, boxes: int) -> tuple[int, ...] | None:
    """Say by which cells a picture gets so many boxes, one a cell; None if by none of the usual ones.

    Args:
        width: Of the picture, pixels.
        height: Of the picture, pixels.
        boxes: How many boxes the network gives.
    """
    counts = {sum((height // stride) * (width // stride) for stride in strides): strides for strides in _STRIDES}
    return counts.get(boxes)


def recognise(signature: Signature, width: int, height: int, path: Path) -> KindName:
    """Tell the kind of a network by the names and shapes of its outputs.

    Args:
        signature: What its file says.
        width: Of its picture, pixels.
        height: Of its picture, pixels.
        path: The file, for the message.

    Raises:
        WeightsError: They are those of no kind; the message says what there is, and what is expected.
    """
    outputs = {port.name: port for port in signature.outputs}
    for name, kind in KINDS.items():
        if len(kind.roles) > 1 and all(_is_called(role, outputs) for role in kind.roles):
            return name
    if (by_cells := _by_cells(signature.outputs, width, height)) is not None:
        return by_cells
    if len(outputs) == 2 and _assigned(KINDS["detr"].roles, signature.outputs) is not None:
        return "detr"
    known = "\n".join(f"  {name}: {kind.expected}" for name, kind in KINDS.items())
    msg = (
        f"cannot tell by the outputs of '{path.name}' how to read them, for a picture of {width}x{height}: "
        f"{', '.join(map(str, signature.outputs))}. Known kinds of networks:\n{known}\nIf it is one of them, say so "
        "with the option `output`; otherwise export the network in one of these forms"
    )
    raise WeightsError(msg)


def _is_called(role: Role, outputs: dict[str, Port]) -> bool:
    """Tell whether an output has one of the role's names, and no shape that contradicts."""
    named = [outputs[name] for name in role.names if name in outputs]
    return any(port.shape is None or _may_fit(role, port.shape) for port in named)


def _may_fit(role: Role, shape: tuple[int | None, ...]) -> bool:
    return len(shape) == role.rank and (role.columns is None or shape[-1] in {None, role.columns})


def _by_cells(outputs: tuple[Port, ...], width: int, height: int) -> KindName | None:
    """Know a network that gives a box a cell by which side counts the cells: the boxes, or what is said of each."""
    shape = outputs[0].shape
    if len(outputs) != 1 or shape is None or len(shape) != 3:
        return None
    _, rows, columns = shape
    if rows and cell_strides(width, height, rows) and (columns is None or columns >= 6):
        return "yolox"
    if columns and cell_strides(width, height, columns) and (rows is None or rows >= 5):
        return "anchor-free"
    if rows is None or columns is None:  # many boxes are free, few values a box are fixed
        return None if rows == columns else "yolox" if rows is None else "anchor-free"
    return None


def arrange(kind: KindName, outputs: tuple[Port, ...], path: Path) -> tuple[int, ...]:
    """Say at which places the outputs of a kind stand: by their names, or else by their shapes.

    Args:
        kind: As recognised, or as the user says.
        outputs: Those of the network, in its order.
        path: The file, for the message.

    Returns:
        Places in `outputs`, in the order of the kind's roles.

    Raises:
        WeightsError: One is missing.
    """
    places = _assigned(KINDS[kind].roles, outputs)
    if places is None:
        msg = (
            f"'{path.name}' has the outputs {', '.join(map(str, outputs))}, but output: {kind} means "
            f"{KINDS[kind].expected}. Give another `output`, or export the network again"
        )
        raise WeightsError(msg)
    return places


def _assigned(roles: tuple[Role, ...], outputs: tuple[Port, ...]) -> tuple[int, ...] | None:
    names = [port.name for port in outputs]
    places: dict[Role, int] = {}
    for role in roles:  # names first, and all of them: four classes make logits of the shape of boxes
        named = (names.index(name) for name in role.names if name in names)
        if (place := next(named, None)) is not None:
            places[role] = place
    for role in roles:
        free = (n for n, port in enumerate(outputs) if n not in places.values() and role.fits(port))
        if role not in places and (place := next(free, None)) is not None:
            places[role] = place
    if len(outputs) == len(roles) == 1:
        places[roles[0]] = 0
    return tuple(places[role] for role in roles) if len(places) == len(roles) else None
