"""Training of top-down pose networks, from annotated people to weights.

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

    config        a training as it is written down; optimising, schedule: parts of it
    run           from there to a running training: `kinestream train`
    starting      the weights that a network begins with
    learner       what happens in a step; accuracy: how many joints are found
    loop          epochs of steps, until it is done or asked to stop (stopping); place: how far it is
    peers         the processes that train together
    checkpoints   all that is needed to go on, and bare weights; writing: files that are there whole or not at all
    witness       who is told: logbook (CSV, curves), board (TensorBoard), progress (the terminal)

`augmentation`, `datasets`, `samples` and all that they build upon need no PyTorch.
"""

__all__: list[str] = []
