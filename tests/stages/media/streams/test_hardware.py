import logging

import av
import pytest
from av.codec.hwaccel import HWAccel

from stages.media.streams import hardware
from stages.media.streams.hardware import Decoder, Hardware, choose


def works(kind: str) -> bool:
    try:
        HWAccel(kind).create(av.Codec("h264", "r"))
    except (av.FFmpegError, NotImplementedError):
        return False
    return True


without_cuda = pytest.mark.skipif(works("cuda"), reason="there is a CUDA device here")


def test_none_is_software() -> None:
    assert choose("none") == Decoder("none")
    assert choose("none").accelerator() is None


def test_auto_takes_what_is_there_and_complains_of_nothing(caplog: pytest.LogCaptureFixture) -> None:
    assert choose("auto") == Decoder("cuda" if works("cuda") else "none")
    assert not caplog.records


@pytest.mark.parametrize("kind", [pytest.param("cuda", marks=without_cuda), "vaapi"])
def test_what_is_asked_for_and_not_there_is_software_and_one_warning(
    kind: Hardware, caplog: pytest.LogCaptureFixture
) -> None:
    if works(kind):
        pytest.skip(f"{kind} works here")
    hardware._warn.cache_clear()
    with caplog.at_level(logging.WARNING):
        assert choose(kind) == choose(kind) == Decoder("none", missing=kind)
    assert len(caplog.records) == 1
    expected = f"h264, software ({kind} was asked for, not available)"
    assert choose(kind).describe("h264", is_accelerated=False) == expected


@pytest.mark.parametrize(
    ("decoder", "is_accelerated", "words"),
    [
        (Decoder("none"), False, "vp8, software"),
        (Decoder("cuda"), True, "vp8, cuda"),
        (Decoder("cuda"), False, "vp8, software (cuda cannot decode it)"),
    ],
)
def test_it_is_said_what_decodes(decoder: Decoder, is_accelerated: bool, words: str) -> None:  # noqa: FBT001
    assert decoder.describe("vp8", is_accelerated=is_accelerated) == words
