"""What a network was trained with: written beside its tensors by our trainer, read with them. Needs no PyTorch.

PyTorch keeps a dictionary beside the tensors of a state dict, `_metadata`, for each module by its name. What is known
of the training is the entry `kinestream` of the whole network's, so the file stays one that official code loads too.
A checkpoint of the trainer, from which it goes on, has the same under `note`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError

from pipeline.errors import WeightsError
from pipeline.skeletons import Skeleton
from stages.topdown.heatmaps import Decoding

__all__ = ["Encoding", "Trained", "trained_of"]

Encoding = Literal["plain", "dark", "udp"]
"""How joints were drawn: about the nearest cell, about their exact place, or so by UDP's rule of pixels."""

_FORMAT: Final = 1
_ENTRY: Final = "kinestream"
_GOING_ON: Final = "kinestream-training"
"""How the format of the trainer's own checkpoints is called, without its number."""


class Trained(BaseModel):
    """What a network was trained with. What is not said here, its tensors tell."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    format: Literal[1] = _FORMAT
    skeleton: Skeleton
    """The joints that it finds, in the order of its heat maps."""
    image_size: tuple[PositiveInt, PositiveInt]
    """Height and width of the pictures that it saw, pixels."""
    encoding: Encoding
    sigma: Annotated[float, Field(gt=0)]
    """Standard deviation of the Gaussians that it draws, cells."""
    padding: Annotated[float, Field(ge=1, le=3)]
    """Factor on both sides of a box before it was cut out."""
    channels: Literal["rgb", "bgr"]
    """Order of the colours that it saw."""

    @property
    def udp(self) -> bool:
        """Whether grids lie in their region by UDP's rule."""
        return self.encoding == "udp"

    @property
    def decoding(self) -> Decoding:
        """How joints are best read: exactly where they were drawn exactly, else as the official results."""
        return "quarter" if self.encoding == "plain" else "dark"


def trained_of(saved: object, path: Path) -> Trained | None:
    """Read what a network was trained with.

    Args:
        saved: What is in a file of weights.
        path: The file, for messages.

    Returns:
        None where the file does not say, as those of other trainers.

    Raises:
        WeightsError: It says so in a form that this release does not know, or that is damaged.
    """
    note = _note_in(saved)
    if note is None:
        return None
    if (got := note.get("format")) != _FORMAT:
        msg = (
            f"weights '{path}' say in format {got!r} what they were trained with, expected {_FORMAT}: update kinestream"
            ", or give weights of this release"
        )
        raise WeightsError(msg)
    try:
        return Trained.model_validate(note)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or "all of it"
        msg = f"weights '{path}' say wrongly what they were trained with: {place}: {first['msg']}; write them again"
        raise WeightsError(msg) from error


def _note_in(saved: object) -> Mapping[Any, Any] | None:
    if isinstance(saved, Mapping) and str(saved.get("format")).startswith(_GOING_ON):
        note = saved.get("note")
    else:
        modules = getattr(saved, "_metadata", None)
        whole = modules.get("") if isinstance(modules, Mapping) else None
        note = whole.get(_ENTRY) if isinstance(whole, Mapping) else None
    return note if isinstance(note, Mapping) else None
