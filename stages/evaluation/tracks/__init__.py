"""How good a tracker is on MOTChallenge sequences: `kinestream evaluate track`.

command     the command line
run         tracks all sequences, and has them counted
counting    HOTA, CLEAR MOT and identity measures, by the package `trackeval` of their authors

Time comes from the frame rate of a sequence, so the same options mean the same at any `--every`.
"""

__all__: list[str] = []
