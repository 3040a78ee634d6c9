"""Tracking what was detected before, without pictures: `kinestream track`, and what `kinestream evaluate track` needs.

commands    the command line of `kinestream track`
asked       the tracker that it names, and its options
mot         MOTChallenge text: rows in, rows out
sequences   MOTChallenge folders
replay      a tracker is shown detections, frame by frame

Detections and tracks are MOTChallenge text, so that other programs can read and write them.
"""

__all__: list[str] = []
