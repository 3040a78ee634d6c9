from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from stages.sinks.naming import OutputPath, file_name, numbered

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=300)  # lone surrogates too


@pytest.mark.parametrize(
    ("source_id", "expected"),
    [
        pytest.param("", "%", id="empty"),
        pytest.param(".", "%2E", id="dot"),
        pytest.param("..", "%2E.", id="parent"),
        pytest.param("../x", "%2E.%2Fx", id="traversal"),
        pytest.param("/etc/passwd", "%2Fetc%2Fpasswd", id="absolute"),
        pytest.param("a/b", "a%2Fb", id="slash"),
        pytest.param("a%2Fb", "a%252Fb", id="looks-escaped"),
        pytest.param("a\0b\n", "a%00b%0A", id="control"),
        pytest.param("C:\\x", "C%3A%5Cx", id="windows"),
        pytest.param("x\udc80", "x%ED%B2%80", id="no-utf-8"),
        pytest.param("Tür 2 · 街.mp4", "Tür 2 %C2%B7 街.mp4", id="unicode"),
        pytest.param("gate-1_b", "gate-1_b", id="plain"),
    ],
)
def test_a_source_becomes_a_safe_name(source_id: str, expected: str) -> None:
    assert file_name(source_id) == expected


@given(ANY_TEXT, ANY_TEXT)
def test_two_sources_never_get_one_name(one: str, other: str) -> None:
    assert (file_name(one) == file_name(other)) == (one == other)


@given(ANY_TEXT)
def test_every_name_is_one_file_in_its_folder(source_id: str) -> None:
    name = file_name(source_id)
    assert 0 < len(name.encode()) < 200
    assert "/" not in name
    assert "\0" not in name
    assert not name.startswith(".")


def test_long_names_that_differ_at_the_end_stay_different() -> None:
    assert file_name("街" * 100 + "a") != file_name("街" * 100 + "b")


def test_numbers_stand_before_the_suffix() -> None:
    assert [path.name for path in islice(numbered(Path("out/a.b.jsonl")), 3)] == [
        "a.b.jsonl",
        "a.b-2.jsonl",
        "a.b-3.jsonl",
    ]


@pytest.mark.parametrize("path", ["", ".", "..", "a/", "a/..", "people.jsonl.part", "a\0b"])
def test_a_path_that_names_no_file_is_refused(path: str) -> None:
    with pytest.raises(ValidationError, match="must end in the name of a file"):
        TypeAdapter(OutputPath).validate_python(path)
