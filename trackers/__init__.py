"""Trackers: pure synchronous numpy, one file an algorithm.

    bytetrack   boxes only, needs no picture: fixed or slow cameras, crowds, 5 frames a second and more

To add one: a file with its class and its `Options`, and one line in `pipeline.registry`. What they share:

    base        what a tracker is
    kalman      where a box will be, in seconds
    assignment  how alike two boxes or poses are, and the best pairing
"""
