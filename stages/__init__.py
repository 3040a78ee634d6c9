"""The flow: `decode -> detect -> pose -> track -> rules -> sinks`.

The verbs (`decode.py`, `detect.py`, `pose.py`, `track.py`, `sink.py`) are the asynchronous adapters, written once.
The nouns (`sources/`, `detectors/`, `poses/`, `sinks/`) are the plug-ins: synchronous, one file each.
"""
