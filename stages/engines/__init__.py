"""How a network runs: PyTorch, OpenVINO, ONNX Runtime or TensorRT, chosen by device, model and what is installed.

    base.py         what every engine is; options.py  what a user may ask for
    machine.py      what this machine has; choose.py  which engine takes which model, and why
    torch.py, openvino.py, onnxruntime.py             the engines
    sharing.py      several engines, each at a piece at a time
    artefacts.py    what was converted once is kept; conversion.py, calibration.py  make it
    signature.py    what a graph in a file takes and gives
    commands.py     `kinestream export`

Importing this package imports no engine.
"""

from stages.engines.base import Engine, InputFormat, Model
from stages.engines.choose import open_engines
from stages.engines.options import EngineOptions
from stages.engines.signature import Signature, read_signature

__all__ = ["Engine", "EngineOptions", "InputFormat", "Model", "Signature", "open_engines", "read_signature"]
