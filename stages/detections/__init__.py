"""From frames to a detection network's picture, and from its outputs to boxes.

    letterbox  how a frame is laid into the picture that a network sees: scaled, and padded with grey
    rows       from the raw output of a YOLO network to rows of found people

Beside these, all for networks from ONNX files and OpenVINO graphs, of the families whose licences let a product use
them:

    kinds      the families: how each wants its picture, and by which outputs it is known
    placing    which letterbox each family wants
    boxes      from the outputs of each family to rows of found people
    reader     the same for a batch, checked: suppression, best first, at most so many
    pinned     a second input that asks for the picture's size is answered once, in a copy of the file

Boxes are in pixels of the picture that the network saw, until `placing` takes them back to the frame.
"""
