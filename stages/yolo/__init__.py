"""One-stage networks of the YOLO family, for the detector and the pose plug-in that are called `ultralytics`.

    weights   a file or an export's folder -> what it is, and whether it fits
    openvino  an OpenVINO export, run by OpenVINO itself: several frames in flight, pictures converted in the graph
    predictor everything else that ultralytics can load, run by its own `predict`
    model     takes one of the two, so that a plug-in need not care

The arithmetic around the network, for the first of the two, is that of `stages/detections`. Ultralytics is imported
only when the second one is opened: it takes seconds and hundreds of megabytes.
"""
