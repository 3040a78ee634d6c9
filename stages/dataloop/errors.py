"""What can go wrong between Kinestream and the Dataloop platform.

    PlatformError
    ├── LoginFailed              no login, or one that may not do this; says how to log in
    ├── TooLarge                 the request is larger than the platform takes: send less at once
    └── PlatformUnavailable      no answer that helps, after all tries: later it may work
        └── ReplyLost            it was sent, and no answer came: it may have been done or not

A message says what was asked (method and path), what came (status and the platform's words), and what to do.
"""

from pipeline.errors import PipelineError

__all__ = ["LoginFailed", "PlatformError", "PlatformUnavailable", "ReplyLost", "TooLarge"]


class PlatformError(PipelineError):
    """The platform refuses, or says what it should not."""

    def __init__(self, message: str, status: int | None = None) -> None:
        """Keep `message` with its secrets masked.

        Args:
            message: What was asked, what came, what to do.
            status: Of the answer, if there was one.
        """
        super().__init__(message)
        self.status = status


class LoginFailed(PlatformError):
    """There is no login, it has expired for good, or it may not do this."""


class TooLarge(PlatformError):
    """The request is larger than the platform takes."""


class PlatformUnavailable(PlatformError):
    """The platform does not answer, or not now. What was asked has not been done."""

    def __init__(self, message: str, status: int | None = None, retry_after_seconds: float | None = None) -> None:
        """Keep `message` with its secrets masked; `retry_after_seconds` is the platform's own wish."""
        super().__init__(message, status)
        self.retry_after_seconds = retry_after_seconds


class ReplyLost(PlatformUnavailable):
    """It was sent, and no answer came that tells whether it was done: look before sending it again."""
