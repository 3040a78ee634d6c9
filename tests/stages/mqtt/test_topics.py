"""Names of topics."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.mqtt.topics import Topics, level
from stages.sinks.mqtt import Options


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("", "%"),
        ("a/b", "a%2Fb"),
        ("+", "%2B"),
        ("#", "%23"),
        ("$SYS", "%24SYS"),
        ("%", "%25"),
        ("hall door #2", "hall%20door%20%232"),
        ("\0", "%00"),
        ("\udcff", "%ED%B3%BF"),
        ("rtsp://cam/1", "rtsp%3A%2F%2Fcam%2F1"),
        ("Tür_1-b.x", "Tür_1-b.x"),
    ],
)
def test_a_name_becomes_one_level(name: str, safe: str) -> None:
    assert level(name) == safe


@given(st.text(max_size=300))
def test_no_name_breaks_a_topic(name: str) -> None:
    topic = Topics("site/k").zone("cam", name)
    assert re.fullmatch(r"site/k/cam/zone/[^/+#$\s\0]+", topic)
    assert len(level(name).encode()) < 200


@given(st.lists(st.text(alphabet="a/%2F~ +", max_size=6) | st.text(max_size=300), min_size=2, max_size=2, unique=True))
def test_different_names_stay_different(names: list[str]) -> None:
    assert level(names[0]) != level(names[1])


def test_long_names_that_begin_alike_stay_different() -> None:
    assert level("x" * 1000 + "1") != level("x" * 1000 + "2")


def test_no_source_can_take_the_topics_of_the_process() -> None:
    topics = Topics("k")
    assert topics.status("available") == "k/available/status"
    assert topics.available == "k/available"


@pytest.mark.parametrize("prefix", ["", "/", "a/", "/a", "a//b", "a+", "#", "$SYS", "a b", "a\0"])
def test_a_prefix_that_is_none_is_refused(prefix: str) -> None:
    with pytest.raises(ValueError, match="prefix"):
        Options(prefix=prefix)


@pytest.mark.parametrize("prefix", ["k", "site/k", "Büro", "a-b_c.d"])
def test_a_prefix_may_have_several_levels(prefix: str) -> None:
    assert Options(prefix=prefix).prefix == prefix
