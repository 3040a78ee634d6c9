"""The networks of top-down pose, and the files their weights come in.

    hrnet        HRNet (Sun et al., CVPR 2019)
    poseresnet   PoseResNet (Xiao et al., ECCV 2018)
    blocks       the residual blocks that both are made of
    sizes        which pictures they take
    files        a file -> what torch.save wrote into it; no code in it is run
    dialects     what trainers wrote -> tensors under the official names
    recognition  such tensors -> which network they are of
    trained      what a network was trained with, where its file says so: joints, size of its pictures ...
    checkpoint   all of that: a file -> a network with its weights
    card         what a network is, without its weights
    notes        which network a file holds, without reading it a second time
    model        a file -> what an engine runs

All but `card`, `listing`, `model`, `notes`, `sizes` and `trained` need torch, which is optional: import them inside the
function that needs them. No plug-in is needed to use them, in a trainer for instance.
"""
