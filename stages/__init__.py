"""The flow: `decode -> detect -> pose -> track -> sinks`.

The verbs (`decode.py`, `detect.py`, `pose.py`, `track.py`, `sink.py`) are the asynchronous adapters, written once.
The nouns (`sources/`, `detectors/`, `poses/`, `sinks/`) are the plug-ins: synchronous, one file each.
Behind them: `media/` (video in files), `drawing/` (pictures), `blazepose/` and `yolo/` (networks), `zoo/` (weights),
`geometry.py` and `rows.py` (arrays and plain values).
"""
