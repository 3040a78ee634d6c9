import pytest

from stages.media.streams.trust import Gaps, Trust


def believed(*pictures: str, seconds: float = 0.04) -> list[bool]:
    """Judge pictures: K a key frame, P one that builds upon others, k and p damaged ones; ! is damage in between."""
    trust, judged = Trust(key_frame_timeout_seconds=1.0), []
    for number, picture in enumerate("".join(pictures)):
        if picture == "!":
            trust.damaged()
        else:
            is_key, is_corrupt = picture in "Kk", picture.islower()
            judged.append(trust.believes(is_key=is_key, is_corrupt=is_corrupt, monotonic=number * seconds))
    return judged


@pytest.mark.parametrize(
    ("pictures", "expected"),
    [
        pytest.param("PPKPP", "..###", id="nothing-before-the-first-key-frame"),
        pytest.param("KPpPPKP", "##...##", id="nothing-from-a-damaged-picture-to-the-next-key-frame"),
        pytest.param("KP!PPKP", "##..##", id="nothing-from-a-lost-packet-to-the-next-key-frame"),
        pytest.param("KPpPkPKP", "##....##", id="a-damaged-key-frame-does-not-count"),
        pytest.param("K!K", "##", id="a-key-frame-right-after-damage-is-fine"),
    ],
)
def test_pictures_are_believed_from_a_key_frame_to_damage(pictures: str, expected: str) -> None:
    assert believed(pictures) == [mark == "#" for mark in expected]


def test_without_key_frames_a_picture_is_believed_after_a_while_without_complaint() -> None:
    judged = believed("K", "p", "P" * 12, seconds=0.1)
    assert judged == [True, False, *[False] * 10, True, True]


def test_each_complaint_makes_the_while_begin_anew() -> None:
    assert not any(believed("pPPPPP" * 10, seconds=0.15))


def missing(*pts: int | None) -> list[bool]:
    gaps = Gaps()
    return [gaps.before(ticks) for ticks in pts]


def test_a_missing_frame_is_noticed_once_where_frames_come_regularly() -> None:
    ticks = [i * 3600 for i in range(12) if i != 10]
    assert missing(*ticks) == [False] * 10 + [True]
    assert not any(missing(*ticks, *[ticks[-1] + i * 3600 for i in range(1, 7)])[11:])


@pytest.mark.parametrize(
    "ticks",
    [
        pytest.param([0, 3600, 7200, 20_000], id="too-little-seen"),
        pytest.param([i * i * 300 for i in range(20)], id="ever-slower"),
        pytest.param([i * 3600 + (i % 2) * 1500 for i in range(20)] + [20 * 3600 + 9000], id="uneven"),
        pytest.param([None] * 20, id="no-time"),
        pytest.param([1000] * 20, id="standing-still"),
    ],
)
def test_where_steps_are_uneven_nothing_is_said_to_be_missing(ticks: list[int | None]) -> None:
    assert not any(missing(*ticks))


def test_two_frames_missing_soon_after_one_another_are_both_noticed() -> None:
    assert missing(*[i * 3600 for i in range(16) if i not in {10, 13}]).count(True) == 2


def test_another_frame_rate_is_soon_the_usual_one() -> None:
    slow = [9 * 3600 + i * 7200 for i in range(1, 30)]
    noticed = missing(*[i * 3600 for i in range(10)], *slow)
    assert noticed.count(True) < 6
    assert not any(noticed[-20:])
