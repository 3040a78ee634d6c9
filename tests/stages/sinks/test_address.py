"""Where streams go."""

from pathlib import Path

import pytest

from pipeline.secrets import mask
from stages.sinks.address import Address

OUT = Path("/run")


@pytest.mark.parametrize(
    ("template", "source", "target"),
    [
        pytest.param("rtsp://h:8554/{source}", "cam", "rtsp://h:8554/cam", id="plain"),
        pytest.param("rtsp://h/{source}/x", "a b/../c?d#e", "rtsp://h/a%20b%2F..%2Fc%3Fd%23e/x", id="special"),
        pytest.param("srt://h:1?streamid={source}", "a&b", "srt://h:1?streamid=a%26b", id="query"),
        pytest.param("rtmp://h/live/key", "cam", "rtmp://h/live/key", id="one-for-all"),
        pytest.param("hls/{source}/index.m3u8", "../x", "/run/hls/%2E.%2Fx/index.m3u8", id="path"),
        pytest.param("/srv/{source}.m3u8", "cam", "/srv/cam.m3u8", id="absolute"),
    ],
)
def test_a_source_has_an_address_of_its_own(template: str, source: str, target: str) -> None:
    assert Address(template, OUT).of(source) == target


def test_different_sources_have_different_addresses() -> None:
    for template in ("rtsp://h/{source}", "{source}.m3u8"):
        address = Address(template, OUT)
        assert len({address.of(name) for name in ("a/b", "a%2Fb", "a b", "a\udc80")}) == 4


def test_a_playlist_is_a_target_and_a_url_is_none() -> None:
    assert Address("{source}.m3u8", OUT).path == "/run/{source}.m3u8"
    assert Address("rtsp://h/{source}", OUT).path is None


@pytest.mark.parametrize(
    ("url", "waits"),
    [
        ("srt://h:1?mode=listener", True),
        ("rtmp://h/x?listen=1", True),
        ("srt://h:1?mode=caller", False),
        ("rtsp://h/listen", False),
    ],
)
def test_who_waits_for_a_viewer_may_take_its_time(url: str, waits: bool) -> None:  # noqa: FBT001
    assert Address(url, OUT).may_wait is waits


def test_a_stream_that_goes_on_appends_to_its_playlist() -> None:
    address = Address("{source}.m3u8", OUT)
    first, again = (address.muxing("a%d", 2.0, again=again) for again in (False, True))
    assert "append_list" not in str(first["hls_flags"])
    assert "append_list+discont_start" in str(again["hls_flags"])
    assert first["hls_segment_filename"] == "a~25d-%06d.ts"
    assert first["hls_time"] == 2.0


def test_a_password_in_a_url_is_masked_wherever_it_is_repeated() -> None:
    Address("rtsp://me:hush%2Fhush@h/{source}", OUT)
    assert mask("login with hush/hush failed, hush%2Fhush") == "login with *** failed, ***"
