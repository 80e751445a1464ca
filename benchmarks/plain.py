"""The same network as a direct transcription of the formulas: what others are measured against.

Channels first, batch norm and dropout as layers, scale, offset and rotation as steps of their own,
the rotation a 1x1 convolution: the way FrEIA's blocks and the published code are written.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor

from lightning_ecinn import GenerativeClassifier
from lightning_ecinn.flows import CouplingBlock

__all__ = ["plain"]


def plain(classifier: GenerativeClassifier) -> GenerativeClassifier:
    """A copy of a classifier whose coupling blocks compute the plain way."""
    result = copy.deepcopy(classifier).to(memory_format=torch.contiguous_format)
    for block in result.flow.module_list:
        if isinstance(block, CouplingBlock):
            block.forward = _forward.__get__(block)  # type: ignore[method-assign]
    return result


def _forward(
    self: CouplingBlock, x: Iterable[Tensor], c: object = None, rev: bool = False, jac: bool = True
) -> tuple[tuple[Tensor], Tensor]:
    (x,) = x
    channels, pixels = x.shape[1], x.shape[2:].numel()
    scale = torch.exp(self.log_scale)
    if rev:
        weight = self.rotation.inverse.view(channels, channels, 1, 1)
        x = F.conv2d((x - self.offset) / scale, weight)
    x1, x2 = x.split(self.splits, dim=1)
    a = self.subnet(x1)
    log_s = self.clamp * torch.tanh(0.1 * a[:, : self.splits[1]])
    t = a[:, self.splits[1] :]
    log_det = log_s.sum(dim=(1, 2, 3)) + pixels * self.log_scale.sum()
    if rev:
        return (torch.cat((x1, (x2 - t) * torch.exp(-log_s)), dim=1),), -log_det
    u = torch.cat((x1, x2 * torch.exp(log_s) + t), dim=1)
    weight = self.rotation.matrix.view(channels, channels, 1, 1)
    return (F.conv2d(u, weight) * scale + self.offset,), log_det
