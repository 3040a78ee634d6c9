"""Which files a path means, and what their sources are called."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import SourceError
from stages.media.paths import is_url, matching_files, natural_order, unique_names


def test_numbers_sort_as_numbers() -> None:
    names = ["img10.png", "Img2.png", "img1.png", "img.png", "10", "9"]
    ordered = sorted((Path(name) for name in names), key=natural_order)
    assert [path.name for path in ordered] == ["9", "10", "img.png", "img1.png", "Img2.png", "img10.png"]


def test_a_file_whose_name_looks_like_a_pattern_is_itself(tmp_path: Path) -> None:
    odd, other = tmp_path / "take[1].mp4", tmp_path / "take1.mp4"
    odd.touch()
    other.touch()
    assert matching_files(str(odd)) == [odd]


def test_a_pattern_gives_files_in_natural_order_and_no_folders(tmp_path: Path) -> None:
    for name in ("b10.mp4", "b9.mp4", "sub/b1.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "b.mp4").mkdir()
    assert [path.name for path in matching_files(str(tmp_path / "*.mp4"))] == ["b9.mp4", "b10.mp4"]
    assert [path.name for path in matching_files(str(tmp_path / "**" / "b1.mp4"))] == ["b1.mp4"]


@pytest.mark.parametrize("pattern", [pytest.param("nothing.mp4", id="a name"), pytest.param("*.mp4", id="a pattern")])
def test_matching_nothing_is_an_error_that_names_the_pattern(tmp_path: Path, pattern: str) -> None:
    with pytest.raises(SourceError, match=r"check the") as caught:
        matching_files(str(tmp_path / pattern))
    assert pattern in str(caught.value)


@pytest.mark.parametrize(
    ("names", "unique"),
    [
        pytest.param([], [], id="none"),
        pytest.param(["a", "b"], ["a", "b"], id="different"),
        pytest.param(["a", "a", "a"], ["a", "a-2", "a-3"], id="the same"),
        pytest.param(["a", "a", "a-2"], ["a", "a-3", "a-2"], id="a number is taken"),
    ],
)
def test_names_are_made_unique(names: list[str], unique: list[str]) -> None:
    assert unique_names(names) == unique


@given(st.lists(st.sampled_from(["a", "a-2", "a-3", "a-2-2", "b"])))
def test_unique_names_are_unique(names: list[str]) -> None:
    unique = unique_names(names)
    assert len(set(unique)) == len(names)
    assert all(new.startswith(old) for old, new in zip(names, unique, strict=True))


def test_a_url_is_not_looked_for_on_disk() -> None:
    assert is_url("http://camera/clip.mp4")
    assert not is_url("C:/clip.mp4")
