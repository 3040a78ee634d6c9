"""Networks to test with: tiny graphs that answer what the test can compute, and real architectures without training."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import openvino
import pytest
import torch
import yaml
from openvino import opset13 as ops

CANVAS = (64, 32)


@pytest.fixture
def tiny_export(tmp_path: Path) -> Callable[..., Path]:
    """Makes an OpenVINO export whose one box is (64 * red, 32 * green, 64 * blue, 8), of the mean colour in 0..1."""

    def export(*, task: str = "detect", dynamic: bool = False, joints: int = 0, **card: Any) -> Path:
        width, height = CANVAS
        picture = ops.parameter([1, 3, -1, -1] if dynamic else [1, 3, height, width], np.float32)
        colour = ops.reduce_mean(picture, np.array([2, 3]), keep_dims=False)
        sides = ops.multiply(colour, np.array([[width, height, width]], np.float32))
        rest = np.array([[8.0, 0.75] + [0.5] * 3 * joints], np.float32)
        values = ops.concat([sides, ops.constant(rest)], axis=1)
        model = openvino.Model([ops.unsqueeze(values, 2)], [picture])
        folder = tmp_path / "tiny_openvino_model"
        folder.mkdir()
        openvino.save_model(model, folder / "tiny.xml", compress_to_fp16=False)
        facts = {
            "task": task,
            "names": {0: "person"},
            "stride": 32,
            "imgsz": [height, width],
            "batch": 1,
            "args": {"dynamic": dynamic},
        }
        facts |= {"kpt_shape": [joints, 3]} if joints else {}
        (folder / "metadata.yaml").write_text(yaml.safe_dump(facts | card))
        return folder

    return export


@pytest.fixture(scope="session")
def untrained(tmp_path_factory: pytest.TempPathFactory, ultralytics: Any) -> Callable[..., Path]:
    """Builds a network with random weights that is sure of itself, once; as .pt, or exported."""
    folder = tmp_path_factory.mktemp("untrained")

    def build(name: str, kind: str = "pt", **settings: Any) -> Path:
        torch.manual_seed(0)
        model = ultralytics.YOLO(f"{name}.yaml")
        for key, value in model.model.named_parameters():
            if "cv3" in key and key.endswith(".2.bias"):
                value.data.zero_()  # scores around 0.5 instead of around 0
        path = folder / "_".join([name, kind, *settings]) / f"{name}.pt"
        if not path.exists():
            path.parent.mkdir()
            model.save(path)
        if kind == "pt":
            return path
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the exporter, which is not what is tested
            return Path(ultralytics.YOLO(path).export(format=kind, imgsz=160, **settings))

    return build
