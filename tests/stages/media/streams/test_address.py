from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import SourceError
from pipeline.secrets import mask
from stages.media.streams.address import parse


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("rtsp://cam1.local/stream1", "cam1.local-stream1"),
        ("rtsp://me:hunter22@10.0.0.5:554/Streaming/Channels/101?key=abcdef", "10.0.0.5-554-Streaming-Channels-101"),
        ("rtsp://[fe80::1]:8554/a", "fe80-1-8554-a"),
        ("http://cam/", "cam"),
        ("udp://@:5004", "5004"),
        ("https://cam/a b/#+$/x.m3u8", "cam-a-b"),
    ],
)
def test_a_source_is_named_after_host_and_path_safely(url: str, name: str) -> None:
    assert parse(url).name == name


def test_what_is_shown_holds_no_credentials_and_no_query() -> None:
    address = parse("rtsp://admin:hunter22@cam:8554/a?token=abcdef")
    assert address.shown == "rtsp://cam:8554/a"
    assert (address.host, address.port) == ("cam", 8554)
    assert "hunter22" not in repr(address)
    assert "abcdef" not in repr(address)
    assert address.url == "rtsp://admin:hunter22@cam:8554/a?token=abcdef"


def test_a_port_that_is_not_given_is_the_usual_one() -> None:
    assert parse("rtsp://cam/1").port == 554
    assert parse("udp://239.0.0.1").port is None


def test_a_password_in_the_url_is_a_secret_from_then_on() -> None:
    parse("rtsp://admin:pass%2Fwort-77@cam/1")
    assert mask("it was pass/wort-77 or pass%2Fwort-77") == "it was *** or ***"


def test_the_password_of_the_options_is_encoded_and_a_secret() -> None:
    url = parse("rtsp://cam/1?a=b@c").with_credentials("me@home", "sl/a:sh@8#?%", None)
    assert url == "rtsp://me%40home:sl%2Fa%3Ash%408%23%3F%25@cam/1?a=b@c"
    assert "sl/a:sh" not in mask("sl/a:sh@8#?%")


@given(st.text(st.characters(codec="utf-8"), min_size=1), st.text(st.characters(codec="utf-8")))
def test_any_credentials_come_back_out_of_the_url(user: str, password: str) -> None:
    address = parse(parse("rtsp://cam/1").with_credentials(user, password, None))
    assert (address.user, address.password, address.host) == (user, password, "cam")


def test_a_password_is_read_from_its_file_without_the_end_of_the_line(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("from-a-file\n")
    assert parse("rtsp://cam/1").with_credentials("me", None, tmp_path / "password") == "rtsp://me:from-a-file@cam/1"


def test_a_missing_file_of_a_password_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"cannot read the camera's password from '.*nowhere': No such file"):
        parse("rtsp://cam/1").with_credentials("me", None, tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("cam1.local/stream", "expected the URL of a camera"),
        ("ftp://cam/1", "cannot read 'ftp://'"),
        ("rtsp:///stream", "names no host"),
        ("rtsp://me:sec/ret@cam/1", "percent-encoded"),
    ],
)
def test_what_is_no_address_is_refused_without_repeating_it(url: str, says: str) -> None:
    with pytest.raises(ValueError, match=says) as caught:
        parse(url)
    assert "sec" not in str(caught.value).replace("seconds", "")
