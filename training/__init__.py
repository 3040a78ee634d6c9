"""Training of top-down pose networks, from annotated people to a loss.

    datasets      a file of annotations -> one immutable table of people; annotations: the forms of such files
    skeletons     the joints that a file names: mirror pairs, halves of the body, spreads
    folders       whether a COCO folder is complete: `kinestream data coco`; inspection: its pictures
    augmentation  how a person is looked at this time: pure functions with a random generator of the caller
    targets       what the network is to draw
    losses        how far it is from that
    samples       a person -> picture, joints and weights; pixels: reading pictures; crops: keeping parts of them
    loading       samples in batches, from worker processes; order: which sample comes when
    validation    a network in training, measured as `kinestream evaluate` does
    sheet         a batch as a picture, to look at

`augmentation`, `datasets`, `samples` and all that they build upon need no PyTorch.
"""

__all__: list[str] = []
