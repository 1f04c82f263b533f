"""Fold BatchNorm into the convolution before it; inference only."""

from __future__ import annotations

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


def fold_batchnorm(network: nn.Module) -> nn.Module:
    """Fold every BatchNorm2d of `network` into its convolution, in place, and return it in eval mode.

    w' = w * gamma / sqrt(var + eps),  b' = (b - mean) * gamma / sqrt(var + eps) + beta, in the network's own precision:
    call it in fp32, before a cast to half precision.

    A BatchNorm belongs to the convolution registered just before it, as in every ResNet of torchvision (conv1, bn1,
    conv2, bn2, ...; downsample.0, .1). That is a convention, not a law, so tests hold the result equal to the original.
    """
    network.eval()
    for module in list(network.modules()):
        previous: tuple[str, nn.Module] | None = None
        for name, child in list(module.named_children()):
            if isinstance(child, nn.BatchNorm2d) and previous is not None:
                conv_name, conv = previous
                if isinstance(conv, nn.Conv2d) and conv.out_channels == child.num_features:
                    setattr(module, conv_name, fuse_conv_bn_eval(conv, child))
                    setattr(module, name, nn.Identity())
            previous = (name, child)
    return network
