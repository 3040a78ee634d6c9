import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from stages.poses.networks.trained import Encoding
from stages.topdown.heatmaps import decode
from stages.topdown.regions import Regions, to_input, to_picture
from training.targets import TargetOptions, draw, is_drawn

EXACT: tuple[Encoding, ...] = ("dark", "udp")
ENCODINGS: tuple[Encoding, ...] = ("plain", *EXACT)
inside = st.tuples(st.floats(0, 47), st.floats(0, 63))


def drawn(point: tuple[float, float], target: TargetOptions) -> np.ndarray:
    return draw(torch.tensor([[point]], dtype=torch.float32), target).numpy()


@pytest.mark.parametrize("encoding", ENCODINGS)
@given(point=inside)
def test_the_highest_cell_is_the_one_nearest_to_the_joint(encoding: Encoding, point: tuple[float, float]) -> None:
    points, score = decode(drawn(point, TargetOptions(encoding=encoding)), "plain")

    assert np.abs(points[0, 0] - point).max() <= 0.5 + 1e-4
    assert 0.9 < score[0, 0] <= 1


@pytest.mark.parametrize("encoding", EXACT)
@given(point=st.tuples(st.floats(8, 39), st.floats(8, 55)))
def test_an_exact_target_is_read_back_exactly(encoding: Encoding, point: tuple[float, float]) -> None:
    points, _ = decode(drawn(point, TargetOptions(encoding=encoding)), "dark")

    assert np.abs(points[0, 0] - point).max() < 0.02


def test_a_plain_target_is_the_official_one() -> None:
    heatmap = drawn((20.3, 30.6), TargetOptions())[0, 0]
    rows, columns = np.nonzero(heatmap)

    assert heatmap[31, 20] == 1
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (25, 37, 14, 26)
    assert heatmap[31, 22] == pytest.approx(np.exp(-4 / 8))
    assert heatmap[33, 22] == pytest.approx(np.exp(-8 / 8))


@pytest.mark.parametrize(("size", "sigma"), [((256, 192), 2.0), ((384, 288), 3.0), ((256, 256), 2.0)])
def test_the_deviation_is_the_one_that_inference_expects(size: tuple[int, int], sigma: float) -> None:
    assert TargetOptions(image_size=size).deviation == sigma
    assert TargetOptions(image_size=size, sigma=1.5).deviation == 1.5


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize(
    ("point", "expected"),
    [((-6.4, 10), True), ((-6.6, 10), False), ((53.4, 10), True), ((53.6, 10), False), ((10, 69.6), False)],
)
def test_a_joint_counts_as_far_as_its_target_reaches(
    encoding: Encoding, point: tuple[float, float], *, expected: bool
) -> None:
    target = TargetOptions(encoding=encoding)
    wanted = expected if encoding == "plain" else abs(point[0] - 23.5) <= 29.5 and point[1] <= 69

    assert is_drawn(np.array([point]), target).tolist() == [wanted]
    if encoding == "plain":
        assert bool(drawn(point, target).any()) == expected


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_cells_lie_in_the_picture_by_the_rule_of_inference(encoding: Encoding) -> None:
    target = TargetOptions(encoding=encoding)
    region = Regions(np.array([[100.0, 80.0]]), np.array([[150.0, 200.0]]))
    matrix = to_input(region, target.width, target.height, udp=target.udp)[0]
    cells = np.array([[[3.0, 5.0], [40.0, 60.0]]])
    picture = to_picture(cells, region, target.grid_width, target.grid_height, udp=target.udp)[0]

    assert np.allclose(picture @ matrix[:, :2].T + matrix[:, 2], cells[0] * target.cell_px)


@pytest.mark.parametrize("size", [(250, 192), (0, 32), (16, 16)])
def test_a_size_that_no_network_takes_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(ValidationError, match=r"multiples of 32|greater than 0"):
        TargetOptions(image_size=size)
