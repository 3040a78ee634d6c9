"""Every error a caller can meet.

    PipelineError
    ├── ConfigError              the configuration is wrong; nothing was started      exit 2
    │   ├── UnknownPlugin        no plug-in of that name; the closest one is offered
    │   └── MissingPackage       the plug-in needs a package that is not installed
    ├── SourceError              a source cannot be opened or read any further        exit 1
    │   └── AuthenticationFailed a camera refuses the credentials; tried again slowly
    ├── WeightsError             weights are missing, damaged or of the wrong kind    exit 1
    ├── StageError               a model or tracker keeps failing; cause attached     exit 1
    ├── SinkError                an output cannot be written; cause attached          exit 1
    └── OutOfMemory              a batch was too large; the engine halves and retries
    ChannelClosed                internal: the sender is done; never leaves the engine

A message says what is wrong, what was got, what was expected and what to do. Messages pass through
`pipeline.secrets.mask`, so a password in a URL never reaches a terminal, a log or a report.
"""

from pipeline.secrets import mask

__all__ = [
    "AuthenticationFailed",
    "ChannelClosed",
    "ConfigError",
    "MissingPackage",
    "OutOfMemory",
    "PipelineError",
    "SinkError",
    "SourceError",
    "StageError",
    "UnknownPlugin",
    "WeightsError",
]


class PipelineError(Exception):
    """Anything that Kinestream itself reports."""

    exit_code = 1

    def __init__(self, message: str) -> None:
        """Keep `message` with its secrets masked."""
        super().__init__(mask(message))


class ConfigError(PipelineError):
    """The configuration is wrong; nothing was started."""

    exit_code = 2


class UnknownPlugin(ConfigError):
    """No plug-in is registered under that name."""


class MissingPackage(ConfigError):
    """The plug-in needs a package that is not installed."""


class SourceError(PipelineError):
    """A source cannot be opened, or cannot be read any further."""


class AuthenticationFailed(SourceError):
    """A source refuses the credentials it was given."""


class WeightsError(PipelineError):
    """Weights are missing, damaged, or of the wrong kind."""


class StageError(PipelineError):
    """A stage failed on every packet of several batches in a row."""


class SinkError(PipelineError):
    """An output cannot be written."""


class OutOfMemory(PipelineError):
    """A batch did not fit into the memory of the device."""


class ChannelClosed(Exception):
    """The sender closed the channel, and everything sent was received."""
