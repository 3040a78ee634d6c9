"""OSNet on real video: its vectors are ONNX Runtime's, and tell people apart."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray

from pipeline.types import Frame, Instances
from stages.appearance import Appearance
from stages.appearance.crops import cut_out
from stages.detectors.ultralytics import Options as DetectorOptions
from stages.detectors.ultralytics import UltralyticsDetector
from stages.engines import EngineOptions
from stages.sources.file import FileSource
from stages.sources.file import Options as FileOptions
from trackers.kinesort import KineSort
from trackers.kinesort import Options as KineSortOptions

pytestmark = [pytest.mark.slow, pytest.mark.shared]

FILE_NAME = "osnet_x0_25_msmt17.onnx"

Sighting = tuple[Frame, Instances]


@pytest.fixture(scope="module")
def osnet(shared: Path) -> str:
    """The file in the user's folder of models, else that in the measuring data."""
    folders = [Path(folder) for folder in (os.environ.get("KINESTREAM_MODELS"), shared / "models") if folder]
    whole = [str(path) for folder in folders if _is_whole(path := folder / FILE_NAME)]
    if not whole:  # a graph may come without its weights, so this is no failure even where the data must be
        pytest.skip(f"no {FILE_NAME} with its weights in {' or '.join(map(str, folders))}")
    return whole[0]


def _is_whole(path: Path) -> bool:
    beside = f"{FILE_NAME}.data"
    return path.exists() and (beside.encode() not in path.read_bytes() or path.with_name(beside).exists())


@pytest.fixture(scope="module")
def people(shared: Path) -> list[Sighting]:
    """Who is seen in every tenth frame of a clip in which people come one by one; their ids are right (by eye)."""
    return list(_tracked(shared))


def _tracked(shared: Path) -> Iterator[Sighting]:
    weights = str(shared / "models" / "yolo11n_int8_openvino_model")
    tracker = KineSort(KineSortOptions(patience_seconds=1.5))
    clip = FileOptions(path=str(shared / "video" / "one-by-one.mp4"), every=10)
    with UltralyticsDetector(DetectorOptions(weights=weights)) as detector, FileSource(clip, "clip") as source:
        while (frame := source.read()) is not None:
            (found,) = detector.detect([frame])
            yield frame, tracker.update(found, frame.pts_seconds)


def described(appearance: Appearance, people: list[Sighting]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Give everybody's vector, and id."""
    with appearance:
        vectors = [appearance.describe(frame.pixels, found.xyxy) for frame, found in people]
    ids = np.concatenate([found.track_id for _, found in people if found.track_id is not None])
    return np.concatenate(vectors)[ids > 0], ids[ids > 0]


def plain(osnet: str, people: list[Sighting]) -> NDArray[np.float32]:
    """Give what ONNX Runtime says of the same crops, with nothing of ours between."""
    session = onnxruntime.InferenceSession(osnet, providers=["CPUExecutionProvider"])
    name, vectors = session.get_inputs()[0].name, []
    for frame, found in people:
        crops, _ = cut_out(frame.image, found.xyxy[found.track_id > 0], 128, 256)  # type: ignore[operator] # tracked
        for crop in crops:
            picture = (crop[..., ::-1] / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
            (vector,) = session.run(None, {name: picture.transpose(2, 0, 1)[None].astype(np.float32)})[0]
            vectors.append(vector / np.linalg.norm(vector))
    return np.stack(vectors)


@pytest.mark.parametrize(
    ("engine", "least"),
    [
        (EngineOptions(engine="openvino", precision="f32", device="cpu"), 0.99999),
        (EngineOptions(engine="onnxruntime", device="cpu"), 0.99999),
        (EngineOptions(device="cpu"), 0.99),
    ],
    ids=["openvino", "onnxruntime", "auto, bf16 where the CPU has it"],
)
def test_its_vectors_are_those_of_onnxruntime(
    osnet: str, people: list[Sighting], engine: EngineOptions, least: float
) -> None:
    appearance = Appearance(osnet)
    appearance._options = engine
    got, _ = described(appearance, people)
    assert (got * plain(osnet, people)).sum(axis=1).min() > least


def test_a_person_looks_more_like_himself_than_like_others(osnet: str, people: list[Sighting]) -> None:
    vectors, ids = described(Appearance(osnet, "cpu"), people)
    cosine = vectors @ vectors.T
    same = ids[:, None] == ids
    np.fill_diagonal(same, val=False)
    other = ids[:, None] != ids
    assert len(set(ids.tolist())) == 6
    assert np.median(cosine[same]) > np.median(cosine[other]) + 0.2
    assert np.mean(np.where(same, cosine, -1).max(axis=1) > np.where(other, cosine, -1).max(axis=1)) > 0.95
