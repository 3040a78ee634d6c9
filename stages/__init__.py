"""The flow: `decode -> detect -> pose -> track -> rules -> sinks`.

The verbs (`decode.py`, `detect.py`, `pose.py`, `track.py`, `rule.py`, `sink.py`) are the asynchronous adapters, written
once. The nouns (`sources/`, `detectors/`, `poses/`, `rules/`, `sinks/`) are the plug-ins: synchronous, one file each.
Behind them: `media/` (video in files), `drawing/` (pictures), `engines/` (how a network runs), `topdown/` (from boxes
to joints), `detections/` (from a network's output to boxes), `judging/` (where people are, how they stand),
`blazepose/` and `yolo/` (networks), `zoo/` (weights), `geometry.py` and `rows.py` (arrays and plain values). Beside
the flow: `estimator.py` (people and joints in a picture, for programs), `evaluation/` (how good a model is),
`doctor.py` and `diagnosis/` (what this machine has).
"""
