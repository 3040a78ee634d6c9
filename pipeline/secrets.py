"""Secrets never leave the process: one function masks them wherever text is shown.

Two kinds of text are masked: what looks like a credential (the user part of a URL, a field called token, password ...,
an authorization header), and the exact values that a configuration took from the environment. Where it cannot be told
how far a credential reaches, too much is masked rather than too little. A bare `name@host` is nobody's secret.
"""

import json
import logging
import re
from collections.abc import Mapping
from urllib.parse import quote

__all__ = ["MASK", "MaskingFilter", "mask", "mask_tree", "mask_value", "remember_secret"]

MASK = "***"
_SHORTEST_SECRET = 4
"""Shorter values ('1', 'on') would blank out innocent text everywhere."""

_WORDS = (
    r"(?:password|passwd|passphrase|pwd|secret|token|credential|signature|authorization"
    r"|(?:access|api|private|stream)[_-]?key|(?<![a-z])(?:auth|pass|sig)(?![a-z]))"
)
_USERINFO = re.compile(r"://[^/?#\s:]*(?::\S*)?@")
"""Up to the last @: a password may hold one, and a slash, whether that is allowed or not."""
_ENCODED_USERINFO = re.compile(r"(?P<name>%3A%2F%2F)[^&\s]*(?=%40)", re.IGNORECASE)
"""The same in a URL that is part of another one."""
_QUERY_FIELD = re.compile(rf"(?P<name>[?&;][\w.-]*{_WORDS}[\w.-]*=)[^&;#\s]*", re.IGNORECASE)
_HEADER = re.compile(r"(?P<name>(?<![\w.?&;])authorization\\?[\"']?[ \t]*[:=][ \t]*)[^\r\n]+", re.IGNORECASE)
_BEARER = re.compile(r"(?P<name>\bbearer[ \t]+)\S+", re.IGNORECASE)
_FIELD = re.compile(
    rf"""
    (?P<name> (?<![\w.?&;-])
      (?: [\w.-]*{_WORDS}[\w-]* [ \t]*=                # password=x, sinks.0.password=x
        | [\w-]*{_WORDS}[\w-]* \\?["']? [ \t]*: )      # "password": "x", but not sinks.0.password: what is wrong
      [ \t]* (?P<quote>["']?) )
    (?: (?<=["']) (?: \\. | (?!(?P=quote))[^\\\n] )*   # up to the closing quote, or to the end of the line
      | \S+ )
    """,
    re.IGNORECASE | re.VERBOSE,
)
_SECRET_KEY = re.compile(_WORDS, re.IGNORECASE)

_remembered: set[str] = set()


def remember_secret(value: str) -> None:
    """Mask `value` wherever it shows up from now on, in this process; also escaped, in a URL, in JSON or in a repr."""
    if len(value) >= _SHORTEST_SECRET:
        quoted = (quote(value, safe, errors="surrogatepass") for safe in ("/", ""))
        _remembered.update((value, *quoted, json.dumps(value)[1:-1], repr(value)[1:-1]))


def mask(text: str) -> str:
    """Replace every credential in `text`: `rtsp://me:pw@cam/1` becomes `rtsp://***@cam/1`."""
    for secret in sorted(_remembered, key=len, reverse=True):
        text = text.replace(secret, MASK)
    text = _USERINFO.sub(f"://{MASK}@", text)
    for pattern in (_ENCODED_USERINFO, _QUERY_FIELD, _HEADER, _BEARER, _FIELD):
        text = pattern.sub(rf"\g<name>{MASK}", text)
    return text


def mask_tree(value: object) -> object:
    """Mask a tree of mappings, sequences and strings, for reports: values under secret-sounding keys too."""
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, Mapping):
        return {mask(str(key)): mask_value(str(key), item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [mask_tree(item) for item in value]
    return value


def mask_value(name: str, value: object) -> object:
    """Mask a value by its name too: under one that sounds of secrets, all of it."""
    return MASK if _SECRET_KEY.search(name) and value else mask_tree(value)


class MaskingFilter(logging.Filter):
    """Masks every log record that passes: the finished message, and the traceback if it has one."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrite the record in place; always let it pass."""
        try:
            message = record.getMessage()
        except (TypeError, ValueError, KeyError):  # arguments that do not fit: a fault in a log line ends no run
            message = f"{record.msg} {record.args}"
        record.msg, record.args = mask(message), ()
        if record.exc_info:
            record.exc_text = mask(logging.Formatter().formatException(record.exc_info))
        return True
