"""What the picture is that a detection network wants to see: its size, its colours."""

from pathlib import Path
from typing import Final, Literal

from pipeline.errors import ConfigError, WeightsError
from stages.detections.kinds import KINDS, UNCHANGED, KindName, Triple
from stages.engines.base import InputFormat
from stages.engines.signature import Signature

__all__ = ["input_format", "picture_size"]

FREE_SIZE: Final = (640, 640)
"""Height and width where neither the file nor the options fix them: what most of these networks are trained with."""


def picture_size(signature: Signature, wanted: tuple[int, int] | None, path: Path) -> tuple[int, int]:
    """Give the height and width of the picture that a network sees.

    Args:
        signature: What its file says.
        wanted: Height and width in pixels, as the options say; None if they do not.
        path: The file, for messages.

    Raises:
        WeightsError: It takes no pictures.
        ConfigError: It is fixed to another size.
    """
    shape = signature.inputs[0].shape if signature.inputs else ()
    if shape is None:
        return wanted or FREE_SIZE
    if len(shape) != 4 or shape[1] not in {None, 3}:
        msg = f"'{path.name}' takes no pictures: expected an input (n, 3, height, width), got {signature}"
        raise WeightsError(msg)
    height, width = wanted or FREE_SIZE
    fixed = (shape[2] or height, shape[3] or width)
    if wanted is not None and fixed != wanted:
        msg = (
            f"'{path.name}' is fixed to pictures of {list(fixed)} (height, width), got image_size {list(wanted)}: "
            "leave image_size out, or export the network for that size"
        )
        raise ConfigError(msg)
    return fixed


def input_format(
    kind: KindName,
    path: Path,
    size: tuple[int, int],
    mean: Triple | None,
    std: Triple | None,
    channels: Literal["rgb", "bgr"] | None,
) -> InputFormat:
    """Say what a network wants to see: what the options leave open is that of its kind.

    Args:
        kind: Of the network.
        path: Its file: MMDeploy exports YOLOX, which wants its picture unchanged, with the outputs of RTMDet.
        size: Height and width, pixels.
        mean: Of each channel, 0..255, in the network's order.
        std: Of each channel, 0..255, in the network's order.
        channels: Their order.
    """
    is_yolox = kind == "dets" and "yolox" in path.name.lower()
    usual = UNCHANGED if is_yolox else KINDS[kind].normalisation
    return InputFormat(
        width=size[1],
        height=size[0],
        mean=mean or usual[0],
        std=std or usual[1],
        channels=channels or KINDS[kind].channels,
    )
