"""A flow made ready for inference: the same function in fewer and cheaper steps."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TypeGuard

import torch
import torch.nn.functional as F
from FrEIA.framework import SequenceINN
from torch import Tensor, nn

from lightning_ecinn.flows.blocks import CouplingBlock, DownsamplingCoupling, _pointwise
from lightning_ecinn.flows.fixed_matrix import without_autocast

__all__ = ["FoldedFlow"]


class FoldedFlow(nn.Module):
    """The flow in evaluation mode, batch norm folded into the convolutions before it.

    For inference only: no gradients reach the flow, and later changes of its weights are not
    seen. What is folded is folded in double precision and then rounded once.

    Args:
        flow: as `ib_inn` builds it; other modules in it are used as they are.
    """

    def __init__(self, flow: SequenceINN):
        super().__init__()
        with torch.no_grad(), torch.autocast(_device(flow).type, enabled=False):
            self._steps = [_folded(module) for module in flow.module_list]

    def forward(
        self, x: Tensor, rev: bool = False, jac: bool = True
    ) -> tuple[Tensor, Tensor | None]:
        """Latents (B, D) and log_det (B,) in nats of flow inputs x (B, C, H, W); or back.

        Without ``jac`` the log-determinant is left out (None), which is faster.
        """
        with torch.inference_mode(), without_autocast(x), _full_precision(x.device):
            log_det: Tensor | float = 0.0
            for step in reversed(self._steps) if rev else self._steps:
                x, part = step(x, rev, jac)
                log_det = log_det + part
        # Copies of what inference mode made are ordinary tensors again.
        return x.clone(), torch.as_tensor(log_det).to(x).expand(len(x)).clone() if jac else None


@contextmanager
def _full_precision(device: torch.device) -> Iterator[None]:
    """On CUDA no convolution rounds float32 to 10 bits (TF32), as it does by default.

    The inverse meets numbers that differ in the last bit from those of the forward pass; rounded
    so, some would be 1e-3 apart, and so would the pictures.
    """
    if device.type != "cuda":
        yield
        return
    allowed = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = allowed


def _device(module: nn.Module) -> torch.device:
    return next((p.device for p in module.parameters()), torch.device("cpu"))


Output = tuple[Tensor, Tensor | float]
Step = Callable[[Tensor, bool, bool], Output]
Layer = Callable[[Tensor], Tensor]


def _folded(module: nn.Module) -> Step:
    if isinstance(module, CouplingBlock):
        return _Coupling(module)
    if isinstance(module, DownsamplingCoupling):
        return _Downsampling(module)

    module = copy.deepcopy(module).eval()

    def as_it_is(x: Tensor, rev: bool, jac: bool) -> Output:
        (y,), log_det = module((x,), rev=rev)
        return y, log_det

    return as_it_is


class _Coupling:
    """A `CouplingBlock` in evaluation mode."""

    def __init__(self, block: CouplingBlock):
        self.splits = block.splits
        self.subnet = _Subnet(block.subnet, slope=0.1)
        self.affine = _Affine(block.clamp)
        scale, offset = block.log_scale.exp().view(-1), block.offset.view(-1).clone()
        self.matrix = block.rotation.matrix * scale.unsqueeze(1)
        self.offset = offset.view(1, -1, 1, 1)
        self.inverse = block.rotation.inverse / scale
        self.inverse_offset = -(self.inverse @ offset).view(1, -1, 1, 1)
        self.log_det_per_pixel = block.log_scale.sum().item() + block.rotation.log_abs_det

    def __call__(self, x: Tensor, rev: bool, jac: bool) -> Output:
        if rev:
            y = _pointwise(self.inverse, x, self.inverse_offset)
            y1, y2 = y.split(self.splits, dim=1)
            log_det = self.affine(y2, self.subnet(y1), rev, jac)
        else:
            u = x.clone()
            u1, u2 = u.split(self.splits, dim=1)
            log_det = self.affine(u2, self.subnet(u1), rev, jac)
            y = _pointwise(self.matrix, u, self.offset)
        per_picture = self.log_det_per_pixel * x.shape[2:].numel() if jac else 0.0
        return y, log_det + (-per_picture if rev else per_picture)


class _Downsampling:
    """A `DownsamplingCoupling` in evaluation mode."""

    def __init__(self, block: DownsamplingCoupling):
        self.splits = block.splits
        self.subnet_high = _Subnet(block.subnet_high, slope=0.2)
        self.subnet_low = _Subnet(block.subnet_low, slope=0.2)
        self.affine = _Affine(block.clamp)

    def __call__(self, x: Tensor, rev: bool, jac: bool) -> Output:
        if rev:
            y1, y2 = x.clone().split([4 * split for split in self.splits], dim=1)
            log_det1 = self.affine(y1, self.subnet_low(y2), rev, jac)
            x1 = F.pixel_shuffle(y1, 2)
            log_det2 = self.affine(y2, self.subnet_high(x1), rev, jac)
            return torch.cat((x1, F.pixel_shuffle(y2, 2)), dim=1), log_det1 + log_det2
        x1, x2 = x.split(self.splits, dim=1)
        y1, y2 = F.pixel_unshuffle(x1, 2), F.pixel_unshuffle(x2, 2)
        log_det2 = self.affine(y2, self.subnet_high(x1), rev, jac)
        log_det1 = self.affine(y1, self.subnet_low(y2), rev, jac)
        return torch.cat((y1, y2), dim=1), log_det1 + log_det2


class _Affine:
    """x exp(clamp tanh(a)) + t in place of x, or its inverse; the slope is folded into a."""

    def __init__(self, clamp: float):
        self.clamp = clamp

    def __call__(self, x: Tensor, a: Tensor, rev: bool, jac: bool) -> Tensor | float:
        a_scale, translation = a.contiguous().chunk(2, dim=1)
        log_scale = torch.tanh(a_scale).mul_(-self.clamp if rev else self.clamp)
        log_det = log_scale.sum((1, 2, 3)) if jac else 0.0
        if rev:
            x.sub_(translation).mul_(log_scale.exp_())
        else:
            torch.addcmul(translation, x, log_scale.exp_(), out=x)
        return log_det


class _Subnet:
    """A subnet in evaluation mode, its first outputs, the scales, multiplied by `slope`.

    A chain of layers is folded; any other module is used as it is.
    """

    def __init__(self, subnet: nn.Module, slope: float):
        subnet = copy.deepcopy(subnet).eval()
        chain = list(subnet) if isinstance(subnet, nn.Sequential) else []
        self.slope, self.layers = slope, _folded_layers(chain, slope)
        self.whole = None if self.layers else subnet

    def __call__(self, x: Tensor) -> Tensor:
        if self.whole is not None:
            a_scale, translation = self.whole(x).chunk(2, dim=1)
            return torch.cat((self.slope * a_scale, translation), dim=1)
        for layer in self.layers:
            x = layer(x)
        return x


def _folded_layers(layers: list[nn.Module], slope: float) -> list[Layer]:
    """Layers without dropout, batch norm folded into the convolution before it.

    None at all unless the last layer is a convolution, which `slope` is folded into.
    """
    layers = [layer for layer in layers if not isinstance(layer, nn.Dropout | nn.Dropout2d)]
    if not layers or not isinstance(layers[-1], nn.Conv2d):
        return []
    folded: list[Layer] = []
    before: nn.Module | None = None
    for layer, after in zip(layers, [*layers[1:], None], strict=True):
        if isinstance(layer, nn.Conv2d):
            norm = after if _has_statistics(after) else None
            folded.append(_convolution(layer, norm, slope if after is None else 1.0))
        elif isinstance(layer, nn.ReLU):
            ours = isinstance(before, nn.Conv2d | nn.BatchNorm2d)  # not what the caller keeps
            folded.append(torch.relu_ if ours else torch.relu)
        elif not (isinstance(before, nn.Conv2d) and _has_statistics(layer)):
            folded.append(layer)
        before = layer
    return folded


def _has_statistics(layer: nn.Module | None) -> TypeGuard[nn.BatchNorm2d]:
    return isinstance(layer, nn.BatchNorm2d) and layer.running_mean is not None


def _convolution(layer: nn.Conv2d, norm: nn.BatchNorm2d | None, slope: float) -> Layer:
    """A convolution with what follows it; the first half of its outputs is scaled by `slope`."""
    weight = layer.weight.double()
    bias = weight.new_zeros(len(weight)) if layer.bias is None else layer.bias.double()
    if norm is not None:
        assert norm.running_mean is not None
        assert norm.running_var is not None
        scale = torch.rsqrt(norm.running_var.double() + norm.eps)
        if norm.affine:
            scale = scale * norm.weight.double()
        weight = weight * scale.view(-1, 1, 1, 1)
        bias = (bias - norm.running_mean.double()) * scale
        if norm.affine:
            bias = bias + norm.bias.double()
    if slope != 1:
        half = len(weight) // 2
        factor = torch.cat((bias.new_full((half,), slope), bias.new_ones(len(weight) - half)))
        weight, bias = weight * factor.view(-1, 1, 1, 1), bias * factor
    weight, bias = weight.to(layer.weight.dtype), bias.to(layer.weight.dtype)
    if _is_pointwise(layer):
        return partial(_pointwise, weight.flatten(1), bias=bias.view(1, -1, 1, 1))
    if weight.device.type == "cpu":  # faster there, whatever the layout of the pictures
        weight = weight.contiguous(memory_format=torch.channels_last)
    if layer.padding_mode != "zeros":
        return partial(layer._conv_forward, weight=weight, bias=bias)
    settings = {key: getattr(layer, key) for key in ("stride", "padding", "dilation", "groups")}
    return partial(torch.conv2d, weight=weight, bias=bias, **settings)


def _is_pointwise(layer: nn.Conv2d) -> bool:
    return (
        layer.kernel_size == layer.stride == (1, 1)
        and layer.padding in ((0, 0), "valid", "same")
        and layer.groups == 1
    )
