"""What the platform means where it does not do what it is asked: an error of ours that says what to do."""

import email.utils
import json
import time
from typing import Any, Final

import requests

from stages.dataloop.connection.tokens import HOW_TO_LOG_IN
from stages.dataloop.errors import LoginFailed, PlatformError, PlatformUnavailable, ReplyLost, TooLarge

__all__ = ["fault_of", "retry_after_seconds"]

_LONGEST_WORDS: Final = 500
_ADVICE: Final = {
    400: "the request is wrong",
    404: "it does not exist, or this login may not see it",
    409: "it is in conflict with what is there",
}


def fault_of(asked: str, response: requests.Response, body: bytes, *, changes: bool) -> PlatformError:
    """Tell what is wrong where the status of an answer is not 2xx.

    Args:
        asked: Method and path.
        response: Of it, status and headers.
        body: As far as it came.
        changes: Whether what was asked changes anything on the platform.
    """
    status = response.status_code
    came = f"{asked}: {status} {response.reason or ''}".rstrip() + f", {_words(body)!r}"
    if status in {401, 403}:
        what = "the login is not valid" if status == 401 else "this login may not do that"
        return LoginFailed(f"{came}; {what}: {HOW_TO_LOG_IN}", status)
    if status == 413:
        return TooLarge(f"{came}; send less at once", status)
    if status in {408, 429}:
        wait = retry_after_seconds(response.headers.get("Retry-After", ""))
        return PlatformUnavailable(f"{came}; try again later, or ask for a higher rate limit", status, wait)
    if status >= 500:
        wait = retry_after_seconds(response.headers.get("Retry-After", ""))
        lost = ReplyLost if changes else PlatformUnavailable
        return lost(f"{came}; the platform has a fault: try again later", status, wait)
    return PlatformError(f"{came}; {_ADVICE.get(status, 'not what this version of Kinestream knows')}", status)


def retry_after_seconds(value: str) -> float | None:
    """Read a `Retry-After` header: seconds, or a date (RFC 9110, section 10.2.3)."""
    if value.strip().isdecimal():
        return float(value)
    try:
        date = email.utils.parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, date.timestamp() - time.time())


def _words(body: bytes) -> str:
    """Give the platform's own words, or the beginning of what a gateway on the way says."""
    text = body.decode("utf-8", "replace")
    try:
        tree: Any = json.loads(text)
    except ValueError:
        tree = None
    if isinstance(tree, dict) and tree.get("message"):
        text = str(tree["message"])
    return " ".join(text.split())[:_LONGEST_WORDS]
