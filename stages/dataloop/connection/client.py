"""dtlpy's client, made fit to run unattended: quiet, of our own session, and away from the user's files.

dtlpy keeps its login in a file (`~/.dataloop/cookie.json`, or below `DATALOOP_PATH`) and writes there whenever a token,
or the environment, is set. This client reads that file once and keeps what changes in memory: a login given by the
environment never replaces the stored one.
"""

import copy
import logging
import os
import warnings
from dataclasses import dataclass, field
from typing import Any, Final, Self
from urllib.parse import urlsplit

import requests

from pipeline.errors import ConfigError
from pipeline.secrets import remember_secret
from stages.dataloop.errors import PlatformError
from stages.engines.packages import need

__all__ = ["Credentials", "make_client"]

_BASE_PATH: Final = "/api/v1"


@dataclass(frozen=True, slots=True)
class Credentials:
    """What the environment gives to log in with."""

    token: str | None = field(repr=False)
    """A token or an API key: both are JSON Web Tokens, used as they are."""
    email: str | None
    password: str | None = field(repr=False)

    @classmethod
    def from_environment(cls) -> Self:
        """Read `DATALOOP_TOKEN`, else `DATALOOP_API_KEY`; and `DATALOOP_EMAIL` with `DATALOOP_PASSWORD`."""
        found = {
            name: os.environ.get(f"DATALOOP_{name}", "").strip() for name in ("TOKEN", "API_KEY", "EMAIL", "PASSWORD")
        }
        for name in ("TOKEN", "API_KEY", "PASSWORD"):
            remember_secret(found[name])
        return cls(found["TOKEN"] or found["API_KEY"] or None, found["EMAIL"] or None, found["PASSWORD"] or None)

    @property
    def is_given(self) -> bool:
        """Whether there is enough of it to log in."""
        return bool(self.token or (self.email and self.password))


class _Cookie:
    """Stands in for dtlpy's file of settings: starts with what is in it, and keeps changes to itself."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self._settings = settings

    def get(self, key: str) -> Any:  # noqa: ANN401 - a JSON value
        return self._settings.get(key)

    def put(self, key: str, value: object) -> None:
        self._settings[key] = value


def make_client(
    session: requests.Session,
    credentials: Credentials,
    like: Any = None,  # noqa: ANN401 - dtlpy has no types
) -> Any:  # noqa: ANN401 - the same
    """Make a client of dtlpy that nobody else uses.

    Args:
        session: What it sends with.
        credentials: Come before the stored login.
        like: A client of dtlpy that is logged in: this one takes its platform and its login, whatever the environment
            names.

    Returns:
        A `dtlpy.ApiClient` whose token may be missing or expired.

    Raises:
        MissingPackage: dtlpy is not installed.
        ConfigError: `DATALOOP_URL` is no address.
        PlatformError: dtlpy cannot write its folder.
    """
    client = _import_dtlpy().ApiClient()
    stored = copy.deepcopy(client.cookie_io.read_json())
    url = like.environment if like is not None else _wanted_url() or stored.get("url") or client.environment
    known = copy.deepcopy((like or client).environments)
    client.cookie_io = _Cookie(stored)
    client.environments = {url: {**_unknown_environment(url), **known.get(url, {})}}
    client.environment = url
    if credentials.is_given:
        client.token = credentials.token
    for secret in (client.token, client.refresh_token):
        remember_secret(secret or "")
    client.session = session
    client.build_cache = _no_cache
    return client


def _no_cache() -> None:
    """Stand in for dtlpy's cache of answers, which the environment may turn on: what is in it may be out of date."""


def _import_dtlpy() -> Any:  # noqa: ANN401 - a module without types
    # Its errors become ours. Left alone, it writes whole requests and tracebacks to the console and into files; when it
    # is imported, it sets all that up, unless its logger has a handler already.
    log = logging.getLogger("dtlpy")
    log.setLevel(logging.CRITICAL)
    if not log.handlers:
        log.addHandler(logging.NullHandler())
    try:
        with warnings.catch_warnings():  # it changes the filters of the whole process
            warnings.simplefilter("ignore")
            dtlpy = need("dtlpy", "the Dataloop platform")
    except (OSError, SystemExit) as error:  # it exits where its file of settings is damaged
        msg = f"dtlpy cannot use its folder: {error}; set DATALOOP_PATH to a folder that this user can write to"
        raise PlatformError(msg) from error
    return dtlpy


def _wanted_url() -> str:
    url = os.environ.get("DATALOOP_URL", "").strip().rstrip("/")
    parts = urlsplit(url)
    if url and not (parts.scheme in {"http", "https"} and parts.hostname):
        msg = f"DATALOOP_URL must be like https://gate.dataloop.ai{_BASE_PATH}, got '{url}'"
        raise ConfigError(msg)
    return url


def _unknown_environment(url: str) -> dict[str, Any]:
    """Describe an environment of which only the address is known, as dtlpy has it."""
    gate_url = url.removesuffix(_BASE_PATH)
    return {"alias": None, "gate_url": gate_url, "url": f"{gate_url}/", "verify_ssl": True, "token": None}
