"""One request to the platform and its answer, by dtlpy's client, with a login that is renewed."""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import requests
import urllib3

from pipeline.secrets import remember_secret
from stages.dataloop.connection.answers import fault_of
from stages.dataloop.connection.client import Credentials, make_client
from stages.dataloop.connection.tokens import new_token
from stages.dataloop.connection.wire import Wire
from stages.dataloop.errors import PlatformError, PlatformUnavailable, ReplyLost

__all__ = ["Exchange"]

_UNTRUSTED: Final = "CERTIFICATE_VERIFY_FAILED"
_NEVER_SENT: Final = (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError)


class Exchange:
    """Sends each request once. Safe to use from any thread.

    Args:
        timeout_seconds: How long the platform may be silent.
        like: A client of dtlpy whose platform and login are taken; by default what the environment gives.

    Raises:
        MissingPackage: dtlpy is not installed.
        ConfigError: `DATALOOP_URL` is no address.
        PlatformError: dtlpy cannot use its folder.
    """

    def __init__(self, timeout_seconds: float, like: Any = None) -> None:  # noqa: ANN401 - dtlpy has no types
        """Take the login that the environment gives, or the stored one; nothing is sent."""
        self._credentials = Credentials.from_environment() if like is None else Credentials(None, None, None)
        self._login = threading.RLock()
        self._wire = Wire(timeout_seconds)
        self._client = make_client(self._wire, self._credentials, like)
        self._client.renew_token_method = self._renew
        self._like = like
        self._is_closed = False
        self.url = str(self._client.base_gate_url)
        """Base of all paths."""

    def close(self) -> None:
        """End all that is under way and let go of the connections."""
        self._is_closed = True
        self._wire.cut()
        self._wire.close()

    def send(
        self, method: str, path: str, data: bytes | None, headers: Mapping[str, str], *, changes: bool
    ) -> requests.Response:
        """Send a request; the body of the answer is still to be read.

        Args:
            method: In capitals.
            path: Below the base.
            data: Of the request.
            headers: Beside those that dtlpy adds.
            changes: Whether what is asked changes anything on the platform.

        Raises:
            PlatformError: It did not go well; `ReplyLost` where nobody knows.
        """
        asked = f"{method} {path}"
        response = self._send(method, path, data, headers, changes=changes)
        if response.status_code == requests.codes.unauthorized and self._renewed(response):
            response = self._send(method, path, data, headers, changes=changes)
        if 200 <= response.status_code < 300:
            return response
        with response, self.failures(asked, changes=changes):
            raise fault_of(asked, response, response.content, changes=changes)

    def _send(
        self, method: str, path: str, data: bytes | None, headers: Mapping[str, str], *, changes: bool
    ) -> requests.Response:
        if self._is_closed:
            msg = f"{method} {path}: not sent, the connection to the platform is closed"
            raise PlatformUnavailable(msg)
        self._log_in()
        with self.failures(f"{method} {path}", changes=changes):
            _, response = self._client.gen_request(
                method, path, data=data, headers=dict(headers), stream=True, log_error=False
            )
        assert isinstance(response, requests.Response)
        return response

    @contextmanager
    def failures(self, asked: str, *, changes: bool) -> Iterator[None]:
        """Say in our own errors what goes wrong between here and the platform.

        Args:
            asked: Method and path, for the message.
            changes: Whether what is asked changes anything on the platform.

        Raises:
            PlatformUnavailable: It was not sent, or it is no matter whether it was.
            ReplyLost: It was sent, and may have been done.
            PlatformError: The platform cannot be trusted.
        """
        try:
            yield
        except (requests.RequestException, urllib3.exceptions.HTTPError, TimeoutError, ValueError) as error:
            raise self._failure(asked, error, changes=changes) from error

    def _failure(self, asked: str, error: Exception, *, changes: bool) -> PlatformError:
        if _UNTRUSTED in str(error):
            return PlatformError(f"{asked}: the certificate of {self.url} is not trusted: {_root(error)}")
        if _was_never_sent(error):
            advice = "check the network, and DATALOOP_URL if it is set"
            return PlatformUnavailable(f"{asked}: {self.url} cannot be reached: {_root(error)}; {advice}")
        came = "what came is no JSON" if isinstance(error, json.JSONDecodeError) else "no whole answer came"
        if changes:
            return ReplyLost(f"{asked}: sent, and {came}, so it may have been done: {_root(error)}")
        return PlatformUnavailable(f"{asked}: {came}: {_root(error)}; try again later")

    # The login

    def _log_in(self) -> None:
        """See to it that there is a token that has not expired; dtlpy then does not renew it by itself."""
        with self._login:
            self._client.token_expired()  # renews it

    def _renew(self) -> bool:
        """Get another token, or raise; dtlpy calls it where the present one has expired."""
        with self._login, self.failures("logging in", changes=False):
            keep = self._client.refresh_token
            self._client.token = self._newer_token() or new_token(self._client, self._credentials)
            self._client.refresh_token = keep  # setting the token has dropped it
        return True

    def _newer_token(self) -> str | None:
        """Give the token of the client whose login was taken, if somebody has given it another one since."""
        token = None if self._like is None else self._like.token
        if token is None or token == self._client.token:
            return None
        remember_secret(token)
        return str(token)

    def _renewed(self, refused: requests.Response) -> bool:
        """Renew a token that the platform refuses before its time, unless another thread just did."""
        with self._login:
            if refused.request.headers["authorization"] == self._client.auth["authorization"]:
                self._renew()
        refused.close()
        return True


def _was_never_sent(error: Exception) -> bool:
    """Tell whether there was not even a connection."""
    causes = _causes(error)
    return any(isinstance(cause, (*_NEVER_SENT, requests.exceptions.ProxyError)) for cause in causes)


def _root(error: Exception) -> BaseException:
    """Give what was wrong in the first place; the wrappings repeat addresses and objects."""
    return _causes(error)[-1]


def _causes(error: BaseException) -> list[BaseException]:
    """Follow an error down: urllib3 wraps what it passes on as an argument or a reason."""
    causes = [error]
    while True:
        inner = [causes[-1].__cause__, getattr(causes[-1], "reason", None), *causes[-1].args]
        found = [cause for cause in inner if isinstance(cause, BaseException) and cause not in causes]
        if not found:
            return causes
        causes.append(found[0])
