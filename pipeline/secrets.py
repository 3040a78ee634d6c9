"""Secrets never leave the process: one function masks them wherever text is shown.

Two kinds of text are masked: what looks like a credential (the user part of a URL, a query field or a
mapping key called token, password, ...), and the exact values that a configuration took from the environment.
"""

import logging
import re
from collections.abc import Mapping

__all__ = ["MASK", "MaskingFilter", "mask", "mask_tree", "remember_secret"]

MASK = "***"
_SHORTEST_SECRET = 4
"""Shorter values ('1', 'on') would blank out innocent text everywhere."""

_WORDS = r"(?:password|passwd|pwd|secret|token|api_?key|access_?key|credential|signature|sig|auth)"
_USERINFO = re.compile(r"(?P<scheme>[a-zA-Z][\w+.-]*://)[^/?#\s]*@")
_QUERY_FIELD = re.compile(rf"(?P<name>[?&;][\w.-]*{_WORDS}[\w.-]*=)[^&;#\s]*", re.IGNORECASE)
_SECRET_KEY = re.compile(_WORDS, re.IGNORECASE)

_remembered: set[str] = set()


def remember_secret(value: str) -> None:
    """Mask `value` wherever it shows up from now on, in this process."""
    if len(value) >= _SHORTEST_SECRET:
        _remembered.add(value)


def mask(text: str) -> str:
    """Replace every credential in `text`: `rtsp://me:pw@cam/1` becomes `rtsp://***@cam/1`."""
    text = _USERINFO.sub(rf"\g<scheme>{MASK}@", text)
    text = _QUERY_FIELD.sub(rf"\g<name>{MASK}", text)
    for secret in sorted(_remembered, key=len, reverse=True):
        text = text.replace(secret, MASK)
    return text


def mask_tree(value: object) -> object:
    """Mask a tree of mappings, sequences and strings, for reports: values under secret-sounding keys too."""
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, Mapping):
        return {
            str(key): MASK if _SECRET_KEY.search(str(key)) and item else mask_tree(item) for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [mask_tree(item) for item in value]
    return value


class MaskingFilter(logging.Filter):
    """Masks the finished message of every log record that passes."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrite the record in place; always let it pass."""
        record.msg, record.args = mask(record.getMessage()), ()
        return True
