"""Fold batch normalisation into the convolution before it: the same network, with half the passes over memory."""

import logging
from collections import Counter

from torch import fx, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.fusion import fuse_conv_bn_eval

__all__ = ["folded"]

_log = logging.getLogger(__name__)

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


def folded(module: nn.Module) -> nn.Module:
    """Fold what can be folded.

    In eval mode, batch normalisation is y = a x + b for each channel; a goes into the weights of the convolution that
    made x, b into its bias.

    Args:
        module: In eval mode. Its parameters are not changed.

    Returns:
        A network that computes the same, up to rounding. One whose path depends on its data cannot be followed; it
        comes back as it is.
    """
    try:
        graph = fx.symbolic_trace(module)
    except (fx.proxy.TraceError, TypeError, RuntimeError) as error:
        _log.debug("%s cannot be followed, so nothing is folded: %s", type(module).__name__, error)
        return module
    modules = dict(graph.named_modules())
    uses = Counter(node.target for node in graph.graph.nodes if node.op == "call_module")
    for node in list(graph.graph.nodes):
        if (before := _foldable(node, modules, uses)) is None:
            continue
        convolution = modules[str(before.target)]
        is_transposed = isinstance(convolution, _TRANSPOSED)
        fused = fuse_conv_bn_eval(convolution, modules[str(node.target)], is_transposed)
        graph.set_submodule(str(before.target), fused)
        node.replace_all_uses_with(before)
        graph.graph.erase_node(node)
    graph.delete_all_unused_submodules()
    graph.recompile()
    return graph


def _foldable(node: fx.Node, modules: dict[str, nn.Module], uses: "Counter[object]") -> fx.Node | None:
    """Give the convolution that a batch normalisation can be folded into; None if it is none, or has other readers."""
    if node.op != "call_module" or not isinstance(modules[str(node.target)], _BatchNorm):
        return None
    before = node.args[0]
    if not isinstance(before, fx.Node) or before.op != "call_module" or len(before.users) != 1:
        return None
    convolution = modules[str(before.target)]
    called_once = uses[before.target] == 1
    return before if called_once and isinstance(convolution, _CONVOLUTIONS + _TRANSPOSED) else None
