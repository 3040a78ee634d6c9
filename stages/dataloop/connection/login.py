"""Logs in once for all: what `kinestream dataloop login` stores is what dtlpy itself stores, so either finds it."""

import base64
import binascii
import importlib
import json
from datetime import UTC, datetime
from typing import Any, Final

import requests

from pipeline.secrets import remember_secret
from stages.dataloop.connection.client import Credentials, make_client
from stages.dataloop.errors import LoginFailed, PlatformUnavailable

__all__ = ["expires_at", "log_in", "stored_token"]

_TIMEOUT_SECONDS: Final = 30.0
_NOBODY: Final = Credentials(None, None, None)


def log_in(credentials: Credentials) -> str:
    """Try a login, and store it if the platform takes it; otherwise the one that was stored before stays.

    Args:
        credentials: A token or an API key, or the address and password of a service account, which are not stored: what
            the platform gives for them is.

    Returns:
        The address of the platform.

    Raises:
        LoginFailed: The platform refuses it.
        PlatformUnavailable: It does not answer.
    """
    with requests.Session() as session:
        client = make_client(session, _NOBODY)
        url, place = client.environment, client.environments[client.environment]
        given = {"id_token": credentials.token}
        if not credentials.token:
            body = {"username": credentials.email, "password": credentials.password, "type": "user_credentials"}
            given = _ask(session, "POST", f"{place['gate_url']}/token?default", json=body)
        token = str(given.get("id_token") or "")
        remember_secret(token)
        _ask(session, "GET", f"{url}/users/me", headers={"Authorization": f"Bearer {token}"})
    _store(url, place, token, given.get("refresh_token"))
    return str(url)


def _ask(session: requests.Session, method: str, url: str, **what: Any) -> dict[str, Any]:  # noqa: ANN401 - as requests has it
    try:
        response = session.request(method, url, timeout=_TIMEOUT_SECONDS, **what)
    except requests.RequestException as error:
        msg = f"{method} {url}: no answer: {error}; see whether this machine reaches it"
        raise PlatformUnavailable(msg) from error
    if response.status_code >= 500:
        msg = f"{method} {url}: {response.status_code} {response.reason}; try again later"
        raise PlatformUnavailable(msg, response.status_code)
    if not response.ok:
        msg = f"{method} {url}: {response.status_code} {response.reason}: the platform refuses this login"
        raise LoginFailed(msg, response.status_code)
    try:
        found = response.json()
    except requests.JSONDecodeError:
        found = {}
    return found if isinstance(found, dict) else {}


def _store(url: str, place: dict[str, Any], token: str, refresh_token: str | None) -> None:
    """Put a login where dtlpy keeps it."""
    client = importlib.import_module("dtlpy").ApiClient()
    if url not in client.environments:
        client.add_environment(environment=url, gate_url=place["gate_url"], url=place["url"])
    client.environment = url
    client.token = token
    client.refresh_token = refresh_token


def stored_token() -> str | None:
    """Give the token that would be used: of the environment, or the stored one; None where there is none."""
    with requests.Session() as session:
        return make_client(session, Credentials.from_environment()).token or None


def expires_at(token: str) -> datetime | None:
    """Read off a token until when it is good; None where it does not say."""
    try:
        body = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
        return datetime.fromtimestamp(claims["exp"], UTC)
    except (IndexError, KeyError, TypeError, ValueError, binascii.Error):
        return None
