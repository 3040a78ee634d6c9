"""The platform, by the real dtlpy, against a server that stores what it gets and fails as it is told to."""

import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from dataloop_faults import Hang, Lose, LoseReply, Status, Trickle, Truncate
from dataloop_server import EMAIL, PASSWORD, DataloopServer
from fault_proxy import FaultProxy, Pass, Refuse

from pipeline.errors import ConfigError
from stages.dataloop.connection.platform import Platform
from stages.dataloop.errors import LoginFailed, PlatformError, PlatformUnavailable, ReplyLost, TooLarge

NOSE = {
    "type": "point", "label": "nose", "coordinates": {"x": 1.0, "y": 2.0},
    "metadata": {"system": {"objectId": "1", "frame": 0, "endFrame": 3}},
}  # fmt: skip


class Waits(list[float]):
    """Waits for nothing, and keeps how long that would have been."""

    def __call__(self, seconds: float) -> bool:
        self.append(seconds)
        return False


@pytest.fixture
def waits() -> Waits:
    return Waits()


@pytest.fixture
def platform(dataloop: DataloopServer, waits: Waits) -> Iterator[Platform]:
    assert dataloop.port
    with Platform(timeout_seconds=5, attempts=3, wait=waits) as platform:
        yield platform


@pytest.fixture
def item_id(dataloop: DataloopServer, tmp_path: Path) -> str:
    path = tmp_path / "clip.mp4"
    path.write_bytes(os.urandom(1_000_000))
    return dataloop.add_item(path, fps=25, frame_count=50)


def annotate(platform: Platform, item_id: str, *, repeatable: bool = False) -> Any:
    return platform.post(f"/items/{item_id}/annotations", [NOSE], repeatable=repeatable)


# What is sent once, and what again


@pytest.mark.parametrize(
    ("fault", "stored", "kind"),
    [
        pytest.param(Lose(), 0, ReplyLost, id="lost before"),
        pytest.param(LoseReply(), 1, ReplyLost, id="lost after"),
        pytest.param(Truncate(10), 1, ReplyLost, id="half an answer"),
        pytest.param(Status(500), 0, ReplyLost, id="500"),
        pytest.param(Status(502, after=True, body="<html>Bad Gateway</html>"), 1, ReplyLost, id="502 after"),
        pytest.param(Status(503), 0, ReplyLost, id="503"),
        pytest.param(Status(504, after=True), 1, ReplyLost, id="504 after"),
        pytest.param(Status(200, after=True, body="<html>welcome</html>"), 1, ReplyLost, id="no JSON"),
        pytest.param(Status(413), 0, TooLarge, id="413"),
        pytest.param(Status(400), 0, PlatformError, id="400"),
        pytest.param(Status(403), 0, LoginFailed, id="403"),
        pytest.param(Status(307, headers={"Location": "/elsewhere"}), 0, PlatformError, id="redirect"),
    ],
)
def test_what_must_not_come_twice_is_sent_once(
    fault: Any, stored: int, kind: type[PlatformError], dataloop: DataloopServer, platform: Platform, item_id: str
) -> None:
    dataloop.inject(fault, "POST", times=None)
    with pytest.raises(PlatformError) as caught:
        annotate(platform, item_id)
    assert type(caught.value) is kind
    assert f"POST /items/{item_id}/annotations: " in str(caught.value)
    assert caught.value.status in {None, getattr(fault, "status", None)}
    assert dataloop.count("POST") == 1
    assert len(dataloop.annotations(item_id)) == stored


@pytest.mark.parametrize("status", [408, 429])
def test_it_is_sent_again_where_nothing_can_have_been_done(
    status: int, dataloop: DataloopServer, platform: Platform, item_id: str
) -> None:
    dataloop.inject(Status(status), "POST", times=2)
    annotate(platform, item_id)
    assert len(dataloop.annotations(item_id)) == 1


def test_it_is_sent_again_where_nobody_listened(
    dataloop: DataloopServer, fault_proxy: Callable[..., FaultProxy], monkeypatch: pytest.MonkeyPatch, item_id: str
) -> None:
    proxy = fault_proxy(dataloop.port)
    monkeypatch.setenv("DATALOOP_URL", proxy.through(dataloop.url))
    proxy.apply(Refuse())
    with (
        Platform(timeout_seconds=5, attempts=2, wait=lambda _: False) as platform,
        pytest.raises(PlatformUnavailable, match=r"cannot be reached.*Connection refused.*\(2 tries\)") as caught,
    ):
        annotate(platform, item_id)
    assert type(caught.value) is PlatformUnavailable

    def comes_back(_: float) -> bool:
        proxy.apply(Pass())
        return False

    with Platform(timeout_seconds=5, attempts=2, wait=comes_back) as platform:
        annotate(platform, item_id)
    assert len(dataloop.annotations(item_id)) == 1


@pytest.mark.parametrize(
    "fault",
    [Lose(), LoseReply(), Truncate(1), Status(500), Status(503), Status(429), Status(200, body="<html>")],
    ids=lambda fault: f"{type(fault).__name__} {getattr(fault, 'status', '')}".strip(),
)
def test_everything_else_is_asked_again(
    fault: Any, dataloop: DataloopServer, platform: Platform, item_id: str, waits: Waits
) -> None:
    calls: list[tuple[str, str, Callable[[], Any]]] = [
        ("GET", "/items", lambda: platform.get(f"/items/{item_id}")["id"]),
        ("POST", "/query", lambda: platform.count(dataloop.dataset_id, "items", [{"id": item_id}])),
        ("POST", "/annotations", lambda: annotate(platform, item_id, repeatable=True)),
        ("PUT", "/annotations", lambda: platform.put(f"/annotations/{kept['id']}", {"label": "left eye"})),
        ("PATCH", "/datasets", lambda: platform.patch(f"/datasets/{dataloop.dataset_id}", {"name": "x"})["name"]),
        ("DELETE", "/annotations", lambda: platform.delete(f"/annotations/{kept['id']}")),
    ]
    (kept,) = annotate(platform, item_id)
    for method, path, call in calls:
        dataloop.inject(fault, method, path, times=2)
        call()
        dataloop.faults.clear()
    assert len(waits) == 2 * len(calls)


def test_after_the_last_try_the_error_says_how_many_there_were(
    dataloop: DataloopServer, platform: Platform, waits: Waits
) -> None:
    dataloop.inject(Status(503, "upstream is down"), times=None)
    with pytest.raises(PlatformUnavailable, match=r"GET /users/me: 503 .*upstream is down.*\(3 tries\)") as caught:
        platform.get("/users/me")
    assert (caught.value.status, len(waits)) == (503, 2)


def test_a_change_that_is_never_answered_may_have_been_done(
    dataloop: DataloopServer, platform: Platform, item_id: str
) -> None:
    (kept,) = annotate(platform, item_id)
    dataloop.inject(LoseReply(), "PUT", times=None)
    with pytest.raises(ReplyLost):
        platform.put(f"/annotations/{kept['id']}", {"label": "left eye"})


def test_retry_after_is_kept_and_too_much_patience_refused(
    dataloop: DataloopServer, platform: Platform, waits: Waits
) -> None:
    dataloop.inject(Status(429, headers={"Retry-After": "7"}))
    platform.get("/users/me")
    assert waits == [7.0]
    dataloop.inject(Status(429, headers={"Retry-After": "3600"}))
    with pytest.raises(PlatformUnavailable):
        platform.get("/users/me")
    assert waits == [7.0]


def test_what_is_not_there_is_an_error_and_gone_only_after_a_lost_answer(
    dataloop: DataloopServer, platform: Platform
) -> None:
    with pytest.raises(PlatformError, match=r"DELETE /annotations/x: 404 .*not found") as caught:
        platform.delete("/annotations/x")
    assert caught.value.status == 404
    assert dataloop.count("DELETE") == 1


@pytest.mark.parametrize("body", [[float("nan")], [float("inf")], [{1, 2}]], ids=["nan", "inf", "no JSON"])
def test_what_is_no_json_is_not_sent(body: Any, dataloop: DataloopServer, platform: Platform) -> None:
    with pytest.raises(PlatformError, match="not sent"):
        platform.post("/x", body, repeatable=True)
    assert dataloop.requests == []


# Queries


@pytest.mark.parametrize("count", [0, 1, 1000, 1001, 2100])
def test_a_query_gives_all_pages(count: int, dataloop: DataloopServer, platform: Platform, item_id: str) -> None:
    dataloop.store.annotate(item_id, [NOSE] * count)
    of_item = [{"itemId": item_id}]
    found = [annotation["id"] for annotation in platform.query(dataloop.dataset_id, "annotations", of_item)]
    assert found == [annotation["id"] for annotation in dataloop.annotations(item_id)]
    assert dataloop.count("POST", "/query$") == max(1, -(-count // 1000))
    assert platform.count(dataloop.dataset_id, "annotations", of_item) == count


def test_what_is_deleted_between_two_pages_hides_nothing(
    dataloop: DataloopServer, platform: Platform, item_id: str
) -> None:
    dataloop.store.annotate(item_id, [NOSE] * 1500)
    ids = [annotation["id"] for annotation in dataloop.annotations(item_id)]
    pages = platform.query(dataloop.dataset_id, "annotations", [{"itemId": item_id}])
    found = [next(pages)["id"]]
    for gone in ids[:500]:
        dataloop.store.remove("annotations", gone)
    assert [*found, *(annotation["id"] for annotation in pages)] == ids


@pytest.mark.parametrize(
    "page",
    [{"items": []}, [], {"items": [], "totalItemsCount": 5, "hasNextPage": True}],
    ids=["no count", "a list", "a page of nothing, and more to come"],
)
def test_a_page_that_makes_no_sense_is_an_error_and_no_endless_loop(
    page: Any, dataloop: DataloopServer, platform: Platform
) -> None:
    dataloop.inject(Status(200, body=json.dumps(page)), "POST", times=None)
    with pytest.raises(PlatformError, match=r"POST /datasets/\w+/query"):
        list(platform.query(dataloop.dataset_id, "items", []))


def test_deletion_takes_what_meets_the_conditions_and_looks_afterwards(
    dataloop: DataloopServer, platform: Platform, item_id: str, waits: Waits
) -> None:
    dataloop.store.annotate(item_id, [NOSE, NOSE | {"label": "left eye"}, NOSE])
    noses = [{"itemId": item_id}, {"label": "nose"}]
    dataloop.inject(Status(200, body="{}"), "POST", "/query$", contains='"delete":true')  # says so, and does nothing
    platform.delete_where(dataloop.dataset_id, "annotations", noses)
    assert [annotation["label"] for annotation in dataloop.annotations(item_id)] == ["left eye"]
    assert len(waits) == 1
    dataloop.store.annotate(item_id, [NOSE])
    dataloop.inject(Status(200, body="{}"), "POST", "/query$", contains='"delete":true', times=None)
    with pytest.raises(PlatformError, match="1 annotations are there after their deletion"):
        platform.delete_where(dataloop.dataset_id, "annotations", noses)
    with pytest.raises(ValueError, match="needs a condition"):
        platform.delete_where(dataloop.dataset_id, "annotations", [])


# The login


@pytest.fixture
def nobody(dataloop: DataloopServer, monkeypatch: pytest.MonkeyPatch) -> DataloopServer:
    monkeypatch.delenv("DATALOOP_TOKEN")
    return dataloop


def test_no_login_is_said_with_what_to_do(nobody: DataloopServer) -> None:
    with pytest.raises(LoginFailed, match=r"there is no login.*kinestream dataloop login.*DATALOOP_API_KEY"):
        Platform.from_environment(timeout_seconds=5)
    assert nobody.requests == []


@pytest.mark.parametrize(
    "token", ["no-token-at-all", "expired", "of-another-key"], ids=["no JWT", "expired", "refused by the platform"]
)
def test_a_bad_token_is_a_failed_login_and_never_shown(
    token: str, nobody: DataloopServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    if token == "expired":  # noqa: S105 - the name of a case
        token = nobody.new_token(valid_seconds=-1)
    elif token == "of-another-key":  # noqa: S105 - as above
        token = nobody.new_token()
        nobody.expire_tokens()
    monkeypatch.setenv("DATALOOP_TOKEN", token)
    with pytest.raises(LoginFailed) as caught:
        Platform.from_environment(timeout_seconds=5)
    assert "the login has expired" in str(caught.value)
    assert token not in str(caught.value)


def test_an_api_key_is_a_login(nobody: DataloopServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATALOOP_API_KEY", nobody.new_token())
    with Platform.from_environment(timeout_seconds=5) as platform:
        assert platform.url == nobody.url


def test_a_service_account_logs_in_and_again_when_its_token_expires(
    nobody: DataloopServer, monkeypatch: pytest.MonkeyPatch, item_id: str
) -> None:
    monkeypatch.setenv("DATALOOP_EMAIL", EMAIL)
    monkeypatch.setenv("DATALOOP_PASSWORD", PASSWORD)
    with Platform.from_environment(timeout_seconds=5) as platform:
        nobody.expire_tokens()
        annotate(platform, item_id)
        assert len(nobody.annotations(item_id)) == 1
        assert nobody.count("POST", "/token") == 2
        monkeypatch.setattr(nobody, "_generation", 7)
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: platform.get("/users/me"), range(16)))
        assert nobody.count("POST", "/token") == 3  # one for all of them
    monkeypatch.setenv("DATALOOP_PASSWORD", "wrong-password")
    with pytest.raises(LoginFailed, match="refuses to renew the login: 401") as caught:
        Platform.from_environment(timeout_seconds=5)
    assert "wrong-password" not in str(caught.value)


def test_a_token_about_to_expire_is_renewed_by_the_agent_of_the_platform(
    dataloop: DataloopServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATALOOP_TOKEN", dataloop.new_token(valid_seconds=30))
    monkeypatch.setenv("DTLPY_REFRESH_TOKEN_METHOD", "proxy")
    monkeypatch.setenv("AGENT_PROXY_MAIN_PORT", str(dataloop.port))
    with Platform.from_environment(timeout_seconds=5) as platform:
        platform.get("/users/me")
    assert [request.path for request in dataloop.requests] == ["/get_jwt", "/users/me", "/users/me"]


def test_a_stored_login_is_used_renewed_and_left_as_it_was(
    nobody: DataloopServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DATALOOP_URL")
    cookie = Path(os.environ["DATALOOP_PATH"]) / "cookie.json"
    Platform().close()  # so that there is one
    before = cookie.read_text()
    environment = {
        "alias": "x", "gate_url": nobody.gate_url, "verify_ssl": True, "url": "http://x/",
        "token": nobody.new_token(), "refresh_token": nobody.refresh_token,
    }  # fmt: skip
    stored = json.dumps(json.loads(before) | {"url": nobody.url, "login_parameters": {nobody.url: environment}})
    try:
        cookie.write_text(stored)
        with Platform.from_environment(timeout_seconds=5) as platform:
            for _ in range(2):
                nobody.expire_tokens()
                platform.get("/users/me")
        assert nobody.count("POST", "/token") == 2
        assert json.loads(cookie.read_text()) == json.loads(stored)
    finally:
        cookie.write_text(before)


def test_an_address_that_is_none_is_a_fault_of_the_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATALOOP_URL", "gate.dataloop.ai")
    with pytest.raises(ConfigError, match="DATALOOP_URL must be like"):
        Platform()


def test_it_writes_to_no_folder_of_the_user_and_prints_nothing(
    dataloop: DataloopServer,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CACHE_CONFIG", "would be decoded and used")
    with Platform.from_environment(timeout_seconds=5, attempts=1) as platform, caplog.at_level(logging.DEBUG):
        dataloop.inject(Status(400), times=2)
        with pytest.raises(PlatformError):
            platform.get("/users/me")
        with pytest.raises(PlatformError):
            platform.post("/x", {"secret": "hush-hush"}, repeatable=False)
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", "")
    assert [record for record in caplog.records if record.name == "dtlpy"] == []
    token = os.environ["DATALOOP_TOKEN"]
    cookie = Path(os.environ["DATALOOP_PATH"]) / "cookie.json"
    assert token not in cookie.read_text()


@pytest.mark.slow  # a process of its own: dtlpy looks at its folder when it is imported, once
@pytest.mark.parametrize("damage", ["no folder", "no JSON"])
def test_a_folder_that_dtlpy_cannot_use_is_named(damage: str, tmp_path: Path) -> None:
    folder = tmp_path / "dtlpy"
    if damage == "no folder":
        folder.write_text("a file")
    else:
        folder.mkdir()
        (folder / "cookie.json").write_text("{")
    program = "from stages.dataloop.connection.platform import Platform; Platform()"
    environment = os.environ | {"DATALOOP_PATH": str(folder), "PYTHONPATH": str(Path(__file__).parents[3])}
    ended = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    assert "PlatformError: dtlpy cannot use its folder" in ended.stderr
    assert "set DATALOOP_PATH" in ended.stderr


# Time


def test_a_server_that_never_answers_ends_in_bounded_time(dataloop: DataloopServer, item_id: str) -> None:
    dataloop.inject(Hang(after=True), times=None)
    with Platform(timeout_seconds=0.2, attempts=2, wait=lambda _: False) as platform:
        started = time.monotonic()
        with pytest.raises(ReplyLost, match="timed out"):
            annotate(platform, item_id)
        with pytest.raises(PlatformUnavailable, match=r"timed out.*\(2 tries\)"):
            platform.get("/users/me")
        assert time.monotonic() - started < 3
    assert len(dataloop.annotations(item_id)) == 1


def test_so_does_one_that_sends_its_answer_byte_by_byte(dataloop: DataloopServer, item_id: str) -> None:
    dataloop.inject(Trickle(0.05), times=None)
    with (
        Platform(timeout_seconds=0.1, attempts=1) as platform,
        pytest.raises(PlatformUnavailable, match=r"took over 1 s"),
    ):
        platform.get(f"/items/{item_id}")


@pytest.mark.parametrize("fault", [Hang(), Status(503)], ids=["in a call", "between two tries"])
def test_closing_ends_all_waits(fault: Any, dataloop: DataloopServer) -> None:
    dataloop.inject(fault, times=None)
    platform = Platform(timeout_seconds=60, attempts=50)
    failed: list[Exception] = []

    def ask() -> None:
        try:
            platform.get("/users/me")
        except PlatformError as error:
            failed.append(error)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 5
    while len(dataloop.http._open) < 3 and not dataloop.requests and time.monotonic() < deadline:
        threading.Event().wait(0.01)
    platform.close()
    for thread in threads:
        thread.join(5)
    assert [type(error) for error in failed] == [PlatformUnavailable] * 3
    with pytest.raises(PlatformUnavailable, match="is closed"):
        platform.get("/users/me")


def test_eight_threads_share_a_platform(dataloop: DataloopServer, platform: Platform, item_id: str) -> None:
    def work(number: int) -> int:
        annotate(platform, item_id)
        platform.get(f"/items/{item_id}")
        return number

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(work, range(80))) == list(range(80))
    assert len(dataloop.annotations(item_id)) == 80


# Bytes


@pytest.mark.parametrize("first", [0, 1, 999_999])
def test_bytes_come_from_the_one_that_is_asked_for(
    first: int, dataloop: DataloopServer, platform: Platform, item_id: str
) -> None:
    with platform.stream(f"/items/{item_id}/stream", first) as blocks:
        got = b"".join(blocks)
    assert got == dataloop.store.files[item_id].read_bytes()[first:]


def test_a_server_without_ranges_sends_all_and_the_rest_is_taken(
    dataloop: DataloopServer, platform: Platform, item_id: str
) -> None:
    dataloop.store.files[item_id].write_text("0123456789" * 100_000)
    dataloop.inject(Status(200, body="0123456789" * 100_000), "GET", "/stream$")
    with platform.stream(f"/items/{item_id}/stream", 700_003) as blocks:
        got = b"".join(blocks)
    assert got == (b"0123456789" * 100_000)[700_003:]


def test_bytes_that_break_off_are_an_error(dataloop: DataloopServer, platform: Platform, item_id: str) -> None:
    dataloop.inject(Truncate(300_000), "GET", "/stream$")
    with (
        platform.stream(f"/items/{item_id}/stream", 0) as blocks,
        pytest.raises(PlatformUnavailable, match="no whole answer"),
    ):
        list(blocks)
