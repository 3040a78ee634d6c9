"""How good a pose model is on a data set: `kinestream evaluate`.

    commands    the command line; asked: the model it names; data: the data set it names; run: all together
    measure     what a data set is: coco (with average_precision), mpii (with pckh)
    people      COCO files (categories: whose joints), heads: the sizes that PCKh needs, reading: JSON files, checked
    pictures    which are looked at, and reading them ahead of the model; look: through the model
    scoring     the score that poses of given boxes are ranked by, and OKS-NMS

The steps and constants are those of the official HRNet evaluation (Sun et al., "Deep High-Resolution Representation
Learning for Human Pose Estimation", CVPR 2019, section 4, and the authors' published code), so that the numbers can be
held against published ones.
"""

__all__: list[str] = []
