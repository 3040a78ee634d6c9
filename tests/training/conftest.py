"""A data set of drawn people: every joint is a dot, so it can be found again."""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
import yaml
from numpy.typing import NDArray

from pipeline.skeletons import COCO_17
from training.datasets import PeopleFiles

WIDTH, HEIGHT = 320, 240
BLUE, RED = (255, 0, 0), (0, 0, 255)
LEFT_WRIST, RIGHT_WRIST = 9, 10

Row = dict[str, Any]


def draw_dots(dots: Sequence[tuple[tuple[float, float], tuple[int, int, int]]]) -> NDArray[np.uint8]:
    """Draw soft dots, three pixels in deviation, at (x, y) in a colour, on black."""
    x, y = np.arange(WIDTH), np.arange(HEIGHT)[:, None]
    image = np.zeros((HEIGHT, WIDTH, 3))
    for (dot_x, dot_y), colour in dots:
        image += np.exp(-((x - dot_x) ** 2 + (y - dot_y) ** 2) / 18)[..., None] * colour
    return np.clip(image, 0, 255).astype(np.uint8)


def find_dot(picture: NDArray[np.uint8], channel: int) -> NDArray[np.float64]:
    """Find the middle of the only dot of a colour."""
    light = picture[..., channel].astype(np.float64)
    y, x = np.indices(light.shape)
    return np.array([(light * x).sum() / light.sum(), (light * y).sum() / light.sum()])


def make_annotation(number: int, image_id: int, **fields: Any) -> Row:
    """Annotate somebody whose left wrist is blue and whose right one is red."""
    joints = np.zeros((len(COCO_17), 3))
    joints[LEFT_WRIST] = 180, 100, 2
    joints[RIGHT_WRIST] = 150, 140, 1
    row = {
        "id": number,
        "image_id": image_id,
        "category_id": 1,
        "bbox": [120, 60, 90, 120],
        "area": 6000.0,
        "iscrowd": 0,
        "keypoints": joints.ravel().tolist(),
        "num_keypoints": 2,
    }
    return row | fields


def make_tree(images: int = 1, **fields: Any) -> Row:
    names = [f"{number}.png" for number in range(images)]
    return {
        "images": [{"id": i, "file_name": name, "width": WIDTH, "height": HEIGHT} for i, name in enumerate(names)],
        "annotations": [make_annotation(i + 1, i, **fields) for i in range(images)],
        "categories": [{"id": 1, "name": "person", "keypoints": list(COCO_17.joints), "skeleton": [[1, 2]]}],
    }


@pytest.fixture
def tree() -> Callable[..., Row]:
    return make_tree


@pytest.fixture
def people_files(tmp_path: Path) -> Callable[..., PeopleFiles]:
    """Write a tree and its pictures."""

    def write(tree: Any, pictures: int | None = None) -> PeopleFiles:
        folder = tmp_path / "pictures"
        folder.mkdir(exist_ok=True)
        image = draw_dots([((180, 100), BLUE), ((150, 140), RED)])
        names = [image["file_name"] for image in tree["images"]] if isinstance(tree, dict) else ["0.png"]
        for name in names[:pictures]:
            cv2.imwrite(str(folder / name), image)
        annotations = tmp_path / "annotations.json"
        annotations.write_text(tree if isinstance(tree, str) else json.dumps(tree))
        return PeopleFiles(annotations=annotations, images=folder)

    return write


@pytest.fixture
def dot() -> Callable[[NDArray[np.uint8], int], NDArray[np.float64]]:
    return find_dot


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Compute on one core: for networks this narrow, threads wait for each other longer than they work."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def training_file(tmp_path: Path, people_files: Callable[..., PeopleFiles]) -> Callable[..., Path]:
    """Write down a small training: a very narrow HRNet, small pictures, a few people."""

    def write(people: int = 8, **sections: Any) -> Path:
        files = people_files(make_tree(people)).model_dump(mode="json")
        tree = {
            "network": {"size": 2},
            "data": {"train": files},
            "target": {"image_size": [64, 64]},
            "loading": {"batch": 2, "workers": 0},
            "epochs": 2,
            "device": "cpu",
            "out": str(tmp_path / "run"),
        }
        path = tmp_path / "training.yaml"
        path.write_text(yaml.safe_dump(tree | sections), encoding="utf-8")
        return path

    return write
