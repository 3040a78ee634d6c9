import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from numpy.testing import assert_array_equal

from pipeline.errors import WeightsError
from stages import zoo
from stages.blazepose import candidates, poses
from stages.blazepose.network import Network
from stages.blazepose.quiet import stderr_without


@pytest.fixture(scope="module")
def landmark_file() -> Path:
    return zoo.locate("blazepose-landmark-full")


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(slice(0), id="empty"),
        pytest.param(slice(1000), id="only its head"),
        pytest.param(slice(-1), id="one byte missing"),
    ],
)
def test_a_truncated_file_is_named(landmark_file: Path, tmp_path: Path, content: slice) -> None:
    damaged = tmp_path / "pose_landmark_full.tflite"
    damaged.write_bytes(landmark_file.read_bytes()[content])
    with pytest.raises(WeightsError, match=r"pose_landmark_full\.tflite is damaged .* Delete it") as error:
        Network(damaged, poses.INTERFACE, copies=1)
    assert error.value.__cause__ is not None


def test_an_absent_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"absent\.tflite: No such file"):
        Network(tmp_path / "absent.tflite", poses.INTERFACE, copies=1)


def test_another_network_is_refused_with_both_shapes(landmark_file: Path) -> None:
    with pytest.raises(WeightsError, match=r"got inputs \[\(1, 256, 256, 3\)\].* expected input \(1, 224, 224, 3\)"):
        Network(landmark_file, candidates.INTERFACE, copies=1)


def test_leaving_out_dead_operators_changes_no_bit(landmark_file: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (256, 256, 3), np.uint8)
    with stderr_without(b"INFO"):
        whole = Interpreter(model_path=str(landmark_file), num_threads=1)
        whole.allocate_tensors()
    whole.set_tensor(whole.get_input_details()[0]["index"], picture[None, ..., ::-1] * np.float32(1 / 255))
    whole.invoke()
    expected = {tuple(detail["shape"]): whole.get_tensor(detail["index"])[0] for detail in whole.get_output_details()}
    outputs = Network(landmark_file, poses.INTERFACE, copies=1).run(picture)
    for shape, output in zip(poses.INTERFACE.outputs, outputs, strict=True):
        assert_array_equal(output, expected[shape])


def test_copies_run_at_the_same_time_without_mixing(landmark_file: Path) -> None:
    network = Network(landmark_file, poses.INTERFACE, copies=2)
    pictures = list(np.random.default_rng(0).integers(0, 256, (6, 256, 256, 3), np.uint8))
    alone = [network.run(picture)[0] for picture in pictures]
    with ThreadPoolExecutor(2) as pool:
        together = [outputs[0] for outputs in pool.map(network.run, pictures)]
    assert_array_equal(together, alone)


def test_loading_says_nothing_and_swallows_nothing(landmark_file: Path, capfd: pytest.CaptureFixture[str]) -> None:
    Network(landmark_file, poses.INTERFACE, copies=1)
    with stderr_without(b"INFO: noise"):
        os.write(2, b"INFO: noise of a library\nan error of another thread\n")
    assert capfd.readouterr().err == "an error of another thread\n"
