"""No password leaves the process, whatever text it is in; and what is no secret stays readable."""

import json
import logging
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pipeline import secrets
from pipeline.secrets import MASK, MaskingFilter, mask, mask_tree, mask_value, remember_secret


@pytest.fixture(autouse=True)
def nothing_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "_remembered", set())


# URLs


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("rtsp://me:hunter2@cam/1", "rtsp://***@cam/1"),
        ("rtsp://me:hunter2@10.0.0.1:554/live?channel=1", "rtsp://***@10.0.0.1:554/live?channel=1"),
        ("RTSP://ME:hunter2@CAM/1", "RTSP://***@CAM/1"),
        ("mqtts://me:hunter2@broker:8883", "mqtts://***@broker:8883"),
        ("rtsp://hunter2@cam:554/1", "rtsp://***@cam:554/1"),
        ("rtsp://:hunter2@cam/1", "rtsp://***@cam/1"),
        ("rtsp://me:hunter2@[::1]:554/1", "rtsp://***@[::1]:554/1"),
        ("rtsp://me:hun@ter2@cam/1", "rtsp://***@cam/1"),
        ("rtsp://me:hun/ter2@cam/1", "rtsp://***@cam/1"),
        ("rtsp://me:hun?t#er2@cam/1", "rtsp://***@cam/1"),
        ("rtsp://me:1/hunter2@cam/1", "rtsp://***@cam/1"),
        ("https://me@x.org:hunter2@cam/1", "https://***@cam/1"),
        ("rtsp://me:hunter%402@cam/1", "rtsp://***@cam/1"),
        ("http://hub/?src=rtsp%3A%2F%2Fme%3Ahunter2%40cam&a=1", "http://hub/?src=rtsp%3A%2F%2F***%40cam&a=1"),
        ("cannot open 'rtsp://me:hunter2@cam/1': refused", "cannot open 'rtsp://***@cam/1': refused"),
        ("rtsp://a:hunter2@x/1 and rtsp://b:hunter3@y/2", "rtsp://***@x/1 and rtsp://***@y/2"),
    ],
)
def test_the_user_part_of_a_url_is_masked(text: str, masked: str) -> None:
    assert mask(text) == masked


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("http://cam/v?token=hunter2", "http://cam/v?token=***"),
        ("http://cam/v?a=1&Password=hunter2&b=2", "http://cam/v?a=1&Password=***&b=2"),
        ("http://cam/v?user=me&pwd=hunter2#top", "http://cam/v?user=me&pwd=***#top"),
        ("http://cam/v?usr=me;pass=hunter2;b=2", "http://cam/v?usr=me;pass=***;b=2"),
        ("http://cam/v?X-Amz-Signature=hunter2&b=2", "http://cam/v?X-Amz-Signature=***&b=2"),
        ("http://cam/v?sv=1&sig=hunter%2F2&se=3", "http://cam/v?sv=1&sig=***&se=3"),
        ("http://cam/v?api_key=hunter2&apikey=hunter3&api-key=h4", "http://cam/v?api_key=***&apikey=***&api-key=***"),
    ],
)
def test_secret_sounding_fields_of_a_query_are_masked_and_the_others_stay(text: str, masked: str) -> None:
    assert mask(text) == masked


any_password = st.text(st.characters(exclude_categories=["Z", "C"]), min_size=1, max_size=30)


@given(
    scheme=st.sampled_from(["rtsp", "rtsps", "HTTP", "mqtt", "wss+x"]),
    user=st.text("abcxyz019._-%", max_size=8),
    password=any_password,
    host=st.sampled_from(["cam", "10.0.0.1:554", "[fe80::1]:8554"]),
    rest=st.sampled_from(["", "/", "/live/1?channel=1&a=b", "?token=x#y"]),
    around=st.sampled_from([("", ""), ("cannot open '", "': refused"), ('{"url": "', '", "b": 1}')]),
)
def test_no_password_survives_in_a_url(
    scheme: str, user: str, password: str, host: str, rest: str, around: tuple[str, str]
) -> None:
    text = mask(f"{around[0]}{scheme}://{user}:{password}@{host}{rest}{around[1]}")
    assert text == mask(f"{around[0]}{scheme}://{MASK}@{host}{rest}{around[1]}")


@given(any_password)
def test_no_token_survives_in_a_query(password: str) -> None:
    assert mask(f"http://cam/v?token={quote(password, safe='')}&a=1") == "http://cam/v?token=***&a=1"


# Other texts


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("password=hunter2", "password=***"),
        ("PASSWORD = hunter2", "PASSWORD = ***"),
        ("-o sinks.0.password=hunt,er2&x", "-o sinks.0.password=***"),
        ('{"password": "hunter2", "user": "me"}', '{"password": "***", "user": "me"}'),
        ('{"password":"hun\\"ter2","user":"me"}', '{"password":"***","user":"me"}'),
        ("{'kind': 'mqtt', 'password': 'hunter2'}", "{'kind': 'mqtt', 'password': '***'}"),
        ("{'api_key': 12345}", "{'api_key': ***"),
        ("  password: hunter2", "  password: ***"),
        ('  password: "hunter2', '  password: "***'),
        ('"{\\"password\\": \\"hunter2\\"}"', '"{\\"password\\": ***'),
        ("Options(url='x', password='hunter2')", "Options(url='x', password='***')"),
        ("Authorization: Bearer hunter2", "Authorization: ***"),
        ("authorization: Basic aHVudGVyMg==\r\nAccept: */*", "authorization: ***\r\nAccept: */*"),
        ('Authorization: Digest username="me", response="hunter2"', "Authorization: ***"),
        ("{'Authorization': 'Bearer hunter2'}", "{'Authorization': ***"),
        ("sent Bearer hunter2 to the hub", "sent Bearer *** to the hub"),
    ],
)
def test_credentials_are_masked_outside_of_urls_too(text: str, masked: str) -> None:
    assert mask(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ask me@example.com, or see https://example.com/help",
        "see https://example.com/@me and http://localhost:8080/live",
        "https://example.com/?mail=me@example.com",
        "rtsp://10.0.0.1:554/live?channel=1",
        "sinks.0.password: this option is required",
        "detect.token: unknown option 'token'. Did you mean 'tokens'? Allowed: a, b",
        "design=x author=me sigma=3 assignment: hungarian passes: 4 compass=1",
        "http://cam/v?author=me&design=x&signal=1",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert mask(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "rtsp://me:hunter2@cam/1?token=hunter2&a=1",
        '{"password": "hunter2", "token": 5, "user": "me"}',
        "Authorization: Bearer hunter2\npassword=hunter2, user=me",
    ],
)
def test_masking_twice_changes_nothing_more(text: str) -> None:
    assert mask(mask(text)) == mask(text)


# Remembered values


def test_a_remembered_value_is_masked_wherever_it_is() -> None:
    remember_secret("correct horse")
    assert mask("the key is 'correct horse', or wrong-correct horse-1") == "the key is '***', or wrong-***-1"


def test_a_remembered_url_is_masked_as_a_whole() -> None:
    remember_secret("https://me:hunter2@cam/secret-path")
    assert mask("cannot open https://me:hunter2@cam/secret-path") == "cannot open ***"


@pytest.mark.parametrize("innocent", ["", "1", "on", "8px"])
def test_values_too_short_to_be_secret_blank_out_nothing(innocent: str) -> None:
    remember_secret(innocent)
    assert mask("1 person on 8px") == "1 person on 8px"


def test_of_two_remembered_values_the_longer_one_is_masked_first() -> None:
    remember_secret("hunter")
    remember_secret("hunter2-is-longer")
    assert mask("hunter2-is-longer hunter") == "*** ***"


@given(st.text(min_size=4, max_size=20))
def test_a_remembered_value_is_known_in_disguise(value: str) -> None:
    assume(set(value) != {"*"})
    secrets._remembered.clear()
    remember_secret(value)
    for text in (value, repr(value), json.dumps(value), quote(value, safe="")):
        assert mask(f"<{text}>").strip("<>'\"") == MASK


def test_a_value_that_is_no_utf8_can_be_remembered() -> None:
    remember_secret("caf\udce9-key")
    assert mask("caf\udce9-key") == MASK


# Trees


def test_a_tree_is_masked_by_value_and_by_key() -> None:
    tree = {
        "sources": [{"path": "rtsp://me:hunter2@cam/1"}, ("http://cam?token=hunter2", 3)],
        "sinks": [{"kind": "mqtt", "Password": "hunter2", "port": 1883, "api-key": 12345, "auth": {"user": "me"}}],
        "rtsp://me:hunter2@cam/2": True,
    }
    assert mask_tree(tree) == {
        "sources": [{"path": "rtsp://***@cam/1"}, ["http://cam?token=***", 3]],
        "sinks": [{"kind": "mqtt", "Password": MASK, "port": 1883, "api-key": MASK, "auth": MASK}],
        "rtsp://***@cam/2": True,
    }


def test_a_secret_that_is_not_set_is_seen_not_to_be_set() -> None:
    assert mask_tree({"password": None, "token": ""}) == {"password": None, "token": ""}


def test_what_only_begins_like_a_secret_is_shown() -> None:
    tree = {"sigma_px": 3.0, "author": "me", "passes": 2, "assignment": "munkres"}
    assert mask_tree(tree) == tree


@pytest.mark.parametrize("value", [None, 3, 2.5, True])
def test_plain_values_pass(value: object) -> None:
    assert mask_tree(value) is value


def test_a_value_is_masked_by_its_dotted_name() -> None:
    assert mask_value("sinks.0.password", 12345) == MASK
    assert mask_value("sinks.0.port", 12345) == 12345


leaves = st.sampled_from(["hunter2xyz", "rtsp://me:hunter2xyz@cam/1", 5, None])


@given(st.recursive(leaves, lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(), below, max_size=3)))
def test_no_remembered_value_survives_in_a_tree(tree: object) -> None:
    remember_secret("hunter2xyz")
    assert "hunter2xyz" not in json.dumps(mask_tree(tree))


# Log records


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[logging.Logger]:
    masking = MaskingFilter()
    caplog.handler.addFilter(masking)
    yield logging.getLogger("tests.secrets")
    caplog.handler.removeFilter(masking)


def test_arguments_of_a_log_record_are_masked(log: logging.Logger, caplog: pytest.LogCaptureFixture) -> None:
    log.warning("cannot open %s (%d of %d)", "rtsp://me:hunter2@cam/1", 1, 2)
    assert caplog.messages == ["cannot open rtsp://***@cam/1 (1 of 2)"]


def test_a_percent_sign_that_is_left_is_no_format(log: logging.Logger, caplog: pytest.LogCaptureFixture) -> None:
    log.warning("%s", "100%s done")
    assert caplog.messages == ["100%s done"]


def test_a_traceback_is_masked(log: logging.Logger, caplog: pytest.LogCaptureFixture) -> None:
    try:
        raise OSError("rtsp://me:hunter2@cam/1 refused")  # noqa: EM101, TRY003, TRY301 - a foreign library's words
    except OSError:
        log.exception("no picture")
    assert "OSError: rtsp://***@cam/1 refused" in caplog.text


def test_a_record_whose_arguments_do_not_fit_ends_nothing_and_is_masked() -> None:
    record = logging.LogRecord("x", logging.INFO, __file__, 1, "%d", ("rtsp://me:hunter2@cam/1",), None)
    assert MaskingFilter().filter(record)
    assert record.getMessage() == "%d ('rtsp://***@cam/1',)"
