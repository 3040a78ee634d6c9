"""Several sources in one picture."""

import numpy as np
import pytest
from numpy.typing import NDArray

from stages.viewing.wall import Wall


def grey(shade: int, size: tuple[int, int] = (320, 180)) -> NDArray[np.uint8]:
    return np.full((*size[::-1], 3), shade, np.uint8)


def test_a_wall_without_sources_has_no_picture() -> None:
    with pytest.raises(ValueError, match="no picture"):
        Wall(640).picture()


@pytest.mark.parametrize(("size", "shape"), [((320, 180), (180, 320, 3)), ((2000, 1000), (320, 640, 3))], ids=str)
def test_alone_a_source_has_all_of_it_and_is_never_enlarged(size: tuple[int, int], shape: tuple[int, ...]) -> None:
    wall = Wall(640)
    wall.put("a", grey(9, size))
    assert wall.picture().shape == shape


@pytest.mark.parametrize(("count", "shape"), [(2, (180, 640)), (4, (360, 640)), (5, (240, 639)), (10, (270, 640))])
def test_several_share_it_in_rows(count: int, shape: tuple[int, int]) -> None:
    wall = Wall(640)
    for number in range(count):
        wall.put(str(number), grey(20 * number + 10))
    picture = wall.picture()
    assert picture.shape[:2] == shape
    columns = int(np.ceil(np.sqrt(count)))
    width, height = shape[1] // columns, shape[0] // int(np.ceil(count / columns))
    for number in range(count):
        row, column = divmod(number, columns)
        assert picture[row * height + height // 2, column * width + width // 2, 0] == 20 * number + 10


def test_only_the_place_of_its_source_changes() -> None:
    wall = Wall(640)
    wall.put("a", grey(10))
    wall.put("b", grey(20))
    before = wall.picture().copy()
    wall.put("b", grey(200))
    changed = (wall.picture() != before).any(axis=2)
    assert changed[:, 320:].all()
    assert not changed[:, :320].any()


@pytest.mark.parametrize("size", [(1, 1), (1, 900), (4000, 3), (90, 160)], ids=str)
def test_pictures_of_every_shape_are_fitted(size: tuple[int, int]) -> None:
    wall = Wall(160)
    wall.put("a", grey(10))
    wall.put("b", grey(200, size))
    place = wall.picture()[:, 80:]
    assert place.max() == 200
