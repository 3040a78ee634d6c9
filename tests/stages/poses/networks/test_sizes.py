import pytest

from pipeline.errors import ConfigError
from stages.poses.networks.sizes import check_size


@pytest.mark.parametrize(("height", "width"), [(32, 32), (256, 192), (384, 288), (256, 256), (32, 1024)])
def test_multiples_of_32_are_taken(height: int, width: int) -> None:
    check_size(height, width)


@pytest.mark.parametrize(
    ("height", "width", "closest"),
    [
        pytest.param(0, 0, "32 x 32", id="nothing"),
        pytest.param(-32, 32, "32 x 32", id="negative"),
        pytest.param(256, 0, "256 x 32", id="no width"),
        pytest.param(16, 64, "32 x 64", id="too low"),
        pytest.param(256, 200, "256 x 192", id="odd width"),
        pytest.param(250, 192, "256 x 192", id="odd height"),
    ],
)
def test_other_sizes_are_refused_with_the_closest_that_is_taken(height: int, width: int, closest: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_size(height, width)
    assert str(caught.value) == (
        f"the network cannot take pictures of {height} x {width} (height x width): expected multiples of 32 "
        f"from 32 on. Closest: {closest}"
    )
