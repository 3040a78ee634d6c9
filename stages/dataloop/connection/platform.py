"""The Dataloop platform, as the rest of Kinestream sees it: paths in, JSON out, errors that say what to do.

    with Platform.from_environment() as platform:
        item = platform.get(f"/items/{item_id}")
        for annotation in platform.query(item["datasetId"], "annotations", [{"itemId": item_id}]):
            ...

What is repeated, up to `attempts` times, with growing pauses or those the platform asks for:

| | GET, queries, PUT, PATCH, DELETE, POST `repeatable=True` | POST `repeatable=False` |
|---|---|---|
| no connection was made, 408, 429 | yes | yes: nothing was done |
| no answer, a damaged one, 5xx | yes: twice is as good as once | never: `ReplyLost` |
| 401 | once, with a renewed token | the same: nothing was done |
| any other status | no | no |
"""

import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Final, Literal, Self

import requests

from stages.dataloop.connection.compression import Compression
from stages.dataloop.connection.exchange import Exchange
from stages.dataloop.connection.tries import Tries
from stages.dataloop.connection.wire import body_of
from stages.dataloop.errors import PlatformError

__all__ = ["Platform", "Resource"]

Resource = Literal["items", "annotations"]
Conditions = Sequence[Mapping[str, Any]]

_PAGE_SIZE: Final = 1000
_PARTIAL: Final = 206
_ACCEPTED: Final = {"Accept-Encoding": "gzip"}
"""Asking again for annotations takes as many bytes as sending them."""
_BODY_TIMEOUTS: Final = 10
"""An answer that keeps coming may take so many times the timeout."""


class Platform:
    """A login to the platform. Safe to use from any thread; each call takes bounded time, and `close` ends it.

    Args:
        timeout_seconds: How long the platform may be silent.
        attempts: How often something is tried, all in all.
        wait: Waits so many seconds, and tells whether to give up; by default until `close`. For tests.
        like: A client of dtlpy that is logged in: its platform and its login are taken.

    Raises:
        MissingPackage: dtlpy is not installed.
        ConfigError: `DATALOOP_URL` is no address.
        LoginFailed: There is no login.
    """

    def __init__(
        self,
        *,
        timeout_seconds: float = 60.0,
        attempts: int = 6,
        wait: Callable[[float], bool] | None = None,
        like: Any = None,  # noqa: ANN401 - dtlpy has no types
    ) -> None:
        """Take the login that the environment gives, or the stored one; nothing is sent yet."""
        self._closed = threading.Event()
        self._tries = Tries(attempts, self._closed.wait if wait is None else wait)
        self._timeout_seconds = timeout_seconds
        self._exchange = Exchange(timeout_seconds, like)
        self._compression = Compression()

    @property
    def url(self) -> str:
        """Base of all paths: `https://gate.dataloop.ai/api/v1`."""
        return self._exchange.url

    @classmethod
    def from_environment(
        cls, *, timeout_seconds: float = 60.0, attempts: int = 6, wait: Callable[[float], bool] | None = None
    ) -> Self:
        """Log in with what the environment gives, and see whether the platform takes it.

        `DATALOOP_TOKEN` or `DATALOOP_API_KEY`, else `DATALOOP_EMAIL` and `DATALOOP_PASSWORD`, else what
        `kinestream dataloop login`, or dtlpy's `dlp login`, has stored. `DATALOOP_URL` names another environment than
        the stored one.

        Raises:
            LoginFailed: There is no login, or it is refused.
            PlatformUnavailable: The platform does not answer.
        """
        platform = cls(timeout_seconds=timeout_seconds, attempts=attempts, wait=wait)
        try:
            platform.get("/users/me")
        except BaseException:
            platform.close()
            raise
        return platform

    def __enter__(self) -> Self:
        """Give itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()

    def close(self) -> None:
        """End all that is under way and let go of the connections; who waits gets `PlatformUnavailable`."""
        self._closed.set()
        self._exchange.close()

    def get(self, path: str) -> Any:  # noqa: ANN401 - a JSON value
        """Ask for something.

        Raises:
            PlatformError: As the module says.
        """
        return self._call("GET", path, changes=False)

    def post(self, path: str, body: Any, *, repeatable: bool) -> Any:  # noqa: ANN401 - JSON values
        """Send something new.

        Args:
            path: Where to.
            body: A JSON value.
            repeatable: Whether the platform may get it twice. If not, it is sent once and no more, unless it is
                certain that nothing was done with it.

        Raises:
            ReplyLost: It may have been done: look before sending it again.
            PlatformError: As the module says.
        """
        return self._call("POST", path, body, repeatable=repeatable)

    def put(self, path: str, body: Any) -> Any:  # noqa: ANN401 - JSON values
        """Change something; done twice it is the same as once.

        Raises:
            PlatformError: As the module says.
        """
        return self._call("PUT", path, body)

    def patch(self, path: str, body: Any) -> Any:  # noqa: ANN401 - JSON values
        """Change a part of something; what is sent are values, so done twice it is the same as once.

        Raises:
            PlatformError: As the module says.
        """
        return self._call("PATCH", path, body)

    def delete(self, path: str, body: Any = None) -> None:  # noqa: ANN401 - a JSON value
        """Delete something. Gone after a second try, it was the first that did it.

        Raises:
            PlatformError: As the module says.
        """
        self._call("DELETE", path, body)

    def query(self, dataset_id: str, resource: Resource, conditions: Conditions) -> Iterator[dict[str, Any]]:
        """Yield all that meets the conditions, ascending by id, page by page.

        Each page asks for ids beyond the last one (keyset paging): what comes or goes meanwhile shifts nothing.

        Args:
            dataset_id: Where to look.
            resource: What to look for.
            conditions: All must hold, as the platform writes them: `{"itemId": id}`, `{"frame": {"$gt": 3}}`.

        Raises:
            PlatformError: As the module says.
        """
        last = ""
        while True:
            beyond = [{"id": {"$gt": last}}] if last else []
            page = self._query(dataset_id, resource, [*conditions, *beyond], sort={"id": "ascending"})
            yield from page["items"]
            if not page.get("hasNextPage"):
                return
            found = str(page["items"][-1]["id"]) if page["items"] else ""
            if found <= last:
                msg = f"POST /datasets/{dataset_id}/query: a page of {resource} does not go on from {last!r}"
                raise PlatformError(msg)
            last = found

    def count(self, dataset_id: str, resource: Resource, conditions: Conditions) -> int:
        """Count what meets the conditions.

        Raises:
            PlatformError: As the module says.
        """
        page = self._query(dataset_id, resource, conditions, page_size=0)
        return int(page["totalItemsCount"])

    def delete_where(self, dataset_id: str, resource: Resource, conditions: Conditions) -> None:
        """Delete all that meets the conditions, and see that it is gone.

        Raises:
            ValueError: No condition is given: that would be the whole dataset.
            PlatformError: As the module says; also if something is still there after all tries.
        """
        if not conditions:
            msg = "delete_where needs a condition; without any, the whole dataset would go"
            raise ValueError(msg)

        def attempt() -> PlatformError | None:
            self._query(dataset_id, resource, conditions, delete=True)
            left = self.count(dataset_id, resource, conditions)
            asked = f"POST /datasets/{dataset_id}/query"
            return PlatformError(f"{asked}: {left} {resource} are there after their deletion") if left else None

        self._tries.until(attempt)

    @contextmanager
    def stream(self, path: str, first_byte: int) -> Iterator[Iterator[bytes]]:
        """Read bytes as they come, from one on.

        Args:
            path: Of what.
            first_byte: Where to begin, from 0; must be below the size.

        Yields:
            Blocks. Taking one raises `PlatformUnavailable` where the transfer breaks off or falls silent.

        Raises:
            PlatformError: As the module says.
        """
        asked = f"GET {path}"
        headers = {"Range": f"bytes={first_byte}-", "x-dl-sanitize": "0"}
        response = self._tries.run(lambda: self._exchange.send("GET", path, None, headers, changes=False))
        assert response is not None
        with response:
            skip = 0 if response.status_code == _PARTIAL else first_byte
            yield self._blocks(asked, response, skip)

    def _blocks(self, asked: str, response: requests.Response, skip: int) -> Iterator[bytes]:
        """Yield the blocks of a body. A server that knows no ranges sends all: what was not asked for is left out."""
        with self._exchange.failures(asked, changes=False):
            for block in body_of(response, float("inf")):
                yield block[skip:]
                skip = max(0, skip - len(block))

    # How it is asked

    def _query(
        self,
        dataset_id: str,
        resource: Resource,
        conditions: Conditions,
        *,
        page_size: int = _PAGE_SIZE,
        **more: object,
    ) -> dict[str, Any]:
        body = {"filter": {"$and": list(conditions)}, "page": 0, "pageSize": page_size, "resource": resource, **more}
        deletes = bool(more.get("delete"))
        page = self._call("POST", f"/datasets/{dataset_id}/query", body, changes=deletes)
        if deletes:
            return {}
        if isinstance(page, dict) and isinstance(page.get("items"), list) and "totalItemsCount" in page:
            return page
        msg = f"POST /datasets/{dataset_id}/query: the answer holds no list of {resource}"
        raise PlatformError(msg)

    def _call(
        self, method: str, path: str, body: object = None, *, repeatable: bool = True, changes: bool = True
    ) -> Any:  # noqa: ANN401 - a JSON value
        data = None if body is None else _json(f"{method} {path}", body)

        def send(sent: bytes | None, headers: dict[str, str]) -> Any:  # noqa: ANN401 - a JSON value
            return self._exchanged(method, path, sent, headers, changes=changes)

        def once() -> Any:  # noqa: ANN401 - a JSON value
            return send(None, {}) if data is None else self._compression.send(data, send)

        return self._tries.run(once, repeatable=repeatable, gone_is_done=method == "DELETE")

    def _exchanged(self, method: str, path: str, data: bytes | None, headers: dict[str, str], *, changes: bool) -> Any:  # noqa: ANN401 - a JSON value
        if data is not None:
            headers = {**headers, "Content-Type": "application/json"}
        with (
            self._exchange.send(method, path, data, headers | _ACCEPTED, changes=changes) as response,
            self._exchange.failures(f"{method} {path}", changes=changes),
        ):
            text = b"".join(body_of(response, _BODY_TIMEOUTS * self._timeout_seconds))
            return json.loads(text) if text.strip() else None


def _json(asked: str, body: object) -> bytes:
    """Write a body; a NaN, or a number that is not Python's own, is a fault of the caller."""
    try:
        return json.dumps(body, allow_nan=False, separators=(",", ":")).encode()
    except (TypeError, ValueError) as error:
        msg = f"{asked}: not sent, the body is no JSON: {error}"
        raise PlatformError(msg) from error
