"""What a top-down pose network needs around it: which part of the picture it sees, and what its output means there.

The arithmetic, in the order of the flow:

    regions      boxes -> regions of the aspect of the network's input, and the affines there and back
    crops        pictures and affines -> the pictures that the network sees
    heatmaps     heat maps -> joints (HRNet, PoseResNet, ViTPose)
    simcc        two rows of classes a joint -> joints (RTMPose)
    on_device    crops and heat maps as tensors, where they lie on a GPU; needs torch

What uses it:

    options      what a user may ask of every such network
    people       tables of boxes -> tables with joints
    paths        pictures and regions -> joints, by any engine; device_path the same without leaving a GPU (needs torch)
    choose       which of these two is taken
    heads        the outputs of one kind of network -> joints on its grid
    budget       whom to look at now, when time does not suffice for everybody; with allowance and acquaintances

The arithmetic is that of the official HRNet inference (Sun et al., "Deep High-Resolution Representation Learning for
Human Pose Estimation", CVPR 2019), to the pixel: weights reach their published accuracy only with the arithmetic that
they were trained with. Boxes and joints count as the data sets do: a coordinate is an index of pixels, so the centre of
the first pixel is at 0.
"""
