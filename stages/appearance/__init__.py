"""What people look like: a vector for each box, by a re-identification network such as OSNet, for trackers that ask.

crops.py     cuts boxes out of a picture, as such networks were trained on them
network.py   the network, from a file or the model zoo; and which one a tracker asks for
"""

from stages.appearance.network import Appearance, appearance_for

__all__ = ["Appearance", "appearance_for"]
