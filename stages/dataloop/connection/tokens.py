"""A login that outlives its token: where another one comes from.

dtlpy renews a token by its refresh token, or asks the agent that runs the process, but waits without end where nobody
answers, and does not log in again by itself. So this takes its place, through its attribute `renew_token_method`.
"""

import os
from collections.abc import Iterator
from typing import Any, Final

import requests

from pipeline.secrets import remember_secret
from stages.dataloop.connection.client import Credentials
from stages.dataloop.errors import LoginFailed, PlatformUnavailable

__all__ = ["HOW_TO_LOG_IN", "new_token"]

HOW_TO_LOG_IN: Final = (
    "log in on this machine once with `kinestream dataloop login`, or set DATALOOP_API_KEY, or DATALOOP_TOKEN, or "
    "DATALOOP_EMAIL and DATALOOP_PASSWORD of a service account"
)
_AGENT_PORT: Final = "1001"


def new_token(client: Any, credentials: Credentials) -> str:  # noqa: ANN401 - dtlpy has no types
    """Get another token: from the agent that runs this process, by the refresh token, or by logging in again.

    Raises:
        LoginFailed: There is nothing to renew it with, or all of it is refused.
        PlatformUnavailable: Whoever gives out tokens is not to be had now.
        requests.RequestException: No answer at all.
    """
    refused = "there is no login" if not client.token else "the login has expired, or is none"
    for request, key in _ways(client, credentials):
        response = client.session.send(request.prepare(), verify=client.verify)
        if response.status_code == requests.codes.too_many_requests or response.status_code >= 500:
            msg = f"POST {response.url}: {response.status_code} {response.reason}; try again later"
            raise PlatformUnavailable(msg, response.status_code)
        token = _token_of(response, key)
        if token:
            remember_secret(token)
            return token
        refused = f"{response.url} refuses to renew the login: {response.status_code} {response.reason}"
    msg = f"{refused}; {HOW_TO_LOG_IN}"
    raise LoginFailed(msg)


def _ways(client: Any, credentials: Credentials) -> Iterator[tuple[requests.Request, str]]:  # noqa: ANN401 - as above
    """Yield what to ask for a token, and the field of the answer that has it."""
    if os.environ.get("DTLPY_REFRESH_TOKEN_METHOD") == "proxy":
        port = os.environ.get("AGENT_PROXY_MAIN_PORT") or _AGENT_PORT
        secret = os.environ.get("GET_JWT_ENDPOINT_SECRET")
        headers = {"X-Get-Jwt-Secret": secret} if secret else {}
        yield requests.Request("GET", f"http://localhost:{port}/get_jwt", headers=headers), "jwt"
    url = f"{client.environments[client.environment]['gate_url']}/token?default"
    if client.refresh_token:
        body = {"type": "refresh_token", "refresh_token": client.refresh_token}
        yield requests.Request("POST", url, json=body), "id_token"
    if credentials.email and credentials.password:
        body = {"type": "user_credentials", "username": credentials.email, "password": credentials.password}
        yield requests.Request("POST", url, json=body), "id_token"


def _token_of(response: requests.Response, key: str) -> str:
    if not response.ok:
        return ""
    try:
        body = response.json()
    except requests.JSONDecodeError:
        return ""
    token = body.get(key) if isinstance(body, dict) else None
    return token if isinstance(token, str) else ""
