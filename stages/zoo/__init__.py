"""The model zoo: names, sources, hashes, licences, download and cache."""

from stages.zoo.entries import MODELS, Model
from stages.zoo.store import Store, locate

__all__ = ["MODELS", "Model", "Store", "locate"]
