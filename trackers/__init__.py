"""Trackers: pure synchronous numpy, one file an algorithm.

    kinesort    boxes, poses and looks, moving cameras, gaps: the best of what is known in one
    bytetrack   boxes only, doubtful ones too: crowds, 5 frames a second and more
    sort        boxes only: the simplest that has a motion model
    ocsort      boxes only, led by what was seen rather than by what was believed
    similarity  boxes and poses, from frame to frame without motion: that of simple-HRNet, repaired

To add one: a file with its class and its `Options`, and one line in `pipeline.registry`. What they share:

    base           what a tracker is
    kalman         where a box will be, in seconds
    assignment     how alike two boxes or poses are, and the best pairing
    camera_motion  how the camera moved, from frame to frame
    roster         the tracks of a source: their clock, their ids
    boxes_alone    what SORT and OC-SORT have in common
    smoothing      steady joints: the One-Euro filter
    rounds, likeness, recollection, pose_motion, looks    the parts of kinesort
"""
