"""Encrypted connections: the options, and the context they make."""

import ssl
from typing import Final, Self

from pydantic import model_validator

from pipeline.errors import SinkError
from pipeline.plugin import Options

__all__ = ["Tls", "make_context"]

_ADVICE: Final = "give PEM files that this user may read, and a key that belongs to the certificate and has no password"


class Tls(Options):
    """How a connection is encrypted, and who proves what. `tls: {}` trusts what this machine trusts."""

    ca: str | None = None
    """PEM file of the authority that signed the broker's certificate; by default those that this machine trusts."""
    certificate: str | None = None
    """PEM file of the certificate that we show to the broker, where it asks for one."""
    key: str | None = None
    """PEM file of its private key, without a password; by default it is in the file of the certificate."""
    insecure: bool = False
    """Take any certificate of the broker. Encrypted, but whoever sits in between can read along: for a first try."""

    @model_validator(mode="after")
    def _key_has_a_certificate(self) -> Self:
        if self.key is not None and self.certificate is None:
            msg = "a key proves nothing without its certificate: give `certificate` too"
            raise ValueError(msg)
        return self


def make_context(tls: Tls) -> ssl.SSLContext:
    """Read the files.

    Raises:
        SinkError: One of them is missing, unreadable, or not what it should be.
    """
    try:
        context = ssl.create_default_context(cafile=tls.ca)
    except (OSError, ssl.SSLError) as error:
        msg = (
            f"tls.ca: cannot use '{tls.ca}' as authority: {error}; give the PEM file of the one that signed the broker"
        )
        raise SinkError(msg) from error
    context.sslsocket_class = _PromptlyClosed
    if tls.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if tls.certificate is not None:
        _show(context, tls.certificate, tls.key)
    return context


class _PromptlyClosed(ssl.SSLSocket):
    """Closes itself when nobody agrees on anything; paho would leave that to the garbage collector."""

    def do_handshake(self, block: bool = False) -> None:  # noqa: FBT001, FBT002 - as inherited
        try:
            super().do_handshake(block)
        except BaseException:
            self.close()
            raise


def _show(context: ssl.SSLContext, certificate: str, key: str | None) -> None:
    def refuse() -> str:  # instead of asking at the terminal
        msg = "the key has a password"
        raise ValueError(msg)

    try:
        context.load_cert_chain(certificate, key, password=refuse)
    except (OSError, ValueError) as error:
        msg = f"tls.certificate: cannot use '{certificate}' with key '{key or certificate}': {error}; {_ADVICE}"
        raise SinkError(msg) from error
