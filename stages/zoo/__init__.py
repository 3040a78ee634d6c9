"""The model zoo: names, sources, hashes, licences, download and cache."""

from stages.zoo.entries import MODELS
from stages.zoo.find import find_weights
from stages.zoo.model import Model
from stages.zoo.store import Store, locate

__all__ = ["MODELS", "Model", "Store", "find_weights", "locate"]
