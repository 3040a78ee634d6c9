"""BlazePose on the CPU: people and joints without a GPU, a detector or anything to download but a wheel.

    tiles ---detector---> candidates ---landmarks---> poses ---landmarks, again---> people
                                                        ^                             |
                                                        +------ the next frame -------+

`network` runs the two networks, `candidates` reads the detector's output, `poses` the landmark network's, `search`
finds people in a picture and `follow` keeps them from frame to frame. The detector `stages.detectors.blazepose` and
the pose model `stages.poses.blazepose` are two faces of it.

The networks are those of Bazarevsky et al., "BlazePose: On-device Real-time Body Pose tracking" (2020, arXiv
2006.10204), version "full", Apache-2.0.
"""
