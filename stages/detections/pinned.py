"""Networks that ask for the picture's size beside the picture: RT-DETR and D-FINE, exported with their post-processor.

They multiply their boxes by that size and do nothing else with it. So it is answered once, in a copy of the file: the
size of the picture that the network sees. Then the network has one input, any engine runs it, and its boxes are in
pixels of that picture, as those of all other kinds.
"""

from pathlib import Path
from typing import Final

from pipeline.errors import WeightsError
from stages.engines.packages import need
from stages.engines.signature import Signature

__all__ = ["SIZE_INPUT", "pin_size"]

SIZE_INPUT: Final = "orig_target_sizes"
"""Name of the second input, (n, 2): width and height of each picture."""


def pin_size(path: Path, signature: Signature, width: int, height: int, folder: Path) -> Path:
    """Give the file of a network that takes pictures only; a copy where the given one asks for their size too.

    Args:
        path: The file.
        signature: What it says about its inputs.
        width: Of the picture that the network sees, pixels.
        height: Of the picture that the network sees, pixels.
        folder: Where a copy goes; it exists.

    Raises:
        WeightsError: It has other inputs besides, or is no ONNX file.
        MissingPackage: A copy is needed, and `onnx` is not installed.
    """
    others = [port.name for port in signature.inputs[1:]]
    if not others:
        return path
    if others != [SIZE_INPUT] or path.suffix.lower() != ".onnx":
        msg = (
            f"'{path.name}' has the inputs {', '.join(map(str, signature.inputs))}; expected one, the pictures (n, 3, "
            f"height, width), or in an ONNX file also '{SIZE_INPUT}' (n, 2). Export it without the others, or without "
            "its post-processor: then its outputs are logits and boxes"
        )
        raise WeightsError(msg)
    return _pinned(path, width, height, folder / path.name)


def _pinned(path: Path, width: int, height: int, copy: Path) -> Path:
    onnx = need("onnx", f"'{path}', which asks for the size of each picture,")
    model = onnx.load(path)
    (asked,) = (port for port in model.graph.input if port.name == SIZE_INPUT)
    kind = asked.type.tensor_type.elem_type
    model.graph.input.remove(asked)
    # One row for any number of pictures: the post-processors spread it over the batch.
    model.graph.initializer.append(onnx.helper.make_tensor(SIZE_INPUT, kind, [1, 2], [width, height]))
    onnx.save(model, copy)
    return copy
