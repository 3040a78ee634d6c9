"""The options that every plug-in of this room has."""

from pydantic import Field

from pipeline import plugin

__all__ = ["ModelOptions"]


class ModelOptions(plugin.Options):
    """Which network, what counts as found, and where it runs."""

    weights: str = Field(min_length=1)
    """A file or folder that ultralytics can load (.pt, .onnx, .torchscript, .engine, an OpenVINO folder ...), or a
    name that the model zoo knows. Ultralytics and its weights are under AGPL-3.0.

    A .pt file is a pickle, which can run code when it is read. It is read with PyTorch's restricted reader, which
    takes tensors and known layers only, unless ULTRALYTICS_SAFE_LOAD=0 is in the environment or ultralytics was
    imported before this package. Other formats are programs too: take weights from people you trust."""
    confidence: float = Field(default=0.25, ge=0, le=1)
    """Leave out what scores no more than this. Trackers that match in two rounds (ByteTrack) want it at 0.1."""
    iou: float = Field(default=0.7, ge=0, le=1)
    """Of two boxes of one class that overlap more than this, keep the better. Without effect on networks that need
    no suppression (YOLOv10, YOLO26, RT-DETR)."""
    max_people: int = Field(default=300, ge=1)
    """At most so many rows a frame, the best ones."""
    classes: tuple[int, ...] = Field(default=(0,), min_length=1)
    """Classes of the network to look for; 0 is the person in networks trained on COCO."""
    image_size: int | None = Field(default=None, ge=32, multiple_of=32)
    """Longer side of the picture that the network sees, in pixels. None: what the weights were made for."""
    device: str = Field(default="auto", pattern=r"^(auto|cpu|cuda(:\d+(,\d+)*)?)$")
    """`auto` (a GPU if PyTorch sees one, else the CPU), `cpu`, `cuda` or `cuda:1`. Of several, as in `cuda:0,1`, the
    first is used: a run gives its device to all of its plug-ins, and some of them spread their work."""
    half: bool = False
    """Compute in half precision on a CUDA device. The CPU uses what the file holds."""
    batch: int = Field(default=8, ge=1)
    """How many frames to take at once, at most. On a CPU, that many are in flight as far as there are cores."""
